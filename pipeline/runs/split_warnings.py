"""Warns about rows that the spec asks for and that do not exist: those of eval or test, with a positive label, or kept
by `sample`.
"""

from __future__ import annotations

import warnings
from math import inf

from ...transforms.errors import FieldpoolWarning
from ...transforms.runs.run_stats import RunStats, total
from ...transforms.spec import ColumnSplit, FileSplit, HashSplit, Spec, TimeSplit
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
