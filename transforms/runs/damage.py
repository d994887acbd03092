"""Turns errors of reading a run, a model or an exported model, which fieldpool wrote, into errors in words."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ..errors import Damaged, UserError


@contextlib.contextmanager
def reading(path: str, command: str) -> Iterator[None]:
    """Raises Damaged for any error of reading a file or folder: each library has other errors for damaged files.

    Args:
        path: The file or folder.
        command: The command that writes it, for the message.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise
        text = error.strerror if isinstance(error, OSError) and error.filename == path else str(error)
        reason = next(iter((text or "").strip().splitlines()), "") or type(error).__name__
        raise Damaged(
            f"{path}: missing, damaged or written by another program ({reason[:200]}); copy the complete folder again, "
            f"or create it again with `fieldpool {command}`"
        ) from None


def _is_out_of_memory(error: Exception) -> bool:
    """Returns whether TensorFlow, if it is imported, raised the error for lack of memory."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)
