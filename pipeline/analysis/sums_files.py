"""Sums and times as Arrow tables in one long form, which Parquet files of a cache hold and any tool can read.

part    kind         name     token    number  count
train   rows                                0   4096
train   token        items    b"i17"        0     12   a token of a vocabulary
train   length       tags                   3    200   rows with three values
train   value        age                    0   4000   numbers, all of them
train   sum          age                   30   9000   exact_sums.Moments: by exponent
train   extreme      age                 bits      0   the bits of a float64: minimum, then maximum
train   bin          price        bit pattern      7   exact_sums.Histogram; "level" has its level as number
train   time                             bits     90   the bits of a float64; "numeric time": of a number
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...transforms.spec import NumericField, Spec
from ...transforms.sums.exact_sums import Histogram, no_moments
from ...transforms.sums.token_counts import COUNTS
from ..rows.times import Times
from .boundaries import TimeCounts
from .row_sums import RowSums, no_rows

_NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("part", _NAME),
        ("kind", _NAME),
        ("name", _NAME),
        ("token", pa.large_binary()),
        ("number", pa.int64()),
        ("count", pa.int64()),
    ]
)
# Columns of names, which a reader must ask for as dictionaries.
NAMES = ["part", "kind", "name"]

# The sums of exact_sums.Moments, by kind.
_BY_EXPONENT = {"sum": "sums", "high square": "high_squares", "low square": "low_squares"}

# The rows of a table by part, kind and name.
Groups = Mapping[tuple[str, str, str], pa.Table]


@dataclass(frozen=True)
class _Group:
    """Rows of a table that have the same kind and name. `numbers` and `counts` are int64 `[rows]`, or one value."""

    kind: str
    name: str = ""
    tokens: pa.ChunkedArray | None = None
    numbers: np.ndarray | int = 0
    counts: np.ndarray | int = 0

    def as_table(self, part: str) -> pa.Table:
        rows = max(np.size(self.numbers), np.size(self.counts), 0 if self.tokens is None else len(self.tokens))
        if 0 in (np.size(self.numbers), np.size(self.counts)) or (self.tokens is not None and not len(self.tokens)):
            return SCHEMA.empty_table()
        names = [
            pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [name]) for name in (part, self.kind, self.name)
        ]
        tokens = pa.nulls(rows, pa.large_binary()) if self.tokens is None else self.tokens
        numbers = (np.broadcast_to(values, rows).astype(np.int64) for values in (self.numbers, self.counts))
        return pa.Table.from_arrays([*names, tokens, *map(pa.array, numbers)], schema=SCHEMA)


def table_of_sums(sums: RowSums, part: str, spec: Spec) -> pa.Table:
    """Returns the rows of some sums, equal bytes for equal sums."""
    groups = [_Group("rows", counts=sums.rows)]
    for name, counts in sums.tokens.items():
        ordered = counts.sort_by("token")
        groups.append(_Group("token", name, ordered["token"], counts=ordered["count"].to_numpy()))
    for name, lengths in sums.lengths.items():
        groups.append(_Group("length", name, numbers=np.flatnonzero(lengths), counts=lengths[lengths > 0]))
    for index, name in enumerate(spec.fields_of(NumericField)):
        groups.append(_Group("value", name, counts=sums.moments.number[index]))
        for kind, of_kind in _BY_EXPONENT.items():
            by_exponent = getattr(sums.moments, of_kind)[index]
            present = np.flatnonzero(by_exponent)
            groups.append(_Group(kind, name, numbers=present, counts=by_exponent[present]))
        extremes = np.array([sums.moments.min[index], sums.moments.max[index]])
        groups.append(_Group("extreme", name, numbers=extremes.view(np.int64)))
    for name, histogram in sums.histograms.items():
        groups.append(_Group("level", name, numbers=histogram.level))
        groups.append(_Group("bin", name, numbers=histogram.bins, counts=histogram.counts))
    return _joined([group.as_table(part) for group in groups])


def sums_of_groups(groups: Groups, part: str, spec: Spec) -> RowSums:
    """Returns the sums that `table_of_sums` had.

    Raises:
        KeyError: they are not there.
    """

    def numbers(kind: str, name: str = "") -> np.ndarray:
        return groups[part, kind, name]["number"].to_numpy() if (part, kind, name) in groups else np.zeros(0, np.int64)

    def counts(kind: str, name: str = "") -> np.ndarray:
        return groups[part, kind, name]["count"].to_numpy() if (part, kind, name) in groups else np.zeros(0, np.int64)

    def filled(kind: str, name: str, size: int | None = None) -> np.ndarray:
        dense = np.zeros(int(numbers(kind, name).max(initial=-1)) + 1 if size is None else size, np.int64)
        dense[numbers(kind, name)] = counts(kind, name)
        return dense

    nothing, fields = no_rows(spec), spec.fields_of(NumericField)
    moments = no_moments(len(fields))
    exponents = moments.sums.shape[-1]
    extremes = np.array([numbers("extreme", name).view(np.float64) for name in fields]).reshape(len(fields), 2)
    return RowSums(
        rows=int(groups[part, "rows", ""]["count"][0].as_py()),
        tokens={
            name: groups[part, "token", name].select(COUNTS.names) if (part, "token", name) in groups else empty
            for name, empty in nothing.tokens.items()
        },
        lengths={name: filled("length", name) for name in nothing.lengths},
        moments=moments._replace(
            number=np.array([counts("value", name).sum() for name in fields], np.int64),
            **{
                of_kind: np.array([filled(kind, name, exponents) for name in fields]).reshape(len(fields), exponents)
                for kind, of_kind in _BY_EXPONENT.items()
            },
            min=extremes[:, 0],
            max=extremes[:, 1],
        ),
        histograms={
            name: Histogram(int(numbers("level", name)[0]), numbers("bin", name), counts("bin", name))
            for name in nothing.histograms
        },
    )


def table_of_times(times: TimeCounts) -> pa.Table:
    """Returns the rows of some times."""
    bits, is_number = times.times.values.view(np.int64), times.times.is_number
    kinds = {"numeric time": is_number, "time": ~is_number}
    groups = [_Group(kind, numbers=bits[of_kind], counts=times.rows[of_kind]) for kind, of_kind in kinds.items()]
    return _joined([group.as_table("all") for group in groups])


def times_of_groups(groups: Groups) -> TimeCounts:
    """Returns the times that `table_of_times` had."""
    tables = [groups.get(("all", kind, ""), SCHEMA.empty_table()) for kind in ("numeric time", "time")]
    values, rows = (np.concatenate([table[name].to_numpy() for table in tables]) for name in ("number", "count"))
    return TimeCounts(Times(values.view(np.float64), np.arange(len(values)) < tables[0].num_rows), rows)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def groups_of(table: pa.Table) -> Groups:
    """Returns the rows of a table by part, kind and name; rows of a group follow each other."""
    if not table.num_rows:
        return {}
    table = table.unify_dictionaries().combine_chunks()
    names = [table[name].chunk(0) for name in NAMES]
    codes = np.stack([column.indices.to_numpy() for column in names])
    starts = np.flatnonzero(np.concatenate([[True], (codes[:, 1:] != codes[:, :-1]).any(axis=0)]))
    ends = np.append(starts[1:], table.num_rows)
    return {
        tuple(column[int(start)].as_py() for column in names): table.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }
