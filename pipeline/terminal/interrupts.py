"""^C ends the command, whatever becomes of one KeyboardInterrupt.

Python loses an exception that is raised in a destructor or in the callback of a weak reference, and libraries replace
it with other errors. So a thread receives the signal, interrupts the main thread until that is at its end and, if
this takes too long, ends the process itself. The main thread does not receive ^C, and neither do most child processes,
because they inherit its signal mask. This module is imported first, so it imports only small modules.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any, NoReturn

from ...transforms.process import stopping

EXIT_CODE = 130

# The interval, because a new interrupt also ends a clean-up of a library that waits for threads.
_SECONDS_BETWEEN = 0.5
# So that the command ends within 3 s, clean-up included.
_SECONDS_TO_END = 2.0
_SECONDS_OF_CHILDREN = 0.3

# Interrupts the main thread, also in system calls. Its default is to be ignored, so nobody else sends it.
_INTERRUPT = signal.SIGURG

# Held by the thread that ends the process.
_ending = threading.Lock()
# The exit code of the command, once it has ended and Python is ending.
_exit_code: int | None = None
# Standard error: `startup.importing` redirects the descriptor 2 for a time.
_stderr = 2


def install() -> None:
    """Handles ^C from now on, for the rest of the process. For the main thread.

    Does nothing if ^C is ignored, as in a script's background jobs.
    """
    global _stderr
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    with contextlib.suppress(OSError):  # It is closed.
        _stderr = os.dup(2)
    received, sent = os.pipe()
    os.set_blocking(sent, False)
    signal.set_wakeup_fd(sent, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda *_: None)  # With a handler, a byte is written to the pipe.
    signal.signal(_INTERRUPT, _interrupt)
    threading.Thread(target=_watch, args=(received,), name="interrupts", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def finish(code: int) -> None:
    """Ends the process if ^C was pressed. To be called at the end of the command; later ones end the process, too.

    Args:
        code: The exit code of the command.
    """
    global _exit_code
    _exit_code = code
    if stopping.is_stopping():
        end()


@atexit.register  # First, so it is called last; the thread that waits for ^C ends after it.
def _uninstall() -> None:
    """Ends the process. From now on, ^C ends it without a message.

    Python would stop the threads of gRPC and TensorFlow within C++ functions that do not allow it, and then the process
    is aborted ("terminate called without an active exception").
    """
    if _exit_code is None:
        return
    _flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if stopping.is_stopping():
        end()
    os._exit(_exit_code)


def end() -> NoReturn:
    """Stops worker processes, removes unfinished outputs, prints `stopped` and ends the process."""
    while not _ending.acquire(blocking=False):
        time.sleep(_SECONDS_BETWEEN)  # Another thread ends the process.
    _silence()
    _stop_children()
    stopping.undo_all()
    _say_stopped()
    _flush()
    if threading.current_thread() is threading.main_thread():
        # Temporary files of libraries; `_watch` limits the time.
        atexit.unregister(_uninstall)
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
    os._exit(EXIT_CODE)


def _interrupt(_: int, __: FrameType | None) -> None:
    if stopping.is_stopping() and stopping.is_interruptible() and not _ending.locked():
        if _exit_code is not None:  # Python is waiting for threads, and would continue after an exception.
            end()
        raise KeyboardInterrupt


def _watch(received: int) -> None:
    """Waits for ^C, then sees to it that the process ends; a second ^C ends it at once."""
    _wait_for_signal(received, None)
    stopping.begin_stopping()
    _silence()
    limit = time.monotonic() + _SECONDS_TO_END
    while True:
        if stopping.is_interruptible() and not _ending.locked():
            if time.monotonic() >= limit:
                threading.Thread(target=end, daemon=True).start()
            else:
                signal.pthread_kill(threading.main_thread().ident or 0, _INTERRUPT)
        if _wait_for_signal(received, _SECONDS_BETWEEN):
            if not _said.is_set():
                _say_stopped()
            os._exit(EXIT_CODE)
        if _said.is_set() and time.monotonic() >= limit:
            os._exit(EXIT_CODE)


def _wait_for_signal(received: int, seconds: float | None) -> bool:
    """Returns whether ^C was pressed within some seconds; None waits for it."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if end is None else max(end - time.monotonic(), 0)
        if not select.select([received], [], [], left)[0]:
            return False
        if signal.SIGINT in os.read(received, 1):
            return True


def _silence() -> None:
    """Suppresses tracebacks of exceptions that nobody catches: of threads, of lost interrupts, of the main thread."""
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    sys.excepthook = lambda *_: end()


def _stop_children() -> None:
    """Ends the processes that this one started, such as Beam's workers."""
    children = [found for found in gc.get_objects() if type(found) is subprocess.Popen]
    with contextlib.suppress(Exception):
        for child in children:
            _kill(child, signal.SIGTERM)
        until = time.monotonic() + _SECONDS_OF_CHILDREN
        for child in children:
            try:
                child.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                _kill(child, signal.SIGKILL)
                child.wait(_SECONDS_OF_CHILDREN)


def _kill(child: subprocess.Popen[Any], number: int) -> None:
    """Sends a signal to a child and, if it has a process group, to the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        if child.poll() is None and os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, number)
        else:
            child.send_signal(number)


_said = threading.Event()


def _say_stopped() -> None:
    """Prints the message, after the end of the spinner's line on a terminal, and shows the cursor again."""
    with contextlib.suppress(OSError):
        os.write(_stderr, (b"\r\x1b[2K\x1b[?25h" if os.isatty(_stderr) else b"") + b"error: stopped\n")
    _said.set()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
