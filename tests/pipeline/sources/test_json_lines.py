"""JSON Lines: a line is read or rejected by its content alone, whatever the lines beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec import Source

GOOD = [
    b'{"a": "x"}',
    b'{"a": 1, "b": [1, 2]}',
    b'{"a": 1.5}',
    b'{"a": ["x", "y"]}',
    b'{"a": []}',
    b'{"a": [null, null]}',
    b'{"a": null}',
    b'{"b": {"c": 1}}',
    b'{"a": true}',
    b'{"a": "\xc3\xa9\\u00e9"}',
    b'{"a": "2024-01-31"}',
    b'{"a": 123456789012345678901234567890}',
    b' {"a": "x"}\r',
    b'{"a": "\\ud800"}',
]
BAD = [
    b'{"a": "\xff"}',
    b'{"b": "\xed\xa0\x80"}',
    b'{"a": "x", "\xc3": 1}',
    b'{"a": "x"} \xff',
    b'{"a": {"c": 1}}',
    b'{"a": [{"c": 1}]}',
    b'{"a": [["x"]]}',
    b'{"a": [[], []]}',
    b'{"a": [1, [2]]}',
    b'{"a": 1, "a": 2}',
    b'{"a": 1, "b": 2, "b": 3}',
    b'{"a": 1} {"a": 2}',
    b'{"a": 1},',
    b'{"a": 01}',
    b'{"a": "x"',
    b'{"a": "\tx"}',
    b"{'a': 1}",
    b'{"a": 1,}',
    b'{"a": .5}',
    b"[1]",
    b"null",
]


def read(lines: list[bytes]) -> dict[int, str]:
    """Returns, for each row, that it was read or the reason why it was rejected."""
    found: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_bytes(b"\n".join(lines))
        for batch in read_batches(str(path), Source(), ["a"]):
            found |= dict.fromkeys(batch.numbers.tolist(), "read")
            found |= {row.row: row.reason for row in batch.rejected}
    return found


@pytest.mark.parametrize(("lines", "is_read"), [(GOOD, True), (BAD, False)], ids=["good", "bad"])
def test_line_alone_is_read_or_rejected(lines: list[bytes], is_read: bool) -> None:
    for line in lines:
        (found,) = read([line]).values()
        assert (found == "read") == is_read, (line, found)


@given(lines=st.permutations(GOOD + BAD), number=st.integers(2, 6))
@settings(max_examples=100, deadline=None)
def test_line_is_read_or_rejected_whatever_is_beside_it(lines: list[bytes], number: int) -> None:
    found = read(lines[:number])
    assert [found[row] for row in sorted(found)] == [read([line])[1] for line in lines[:number]]


def test_line_that_is_not_utf8_is_rejected_with_this_reason() -> None:
    assert "not valid UTF-8" in read([b'{"a": "\xff"}'])[1]
