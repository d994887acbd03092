"""Reads CSV files with pyarrow: header, ranges and rows; rejects rows with faulty quotes or a wrong number of columns.

Values are read as bytes, without type inference: `007` stays `007`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ..batches import BATCH_ROWS, Reason, Rejected, SourceBatch, at_paths, check_columns, is_utf8, no_rows
from ..paths import TEXT, Shape, root_of
from ..ranges import BOM, FileRange, open_range
from ..source_file import ROW_BYTES, SourceFile
from .csv_dialect import Dialect
from .csv_header import header_of
from .csv_rows import Rows, rows_of


class _Block(NamedTuple):
    """Complete rows of a file.

    Attributes:
        text: Their bytes.
        size: The number of bytes of the file from the end of the previous block to the end of this one. The first block
            includes the header.
        rows: The positions of the rows; None if each line is a row and `count` is not set.
        is_last: Whether the file ends here.
    """

    text: bytes
    size: int
    rows: Rows | None
    is_last: bool


def columns_of(file: SourceFile) -> dict[str, Shape]:
    """Returns the columns; none if the file is empty."""
    return dict.fromkeys(header_of(file) or [], TEXT)


def ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of the file, in order; none if the file has no rows.

    The file is read once to find its rows. Text that is not plain, or has a delimiter of several bytes, must be read
    from its start: it is one range.
    """
    header = header_of(file)
    if header is None:
        return []
    whole = FileRange(file.path, header=tuple(header))
    dialect = Dialect.of(file, len(header))
    if not file.is_plain or dialect.code:
        return [whole]
    parts: list[FileRange] = []
    at, start, first_row, lines_are_rows = 0, 0, 1, True
    with file.open_text() as text:
        for block in _row_blocks(text, dialect, range_bytes, at_start=True, count=True):
            at += block.size
            rows = block.rows
            assert rows is not None
            lines_are_rows &= rows.lines_are_rows
            if block.is_last or len(rows.starts):
                stop = None if block.is_last else at
                parts.append(replace(whole, start=start, stop=stop, first_row=first_row, lines_are_rows=lines_are_rows))
                start, first_row, lines_are_rows = at, first_row + len(rows.starts), True
    return parts


