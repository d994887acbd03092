"""Turns errors of reading a run, a model or an exported model, which fieldpool wrote, into errors in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from ..transforms.errors import Damaged, UserError


@contextlib.contextmanager
def reading(path: str, command: str) -> Iterator[None]:
    """Raises Damaged for any error of reading a file or folder: each library has other errors for damaged files.

    Args:
        path: The file or folder.
        command: The command that writes it, for the message.
    """
    try:
        yield
    except (UserError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise Damaged(
            f"{path}: missing, damaged or written by another program ({reason[:200]}); copy the complete folder again, "
            f"or create it again with `fieldpool {command}`"
        ) from None
