"""The missing and OOV rates of new rows beside those of a run: a warning if they are far apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from ...transforms.errors import FieldpoolWarning
from ...transforms.runs.run_stats import RunStats, total
from ...transforms.spec import SPLITS, Check, Spec
from .counters import Counts


@dataclass(frozen=True)
class Rates:
    """The rates of one field, from 0 to 1; None without rows, or without values.

    Attributes:
        missing: The share of rows without a value.
        oov: The share of OOV ids among the ids that the model sees.
    """

    missing: float | None
    oov: float | None


def rates_of_run(stats: RunStats) -> dict[str, Rates]:
    """Returns the rates that new rows are compared with: of the eval split, of train if eval is empty."""
    return _rates_of_splits(stats, ("eval",) if stats.eval else ("train",))


def rates_of_new_rows(stats: RunStats) -> dict[str, Rates]:
    """Returns the rates of all splits together."""
    return _rates_of_splits(stats, SPLITS)


def _rates_of_splits(stats: RunStats, splits: tuple[str, ...]) -> dict[str, Rates]:
    rows = stats.rows(*splits)
    return {
        name: Rates(_ratio(total(field.absent, splits), rows), field.oov_share(*splits))
        for name, field in stats.fields.items()
    }


def rates_of_predictions(counts: Counts, spec: Spec) -> dict[str, Rates]:
    """Returns the rates of the rows that were predicted."""
    rows = counts.of("predicted")
    return {
        name: Rates(_ratio(counts.of("missing", name), rows), _ratio(counts.of("oov", name), counts.of("seen", name)))
        for name in spec.fields
        if name not in spec.train_only
    }


def warn_of_far_rates(run: Mapping[str, Rates], new: Mapping[str, Rates], limits: Check, origin: str) -> None:
    """Warns about each field whose missing or OOV rate differs from the run's by more than `check` allows.

    Args:
        run: The rates of the run.
        new: The rates of the new rows.
        limits: The thresholds: `missing` up or down, `oov` up.
        origin: What to call the run in the warning.
    """
    for name, rates in new.items():
        then = run.get(name, Rates(None, None))
        for measure, before, now, most, both_ways in (
            ("missing", then.missing, rates.missing, limits.missing, True),
            ("OOV", then.oov, rates.oov, limits.oov, False),
        ):
            if now is None or most is None:
                continue
            change = now - (before or 0.0)
            if (abs(change) if both_ways else change) > most:
                message = (
                    f"field {name}: the {measure} rate is {now:.1%}, and {before or 0.0:.1%} in {origin}; find out "
                    "what changed at the source, such as the type or the spelling of the values"
                )
                warnings.warn(message, FieldpoolWarning, stacklevel=3)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
