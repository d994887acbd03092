"""Creates and compiles the model of a spec for `fit`."""

from __future__ import annotations

import keras
import tensorflow as tf

from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ...transforms.spec.inputs import vector_files
from ..from_spec import deepfm
from ..layers.deepfm import DeepFM
from .optimizers import optimizer
from .schedules import learning_rate
from .steps.own_step import STEPS_WORTH_COMPILING, use_own_step
from .steps.replicas import suit_to_strategy


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
    for name in vector_files(spec):
        if (vectors := run.vectors(name)) is not None:
            model.set_vectors(name, *vectors)
    model.compile(
        optimizer=optimizer(settings.optimizer, learning_rate(settings, settings.epochs * steps), settings.precision),
        loss=keras.losses.BinaryCrossentropy(from_logits=True, reduction=_reduction(spec)),
        jit_compile=False,  # XLA makes gradients of tables dense, and recompiles for the last batch.
    )
    model.optimizer.build(model.trainable_variables)
    if tf.distribute.has_strategy():
        suit_to_strategy(model)
    else:
        use_own_step(model, compiled=steps >= STEPS_WORTH_COMPILING)
    return model


def _reduction(spec: Spec) -> str:
    """Returns how the losses of a batch become one: Σ loss / rows, or with weights w Σ w·loss / Σ w.

    A row of weight 2 then counts as the row twice, and weights that are all multiplied by a number change nothing. If
    all weights of a batch are 0, so is its loss. Several replicas divide by the sum of all of them: see `replicas`.
    """
    weighted = spec.label.weight is not None and tf.distribute.get_strategy().num_replicas_in_sync == 1
    return "mean_with_sample_weight" if weighted else "sum_over_batch_size"