def read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range."""
    header = part.header or ()
    check_columns(part.path, header, columns)
    found = filter(None, (root_of(column, header) for column in columns))
    needed = list(dict.fromkeys(root for root, _ in found))
    for batch in _read(file, part, needed):
        yield at_paths(batch, columns)


def _read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    header = part.header or ()
    dialect, next_row = Dialect.of(file, len(header)), part.first_row
    with open_range(file, part) as content:
        text, is_plain = dialect.coded(content), part.lines_are_rows
        for block in _row_blocks(text, dialect, ROW_BYTES, at_start=part.start == 0, lines_are_rows=is_plain):
            numbers, table, rejected = _parsed(file, dialect, part, block, columns, next_row)
            next_row += len(numbers) + len(rejected)
            yield from _in_batches(part.path, numbers, table, rejected)


def _row_blocks(
    stream: Any,
    dialect: Dialect,
    size: int,
    *,
    at_start: bool,
    count: bool = False,
    lines_are_rows: bool = False,
) -> Iterator[_Block]:
    """Yields the rows of a stream of CSV text without its header, reading `size` bytes at a time.

    Args:
        stream: The text.
        dialect: Its delimiter, quote and escape.
        size: The number of bytes to read at a time.
        at_start: Whether the text is the start of a file, with skipped lines and the header.
        count: Whether `rows` is needed for all blocks.
        lines_are_rows: Whether each line is known to be a row, so that quotes need not be searched.

    Raises:
        pa.ArrowInvalid: a row is longer than a block can be.
    """
    rest, skipped = b"", 0
    block = stream.read(size)
    while block:
        following = stream.read(size)
        text, at_end = rest + block, not following
        start = dialect.start_of_rows(text, at_end=at_end) if at_start else None
        if start is not None:
            at_start, skipped, text = False, start, text[start:]
        stop = 0
        if not at_start:
            is_plain = lines_are_rows or (not count and dialect.is_plain(text))
            rows = None if is_plain else rows_of(dialect, text, at_end=at_end)
            if rows is None:
                stop = len(text) if at_end else max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            else:
                stop = rows.stop
            yield _Block(text[:stop], skipped + stop, rows, at_end)
            skipped = 0
        rest, block = text[stop:], following
        if not stop and len(rest) > ROW_BYTES:
            raise pa.ArrowInvalid(f"a row is longer than {ROW_BYTES:,} bytes, or a quote is never closed")


def _good_rows(path: str, dialect: Dialect, block: _Block, first_row: int) -> tuple[bytes, list[Rejected]]:
    """Returns the text without comments and the rows whose quotes are faulty, and these rows, rejected."""
    if block.rows is None or not (block.rows.faults or block.rows.comments):
        return block.text, []
    removed, rejected = list(block.rows.comments), []
    ends = np.sort([*block.rows.starts, *(start for start, _ in removed), len(block.text)])
    for index, reason in sorted(block.rows.faults.items()):
        start = int(block.rows.starts[index])
        end = int(ends[np.searchsorted(ends, start, "right")])
        text = dialect.decoded(block.text[start:end].rstrip(b"\r\n"))[:1000].decode(errors="replace")
        rejected.append(Rejected(path, first_row + index, "(row)", reason, {"text": text}))
        removed.append((start, end))
    good, at = [], 0
    for start, end in sorted(removed):
        good.append(block.text[at:start])
        at = end
    return b"".join([*good, block.text[at:]]), rejected


def _parsed(
    file: SourceFile, dialect: Dialect, part: FileRange, block: _Block, columns: list[str], first_row: int
) -> tuple[np.ndarray, pa.Table, list[Rejected]]:
    """Returns the numbers and the values of the rows of a block, and the rejected rows."""
    good, rejected = _good_rows(part.path, dialect, block, first_row)
    try:
        table, skipped = _table(file, dialect, part.header or (), good, columns)
    except pa.ArrowInvalid:
        # Not valid UTF-8: find the rows with a wrong number of columns here.
        block = block._replace(rows=rows_of(dialect, block.text, at_end=True, check_width=True))
        good, rejected = _good_rows(part.path, dialect, block, first_row)
        table, skipped = _table(file, dialect, part.header or (), good, columns)
    numbers = np.arange(first_row, first_row + table.num_rows + len(skipped) + len(rejected))
    if block.rows is not None and len(numbers) != len(block.rows.starts):
        raise pa.ArrowInvalid(
            f"after row {first_row - 1:,}: expected {len(block.rows.starts):,} rows, found {len(numbers):,}"
        )
    numbers = np.delete(numbers, [row.order()[0] - first_row for row in rejected])
    rejected += [_wrong_width(part.path, dialect, row, int(numbers[row.number - 1])) for row in skipped]
    return np.delete(numbers, [row.number - 1 for row in skipped]), table, rejected


def _table(
    file: SourceFile, dialect: Dialect, header: Sequence[str], text: bytes, columns: list[str]
) -> tuple[pa.Table, list[Any]]:
    """Returns the rows of a text, and those that pyarrow skipped because of their number of columns."""
    skipped: list[Any] = []

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    nulls = {word.encode() for word in ("", *file.source.null_values)}
    if dialect.code:
        nulls = {dialect.code.encode(word) for word in nulls}
    text = dialect.with_escapes_of(nulls, text)
    # pyarrow ignores the blank line, without which it would remove a byte order mark that is part of a value.
    text = b"\n" + text if not text or text.startswith(BOM) else text
    table = pa.csv.read_csv(
        pa.BufferReader(text),
        # pyarrow reports the number of a skipped row only if it reads with one thread.
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=header),
        parse_options=pa.csv.ParseOptions(
            delimiter=dialect.delimiter.decode(),
            quote_char=dialect.quote.decode() or False,
            double_quote=dialect.double_quote,
            escape_char=dialect.escape.decode() or False,
            invalid_row_handler=skip if is_utf8(text) else None,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={column: pa.binary() for column in columns},
            include_columns=columns,
            null_values=sorted(word.decode() for word in nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    if dialect.code and dialect.may_have_codes(text):
        table = pa.table([dialect.code.decode_column(column) for column in table.columns], table.column_names)
    return table, skipped


def _in_batches(path: str, numbers: np.ndarray, table: pa.Table, rejected: list[Rejected]) -> Iterator[SourceBatch]:
    """Yields rows in batches, the first with the rejected rows."""
    for batch in table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS):
        yield SourceBatch(path, numbers[: batch.num_rows], batch, rejected)
        numbers, rejected = numbers[batch.num_rows :], []
    if rejected:
        yield SourceBatch(path, numbers, no_rows(), rejected)


def _wrong_width(path: str, dialect: Dialect, row: Any, number: int) -> Rejected:
    reason = Reason.WRONG_WIDTH.format(expected=row.expected_columns, found=row.actual_columns)
    return Rejected(path, number, "(row)", reason, {"text": dialect.decoded(row.text.encode()).decode()})
