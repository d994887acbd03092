"""Several training steps in one call of TensorFlow.

After each call `fit` runs Python code, callbacks for example, while TensorFlow waits: 2 of the 47 ms of a step. Keras'
`steps_per_execution` needs epochs whose number of steps it divides: others end late.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .own_step import STEPS_WORTH_COMPILING

# More save little, but delay an interruption and the check for a loss that is not finite.
MOST_TOGETHER = 10


def steps_together(model: keras.Model, steps_of_epoch: int, checkpoint_steps: int | None = None) -> list[StepsTogether]:
    """Returns the callback for `fit`; nothing under a strategy, or if epochs are too short to be worth compiling.

    Args:
        model: The compiled model to train.
        steps_of_epoch: The steps of a pass over the train split.
        checkpoint_steps: The steps between two checkpoints, which are written between calls; None: there are none
            within an epoch.

    Example:
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> [callback.number for steps in (None, 500, 14, 13) for callback in steps_together(model, 1000, steps)]
        [10, 10, 7, 1]
    """
    if tf.distribute.has_strategy() or steps_of_epoch < STEPS_WORTH_COMPILING:
        return []
    numbers = [n for n in range(1, MOST_TOGETHER + 1) if checkpoint_steps is None or checkpoint_steps % n == 0]
    return [StepsTogether(model, max(numbers))]


class StepsTogether(keras.callbacks.Callback):
    """Makes `fit` run several steps in each call; the last call of an epoch has the rest.

    Callbacks get `on_train_batch_begin` with the first and `on_train_batch_end` with the last step of a call, which
    Keras counts beyond the end of an epoch if the last call has fewer steps. Losses and weights are the same.

    `fit` must have this callback, an endless dataset and `steps_per_epoch`.

    Args:
        model: The compiled model to train, not under a strategy.
        number: The steps of a call.
    """

    def __init__(self, model: keras.Model, number: int) -> None:
        super().__init__()
        self.number = self._next = number

        @tf.function(reduce_retracing=True, autograph=False)
        def run(batches: Any, steps: tf.Tensor) -> dict[str, tf.Tensor]:
            def one_step(step: tf.Tensor) -> tf.Tensor:
                model.train_step(batches.get_next())
                return step + 1

            tf.while_loop(lambda step: step < steps, one_step, [tf.constant(0)])
            return dict(model.get_metrics_result())

        def make_train_function(force: bool = False) -> None:
            model.train_function = lambda batches: run(batches, tf.constant(self._next))

        model.make_train_function = make_train_function
        model.steps_per_execution = number

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the number of steps of the next call; `batch` is the step it begins with."""
        self._next = min(self.number, self.params["steps"] - batch)
