"""The model of a spec, compiled: what `fit` needs."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from ...transforms.spec import Spec
from ..layers.deepfm import DeepFM, deepfm
from .multi_worker import suit_to_workers
from .optimizers import optimizer
from .schedules import learning_rate


def compiled_model(spec: Spec, vocabulary_sizes: Mapping[str, int], steps: int) -> DeepFM:
    """Returns a spec's model with its optimizer and loss, all variables made.

    Args:
        spec: Fields, model and training settings.
        vocabulary_sizes: See `deepfm`.
        steps: Steps of an epoch, for the learning rate's decay.
    """
    settings = spec.train
    precision = settings.precision if settings.precision == "float32" else f"mixed_{settings.precision}"
    model = deepfm(spec, vocabulary_sizes, dtype=precision)
    model.compile(
        optimizer=optimizer(settings.optimizer, learning_rate(settings, settings.epochs * steps)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # XLA makes the tables' gradients dense, and compiles again for the last batch.
    )
    model.optimizer.build(model.trainable_variables)
    suit_to_workers(model)
    return model
