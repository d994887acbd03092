"""New rows held against a run: what `fieldpool check` finds, and which of it is more than the spec puts up with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.run import TRANSFORM_FOLDER, Run
from ...transforms.errors import SourceError
from ...transforms.spec import SPLITS, Spec
from ..counts.counters import as_json
from ..jobs.errors import errors_of_users
from ..jobs.options import beam_options
from ..rows.checks import raw_columns
from ..rows.read_rows import ReadBatches
from ..sources.files import find_files
from ..sources.readers import all_columns
from .preprocess import COUNTS_FILE, PreprocessClickLog, read_counts, write_counts


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
    files = find_files(patterns)
    paths = [file.path for file in files]
    spec, ranges = run.spec, _ranges(run.stats)
    found = set(all_columns(paths, spec.source))
    with tempfile.TemporaryDirectory(prefix="fieldpool-check-") as folder, errors_of_users(folder):
        path = FileSystems.join(folder, COUNTS_FILE)
        with beam.Pipeline(options=options or beam_options()) as pipeline:
            rows = pipeline | "Read" >> ReadBatches(files, spec.source, raw_columns(spec))
            result = {"transform": rows} | "Preprocess" >> PreprocessClickLog(
                spec,
                FileSystems.join(folder, "tft-temp"),
                transform_path=FileSystems.join(run.path, TRANSFORM_FOLDER),
                ranges=ranges,
            )
            _ = result["counts"] | "WriteCounts" >> beam.Map(write_counts, path)
        counts = read_counts(path)
    stats = as_json(counts, spec, run.stats["vocabularies"])
    if not stats["read"]:
        raise SourceError(f"{', '.join(paths)}: no rows to check")
    outside = {name: sum(counts["outside", name, split] for split in SPLITS) for name in ranges}
    unknown = sorted(found - set(run.stats.get("columns") or found) - set(raw_columns(spec)))
    return compare(run.stats, stats, spec, outside=outside, unknown_columns=unknown)


def _ranges(stats: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Returns the range of each numeric field that has numbers in the run's train split."""
    numbers = {name: field.get("numbers", {}).get("train") for name, field in stats["fields"].items()}
    return {name: (found["low"], found["high"]) for name, found in numbers.items() if found}


def compare(
    run: dict[str, Any],
    new: dict[str, Any],
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
    most = spec.max_rejected if 0 < spec.max_rejected < 1 else spec.max_rejected / new["read"]
    findings = [
        _bounded("(rows)", "rejected", _part(run["rejected"], run["read"]), new["rejected"] / new["read"], most)
    ]
    if unknown_columns:
        fails = limits.unknown_columns == "fail"
        number, names = len(unknown_columns), ", ".join(unknown_columns[:10])
        findings.append(Finding("(columns)", "unknown", 0, number, "0" if fails else None, fails, names))
    rates = _rates(run, ["eval"] if run["eval"] else ["train"])
    for (name, measure), found in _rates(new, SPLITS).items():
        then = rates.get((name, measure), 0.0)
        if measure in ("label", "length"):
            findings.append(_relative(name, measure, then, found, getattr(limits, measure)))
        else:
            findings.append(_risen(name, measure, then, found, getattr(limits, measure)))
        values = sum(new["fields"][name]["values"].values()) if measure == "missing" else 0
        if values and name in outside:
            findings.append(_bounded(name, "range", 0.0, outside[name] / values, limits.range))
    return findings


def _rates(stats: dict[str, Any], splits: Sequence[str]) -> dict[tuple[str, str], float]:
    """Returns label rate, and each field's shares and mean length, over some splits; none without rows."""
    rows = sum(stats[split] for split in splits)

    def total(by_split: dict[str, int]) -> int:
        return sum(by_split[split] for split in splits)

    found = {("(label)", "label"): _part(total(stats["positives"]), rows)}
    for name, field in stats["fields"].items():
        values = total(field["values"])
        found[name, "missing"] = _part(total(field["missing" if "missing" in field else "empty"]), rows)
        if "oov" in field:
            found[name, "oov"] = _part(total(field["oov"]), values)
        if "lengths" in field:
            found[name, "length"] = _part(values, rows)
            found[name, "cut"] = _part(total(field["values_cut"]), values)
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
