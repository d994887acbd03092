"""Work of several threads whose results arrive in the order of the input, for any number of threads.

Threads share this process, so the work must spend its time where Python's lock is free: in Arrow, NumPy or TensorFlow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    work: Callable[[_Item], _Result], items: Generator[_Item, None, None], threads: int
) -> Generator[_Result, None, None]:
    """Yields `work(item)` for each item, in order; `work` is called in `threads` threads.

    At most `threads + 2` items and results are in memory. An error of `work` or of `items` is raised here; then, and if
    the generator is closed, waiting items are dropped and the threads end. Use it in a block of `contextlib.closing`.
    """
    pending: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(threads, "in_order")
    try:
        with closing(items):
            for item in items:
                pending.append(pool.submit(work, item))
                del item  # The thread may free it as soon as it is done.
                if len(pending) > threads + 1:
                    yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
