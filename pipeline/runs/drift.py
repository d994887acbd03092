"""`fieldpool check`: compares new rows with a run and applies the thresholds of the spec."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.run import TRANSFORM_FOLDER, Run
from ...model.run_stats import RunStats, total
from ...transforms.errors import SourceError
from ...transforms.spec import SPLITS, Spec
from ..counts.counters import COUNTS_FILE, WriteCounts, read_counts
from ..counts.stats import run_stats
from ..folders.work_folder import TFT_FOLDER
from ..jobs.errors import translate_worker_errors
from ..jobs.job import running_pipeline
from ..rows.checks import raw_columns
from ..rows.prepared_job import prepare_job
from ..sources.readers import all_columns
from .preprocess import PreprocessClickLog


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        field: A field's name, or what stands for the whole row: `(rows)`, `(label)`, `(columns)`.
        measure: What was compared, such as `oov`.
        run: The run's number; None if there is nothing to compare with.
        new: That of the new rows.
        most: How far `new` may go: a bound, or None for as far as it likes.
        is_broken: Whether it goes further.
        note: What else there is to say.
    """

    field: str
    measure: str
    run: float | None
    new: float
    most: str | None = None
    is_broken: bool = False
    note: str = ""


def check(run: Run, patterns: Sequence[str], options: PipelineOptions | None = None) -> list[Finding]:
    """Returns how the rows of the files compare with the run's; nothing is written that stays.

    The rows are read and transformed as `transform --using` would do it, on this machine.

    Raises:
        SourceError: a file cannot be read, or has no rows.
        NotARun: the run has no counts to compare with.
    """
    job = prepare_job(patterns, options=options)
    spec, ranges = run.spec, _ranges(run.stats)
    found = set(all_columns(job.paths, spec.source))
    with tempfile.TemporaryDirectory(prefix="fieldpool-check-") as folder, translate_worker_errors(folder):
        path = FileSystems.join(folder, COUNTS_FILE)
        with running_pipeline(job.options) as pipeline:
            rows = pipeline | "Read" >> job.rows(spec.source, raw_columns(spec))
            result = {"transform": rows} | "Preprocess" >> PreprocessClickLog(
                spec,
                FileSystems.join(folder, TFT_FOLDER),
                transform_path=FileSystems.join(run.path, TRANSFORM_FOLDER),
                ranges=ranges,
            )
            _ = result["counts"] | "WriteCounts" >> WriteCounts(path)
        counts = read_counts(path)
    stats = run_stats(counts, spec, run.stats.vocabularies)
    if not stats.read:
        raise SourceError(f"{', '.join(job.paths)}: no rows to check")
    outside = {name: sum(counts.of("outside", name, split) for split in SPLITS) for name in ranges}
    unknown = sorted(found - set(run.stats.columns or found) - set(raw_columns(spec)))
    return compare(run.stats, stats, spec, outside=outside, unknown_columns=unknown)


def _ranges(stats: RunStats) -> dict[str, tuple[float, float]]:
    """Returns the range of each numeric field that has numbers in the run's train split."""
    numbers = {name: (field.numbers or {}).get("train") for name, field in stats.fields.items()}
    return {name: (found.min, found.max) for name, found in numbers.items() if found}


def compare(
    run: RunStats,
    new: RunStats,
    spec: Spec,
    *,
    outside: Mapping[str, int],
    unknown_columns: Sequence[str] = (),
) -> list[Finding]:
    """Returns the comparisons of two `stats.json`, by the thresholds of `spec.check`.

    Args:
        run: of the run: its eval split, which the vocabularies have not seen; train, if that is empty.
        new: of the new rows, all splits together.
        spec: the run's.
        outside: for each numeric field, how many new numbers lie outside the range of the run's train split.
        unknown_columns: of the new files.
    """
    limits = spec.check
    most = spec.most_rejected(new.read) / new.read
    findings = [_bounded("(rows)", "rejected", _part(run.rejected, run.read), new.rejected / new.read, most)]
    if unknown_columns:
        fails = limits.unknown_columns == "fail"
        number, names = len(unknown_columns), ", ".join(unknown_columns[:10])
        findings.append(Finding("(columns)", "unknown", 0, number, "0" if fails else None, fails, names))
    rates = _rates(run, ["eval"] if run.eval else ["train"])
    for (name, measure), found in _rates(new, SPLITS).items():
        then = rates.get((name, measure), 0.0)
        if measure in ("label", "length"):
            findings.append(_relative(name, measure, then, found, getattr(limits, measure)))
        else:
            findings.append(_risen(name, measure, then, found, getattr(limits, measure)))
        values = total(new.fields[name].values) if measure == "missing" else 0
        if values and name in outside:
            findings.append(_bounded(name, "range", 0.0, outside[name] / values, limits.range))
    return findings


def _rates(stats: RunStats, splits: Sequence[str]) -> dict[tuple[str, str], float]:
    """Returns label rate, and each field's shares and mean length, over some splits; none without rows."""
    rows = stats.rows(*splits)
    found = {("(label)", "label"): _part(total(stats.positives, splits), rows)}
    for name, field in stats.fields.items():
        values = total(field.values, splits)
        found[name, "missing"] = _part(total(field.absent, splits), rows)
        if field.oov is not None:
            found[name, "oov"] = _part(total(field.oov, splits), values)
        if field.values_truncated is not None:
            found[name, "length"] = _part(values, rows)
            found[name, "truncated"] = _part(total(field.values_truncated, splits), values)
    return {key: rate for key, rate in found.items() if rate is not None}


def _part(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _bounded(field: str, measure: str, run: float | None, new: float, most: float | None) -> Finding:
    """Returns a finding that is broken where the new share is above a bound."""
    bound = None if most is None else f"at most {most:.2%}"
    return Finding(field, measure, run, new, bound, most is not None and new > most)


def _risen(field: str, measure: str, run: float, new: float, by: float | None) -> Finding:
    """Returns a finding that is broken where a share has risen by more; of missing values also where it has fallen."""
    both_ways = measure == "missing"
    change = abs(new - run) if both_ways else new - run
    bound = None if by is None else f"{'±' if both_ways else '+'}{by:.2%}"
    return Finding(field, measure, run, new, bound, by is not None and change > by)


def _relative(field: str, measure: str, run: float, new: float, part: float | None) -> Finding:
    """Returns a finding that is broken where a number has changed by more than a part of itself."""
    bound = None if part is None else f"±{part:.0%} of itself"
    return Finding(field, measure, run, new, bound, part is not None and abs(new - run) > part * run)
