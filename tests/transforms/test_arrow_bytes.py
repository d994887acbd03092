"""Accumulators as bytes: nothing is lost, equal sums have equal bytes, and other bytes are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.transforms.accumulators import arrow_bytes
from fieldpool.transforms.accumulators.arrow_bytes import (
    bytes_of_counts,
    bytes_of_summaries,
    counts_of_bytes,
    summaries_of_bytes,
)
from fieldpool.transforms.numeric_statistics import Summary
from fieldpool.transforms.sums.exact_sums import Summaries
from fieldpool.transforms.sums.token_counts import COUNTS

TOKENS = [b"b", b"\xff\0\n", b"a"]


def counts(tokens: list[bytes], numbers: list[int]) -> pa.Table:
    return pa.table({"token": tokens, "count": numbers}, schema=COUNTS)


def summaries(*rows: list[float]) -> Summaries:
    """Returns the summaries of rows of two numbers, the second with a histogram."""
    summary = Summary([1, 4])
    return summary.add_input(summary.create_accumulator(), (np.array(rows, np.float32).reshape(-1, 2),))


def test_counts_come_back_ordered_by_token() -> None:
    shard, table = counts_of_bytes(bytes_of_counts(((3, 15), counts(TOKENS, [1, 2**40, 3]))))
    assert shard == (3, 15)
    assert table.equals(counts([b"a", b"b", b"\xff\0\n"], [3, 1, 2**40]))


@pytest.mark.parametrize(
    "original", [summaries(), summaries([1.5, -2.0], [np.nan, 3e38], [-7.25, 1e-45], [0.0, np.inf])]
)
def test_moments_and_histograms_come_back(original: Summaries) -> None:
    moments, histograms = summaries_of_bytes(bytes_of_summaries(original))
    for name, array in original[0]._asdict().items():
        np.testing.assert_array_equal(getattr(moments, name), array, strict=True, err_msg=name)
    for found, expected in zip(histograms, original[1], strict=True):
        assert found.level == expected.level
        np.testing.assert_array_equal(found.bins, expected.bins, strict=True)
        np.testing.assert_array_equal(found.counts, expected.counts, strict=True)


def test_equal_counts_have_equal_bytes() -> None:
    in_parts = pa.concat_tables([counts([b"\xff\0\n"], [2]), counts([b"a", b"b"], [3, 1])])
    assert bytes_of_counts(((0, 1), in_parts)) == bytes_of_counts(((0, 1), counts(TOKENS, [1, 2, 3])))


@pytest.mark.parametrize(
    ("decode", "encoded", "message"),
    [
        (counts_of_bytes, b"", "cached token counts: expected an Arrow stream"),
        (
            counts_of_bytes,
            bytes_of_summaries(summaries()),
            "cached token counts: expected format 1, found fieldpool num",
        ),
        (
            summaries_of_bytes,
            bytes_of_counts(((0, 0), counts([], []))),
            "cached numbers: expected format 1, found field",
        ),
    ],
)
def test_other_bytes_are_refused(decode: Callable[[bytes], Any], encoded: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        decode(encoded)
    assert str(raised.value).endswith("Analyze with an empty cache of analyzers")


def test_bytes_of_another_format_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = bytes_of_counts(((0, 0), counts(TOKENS, [1, 2, 3])))
    monkeypatch.setattr(arrow_bytes, "FORMAT", 2)
    with pytest.raises(ValueError, match="expected format 2, found fieldpool token counts 1"):
        counts_of_bytes(encoded)
