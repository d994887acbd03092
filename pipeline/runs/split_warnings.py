"""Warns about rows that the spec asks for and that do not exist.

Those are rows of eval or test, with a positive label, kept by `sample`, or of train with a constant of `train_only`.
"""

from __future__ import annotations

import warnings
from math import inf

from ...transforms.errors import FieldpoolWarning
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import RunStats, total
from ...transforms.spec import ColumnSplit, FileSplit, HashSplit, Spec, TimeSplit, constants_of
from ...transforms.spec.times import shown


def warn_of_empty_splits(spec: Spec, resolved: Spec, stats: RunStats) -> None:
    """Warns about the splits eval and test if they have no rows, and the spec asks for them.

    It does by values of a column, by a pattern of file names, by a share that is not 0, or by the boundaries of times.

    Args:
        spec: The spec as the user wrote it.
        resolved: The same spec with the boundaries of a time split.
        stats: The counts of the run.
    """
    for name in ("eval", "test"):
        asked = _asked(spec, resolved, name)
        if asked and not stats.rows(name):
            message = f"the {name} split is empty: {asked}. Compare `split` in the spec with the data"
            warnings.warn(message, FieldpoolWarning, stacklevel=3)


def warn_of_no_positives(spec: Spec, stats: RunStats) -> None:
    """Warns if no row has a positive label."""
    if stats.rows() and not total(stats.positives):
        message = (
            f"no row has a positive label (column {spec.label.rule}). Compare `label` in the spec with the data; "
            "`positive:` states which labels are positive"
        )
        warnings.warn(message, FieldpoolWarning, stacklevel=3)


def warn_of_no_negatives(stats: RunStats) -> None:
    """Warns if `sample` has left out all negative rows of train."""
    if stats.sampled_out and stats.train == stats.positives["train"]:
        message = (
            f"sample has left out all {stats.sampled_out:,} negative rows of train; increase `sample.negatives`, or "
            "name a column with more values in `sample.by`"
        )
        warnings.warn(message, FieldpoolWarning, stacklevel=3)


def warn_of_unseen_constants(run: Run) -> None:
    """Warns about each constant of `train_only` from which the model has learned nothing, because train lacks it."""
    spec, stats = run.spec, run.stats
    for name, constant in constants_of(spec).items():
        field, problem = stats.fields[name], None
        missing = constant in (b"", []) or constant != constant  # NaN.
        numbers = (field.numbers or {}).get("train")
        if missing:
            problem = None if field.absent["train"] else "every row of train has a value"
        elif isinstance(constant, float):
            if numbers is not None and not numbers.min <= constant <= numbers.max:
                problem = f"the numbers of train are from {numbers.min:g} to {numbers.max:g}"
        elif spec.vocabulary_settings_of(name).hash_buckets is None:
            tokens = set(run.tokens(spec.vocabulary_of(name)))
            given = constant if isinstance(constant, list) else [constant]
            unknown = [token for token in given if token not in tokens]
            problem = f"{unknown[0].decode()!r} is not in the vocabulary, so it is OOV" if unknown else None
        if problem:
            message = (
                f"train_only.{name}: {problem}: the model has not learned the value that eval, test and requests have; "
                "choose one that train has"
            )
            warnings.warn(message, FieldpoolWarning, stacklevel=3)


def _asked(spec: Spec, resolved: Spec, name: str) -> str | None:
    """Returns the rows that the spec asks for in a split and that do not exist, as text; None if it asks for none."""
    split, found = spec.split, resolved.split
    if isinstance(split, ColumnSplit):
        values = " or ".join(repr(value) for value in getattr(split, name))
        return f"no row has {values} in column {split.column!r}" if values else None
    if isinstance(split, FileSplit):
        pattern = getattr(split.files, name)
        return f"no row is in a file that matches {pattern!r}" if pattern else None
    share = getattr(split, name)
    if isinstance(split, HashSplit):
        hashed = " and ".join(map(repr, split.columns))
        return f"the values of column {hashed} are too few for a share of {share:g}" if share else None
    assert isinstance(split, TimeSplit)
    assert isinstance(found, TimeSplit)
    if split.eval_from is None:
        reason = "are all the same, or too many rows have the same one"
        return f"the times in column {split.time!r} {reason}, for a share of {share:g}" if share else None
    if name == "eval":
        until = f"from {shown(found.eval_from)} to before {shown(found.test_from)}"
        return f"no row has a time {until} in column {split.time!r}" if split.eval_from != split.test_from else None
    if found.test_from == inf:
        return None
    return f"no row has a time from {shown(found.test_from)} on in column {split.time!r}"
