"""Threads work on the parts of partitions; results and errors do not depend on them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import pytest

from fieldpool.pipeline.analysis.partitions import Part, Partition, for_each_part
from fieldpool.pipeline.sources.batches import SourceBatch


def partition(name: str, *parts: Part) -> Partition:
    return Partition(name, lambda: parts)


def part(name: str, seconds: float = 0, error: Exception | None = None) -> Part:
    def read(columns: Sequence[str]) -> Iterable[SourceBatch]:
        time.sleep(seconds)
        if error is not None:
            raise error
        return [f"{name} of {', '.join(columns)}"]  # type: ignore[list-item]

    return read


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_results_are_in_the_order_of_the_parts(threads: int) -> None:
    partitions = [partition("a", part("1", 0.05), part("2")), partition("b"), partition("c", part("3"))]
    found = {of.name: list(texts) for of, texts in for_each_part(partitions, lambda p: next(iter(p(["x"]))), threads)}
    assert found == {"a": ["1 of x", "2 of x"], "b": [], "c": ["3 of x"]}


@pytest.mark.parametrize("threads", [1, 2])
def test_the_error_is_that_of_the_first_part_that_has_one(threads: int) -> None:
    parts = [part("1"), part("2", 0.05, ValueError("second")), part("3", 0, ValueError("third"))]
    with pytest.raises(ValueError, match="second"):
        [list(results) for _, results in for_each_part([partition("a", *parts)], lambda p: list(p([])), threads)]
