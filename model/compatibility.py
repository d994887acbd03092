"""Checks that a trained or exported model fits a run: that ids and numbers have the same meaning in both."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from ..transforms.errors import UserError
from ..transforms.runs.identity import Identity
from ..transforms.runs.run import Run
from ..transforms.spec import VectorField
from .layers.deepfm import DeepFM

# The maximum number of differences in a message.
_MOST_DIFFERENCES = 5

_NUMBER = "a number"


class DifferentRun(UserError):
    """A trained or exported model comes from a run whose ids or numbers have another meaning."""


def check_model(model: keras.Model, run: Run) -> None:
    """Checks that a model may be used with the features of a run.

    A `DeepFM` without an identity, which earlier versions of fieldpool or other programs saved, is compared by its
    fields and by the sizes of its tables. Other Keras models are not checked.

    Raises:
        DifferentRun: if they differ. If `load_model` returned the model, the message names its file.
    """
    if not isinstance(model, DeepFM):
        return
    name = getattr(model, "file", "the model")
    if model.identity is not None:
        check_run(Identity.from_json(model.identity), run, ("the model", name))
    else:
        _check(_different_features(model, run), name, f"the run {run.path}")


def check_identity(mine: Identity, theirs: Identity, me: tuple[str, str], them: tuple[str, str]) -> None:
    """Checks that two identities have no differences.

    Args:
        mine: The identity of a trained or exported model.
        theirs: The identity of a run or of a transform.
        me: The owner of the first identity, in words such as "the model", and its path.
        them: The owner of the second identity, in words, and its path.

    Raises:
        DifferentRun: if they differ.
    """
    _check(mine.differences(theirs, me[0], them[0]), me[1], " ".join(them))


def check_run(mine: Identity, run: Run, me: tuple[str, str]) -> None:
    """Checks that an identity has no differences to that of a run, as `check_identity`; says if the run is newer.

    Raises:
        DifferentRun: if they differ. If the run extends the vocabularies of `mine`, the message names the older run.
    """
    differences = mine.differences(run.identity, me[0], "the run")
    older = run.extended(mine) if differences else None
    if older is None:
        _check(differences, me[1], f"the run {run.path}")
    else:
        raise DifferentRun(
            f"{me[1]}: is older than the run {run.path}, which extends the vocabularies of {older.run} that it was "
            f"trained on ({_shown(differences)}). Train and export again on {run.path}, or use {older.run} or a run "
            "that `fieldpool transform --using` created with it"
        )


def _check(differences: Sequence[str], path: str, other: str) -> None:
    if differences:
        raise DifferentRun(
            f"{path}: does not fit {other}, whose ids or numbers have another meaning ({_shown(differences)}). "
            "Use the run that it was trained on, or one that `fieldpool transform --using` created with that run; or "
            "train and export again"
        )


def _shown(differences: Sequence[str]) -> str:
    more = len(differences) - _MOST_DIFFERENCES
    return "; ".join([*differences[:_MOST_DIFFERENCES], *([f"and {more} more differences"] if more > 0 else [])])


def _different_features(model: DeepFM, run: Run) -> list[str]:
    """Returns a text for each field of a model that the run lacks or has with another type or number of ids."""
    config, tables = model.get_config(), run.spec.embedding_tables(run.vocabulary_sizes)
    in_model = dict.fromkeys(config["numeric"], _NUMBER)
    in_model |= {name: _vector(length) for name, length in config.get("vectors", {}).items()}
    in_model |= {
        name: _ids(config["tables"][field["table"]]["rows"], is_list=field["pooling"] is not None)
        for name, field in config["fields"].items()
    }
    in_run = {
        name: _ids(tables[run.spec.table_of(name)].rows, is_list=field.is_list) if field.is_embedded else _NUMBER
        for name, field in run.spec.fields.items()
    }
    in_run |= {name: _vector(field.shape[0]) for name, field in run.spec.fields_of(VectorField).items()}
    return [
        f"fields.{name}: {form} in the model, {in_run.get(name, 'nothing')} in the run"
        for name, form in in_model.items()
        if in_run.get(name) != form
    ]


def _vector(length: int) -> str:
    return f"a vector of {length:,} numbers"


def _ids(rows: int, *, is_list: bool) -> str:
    return f"{'a list of ids' if is_list else 'an id'} below {rows:,}"
