"""The start of a command: suppresses log messages of TensorFlow and Beam that are not for users."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from ...transforms.errors import FieldpoolWarning
from ...transforms.process.stopping import is_stopping
from ...transforms.writing import checked_temporary_folder
from . import console
from .console import err
from .progress import working

# Errors reach the user as exceptions; these loggers would print their tracebacks too.
_QUIETED = ("absl", "apache_beam", "tensorflow", "tensorflow_transform", "root")
# Logs the page and the states of a Dataflow job.
_DATAFLOW_LOGGER = "apache_beam.runners.dataflow.dataflow_runner"


# Contexts that stay open until the process exits; tests close them earlier.
UNTIL_EXIT = contextlib.ExitStack()
atexit.register(UNTIL_EXIT.close)


def until_exit(context: contextlib.AbstractContextManager[None]) -> None:
    """Enters a context until the process exits, because its threads may log until then."""
    UNTIL_EXIT.enter_context(context)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Suppresses warnings and log messages of libraries, and prints fieldpool's warnings; restores both afterwards."""
    levels = {name: logging.getLogger(name).level for name in _QUIETED}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", category=FieldpoolWarning)
        warnings.showwarning = _print_warning
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _print_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Prints a warning of fieldpool. Others arrive here if a library has changed the filters."""
    if issubclass(category, FieldpoolWarning):
        console.warning(str(message))


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Suppresses the log messages that TensorFlow writes to standard error while it is imported, here and in the block.

    C++ code writes them before it reads the log level, so the file descriptor itself is redirected. If the import
    fails, the messages are shown. Use within `quiet_libraries`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile(dir=checked_temporary_folder()) as aside, working("Starting"):
        os.dup2(aside.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            yield
            tf.get_logger().setLevel(logging.ERROR)
            # What was imported stays. The garbage collector would look through it several times while graphs are built.
            if not gc.get_freeze_count():
                gc.freeze()
        except Exception:
            if not is_stopping():
                aside.seek(0)
                os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    for name in _QUIETED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def following_job() -> Iterator[None]:
    """Prints log messages of a remote job: its page, its states, warnings of its workers.

    Errors arrive as exceptions. Threads that work for the job (LOOPBACK) would also print tracebacks when it is
    cancelled, so these are suppressed.
    """
    from ..jobs.job import LOGGER

    handler = _Lines()
    handler.addFilter(lambda record: record.levelno < logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%X"))
    loggers = [LOGGER, logging.getLogger(_DATAFLOW_LOGGER)]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    hook, threading.excepthook = threading.excepthook, lambda _: None
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        threading.excepthook = hook
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


class _Lines(logging.Handler):
    """Prints above a spinner, without wrapping, so that an address can be copied."""

    def emit(self, record: logging.LogRecord) -> None:
        err.print(self.format(record), soft_wrap=True, markup=False)
