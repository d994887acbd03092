from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

Function = Callable[..., Any]


def _tensorflow_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = keras.ops.sum(function(*tensors))
    return tape.gradient(total, tensors, unconnected_gradients="zero")


def _jax_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import jax

    return list(jax.grad(lambda *a: keras.ops.sum(function(*a)), argnums=tuple(range(len(arrays))))(*arrays))


def _torch_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    return list(torch.autograd.grad(keras.ops.sum(function(*tensors)), tensors, materialize_grads=True))


@pytest.fixture
def gradients() -> Callable[..., list[np.ndarray]]:
    """`gradients(function, *arrays)`: of the sum of the function's result, on whatever backend runs."""
    by_backend = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients, "torch": _torch_gradients}
    compute = by_backend[keras.backend.backend()]
    return lambda function, *arrays: [
        keras.ops.convert_to_numpy(g) for g in compute(function, [np.asarray(a) for a in arrays])
    ]


@pytest.fixture
def write_run() -> Callable[..., str]:
    """`write_run(folder, spec, tokens, examples)`: a run as the pipeline leaves it, written by hand.

    `tokens` holds the tokens of each vocabulary; `examples` the shards of each split, each a list of rows,
    each a dict of feature name to list of values.
    """
    tf = pytest.importorskip("tensorflow", reason="runs are read with TensorFlow")
    import yaml

    def feature(values: list[Any]) -> Any:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def write(folder: Any, spec: dict, tokens: dict[str, list[bytes]], examples: dict[str, list]) -> str:
        assets = folder / "transform" / "transform_fn" / "assets"
        assets.mkdir(parents=True)
        (folder / "examples").mkdir()
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        for vocabulary, its_tokens in tokens.items():
            (assets / vocabulary).write_bytes(b"".join(t + b"\n" for t in its_tokens))
        for split, shards in examples.items():
            for i, rows in enumerate(shards):
                path = folder / "examples" / f"{split}-{i:05d}-of-{len(shards):05d}.tfrecord.gz"
                with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as file:
                    for row in rows:
                        features = {name: feature(values) for name, values in row.items()}
                        example = tf.train.Example(features=tf.train.Features(feature=features))
                        file.write(example.SerializeToString())
        counts = {split: sum(map(len, shards)) for split, shards in examples.items()}
        (folder / "stats.json").write_text(json.dumps(counts))
        (folder / "DONE").write_text("")
        return str(folder)

    return write
