"""Reads files of runs and of exported models: local ones with Python, remote ones with TensorFlow."""

from __future__ import annotations

import os
from typing import IO, Any


def opened(path: str) -> IO[bytes]:
    """Opens a file to read its bytes.

    Raises:
        OSError: a local file cannot be read. Errors of remote ones are those of TensorFlow.
    """
    if "://" not in path:
        return open(path, "rb")
    return _gfile().GFile(path, "rb")


def exists(path: str) -> bool:
    """Returns whether there is a file or folder at `path`."""
    return os.path.exists(path) if "://" not in path else bool(_gfile().exists(path))


def _gfile() -> Any:
    import tensorflow as tf  # Takes seconds to import.

    return tf.io.gfile
