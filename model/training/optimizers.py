"""Optimizers that touch only the rows of a table that a batch used: a step costs what the batch does, not the table.

Keras' own optimizers update every row and its slots at every step: 219 ms for 5 million rows of 16 numbers, where a
batch of 1024 uses some thousands. A sparse gradient (`tf.IndexedSlices`, what a lookup has on TensorFlow) gets the
row-sparse rule here; a dense one, and any gradient on other backends, the dense rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from ..layers.pooled_embeddings import TABLES_PREFIX

if TYPE_CHECKING:
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="fieldpool")
class LazyAdam(keras.optimizers.Adam):
    """Adam whose moments of a table's row change only when a batch uses the row.

    A row that is not used keeps its value and its moments, where Adam would decay the moments and keep moving the
    value: with a sparse gradient the two are the same only if every step uses every row. Bias correction goes by the
    step, as in Adam
    (https://arxiv.org/abs/1412.6980, algorithm 1). TensorFlow Addons had it under the same name.

    Args, but for `amsgrad`: as of `keras.optimizers.Adam`.

    Raises:
        ValueError: for `amsgrad=True`, whose running maximum is not kept by rows.
    """

    def __init__(
        self, learning_rate: Any = 0.001, *, amsgrad: bool = False, name: str = "lazy_adam", **kwargs: Any
    ) -> None:
        if amsgrad:
            raise ValueError("LazyAdam: expected amsgrad=False, received True; use keras.optimizers.Adam for it")
        super().__init__(learning_rate, amsgrad=amsgrad, name=name, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies one gradient, of the whole variable or of some of its rows."""
        if not _is_sparse(gradient):
            super().update_step(gradient, variable, learning_rate)
            return
        g = _with_unique_rows(gradient)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        m_rows = self.beta_1 * _rows(m, g) + (1 - self.beta_1) * g.values
        v_rows = self.beta_2 * _rows(v, g) + (1 - self.beta_2) * ops.square(g.values)
        step = ops.cast(self.iterations + 1, variable.dtype)
        correction = ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))
        alpha = ops.cast(learning_rate, variable.dtype) * correction
        self.assign(m, _slices(m_rows, g))
        self.assign(v, _slices(v_rows, g))
        step_of_rows = alpha * m_rows / (ops.sqrt(v_rows) + self.epsilon)
        self.assign(variable, _slices(_rows(variable, g) - step_of_rows, g))


@keras.saving.register_keras_serializable(package="fieldpool")
class RowwiseAdagrad(keras.optimizers.Optimizer):
    """Adagrad with one accumulator for each row of a table: the mean of the row's squared gradients, added up.

    Its state is one number a row, a seventeenth of Adagrad's and a thirty-fourth of Adam's at `dim` 16. FBGEMM has the
    rule as EXACT_ROWWISE_ADAGRAD. Variables that are not tables get Adagrad
    (https://jmlr.org/papers/v12/duchi11a.html).

    Args:
        learning_rate: A number or a schedule. Default 0.01: what DLRM uses.
        initial_accumulator_value: Damps the first steps. Default 0, FBGEMM's: a row's mean square is often below 1e-8,
            and the 0.1 of `keras.optimizers.Adagrad` would stop such rows from learning.
        epsilon: Added to the root, which may be 0. Default 1e-8, FBGEMM's.
        tables: What the names of tables begin with. Default: those of Keras and of `PooledEmbeddings`.
        name: The optimizer's name.
        **kwargs: As of `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-8,
        tables: Sequence[str] = ("embeddings", TABLES_PREFIX),
        name: str = "rowwise_adagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon
        self.tables = list(tables)

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the accumulators: `[rows, 1]` for a table, the variable's own shape for any other."""
        if self.built:
            return
        super().build(variables)
        initializer = keras.initializers.Constant(self.initial_accumulator_value)
        self._accumulators = []
        for variable in variables:
            shape = (variable.shape[0], 1) if variable.name.startswith(tuple(self.tables)) else variable.shape
            self._accumulators.append(
                self.add_variable(shape=shape, initializer=initializer, dtype=variable.dtype, name="accumulator")
            )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies one gradient, of the whole variable or of some of its rows."""
        lr = ops.cast(learning_rate, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        by_row = accumulator.shape != variable.shape

        def squares(values: Any) -> Any:
            return ops.mean(ops.square(values), axis=1, keepdims=True) if by_row else ops.square(values)

        if _is_sparse(gradient):
            g = _with_unique_rows(gradient)
            total = _rows(accumulator, g) + squares(g.values)
            self.assign(accumulator, _slices(total, g))
            step_of_rows = lr * g.values / (ops.sqrt(total) + self.epsilon)
            self.assign(variable, _slices(_rows(variable, g) - step_of_rows, g))
        else:
            self.assign_add(accumulator, squares(gradient))
            self.assign_sub(variable, lr * gradient / (ops.sqrt(accumulator) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
            "tables": self.tables,
        }


def _is_sparse(gradient: Any) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(gradient, tf.IndexedSlices)


def _with_unique_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Returns the gradient with the parts of a row that came several times added up."""
    import tensorflow as tf

    if _are_unique(gradient.indices):
        return gradient
    indices, position = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)


def _are_unique(indices: tf.Tensor) -> bool:
    """Returns whether it shows in the graph that no row comes twice, as in the gradient of `PooledEmbeddings`.

    `tf.unique` would say the same for a twentieth of a step's time.
    """
    import tensorflow as tf

    if not tf.is_symbolic_tensor(indices):
        return False
    while indices.op.type in ("Identity", "Reshape"):
        indices = indices.op.inputs[0]
    return indices.op.type == "Unique" and indices.value_index == 0


def _rows(variable: Any, gradient: tf.IndexedSlices) -> tf.Tensor:
    import tensorflow as tf

    # Keras gives its optimizers the tf.Variable itself, but their slots are Keras variables.
    table = variable.value if isinstance(variable, keras.Variable) else variable
    return tf.gather(table, gradient.indices)


def _slices(values: Any, gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    import tensorflow as tf

    return tf.IndexedSlices(values, gradient.indices)


def optimizer(name: str, learning_rate: Any) -> keras.optimizers.Optimizer:
    """Returns the optimizer that the spec's `train.optimizer` names: `lazy_adam`, `adam` or `rowwise_adagrad`.

    Args:
        name: One of them.
        learning_rate: A number or a schedule of Keras.
    """
    kinds = {"lazy_adam": LazyAdam, "adam": keras.optimizers.Adam, "rowwise_adagrad": RowwiseAdagrad}
    return kinds[name](learning_rate)
