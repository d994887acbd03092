"""The measurements that a benchmarked process reports about itself."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


def report(work: Callable[[], object]) -> None:
    """Does the work, then prints its seconds, the CPU seconds of the process, and its peak memory in megabytes."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(seconds, cpu, max(own.ru_maxrss, children.ru_maxrss) / 1024)
