"""`fieldpool check`: finds data drift, by comparing new rows with a run under the thresholds of the spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...transforms.process.cores import cores
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import RunStats, total
from ...transforms.spec import SPLITS, Spec
from ...transforms.spec.inputs import raw_columns
from ...transforms.writing import TEMPORARY
from ..counts.stats import run_stats
from ..jobs.errors import translate_worker_errors
from ..rows.checks import Checked, check_rows
from ..rows.prepared_job import prepare_job
from ..rows.tft_rows import without_labels
from ..sources.batches import SourceBatch
from ..sources.readers import check_input
from .local_pass import count_transformed


@dataclass(frozen=True)
class Finding:
    """One number of the new rows, compared with the run's.

    Attributes:
        field: The field's name; `(rows)`, `(label)` or `(columns)` for measures that belong to no field.
        measure: The quantity compared, for example `oov`.
        run: Its value in the run; None if the run has none.
        new: Its value in the new rows.
        most: The threshold as text, for example `+5.00%`; None if there is no threshold.
        is_broken: Whether `new` exceeds the threshold.
        note: Details, for example the names of unknown columns.
    """

    field: str
    measure: str
    run: float | None
    new: float
    most: str | None = None
    is_broken: bool = False
    note: str = ""


def check(run: Run, patterns: Sequence[str]) -> list[Finding]:
    """Returns the comparisons of the files' rows with the run. Nothing is written.

    The rows are read and transformed as by `transform --using`, in threads of this process. Fields in `train_only` are
    not read and not compared. The split is not read, and
    the label only if a file has its column, and that of its weight; without it, the label rate is not compared.

    Raises:
        SourceError: a file cannot be read, or no file has rows.
        NotARun: the run has no counts to compare with.
    """
    job = prepare_job(patterns)
    spec, ranges = run.spec, _ranges(run.stats, run.spec)
    wanted = raw_columns(spec, label=False, split=False)
    found = set(check_input(job.paths, spec.source, wanted, is_optional=True, others=spec.label.columns))
    labelled = found.issuperset(spec.label.columns)
    columns = raw_columns(spec, label=labelled, split=False)
    with translate_worker_errors("", TEMPORARY):
        counts = count_transformed(
            job.batches(spec.source, columns),
            spec,
            run.transform_folder,
            cores(),
            check=partial(_check_new_rows, spec=spec, labelled=labelled),
            ranges=ranges,
        )
    stats = run_stats(counts, spec, run.stats.vocabularies)
    outside = {name: sum(counts.of("outside", name, split) for split in SPLITS) for name in ranges}
    unknown = sorted(found - set(run.stats.columns or found) - set(raw_columns(spec)))
    findings = compare(run.stats, stats, spec, outside=outside, unknown_columns=unknown)
    return [finding for finding in findings if labelled or finding.measure != "label"]


def _check_new_rows(batch: SourceBatch, spec: Spec, *, labelled: bool) -> Checked:
    """Returns the checked rows, all in one split; the label is 0 if they are not `labelled`."""
    checked = check_rows(batch, spec, label=labelled, split=False)
    rows = checked.rows
    if rows.num_rows and not labelled:
        rows = without_labels(rows, spec)
    return dataclasses.replace(checked, rows=rows, splits=np.zeros(len(checked.splits), np.int8))


def _ranges(stats: RunStats, spec: Spec) -> dict[str, tuple[float, float]]:
    """Returns minimum and maximum of each numeric field that has numbers in the run's train split, and is compared."""
    fields = {name: field for name, field in stats.fields.items() if name not in spec.train_only}
    numbers = {name: (field.numbers or {}).get("train") for name, field in fields.items()}
    return {name: (found.min, found.max) for name, found in numbers.items() if found}


def compare(
    run: RunStats,
    new: RunStats,
    spec: Spec,
    *,
    outside: Mapping[str, int],
    unknown_columns: Sequence[str] = (),
) -> list[Finding]:
    """Returns the comparisons of two `stats.json` under the thresholds of `spec.check`.

    Args:
        run: Statistics of the run. New rows are compared with its eval split, from which no vocabulary was built; with
            its train split if eval is empty. A rate that the run lacks, because it has no values of the field,
            counts as 0.
        new: Statistics of the new rows, all splits together.
        spec: The run's spec.
        outside: By numeric field, the number of new values outside the range of the run's train split.
        unknown_columns: Columns of the new files that the run's files did not have.
    """
    limits = spec.check
    bound = spec.most_rejected(new.read) / new.read
    findings = [_at_most("(rows)", "rejected", _ratio(run.rejected, run.read), new.rejected / new.read, bound)]
    if unknown_columns:
        fails = limits.unknown_columns == "fail"
        number, names = len(unknown_columns), ", ".join(unknown_columns[:10])
        findings.append(Finding("(columns)", "unknown", 0, number, "0" if fails else None, fails, names))
    rates = _rates(run, ["eval"] if run.eval else ["train"])
    for (name, measure), found in _rates(new, SPLITS).items():
        if name in spec.train_only:  # A constant in the new rows.
            continue
        then = rates.get((name, measure))
        if measure in ("label", "length"):
            findings.append(_relative_change(name, measure, then, found, getattr(limits, measure)))
        else:
            findings.append(_rise(name, measure, then, found, getattr(limits, measure)))
        values = total(new.fields[name].values) if measure == "missing" else 0
        if values and name in outside:
            findings.append(_at_most(name, "range", 0.0, outside[name] / values, limits.range))
    return findings


def _rates(stats: RunStats, splits: Sequence[str]) -> dict[tuple[str, str], float]:
    """Returns the label rate, and each field's rates and mean list length, over the given splits.

    The label rate is that of all rows, also of those that `sample` has left out. The OOV share is over the ids that the
    model sees; missing, length and truncated are of rows and values before lists are truncated. A rate is left out if
    its denominator is 0.
    """
    rows = stats.rows(*splits)
    all_rows = rows + (stats.sampled_out or 0) * ("train" in splits)  # New rows are not sampled.
    found = {("(label)", "label"): _ratio(total(stats.positives, splits), all_rows)}
    for name, field in stats.fields.items():
        values = total(field.values, splits)
        found[name, "missing"] = _ratio(total(field.absent, splits), rows)
        found[name, "oov"] = field.oov_share(*splits)
        if field.values_truncated is not None:
            found[name, "length"] = _ratio(values, rows)
            found[name, "truncated"] = _ratio(total(field.values_truncated, splits), values)
    return {key: rate for key, rate in found.items() if rate is not None}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _at_most(field: str, measure: str, run: float | None, new: float, bound: float | None) -> Finding:
    """Returns a finding that is broken if the new share is greater than `bound`."""
    most = None if bound is None else f"at most {bound:.2%}"
    return Finding(field, measure, run, new, most, bound is not None and new > bound)


def _rise(field: str, measure: str, run: float | None, new: float, by: float | None) -> Finding:
    """Returns a finding that is broken if a share has risen by more than `by`, or, for `missing`, also fallen."""
    both_ways = measure == "missing"
    change = new - (run or 0.0)
    change = abs(change) if both_ways else change
    most = None if by is None else f"{'±' if both_ways else '+'}{by:.2%}"
    return Finding(field, measure, run, new, most, by is not None and change > by)


def _relative_change(field: str, measure: str, run: float | None, new: float, part: float | None) -> Finding:
    """Returns a finding that is broken if a number has changed by more than `part` times the run's."""
    then = run or 0.0
    most = None if part is None else f"±{part:.0%} of the run's"
    return Finding(field, measure, run, new, most, part is not None and abs(new - then) > part * then)
