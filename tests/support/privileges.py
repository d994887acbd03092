"""Lets tests that run as root meet the permissions of files, as other users do."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

_VERSION_3 = 0x20080522
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
_BYPASS = 1 << 1 | 1 << 2


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Takes root's right to read and write every file from this thread, and from threads and processes it starts.

    Does nothing for other users, who do not have it, and on systems other than Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, before = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, before)
    reduced = (ctypes.c_uint32 * 6)(*before)
    reduced[0] &= ~_BYPASS  # The first of the effective capabilities; the others allow to restore it.
    libc.capset(header, reduced)
    try:
        yield
    finally:
        libc.capset(header, before)
