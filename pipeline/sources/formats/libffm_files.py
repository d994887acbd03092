"""Reads libffm files: each line is `label field:feature:value field:feature:value …`, without names of columns.

| column | values |
|---|---|
| `c0` | the label, a text |
| `3` | the features of field 3, a list of texts |
| `3.value` | their values, a parallel list of numbers, which can be weights |

Format: https://github.com/ycjuan/libffm#data-format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....transforms.errors import SourceError
from ..batches import BATCH_ROWS, Reason, Rejected, SourceBatch, no_rows
from ..paths import TEXT, VALUE, Shape, list_of
from ..ranges import BOM, FileRange, line_blocks, line_ranges, open_range
from ..source_file import ROW_BYTES, SourceFile

LABEL, VALUES = "c0", ".value"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ENTRY = rf"^(?P<field>\d+):(?P<feature>[^:]+):(?P<value>{_NUMBER})$"
_LIBSVM = rf"^[^:]+:{_NUMBER}$"


class _Lines:
    """The parsed lines of a text.

    Attributes:
        labels: The label of each line, large_string.
        rows: The line of each entry, int64.
        texts: The entries, large_string.
        entries: Their parts `field`, `feature` and `value`, a struct of large_binary; null if an entry is not valid.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        any_bytes = pc.CastOptions(pa.large_string(), allow_invalid_utf8=True)
        words = pc.ascii_split_whitespace(pc.cast(pa.array(lines, pa.large_binary()), options=any_bytes))
        lengths = np.asarray(pc.list_value_length(words))
        is_label = np.zeros(lengths.sum(), bool)
        is_label[np.cumsum(lengths) - lengths] = True
        flat = pc.list_flatten(words)
        self.labels, self.texts = flat.filter(pa.array(is_label)), flat.filter(pa.array(~is_label))
        self.rows = np.repeat(np.arange(len(lines)), lengths - 1)
        self.entries = pc.extract_regex(self.texts.cast(pa.large_binary()), _ENTRY)

    def faults(self) -> dict[int, str]:
        """Returns the first part of each line that is not valid, by the position of the line."""
        no_label = pc.match_substring(self.labels.cast(pa.large_binary()), b":")
        found = {row: self.labels[row].cast(pa.large_binary()).as_py() for row in np.flatnonzero(no_label).tolist()}
        for entry in np.flatnonzero(self.entries.is_null()).tolist():
            found.setdefault(int(self.rows[entry]), self.texts[entry].cast(pa.large_binary()).as_py())
        return {row: text[:100].decode(errors="backslashreplace") for row, text in found.items()}


def columns_of(file: SourceFile) -> dict[str, Shape]:
    """Returns the columns of the first rows.

    Raises:
        SourceError: the rows are those of a libsvm file.
    """
    with file.open_text() as content:
        lines = _lines(next(line_blocks(content, ROW_BYTES), b"").removeprefix(BOM))[:BATCH_ROWS]
    if not lines:
        return {}
    found = _Lines(lines)
    fields = pc.unique(pc.struct_field(found.entries, "field")).drop_null().to_pylist()
    if not fields and pc.any(pc.match_substring_regex(found.texts, _LIBSVM)).as_py():
        raise SourceError(
            f"{file.path}: expected libffm, `label field:feature:value …`; found `index:value` without fields, as in "
            f"libsvm files, which cannot be read. Add the field of each index, or write a list column to Parquet"
        )
    names = sorted((field.decode() for field in fields), key=lambda name: (int(name), name))
    return {LABEL: TEXT} | {name + end: list_of(of) for name in names for end, of in (("", TEXT), (VALUES, VALUE))}


def ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of the file, in order."""
    return line_ranges(file, range_bytes)


def read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range. A row without a field has null in its columns."""
    first = part.first_row
    with open_range(file, part) as text:
        for block in line_blocks(text, ROW_BYTES):
            lines = _lines(block.removeprefix(BOM) if part.start == 0 and first == 1 else block)
            for start in range(0, len(lines), BATCH_ROWS):
                some = lines[start : start + BATCH_ROWS]
                yield _batch(part.path, some, first, columns)
                first += len(some)


def _lines(block: bytes) -> list[bytes]:
    return [line for line in map(bytes.strip, block.split(b"\n")) if line]


def _batch(path: str, lines: Sequence[bytes], first: int, columns: list[str]) -> SourceBatch:
    parsed = _Lines(lines)
    faults = parsed.faults()
    rejected = [
        Rejected(path, first + row, "(row)", Reason.NO_FFM.format(found=repr(text)), {"text": _shown(lines[row])})
        for row, text in sorted(faults.items())
    ]
    keep = np.ones(len(lines), bool)
    keep[list(faults)] = False
    if not keep.any():
        return SourceBatch(path, np.array([], np.int64), no_rows(), rejected)
    arrays = [_column(parsed, column).filter(pa.array(keep)) for column in columns]
    data = pa.RecordBatch.from_arrays(arrays, columns)
    return SourceBatch(path, first + np.flatnonzero(keep), data, rejected)


def _column(lines: _Lines, column: str) -> pa.Array:
    """Returns a column of all lines; null in lines without the field."""
    if column == LABEL:
        return lines.labels.cast(pa.large_binary())
    field = column.removesuffix(VALUES)
    is_of = pc.equal(pc.struct_field(lines.entries, "field"), pa.scalar(field.encode(), pa.large_binary()))
    values = pc.struct_field(lines.entries, "feature" if column == field else "value").filter(is_of)
    if column != field:
        values = values.cast(pa.large_string()).cast(pa.float64())
    lengths = np.bincount(lines.rows[np.asarray(is_of.fill_null(False))], minlength=len(lines.labels))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(pa.array(ends), values, mask=pa.array(lengths == 0))


def _shown(line: bytes) -> str:
    return line[:1000].decode(errors="replace")
