"""Counts that travel through a pipeline and add up in any order: of batches, bundles and workers.

Beam's own counters are not exact on every runner: what must add up travels as data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from ..folders.storage import write_whole

COUNTS_FILE = "counts.json"


class Counted(NamedTuple):
    """What a number counts, such as the missing values of a field in a split.

    `detail` tells counts of one kind apart: a list length, an exponent, a time.
    """

    what: str
    field: str = ""
    split: str = ""
    detail: float = 0


@dataclass
class Counts:
    """Numbers that add up, and extremes, of which the least or the greatest stays."""

    sums: Counter[Counted] = field(default_factory=Counter)
    lowest: dict[Counted, float] = field(default_factory=dict)
    highest: dict[Counted, float] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Adds other counts to these."""
        self.sums.update(other.sums)
        _merge(self.lowest, other.lowest, min)
        _merge(self.highest, other.highest, max)

    def of(self, what: str, name: str = "", split: str = "") -> int:
        """Returns one count; 0 where nothing was counted."""
        return self.sums[Counted(what, name, split)]

    def by_detail(self) -> dict[tuple[str, str, str], dict[float, int]]:
        """Returns the sums by what, field and split, each a mapping from `detail`, ascending, to the number."""
        found: dict[tuple[str, str, str], dict[float, int]] = {}
        for key, number in sorted(self.sums.items()):
            found.setdefault((key.what, key.field, key.split), {})[key.detail] = number
        return found


def _merge(kept: dict[Counted, float], new: Mapping[Counted, float], choose: Callable[[float, float], float]) -> None:
    for key, number in new.items():
        kept[key] = choose(kept.get(key, number), number)


class SumCounts(beam.CombineFn):
    """Adds up Counts."""

    def create_accumulator(self) -> Counts:
        """Returns no counts."""
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
    """Adds up Counts, of one PCollection or several, and writes the sum to a file: a list of [key, number] each."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, counts: beam.PCollection | tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Returns a PCollection that is done when the file is there."""
        every = counts if isinstance(counts, beam.PCollection) else counts | "All" >> beam.Flatten()
        return every | "Sum" >> beam.CombineGlobally(SumCounts()) | "Write" >> beam.Map(_write, self._path)


def _write(counts: Counts, path: str) -> None:
    content = {name: [[list(key), number] for key, number in vars(counts)[name].items()] for name in vars(counts)}
    write_whole(path, json.dumps(content))


def read_counts(path: str) -> Counts:
    """Returns what `WriteCounts` wrote."""
    with FileSystems.open(path) as file:
        content = json.loads(file.read())
    parts = {name: {Counted(*key): number for key, number in pairs} for name, pairs in content.items()}
    return Counts(Counter(parts["sums"]), parts["lowest"], parts["highest"])
