"""Reads a run's file of pretrained vectors: a Parquet file with the columns `token`, `id` and `vector`, by id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..spec import Vocabulary


def read_vectors(content: bytes, tokens: pa.Array, settings: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids, int64 `[n]`, and vectors, float32 `[n, dim]`.

    Args:
        content: The content of the file.
        tokens: All tokens of the vocabulary, large_binary, in the order of their ids.
        settings: The settings of the vocabulary, in the spec of the run.

    Raises:
        ValueError: it is not the file of this vocabulary.
    """
    table = pq.read_table(pa.BufferReader(content)).combine_chunks()
    ids = table["id"].to_numpy()
    lines = ids - settings.first_token_id
    is_line = (lines >= 0) & (lines < len(tokens))
    found = table["token"].combine_chunks().cast(pa.large_binary())
    if not is_line.all() or not found.equals(tokens.take(pa.array(lines))):
        raise ValueError("its tokens are not those of the vocabulary")
    numbers = np.asarray(table["vector"].combine_chunks().flatten(), np.float32).reshape(len(ids), -1)
    if numbers.shape[1] != settings.dim or not np.isfinite(numbers).all():
        raise ValueError(f"expected vectors of {settings.dim} finite numbers, found {numbers.shape[1]} numbers")
    return ids, numbers
