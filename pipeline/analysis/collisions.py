"""The shares of tokens that share a bucket with another one, where tokens are hashed (`hash_buckets`)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.vocabulary import salt_of
from ..kernels.fingerprints import fingerprint64


def expected_share(tokens: int, buckets: int) -> float:
    """Returns the expected share of tokens that share their bucket: 1 − (1 − 1/buckets)^(tokens − 1).

    >>> round(expected_share(1_000, 1_000_000), 5)
    0.001
    """
    return float(-np.expm1((tokens - 1) * np.log1p(-1 / buckets))) if tokens and buckets > 1 else float(tokens > 1)


def measured_share(tokens: pa.Array | pa.ChunkedArray, vocabulary: str, buckets: int) -> float:
    """Returns the share of distinct tokens, large_binary, that share their bucket with another one; 0 for no tokens."""
    if not len(tokens):
        return 0.0
    salt, nothing = (pa.scalar(text, pa.large_binary()) for text in (salt_of(vocabulary), b""))
    texts = pc.binary_join_element_wise(salt, tokens, nothing)
    combined = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    _, sizes = np.unique(fingerprint64(combined) % np.uint64(buckets), return_counts=True)
    return float(sizes[sizes > 1].sum() / len(tokens))
