"""Creates and compiles the model of a spec for `fit`."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from ...transforms.spec import Spec
from ..layers.deepfm import DeepFM, deepfm
from .multi_worker import suit_to_workers
from .optimizers import optimizer
from .schedules import learning_rate


def compiled_model(spec: Spec, vocabulary_sizes: Mapping[str, int], steps: int) -> DeepFM:
    """Returns the model of a spec, compiled, with all variables of the model and its optimizer created.

    Args:
        spec: Fields, model and training settings.
        vocabulary_sizes: See `deepfm`.
        steps: Steps per epoch, for the decay of the learning rate.
    """
    settings = spec.train
    precision = settings.precision if settings.precision == "float32" else f"mixed_{settings.precision}"
    model = deepfm(spec, vocabulary_sizes, dtype=precision)
    model.compile(
        optimizer=optimizer(settings.optimizer, learning_rate(settings, settings.epochs * steps)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # XLA makes gradients of tables dense, and recompiles for the last batch.
    )
    model.optimizer.build(model.trainable_variables)
    suit_to_workers(model)
    return model
