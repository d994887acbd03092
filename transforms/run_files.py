"""The names of the files of runs and exported models, and the checks that folders are these."""

from __future__ import annotations

from os.path import join

from .errors import UserError
from .kinds import Kind, check_kind
from .runs.files import exists

SPEC_FILE = "spec.yaml"
STATS_FILE = "stats.json"
DONE_FILE = "DONE"
EXAMPLES_FOLDER = "examples"
TRANSFORM_FOLDER = "transform"
REJECTED_FOLDER = "rejected"
PREDICTIONS_FOLDER = "predictions"  # Written by `predict` instead of `examples/`.
STATISTICS_FOLDER = "statistics"
TRANSFORM_FN_FOLDER = join(TRANSFORM_FOLDER, "transform_fn")
ASSETS_FOLDER = join(TRANSFORM_FN_FOLDER, "assets")
VOCABULARY_COUNTS_FOLDER = "vocabulary_counts"
LEDGERS_FOLDER = "vocabulary_ledgers"
VECTORS_FOLDER = "vectors"


# The folder of an exported model in that of the trained model, and the folder in it for further files, which TensorFlow
# Serving also uses.
SERVING_FOLDER = "serving"
EXTRA_ASSETS_FOLDER = "assets.extra"


class NotARun(UserError):
    """The path is not a finished run."""


class NoExport(UserError):
    """There is no exported model at the path."""


def check_is_run(path: str) -> None:
    """Checks that a folder is a finished run.

    Raises:
        NotARun: it has no `DONE` file: it is not a run, or the pipeline has not finished it.
    """
    missing = [name for name in (DONE_FILE, SPEC_FILE) if not exists(join(path, name))]
    if missing:
        found = check_kind(path, Kind.RUN, NotARun, accepted=(Kind.UNFINISHED_RUN,))
        what = found or ("not a run" if exists(path) else "no such folder")
        raise NotARun(f"{path}: {what} (no {missing[0]} file); create a run with `fieldpool transform`")


def find_export(path: str) -> str:
    """Returns the folder of the exported model: `path` itself or, if `path` is a trained model, `path/serving`.

    Raises:
        NoExport: there is none.
    """
    for folder in (path, join(path, SERVING_FOLDER)):
        if exists(join(folder, "saved_model.pb")) and exists(export_file(folder, SPEC_FILE)):
            return folder
    check_kind(path, Kind.EXPORT, NoExport, accepted=(Kind.MODEL,))
    raise NoExport(f"{path}: no exported model; create it with `fieldpool export RUN MODEL`")


def export_file(export: str, name: str) -> str:
    """Returns the path of an extra file of an exported model: `spec.yaml`, `model.keras` or `identity.json`."""
    return join(export, EXTRA_ASSETS_FOLDER, name)
