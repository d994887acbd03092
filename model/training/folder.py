"""The folder of a trained model: its files, and loading of the model."""

from __future__ import annotations

import zipfile
from os.path import join

import keras
import tensorflow as tf

from ...transforms.errors import UserError
from ...transforms.kinds import Kind, check_kind
from ..layers import deepfm  # noqa: F401  Registers the layers of a model with Keras.

MODEL_FILE = "model.keras"
TRAINING_FILE = "training.json"
CHECKPOINTS_FOLDER = "checkpoints"
LOGS_FOLDER = "logs"
CACHE_FOLDER = "cache"


def load_model(path: str) -> keras.Model:
    """Returns a trained model: `path` is its folder, or the `model.keras` in it.

    The model is loaded in Keras' safe mode, which executes no code from the file. Its attribute `file` is the path of
    the file, for messages.

    Raises:
        UserError: if there is no model, or it cannot be loaded.
    """
    file = model_file(path)
    if not tf.io.gfile.exists(file):
        check_kind(path, Kind.MODEL, UserError)
        raise UserError(f"{file}: no such model; train one with `fieldpool train`")
    try:
        model = keras.saving.load_model(file, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{file}: not a model of `fieldpool train`, or damaged: {reason}") from None
    model.file = file
    return model


def model_file(path: str) -> str:
    """Returns the path of `model.keras`; `path` is the folder of a trained model, or the file itself."""
    return path if path.endswith(".keras") else join(path, MODEL_FILE)


def weights_path(folder: str, epoch: int) -> str:
    """Returns the path of the weights after `epoch`, counted from 1, in the folder of the checkpoints."""
    return join(folder, f"epoch-{epoch:04d}.weights.h5")


def prepare_folder(folder: str, *, keep_checkpoints: bool) -> None:
    """Creates the folder of a model to train, and removes the files of an earlier model.

    Args:
        folder: The folder.
        keep_checkpoints: Whether to keep checkpoints, weights and logs, so that training can be resumed.
    """
    remove_cache(folder)
    for name in (CHECKPOINTS_FOLDER, LOGS_FOLDER, CACHE_FOLDER):
        tf.io.gfile.makedirs(join(folder, name))
    checkpoints = (
        join(CHECKPOINTS_FOLDER, "epoch-*.weights.h5"),
        join(CHECKPOINTS_FOLDER, "state-*.npz"),
        join(LOGS_FOLDER, "*", "events.out.tfevents.*"),
    )
    for pattern in (MODEL_FILE, TRAINING_FILE, *(() if keep_checkpoints else checkpoints)):
        for path in tf.io.gfile.glob(join(folder, pattern)):
            tf.io.gfile.remove(path)


def remove_cache(folder: str) -> None:
    """Removes the parsed examples that training with `cache: disk` has written to its folder."""
    if tf.io.gfile.exists(join(folder, CACHE_FOLDER)):
        tf.io.gfile.rmtree(join(folder, CACHE_FOLDER))
