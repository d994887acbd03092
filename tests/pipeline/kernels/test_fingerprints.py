"""Fingerprint64 is TensorFlow's: splits and shards of keys are the same as in earlier versions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from fieldpool.pipeline.kernels.fingerprints import fingerprint64


def texts_of(lengths: np.ndarray, seed: int) -> list[bytes]:
    data = np.random.default_rng(seed).bytes(int(lengths.sum()))
    ends = np.cumsum(lengths)
    return [data[end - size : end] for end, size in zip(ends.tolist(), lengths.tolist(), strict=True)]


def test_known_fingerprints() -> None:
    """Of `tf.fingerprint`'s source, FarmHash: the empty text gives its constant k2."""
    assert fingerprint64(pa.array([b""])).tolist() == [0x9AE16A3B2F90404F]


@pytest.mark.parametrize(
    "lengths",
    [np.arange(300), np.random.default_rng(0).integers(0, 201, 20_000)],
    ids=["each_length", "random"],
)
def test_equals_tensorflow_for_texts_of_any_length(lengths: np.ndarray) -> None:
    texts = texts_of(lengths, seed=1)
    buckets = 2**63 - 1
    expected = tf.strings.to_hash_bucket_fast(tf.constant(texts, tf.string), buckets).numpy()
    np.testing.assert_array_equal(fingerprint64(pa.array(texts, pa.large_binary())) % buckets, expected)


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()], ids=str)
def test_takes_any_arrow_text_also_slices_and_nulls(kind: pa.DataType) -> None:
    texts = pa.array(["x", "long" * 30, None, ""], kind).slice(1)
    single = [fingerprint64(pa.array([text or ""], kind))[0] for text in texts.to_pylist()]
    assert fingerprint64(texts).tolist() == single
    assert fingerprint64(texts.slice(0, 0)).tolist() == []
