"""Recognises the kind of a path, by its files or its name, so that an error can name an argument in the wrong position.

Also checks that a path on gs:// can be used, before clients of Google Cloud retry for minutes.

It is in this package because both `model` and `pipeline` use it. It imports only the standard library and, for remote
folders, TensorFlow.
"""

from __future__ import annotations

import functools
import os
import socket
import urllib.request
from enum import StrEnum
from urllib.parse import urlsplit

from .errors import UserError

# Added to an error as a note; the command line replaces it by the usage of its command.
ORDER = "Order of arguments: SPEC or RUN first, then MODEL, then DATA."

# The storage service, and how long it may take to answer.
_HOST, _PORT, _SECONDS = "storage.googleapis.com", 443, 5.0


class Kind(StrEnum):
    """The kinds of paths, as errors name them."""

    RUN = "a run"
    UNFINISHED_RUN = "an unfinished run"
    MODEL = "a trained model"
    EXPORT = "an exported model"
    PREDICTIONS = "a folder of predictions"
    ALL = "the output of `fieldpool run`"
    SPEC = "a YAML file"
    DATA = "a data file"


# The files that identify a folder; the first entry that fits counts.
_FILES = {
    Kind.PREDICTIONS: {"DONE", "predictions"},
    Kind.RUN: {"DONE", "spec.yaml"},
    Kind.EXPORT: {"saved_model.pb", "assets.extra"},
    Kind.MODEL: {"model.keras"},
    Kind.UNFINISHED_RUN: {"transform"},
    Kind.ALL: {"run", "model"},
}
_WORK_PREFIX = ".work-"

_EXTENSIONS = {
    ".yaml": Kind.SPEC,
    ".yml": Kind.SPEC,
    ".keras": Kind.MODEL,
    **dict.fromkeys((".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".ffm", ".libffm"), Kind.DATA),
    **dict.fromkeys((".parquet", ".pq", ".tfrecord", ".tfrecords"), Kind.DATA),
}
_COMPRESSIONS = (".gz", ".bz2", ".zst", ".xz", ".lz4", ".zip")

_EXPECTED = {
    Kind.RUN: "a run, the folder that `fieldpool transform` creates",
    Kind.MODEL: "a trained model, the folder that `fieldpool train` creates",
    Kind.EXPORT: "an exported model, the folder that `fieldpool export RUN MODEL` creates",
    Kind.SPEC: "a spec, a YAML file",
    Kind.DATA: "data: CSV, JSON Lines, Parquet or TFRecord files",
}
# The folders that `fieldpool run` creates.
_PARTS = {Kind.RUN: "run", Kind.MODEL: "model", Kind.EXPORT: "model"}


def kind_of(path: str) -> Kind | None:
    """Returns the kind of a path, None if it is not recognised.

    Folders are recognised by the files in them; files, and patterns of files, by their extension alone.
    """
    names = names_in(path)
    for kind, files in _FILES.items():
        if files <= names:
            return kind
    if any(name.startswith(_WORK_PREFIX) for name in names):
        return Kind.UNFINISHED_RUN
    name = path.rstrip("/").lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return _EXTENSIONS.get(os.path.splitext(name)[1])


def check_kind(path: str, expected: Kind, error: type[UserError], *, accepted: tuple[Kind, ...] = ()) -> Kind | None:
    """Returns the kind of a path, None if it is not recognised.

    Args:
        path: An argument of a command or function.
        expected: The expected kind; named in the message.
        error: The class of the error to raise.
        accepted: Other kinds that raise no error.

    Raises:
        UserError: `error`, with ORDER as a note: the path is of another kind.
    """
    found = kind_of(path)
    if found is None or found in (expected, *accepted):
        return found
    name = path.rstrip("/")
    inside = f"; pass {name}/{_PARTS[expected]}" if found is Kind.ALL and expected in _PARTS else ""
    raised = error(f"{path} is {found}; expected {_EXPECTED[expected]}{inside}")
    raised.add_note(ORDER)
    raise raised


def names_in(folder: str) -> set[str]:
    """Returns the names of the files and folders in a folder; none if it cannot be listed."""
    try:
        if "://" not in folder:
            return set(os.listdir(folder))
        import tensorflow as tf  # Takes seconds to import.
    except OSError:
        return set()
    try:
        return {name.rstrip("/") for name in tf.io.gfile.listdir(folder)}
    except tf.errors.OpError:
        return set()


def check_cloud_access(*paths: str) -> None:
    """Checks, if one of the paths is on gs://, that there is a network and that there are credentials.

    An emulator of the storage service (`STORAGE_EMULATOR_HOST`) needs neither.

    Raises:
        UserError: the service cannot be reached within 5 seconds, or there are no credentials.
    """
    path = next((path for path in paths if path.startswith("gs://")), None)
    if path is None or "STORAGE_EMULATOR_HOST" in os.environ:
        return
    problem = _problem()
    if problem:
        raise UserError(f"{path}: cannot be used: {problem}")


@functools.cache
def _problem() -> str | None:
    """Returns why the service cannot be used; None if it can."""
    proxy = urllib.request.getproxies().get("https")
    at = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    host, port = (at.hostname or "", at.port or _PORT) if at else (_HOST, _PORT)
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        return f"{host} does not answer ({error.strerror or error}); check the network{' and the proxy' if at else ''}"
    import google.auth

    try:
        google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        return "there are no credentials for Google Cloud; run `gcloud auth application-default login`"
    return None
