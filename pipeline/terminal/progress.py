"""Progress messages, shown on a terminal while a command works."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from rich.status import Status

from .console import err

_WATCH_SECONDS = 0.3


@contextlib.contextmanager
def working(what: str) -> Iterator[Status]:
    """Shows a spinner beside a text."""
    with err.status(what) as status:
        yield status


@contextlib.contextmanager
def transforming(target: str) -> Iterator[None]:
    """Shows the current step of a transform into the folder `target`, judged by the files written there."""
    from ..folders.work_folder import stage_of  # Beam takes a second to import.

    stop = threading.Event()
    start = time.monotonic()
    with working("Reading") as status:

        def watch() -> None:
            while not stop.wait(_WATCH_SECONDS):
                status.update(f"{stage_of(target)}, {time.monotonic() - start:.0f} s")

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
