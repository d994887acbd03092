"""What must happen before ^C ends the command: unfinished outputs are removed, and short last steps are completed.

It is in this package because both `model` and `pipeline` use it. `pipeline.terminal.interrupts` handles the signal; in
a Python program without it, ^C is an ordinary KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class _State:
    def __init__(self) -> None:
        self.is_stopping = False
        self.sections = 0
        self.undo: list[Callable[[], object]] = []


_state = _State()


def is_stopping() -> bool:
    """Returns whether ^C was pressed, so that errors which follow are not reported."""
    return _state.is_stopping


def begin_stopping() -> None:
    """Records that ^C was pressed."""
    _state.is_stopping = True


def is_interruptible() -> bool:
    """Returns whether the main thread may be interrupted now: it is not in a block of `uninterrupted`."""
    return not _state.sections


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays ^C in the command line until the end of the block. For the main thread."""
    _state.sections += 1
    try:
        yield
    finally:
        _state.sections -= 1
    if _state.is_stopping:
        raise KeyboardInterrupt


@contextlib.contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Calls `undo` if the block ends with an error or with ^C.

    After ^C in the command line, `undo_all` calls it when worker processes have ended, even if the main thread does not
    react; `undo` may then be called in another thread, or twice.
    """
    _state.undo.append(undo)
    try:
        yield
    except BaseException:
        if not _state.is_stopping:
            undo()
            _state.undo.remove(undo)
        raise
    _state.undo.remove(undo)


def undo_all() -> None:
    """Calls what the blocks of `undone` that have not ended would call, the newest first."""
    for undo in reversed(_state.undo):
        with contextlib.suppress(Exception):  # The others must be called, too.
            undo()
