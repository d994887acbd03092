"""Counts of tokens as Arrow tables, one row per token, and the order of a vocabulary. Without TensorFlow and Beam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

COUNTS = pa.schema([("token", pa.large_binary()), ("count", pa.int64())])

# Equal tokens are merged once the tables have more rows than this plus twice the rows of the first, merged one.
_COMPACT_AT = 200_000

_NOT_IN_TEXT = r"[\n\r]"

_LINES_AT_ONCE = 100_000


def token_counts(tokens: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Returns the distinct tokens of large_binary `tokens` with their counts, without the empty string and null.

    >>> token_counts(pa.array([b"b", b"", b"a", b"b", None], pa.large_binary())).to_pylist()
    [{'token': b'b', 'count': 2}, {'token': b'a', 'count': 1}]
    """
    counts = tokens.value_counts()
    table = pa.Table.from_arrays([counts.field("values"), counts.field("counts")], schema=COUNTS)
    return table.filter(pc.not_equal(table["token"], pa.scalar(b"", pa.large_binary())))


def summed(tables: Iterable[pa.Table]) -> pa.Table:
    """Returns one row per distinct token, with the sum of its counts, in any order."""
    table = pa.concat_tables([COUNTS.empty_table(), *tables])
    sums = table.group_by("token").aggregate([("count", "sum")])
    return sums.rename_columns({"count_sum": "count"}).select(["token", "count"]).cast(COUNTS)


def with_counts(tables: list[pa.Table], counts: pa.Table) -> list[pa.Table]:
    """Returns tables that sum to those of `tables` and `counts`; at times they are merged, which bounds their size.

    The size stays below three times that of the distinct tokens, plus 200,000 rows, and each row is merged a number of
    times that grows with the logarithm of the tokens.
    """
    tables.append(counts)
    if len(tables) > 1 and sum(table.num_rows for table in tables) > _COMPACT_AT + 2 * tables[0].num_rows:
        return [summed(tables)]
    return tables


def candidates(counts: pa.Table, min_count: int) -> pa.Table:
    """Returns the counts of tokens that a vocabulary may have: frequent ones that fit on a line of a text file."""
    frequent = counts.filter(pc.greater_equal(counts["count"], min_count))
    return frequent.filter(pc.invert(pc.match_substring_regex(frequent["token"], _NOT_IN_TEXT)))


def most_frequent_first(counts: pa.Table, top_k: int | None) -> pa.Table:
    """Returns the counts in the order of ids: by count descending, then by bytes ascending; at most `top_k`."""
    order = pc.sort_indices(counts, sort_keys=[("count", "descending"), ("token", "ascending")])
    return counts.take(order if top_k is None else order[:top_k])


def in_vocabulary(counts: pa.Table, min_count: int, top_k: int | None, given: pa.Array | None = None) -> pa.Table:
    """Returns the tokens of a vocabulary with their counts, in the order of ids: see `most_frequent_first`.

    Args:
        counts: The distinct tokens of train.
        min_count: Tokens that train has less often are not in the vocabulary.
        top_k: The maximum number of tokens. Default None: no limit.
        given: Different tokens, large_binary, that are in the vocabulary whatever their count, 0 if train does not have
            them. `top_k` limits the others. Default: none.
    """
    if given is None:
        return most_frequent_first(candidates(counts, min_count), top_k)
    others = candidates(counts.filter(pc.invert(pc.is_in(counts["token"], value_set=given))), min_count)
    kept = most_frequent_first(others, top_k)
    return most_frequent_first(pa.concat_tables([kept, counted(given, counts)]), None)


def counted(tokens: pa.Array | pa.ChunkedArray, counts: pa.Table) -> pa.Table:
    """Returns tokens with their counts, 0 for those that `counts` does not have."""
    found = counts["count"].take(pc.index_in(tokens, value_set=counts["token"])).fill_null(0)
    return pa.table([tokens, found], schema=COUNTS)


def vocabulary_lines(counts: pa.Table) -> Iterator[bytes]:
    """Yields the content of a vocabulary's file, one token a line."""
    for chunk in counts["token"].chunks:
        for start in range(0, len(chunk), _LINES_AT_ONCE):
            yield b"".join(token + b"\n" for token in chunk[start : start + _LINES_AT_ONCE].to_pylist())


def count_lines(counts: pa.Table) -> Iterator[bytes]:
    """Yields the content of the file of counts: line i has the count of the token on line i of the vocabulary."""
    column = counts["count"]
    for start in range(0, len(column), _LINES_AT_ONCE):
        yield b"".join(b"%d\n" % count for count in column[start : start + _LINES_AT_ONCE].to_pylist())
