"""Fingerprints of texts, equal to those of TensorFlow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def fingerprint64(texts: pa.Array) -> np.ndarray:
    """Returns FarmHash's Fingerprint64 of each text, uint64 `[texts]`; null counts as the empty text.

    `fingerprint64(texts) % n` is `tf.strings.to_hash_bucket_fast(texts, n)`.
    """
    from . import farmhash  # Imported here because Numba takes a while to load.

    plain = texts.cast(pa.large_binary()).fill_null(b"")
    _, splits, data = plain.buffers()
    starts = np.frombuffer(splits, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    out = np.empty(len(plain), np.uint64)
    farmhash.fingerprint64(starts, np.frombuffer(data or b"", np.uint8), out)
    return out
