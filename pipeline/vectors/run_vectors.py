"""The vectors of a run, in the order of ids, and how much of its rows they cover."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...transforms.runs.run_stats import VectorStats
from .vector_files import TOKEN, VECTOR, Vectors


def vectors_file(vectors: Vectors, tokens: pa.Array, first_id: int) -> bytes:
    """Returns the content of a run's file of vectors: a Parquet file with the columns `token`, `id` and `vector`.

    Args:
        vectors: The pretrained vectors.
        tokens: All tokens of the vocabulary, large_binary, in the order of their ids.
        first_id: The id of the first one.
    """
    lines = np.asarray(pc.index_in(vectors.tokens, value_set=tokens))
    order = np.argsort(lines)
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.numbers[order].ravel()), vectors.length)
    ids = pa.array(first_id + lines[order].astype(np.int64))
    table = pa.table({TOKEN: vectors.tokens.take(pa.array(order)), "id": ids, VECTOR: numbers})
    with io.BytesIO() as file:
        pq.write_table(table, file, compression="none", use_dictionary=False)
        return file.getvalue()


def coverage(vectors: Vectors, counts: pa.Table) -> VectorStats:
    """Returns how much of train the vectors cover.

    Args:
        vectors: The pretrained vectors.
        counts: The tokens of train with their counts, in the schema `token_counts.COUNTS`.
    """
    with_vector = counts.filter(pc.is_in(counts["token"], value_set=vectors.tokens))
    values, covered = (pc.sum(table["count"], min_count=0).as_py() for table in (counts, with_vector))
    return VectorStats(
        length=vectors.length,
        tokens=len(vectors.tokens),
        not_in_train=len(vectors.tokens) - with_vector.num_rows,
        covered=covered / values if values else 0.0,
    )
