"""The learning half: layers, the reader of examples, training, metrics and export.

The import registers fieldpool's layers, optimizers and schedules with Keras, so that `keras.saving.load_model` can load
a `.keras` file that has them.
"""

from .layers import deepfm, pooled_embeddings, pooling  # noqa: F401
from .training import optimizers, schedules  # noqa: F401
