"""Threads work ahead, but results and errors arrive in the order of the items."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from fieldpool.pipeline.jobs.in_order import in_order


class Items:
    """Numbers from 0; remembers how many were taken, and whether the generator was closed."""

    def __init__(self, number: int) -> None:
        self.number, self.taken, self.is_closed = number, 0, False

    def __call__(self) -> Generator[int, None, None]:
        try:
            for item in range(self.number):
                self.taken += 1
                yield item
        finally:
            self.is_closed = True


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("number", [0, 1, 20])
def test_results_are_in_the_order_of_the_items(threads: int, number: int) -> None:
    assert list(in_order(lambda item: item * item, Items(number)(), threads)) == [i * i for i in range(number)]


def test_a_later_item_that_is_done_first_waits_for_the_earlier_one() -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return item

    assert list(in_order(work, Items(2)(), 2)) == [0, 1]


def test_the_error_of_the_first_faulty_item_is_raised_and_all_threads_end() -> None:
    items, before = Items(50), threading.active_count()

    def work(item: int) -> int:
        if item >= 3:
            raise ValueError(item)
        return item

    found = []
    with pytest.raises(ValueError, match=r"^3$"):
        found.extend(in_order(work, items(), 4))
    assert items.is_closed
    assert threading.active_count() == before


def test_few_items_are_taken_ahead_of_the_results() -> None:
    items, before = Items(50), threading.active_count()
    with closing(in_order(lambda item: item, items(), 2)) as results:
        assert next(results) == 0
        assert items.taken == 4
    assert items.is_closed
    assert threading.active_count() == before
