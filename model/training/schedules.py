"""Learning rates that change during training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...transforms.spec.training import Train


@keras.saving.register_keras_serializable(package="fieldpool")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up: multiplies `schedule` by min(1, (step + 1) / steps).

    Args:
        schedule: A number or a Keras schedule, which counts its steps from the start, not from the end of the warm-up.
        steps: The number of warm-up steps, 1 or more.
    """

    def __init__(self, schedule: float | keras.optimizers.schedules.LearningRateSchedule, steps: int) -> None:
        super().__init__()
        self.schedule, self.steps = schedule, steps

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return rate * ops.minimum(1.0, (ops.cast(step, "float32") + 1.0) / self.steps)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments for `from_config`."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Returns the schedule that `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def learning_rate(settings: Train, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate, or its schedule according to `train.decay` and `train.warmup_steps`.

    Args:
        settings: The `train` section.
        steps: The number of steps over all epochs.
    """
    rate: float | keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if settings.decay == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    elif settings.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    return WarmUp(rate, settings.warmup_steps) if settings.warmup_steps else rate
