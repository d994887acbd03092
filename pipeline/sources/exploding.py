"""Explodes rows: each element of a column becomes a row, with the other columns of its row repeated.

Rows of a file keep their number: the third element of row 12 is row `12.3`. So numbers do not depend on ranges and
workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SourceError
from ...transforms.spec import Explode
from .batches import BATCH_ROWS, Reason, Rejected, SourceBatch, check_columns, no_rows, raw_row, rejected_row
from .paths import TEXT, Shape, Shapes, is_list

_TEXT = pa.large_binary()


def columns_to_read(explode: Explode, columns: Sequence[str]) -> list[str]:
    """Returns the columns of the file that the given columns of exploded rows are made from."""
    return list(dict.fromkeys([explode.column, *(name for name in columns if name not in explode.groups)]))


def exploded_columns(path: str, explode: Explode, of_file: Shapes, *, has_all: bool) -> dict[str, Shape]:
    """Returns the columns of the exploded rows of a file.

    Args:
        path: The file, for errors.
        explode: How rows are exploded.
        of_file: The columns of the file as the formats' `columns_of` returns them; none if it has no rows.
        has_all: Whether the file must have the column; otherwise, its rows may lack it.

    Raises:
        SourceError: the file lacks the column, or has another column with the name of a group.
    """
    if not of_file:
        return {}
    if has_all:
        check_columns(path, list(of_file), [explode.column], shapes=of_file)
    others = {name: shape for name, shape in of_file.items() if name != explode.column}
    taken = next((name for name in explode.groups if name in others), None)
    if taken is not None:
        raise SourceError(
            f"{path}: has a column {taken!r} already, which source.explode.into makes of {explode.column!r}; "
            f"give the group another name: (?P<{taken}_2>…)"
        )
    return others | dict.fromkeys(explode.groups, TEXT)


def exploded(batch: SourceBatch, explode: Explode, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a batch, exploded, in batches of at most 16,384 rows; at least one batch.

    The batches have the groups and the given columns; `numbers`, and the numbers of rejected rows, are texts. An
    element that does not match is a rejected row. A row without elements becomes no row, but counts in `source_rows`.

    Raises:
        SourceError: the column has texts, but there is no separator.
    """
    rejected = [replace(row, row=str(row.row)) for row in batch.rejected]
    if not batch.data.num_rows:
        yield replace(batch, numbers=np.array([], str), rejected=rejected, source_rows=batch.read)
        return
    elements = _elements_of(batch, explode)
    others = batch.data.select([name for name in columns if name not in explode.groups])
    source_rows = batch.read
    for start in range(0, max(len(elements.rows), 1), BATCH_ROWS):
        some = elements.slice(start, start + BATCH_ROWS)
        rejected += [_rejected(batch, explode, others, *one) for one in some.unmatched()]
        matched = some.filter(some.groups.is_valid())
        data = _joined(others.take(pa.array(matched.rows)), matched.groups)
        numbers = _numbers(batch.numbers[matched.rows], matched.parts)
        data = data if data.num_rows else no_rows()
        yield SourceBatch(batch.source, numbers, data, rejected, source_rows, batch.in_texts)
        rejected, source_rows = [], 0


@dataclass(frozen=True)
class _Elements:
    """The elements of some rows.

    Attributes:
        rows: The position of each element's row in the batch, int64.
        parts: The number of each element in its row, from 1, int64.
        texts: The elements, large_binary.
        groups: The values of the groups of each element, a struct; null if the element does not match.
    """

    rows: np.ndarray
    parts: np.ndarray
    texts: pa.Array
    groups: pa.StructArray

    def slice(self, start: int, stop: int) -> _Elements:
        """Returns the elements from `start` to before `stop`."""
        return _Elements(*(of[start:stop] for of in (self.rows, self.parts, self.texts, self.groups)))

    def filter(self, keep: pa.Array) -> _Elements:
        """Returns the elements where `keep`, bool, is true."""
        mask = np.asarray(keep)
        return _Elements(self.rows[mask], self.parts[mask], self.texts.filter(keep), self.groups.filter(keep))

    def unmatched(self) -> Iterator[tuple[int, int, bytes]]:
        """Yields row, part and text of the elements that do not match."""
        bad = self.filter(self.groups.is_null())
        yield from zip(bad.rows.tolist(), bad.parts.tolist(), bad.texts.to_pylist(), strict=True)


def _elements_of(batch: SourceBatch, explode: Explode) -> _Elements:
    """Returns the elements of a batch without white space around them; those without other characters are skipped."""
    lists = _lists(batch, explode)
    lengths = np.asarray(pc.list_value_length(lists).cast(pa.int64()).fill_null(0))
    flat = pc.list_flatten(lists)
    encoded = _as_texts(flat).dictionary_encode()
    pattern = re.compile(explode.into)
    # Each distinct element is matched once. Surrogates stand for bytes that are not valid UTF-8.
    texts = [text.decode("utf-8", "surrogateescape").strip() for text in encoded.dictionary.to_pylist()]
    found = [pattern.fullmatch(text) for text in texts]
    groups = [
        pa.array([_encoded(match[name]) if match else None for match in found], _TEXT) for name in pattern.groupindex
    ]
    no_match = pa.array([match is None for match in found], pa.bool_())
    values = pa.StructArray.from_arrays(groups, list(pattern.groupindex), mask=no_match)
    # Null elements and blank ones are skipped.
    is_blank = np.array([*(not text for text in texts), True])
    indices = np.asarray(encoded.indices.fill_null(-1))
    keep = ~is_blank[indices]
    rows = np.repeat(np.arange(len(lengths)), lengths)[keep]
    parts = np.arange(len(rows)) - np.searchsorted(rows, rows) + 1
    kept = pa.array(indices[keep])
    return _Elements(rows, parts, pa.array(map(_encoded, texts), _TEXT).take(kept), values.take(kept))


def _lists(batch: SourceBatch, explode: Explode) -> pa.Array:
    """Returns the elements of each row; null or an empty list if it has none."""
    column = batch.data[explode.column]
    if is_list(column.type):
        return column
    if pa.types.is_null(column.type):
        return column.cast(pa.list_(pa.large_binary()))
    if explode.separator is None:
        raise SourceError(
            f"{batch.source}: column {explode.column!r} has texts, not lists; set `separator` in source.explode"
        )
    return pc.split_pattern(_as_texts(column), pattern=explode.separator)


def _as_texts(values: pa.Array) -> pa.Array:
    is_bytes = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    return values.cast(_TEXT) if is_bytes else values.cast(pa.large_string()).cast(_TEXT)


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _joined(others: pa.RecordBatch, groups: pa.StructArray) -> pa.RecordBatch:
    names = [field.name for field in groups.type]
    return pa.RecordBatch.from_arrays([*others.columns, *groups.flatten()], [*others.schema.names, *names])


def _numbers(rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Returns the numbers of exploded rows as texts `[rows]`: `12.3` is the third part of row 12."""
    return np.array([f"{row}.{part}" for row, part in zip(rows.tolist(), parts.tolist(), strict=True)], str)


def _rejected(
    batch: SourceBatch, explode: Explode, others: pa.RecordBatch, row: int, part: int, text: bytes
) -> Rejected:
    raw = raw_row(others, row) | {explode.column: text}
    return rejected_row(batch.source, f"{batch.numbers[row]}.{part}", explode.column, Reason.NO_MATCH, raw)
