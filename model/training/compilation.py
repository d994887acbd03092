"""Creates and compiles the model of a spec for `fit`."""

from __future__ import annotations

import keras

from ...transforms.spec import Spec
from ..layers.deepfm import DeepFM, deepfm
from ..run import Run
from .optimizers import optimizer
from .replicas import suit_to_strategy
from .schedules import learning_rate


def compiled_model(spec: Spec, run: Run, steps: int) -> DeepFM:
    """Returns the model of a spec, compiled, with all variables of the model and its optimizer created.

    Args:
        spec: The spec of the run, with the model and training settings of this training.
        run: The run to train on.
        steps: Steps per epoch, for the decay of the learning rate.
    """
    settings = spec.train
    precision = settings.precision if settings.precision == "float32" else f"mixed_{settings.precision}"
    model = deepfm(
        spec,
        run.vocabulary_sizes,
        dtype=precision,
        logit_offset=run.logit_offset,
        identity=run.identity.as_json(),
    )
    model.compile(
        optimizer=optimizer(settings.optimizer, learning_rate(settings, settings.epochs * steps), settings.precision),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # XLA makes gradients of tables dense, and recompiles for the last batch.
    )
    model.optimizer.build(model.trainable_variables)
    suit_to_strategy(model)
    return model
