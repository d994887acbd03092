"""fieldpool's DeepFM and row-sparse optimizers with `model.fit`; `--variant lazy_adam` or `rowwise_adagrad`."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.features import EmbeddedField, Table
from fieldpool.model.training.optimizers import optimizer
from fieldpool.model.training.steps.own_step import STEPS_WORTH_COMPILING, use_own_step
from fieldpool.model.training.steps.together import steps_together

from ..batches import batches
from ..task import Settings, Task, main

# The learning rate of DLRM's tables. Adagrad's steps shrink as it sums squared gradients.
ADAGRAD_RATE = 0.01


class Fieldpool:
    """See `task.System`."""

    def __init__(self, task: Task, settings: Settings) -> None:
        keras.utils.set_random_seed(settings.seed or 0)
        self.model = deepfm(task)
        rate = ADAGRAD_RATE if settings.variant == "rowwise_adagrad" else task.learning_rate
        # Trainings as short as those of quality are not compiled; the windows of speed are parts of a long one.
        compile_model(self.model, settings.variant or "lazy_adam", rate, compiled=settings.seed is None)
        self.dataset = batches(task, settings, tf.int64)  # The dtype of fieldpool's reader.
        self.steps: int | None = None
        self.callbacks: list[keras.callbacks.Callback] = []
        if settings.seed is None:
            self.steps, self.dataset = len(self.dataset), self.dataset.repeat()
            self.callbacks = steps_together(self.model, STEPS_WORTH_COMPILING)

    def epoch(self) -> None:
        """See `task.System`."""
        self.model.fit(self.dataset, verbose=0, steps_per_epoch=self.steps, callbacks=self.callbacks)

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        logits = tf.function(lambda batch: self.model(batch, training=False))(features)
        return tf.sigmoid(logits).numpy()[:, 0]


def deepfm(task: Task) -> DeepFM:
    """Returns the model of a task."""
    model = DeepFM(
        tables={name: Table(rows=rows, dim=task.dim) for name, rows in task.tables.items()},
        fields={
            name: EmbeddedField(table=field.table, pooling="mean" if field.max_len else None, weights=None)
            for name, field in task.fields.items()
        },
        numeric=task.numeric,
        embedding_dim=task.dim,
        hidden_units=task.hidden_units,
        dropout=task.dropout,
        l2_embedding=task.l2,
    )
    model.build()
    return model


def compile_model(model: DeepFM, name: str, learning_rate: float, *, compiled: bool = True) -> None:
    """Compiles a model as `fieldpool.model.training.compilation.compiled_model` does."""
    model.compile(
        optimizer=optimizer(name, learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    use_own_step(model, compiled=compiled)


if __name__ == "__main__":
    main(Fieldpool, ["tensorflow", "keras"])
