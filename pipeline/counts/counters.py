"""Counts of a pipeline, summed over batches, bundles and workers in any order.

They are elements of a PCollection, because Beam's own counters are not exact on every runner.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from ..folders.storage import write_atomically

COUNTS_FILE = "counts.json"


class Counted(NamedTuple):
    """The key of a count, for example of the missing values of a field in a split.

    `detail` distinguishes counts of one kind: a list length, an exponent or a time.
    """

    what: str
    field: str = ""
    split: str = ""
    detail: float = 0


@dataclass
class Counts:
    """Sums, minima (`lowest`) and maxima (`highest`) by key."""

    sums: Counter[Counted] = field(default_factory=Counter)
    lowest: dict[Counted, float] = field(default_factory=dict)
    highest: dict[Counted, float] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Merges other counts into these."""
        self.sums.update(other.sums)
        _merge(self.lowest, other.lowest, min)
        _merge(self.highest, other.highest, max)

    def of(self, what: str, name: str = "", split: str = "") -> int:
        """Returns the sum of a key without `detail`; 0 if nothing was counted."""
        return self.sums[Counted(what, name, split)]

    def by_detail(self) -> dict[tuple[str, str, str], dict[float, int]]:
        """Returns for each (what, field, split) the sums by `detail`, in ascending order."""
        found: dict[tuple[str, str, str], dict[float, int]] = {}
        for key, number in sorted(self.sums.items()):
            found.setdefault((key.what, key.field, key.split), {})[key.detail] = number
        return found


def _merge(kept: dict[Counted, float], new: Mapping[Counted, float], choose: Callable[[float, float], float]) -> None:
    for key, number in new.items():
        kept[key] = choose(kept.get(key, number), number)


class SumCounts(beam.CombineFn):
    """Sums Counts."""

    def create_accumulator(self) -> Counts:
        """Returns empty Counts."""
        return Counts()

    def add_input(self, total: Counts, counts: Counts) -> Counts:
        """Returns the total with `counts` added."""
        total.add(counts)
        return total

    def merge_accumulators(self, totals: Iterable[Counts]) -> Counts:
        """Returns the sum of the totals."""
        merged = Counts()
        for total in totals:
            merged.add(total)
        return merged

    def extract_output(self, total: Counts) -> Counts:
        """Returns the total."""
        return total


class WriteCounts(beam.PTransform):
    """Sums the Counts of one or several PCollections and writes them to a JSON file, as lists of [key, number]."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, counts: beam.PCollection | tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Returns a PCollection that is complete once the file is written."""
        merged = counts if isinstance(counts, beam.PCollection) else counts | "All" >> beam.Flatten()
        return merged | "Sum" >> beam.CombineGlobally(SumCounts()) | "Write" >> beam.Map(_write, self._path)


def _write(counts: Counts, path: str) -> None:
    content = {name: [[list(key), number] for key, number in vars(counts)[name].items()] for name in vars(counts)}
    write_atomically(path, json.dumps(content))


def read_counts(path: str) -> Counts:
    """Returns the Counts that `WriteCounts` wrote to `path`."""
    with FileSystems.open(path) as file:
        content = json.loads(file.read())
    parts = {name: {Counted(*key): number for key, number in pairs} for name, pairs in content.items()}
    return Counts(Counter(parts["sums"]), parts["lowest"], parts["highest"])
