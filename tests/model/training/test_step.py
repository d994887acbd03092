"""The own training step: the losses and weights of Keras' step, also with XLA."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.features import EmbeddedField, Table
from fieldpool.model.training.optimizers import optimizer
from fieldpool.model.training.steps.own_step import use_own_step
from fieldpool.model.training.steps.together import StepsTogether

ROWS, BATCH = 40, 16  # The last batch has 8 rows.
TABLES = {"users": Table(rows=9, dim=4), "tags": Table(rows=7, dim=4), "words": Table(rows=6, dim=3)}
FIELDS = {
    "user": EmbeddedField(table="users", pooling=None, weights=None),
    "tags": EmbeddedField(table="tags", pooling="mean", weights="tags_weights"),
    "words": EmbeddedField(table="words", pooling="sqrtn", weights=None),
}


def dataset(*, weighted: bool) -> tf.data.Dataset:
    """Returns batches of random rows: lists of any length, a number, and weights of values and of rows."""
    random = np.random.default_rng(0)
    features = {
        "user": random.integers(0, 9, ROWS),
        "tags": random.integers(0, 7, (ROWS, 3)),
        "tags_weights": random.random((ROWS, 3)).astype("float32"),
        "words": random.integers(0, 6, (ROWS, 5)),
        "age": random.normal(size=ROWS).astype("float32"),
    }
    label = random.integers(0, 2, ROWS).astype("float32")
    weights = [random.random(ROWS).astype("float32")] if weighted else []
    return tf.data.Dataset.from_tensor_slices((features, label, *weights)).batch(BATCH)


def model_of(**settings: Any) -> DeepFM:
    keras.utils.set_random_seed(1)
    policy, name = settings.pop("policy", "float32"), settings.pop("optimizer", "lazy_adam")
    model = DeepFM(
        tables=TABLES, fields=FIELDS, numeric=["age"], embedding_dim=4, hidden_units=[8], dtype=policy, **settings
    )
    model.build()
    model.compile(
        optimizer=optimizer(name, 0.01, policy.removeprefix("mixed_")),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def fitted(model: DeepFM, rows: tf.data.Dataset) -> tuple[list[float], list[np.ndarray]]:
    """Returns the losses of three epochs and the weights after them."""
    history = model.fit(rows, epochs=3, verbose=0, shuffle=False)
    return history.history["loss"], [weight for weight in model.get_weights() if weight.dtype == np.float32]


@cache
def fitted_by_keras(case: str) -> tuple[list[float], list[np.ndarray]]:
    """Returns the result of `fitted` with Keras' own step."""
    return fitted(model_of(**CASES[case]), dataset(weighted=case == "weights of rows"))


CASES: dict[str, dict[str, Any]] = {
    "weights of rows": {},
    "penalties and exact FM": {"l2_embedding": 0.01, "l2_hidden": 0.02, "exact_fm": True},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.5},
}


@pytest.mark.parametrize("name", ["lazy_adam", "rowwise_adagrad"])
def test_step_reads_the_rows_of_a_table_once(name: str) -> None:
    model = model_of(optimizer=name, l2_embedding=0.01)
    use_own_step(model, compiled=True)

    @tf.function
    def step(data: Any) -> None:
        model.train_step(data)

    graph = step.get_concrete_function(next(iter(dataset(weighted=False)))).graph
    for table in model.embeddings.variables_by_dim.values():
        uses = [op.type for op in graph.capture(table.value.handle).consumers()]
        assert sorted(uses) == ["ResourceGather", "ResourceScatterUpdate"]


def test_gradients_of_dense_layers_are_computed_after_those_of_their_inputs() -> None:
    model = model_of()
    use_own_step(model, compiled=True)
    received: list[Any] = []
    model.optimizer.apply_gradients = lambda pairs: received.extend(pairs)

    @tf.function
    def step(data: Any) -> None:
        model.train_step(data)

    step.get_concrete_function(next(iter(dataset(weighted=False))))
    waiting = []
    for gradient, variable in received:
        if not isinstance(gradient, tf.IndexedSlices):
            op = gradient.op.inputs[0].op
            assert gradient.shape == variable.shape
            if [(wait.type, wait.get_attr("transpose_b")) for wait in op.control_inputs] == [("MatMul", True)]:
                waiting.append(variable.path)
    layers = [layer for layer in model.mlp if isinstance(layer, keras.layers.Dense)]
    assert sorted(waiting) == sorted(weight.path for layer in layers for weight in layer.weights)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_step_of_keras(case: str, compiled: bool) -> None:
    losses, weights = fitted_by_keras(case)
    model = model_of(**CASES[case])
    use_own_step(model, compiled=compiled)
    own_losses, own_weights = fitted(model, dataset(weighted=case == "weights of rows"))
    np.testing.assert_allclose(own_losses, losses, rtol=1e-5)
    if case == "batch norm":  # The gradient of a bias before it is only rounding, which Adam scales to a step.
        return
    for own, expected in zip(own_weights, weights, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=2e-5)


def test_half_precision_is_compiled_as_well() -> None:
    losses = []
    for compiled in (False, True):
        model, rows = model_of(policy="mixed_float16"), dataset(weighted=False)
        use_own_step(model, compiled=compiled)
        losses.append(fitted(model, rows)[0])
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-2)


class Calls(keras.callbacks.Callback):
    """Keeps the first and the last step of each call, as Keras counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.first: list[int] = []
        self.last: list[int] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.first.append(batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.last.append(batch)


@pytest.mark.parametrize(("compiled", "policy"), [(False, "float32"), (True, "float32"), (True, "mixed_float16")])
def test_steps_together_equal_those_one_by_one(compiled: bool, policy: str) -> None:
    results, calls = [], Calls()
    for together in (False, True):
        model = model_of(dropout=0.5, policy=policy)
        use_own_step(model, compiled=compiled)
        callbacks = [StepsTogether(model, 3), calls] if together else []
        endless = dataset(weighted=True).repeat()
        losses = []
        for _ in range(2):
            history = model.fit(endless, epochs=2, steps_per_epoch=8, verbose=0, shuffle=False, callbacks=callbacks)
            losses += history.history["loss"]
        assert policy != "float32" or int(model.optimizer.iterations.numpy()) == 32
        results.append([np.array(losses), *model.get_weights()])
    for one_by_one, of_calls in zip(*results, strict=True):
        np.testing.assert_array_equal(of_calls, one_by_one)
    assert calls.first == [0, 3, 6] * 4
    assert calls.last == [2, 5, 8] * 4


@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_gives_the_losses_of_a_processor(compiled: bool) -> None:
    losses = []
    for device in ("CPU:0", "GPU:0"):
        with tf.device(device):
            model = model_of()
            use_own_step(model, compiled=compiled)
            losses.append(fitted(model, dataset(weighted=False))[0])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
