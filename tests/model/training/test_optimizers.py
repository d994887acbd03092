"""Row-sparse optimizers: the dense rule where both must agree, and no change to unused rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fieldpool.model.training.optimizers import LazyAdam, RowwiseAdagrad
from fieldpool.model.training.optimizers import optimizer as optimizer_of

START = np.arange(8, dtype="float32").reshape(4, 2)


def stepped(optimizer: keras.optimizers.Optimizer, gradients: list[Any], name: str = "embeddings") -> np.ndarray:
    """Returns a table of 4 rows after one step per gradient."""
    variable = keras.Variable(START, name=name)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient])
    return variable.numpy()


def slices(values: Any, rows: list[int]) -> tf.IndexedSlices:
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([4, 2]))


def random_gradients(steps: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.normal(size=(4, 2)).astype("float32") for _ in range(steps)]


@pytest.mark.parametrize(
    ("sparse", "dense"),
    [(LazyAdam, keras.optimizers.Adam), (RowwiseAdagrad, RowwiseAdagrad)],
)
def test_equals_the_dense_rule_if_every_row_is_used(sparse: Callable[..., Any], dense: Callable[..., Any]) -> None:
    gradients = random_gradients(5)
    expected = stepped(dense(0.1), [tf.constant(g) for g in gradients])
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(stepped(sparse(0.1), [slices(g[order], order) for g in gradients]), expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_dense_rule_is_applied_to_dense_gradients(optimizer: Callable[..., Any]) -> None:
    adagrad = partial(keras.optimizers.Adagrad, initial_accumulator_value=0.0, epsilon=1e-14)
    keras_optimizer = {LazyAdam: keras.optimizers.Adam, RowwiseAdagrad: adagrad}[optimizer]
    gradients = [tf.constant(g) for g in random_gradients(5)]
    np.testing.assert_allclose(
        stepped(optimizer(0.1), gradients, "kernel"), stepped(keras_optimizer(0.1), gradients, "kernel"), rtol=1e-6
    )


CLIPPING: list[dict[str, float]] = [{}, {"clipnorm": 1.0}, {"clipvalue": 0.5}, {"global_clipnorm": 1.0}]


@pytest.mark.parametrize("arguments", CLIPPING)
@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_unused_rows_do_not_change(optimizer: Callable[..., Any], arguments: dict[str, float]) -> None:
    gradients = [slices([[1, 1]], [0]), slices([[1, 1]], [2]), slices([[1, 1]], [2])]
    table = stepped(optimizer(0.1, **arguments), gradients)
    np.testing.assert_array_equal(table[[1, 3]], START[[1, 3]])
    np.testing.assert_array_equal(table[0], stepped(optimizer(0.1, **arguments), gradients[:1])[0])
    assert (table[[0, 2]] < START[[0, 2]]).all()


@pytest.mark.parametrize("arguments", CLIPPING)
@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_sparse_gradients_are_clipped_as_dense_ones(optimizer: Callable[..., Any], arguments: dict[str, float]) -> None:
    """Row 1 has two slices, as in the gradient of `keras.layers.Embedding`: their sum is clipped, not each of them."""
    rows = [1, 3, 1, 0, 2]
    gradients = [slices(np.random.default_rng(seed).normal(size=(5, 2)), rows) for seed in range(4)]
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    found, expected = (stepped(optimizer(0.1, **arguments), given) for given in (gradients, dense))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_slices_of_the_same_row_are_summed(optimizer: Callable[..., Any]) -> None:
    np.testing.assert_allclose(
        stepped(optimizer(0.1), [slices([[1, 2], [5, 5], [3, 0]], [1, 3, 1])]),
        stepped(optimizer(0.1), [slices([[4, 2], [5, 5]], [1, 3])]),
    )


def unchanged(table: keras.Variable) -> None:
    """Leaves the table as the lookup read it."""


def doubled(table: keras.Variable) -> None:
    table.assign(table * 2)


def row_added_to(table: keras.Variable) -> None:
    table.value.scatter_add(tf.IndexedSlices(tf.ones([1, 2]), tf.constant([1])))


def doubled_by_a_function(table: keras.Variable) -> None:
    tf.function(lambda: table.value.assign(table.value * 2))()


def one_by_one(step: Callable[[], Any]) -> None:
    step()
    step()


def in_a_loop(step: Callable[[], Any]) -> None:
    def body(number: tf.Tensor) -> list[tf.Tensor]:
        step()
        return [number + 1]

    tf.while_loop(lambda number: number < 2, body, [tf.constant(0)])


@pytest.mark.parametrize("twice", [one_by_one, in_a_loop])
@pytest.mark.parametrize("change", [unchanged, doubled, row_added_to, doubled_by_a_function])
@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_graph_has_the_steps_of_eager_execution(
    optimizer: Callable[..., Any], change: Callable[[keras.Variable], None], twice: Callable[..., None]
) -> None:
    """In a graph, an optimizer uses the rows that the lookup read, but only if the table is still the same."""

    def table_after(run: Callable[..., Any]) -> np.ndarray:
        variables = [keras.Variable(START, name=name) for name in ("embeddings", "tables_1")]
        rule = optimizer(0.1)
        rule.build(variables)

        def steps() -> None:
            tf.gather(variables[0].value, [0, 2])  # Other rows.
            rows, _ = tf.unique(tf.constant([3, 1, 3]))
            for _ in range(2):
                with tf.GradientTape() as tape:
                    looked_up = [tf.gather(variable.value, rows) for variable in variables]
                    loss = tf.reduce_sum(looked_up[0] * looked_up[1])
                gradients = tape.gradient(loss, [variable.value for variable in variables])
                change(variables[0])
                twice(partial(rule.apply, gradients))

        run(steps)()
        return np.stack([variable.numpy() for variable in variables])

    np.testing.assert_allclose(table_after(tf.function), table_after(lambda steps: steps), rtol=1e-6)


def test_rowwise_adagrad_by_hand() -> None:
    table = stepped(RowwiseAdagrad(1.0, initial_accumulator_value=0.0, epsilon=0.0), [slices([[3, 4]], [0])])
    np.testing.assert_allclose(table[0], START[0] - np.array([3, 4]) / np.sqrt((9 + 16) / 2), rtol=1e-6)


def test_rowwise_adagrad_has_one_accumulator_per_row() -> None:
    optimizer = RowwiseAdagrad()
    optimizer.build([keras.Variable(START, name="tables_1"), keras.Variable(START, name="kernel")])
    assert [variable.shape for variable in optimizer.variables[2:]] == [(4, 1), (4, 2)]


@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_training_continues_after_saving_and_loading(optimizer: Callable[..., Any], tmp_path: Path) -> None:
    def new_model() -> keras.Model:
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Embedding(50, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,), dtype="int32"), *layers])
        model.compile(optimizer=optimizer(0.05), loss="mse", jit_compile=False)
        return model

    x = np.random.default_rng(0).integers(0, 50, (64, 3))
    y = (x.sum(axis=1) % 2).astype("float32")
    uninterrupted, first = new_model(), new_model()
    losses = uninterrupted.fit(x, y, epochs=8, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    first.fit(x, y, epochs=4, shuffle=False, verbose=0)
    first.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(resumed.fit(x, y, epochs=4, shuffle=False, verbose=0).history["loss"], losses[4:])


@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_decay", 0.1),
        ("weight_decay", 0.0),
        ("gradient_accumulation_steps", 2),
        ("use_ema", True),
        ("loss_scale_factor", 2.0),
    ],
)
def test_argument_that_needs_every_row_is_an_error(optimizer: Callable[..., Any], name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{optimizer.__name__}: expected no `{name}`, received {value}: .* use "):
        optimizer(**{name: value})


@pytest.mark.parametrize("optimizer", [LazyAdam, RowwiseAdagrad])
def test_optimizer_of_default_arguments_is_restored_from_its_config(optimizer: Callable[..., Any]) -> None:
    config = optimizer(0.1, clipnorm=1.0).get_config()
    assert optimizer.from_config(dict(config)).get_config() == config


@pytest.mark.parametrize("last", [1.0, np.inf, np.nan])
def test_loss_scale_checks_only_the_rows_of_a_sparse_gradient(last: float) -> None:
    """Keras' own check creates a boolean table, so that the time of a step would grow with the table."""
    scaled = optimizer_of("lazy_adam", 0.1, "float16")
    variable = keras.Variable(START, name="embeddings")
    scaled.build([variable])

    @tf.function
    def step(values: tf.Tensor, rows: tf.Tensor) -> None:
        scaled.apply([tf.IndexedSlices(values * scaled.dynamic_scale, rows, tf.constant([4, 2]))])

    signature = tf.TensorSpec([None, 2], tf.float32), tf.TensorSpec([None], tf.int32)
    graph = step.get_concrete_function(*signature).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not [node.name for node in nodes if node.op == "TensorScatterUpdate"]
    step(tf.constant([[1.0, last]]), tf.constant([2]))
    expected = stepped(LazyAdam(0.1), [slices([[1, last]], [2])]) if np.isfinite(last) else START
    np.testing.assert_allclose(variable.numpy(), expected)


def test_amsgrad_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected amsgrad=False"):
        LazyAdam(amsgrad=True)
