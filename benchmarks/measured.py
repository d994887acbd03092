"""What a benchmarked process tells of itself."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


def tell(work: Callable[[], object]) -> None:
    """Does the work; prints its seconds, the CPU seconds of the whole process and the most megabytes it held."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(seconds, cpu, max(own.ru_maxrss, children.ru_maxrss) / 1024)
