"""The folder of a trained model: its files, which of them are replaced, and loading of the model."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from os.path import join

import keras
import tensorflow as tf

from ...transforms.errors import CannotWrite, Damaged, TargetExists, UserError
from ...transforms.kinds import Kind, check_cloud_access, check_kind, kind_of, names_in
from ...transforms.outputs import check_folder_output
from ...transforms.run_files import SERVING_FOLDER
from ...transforms.writing import writing
from ..files import remove_folder, write_model
from ..layers import deepfm  # noqa: F401  Registers the layers of a model with Keras.

MODEL_FILE = "model.keras"
TRAINING_FILE = "training.json"
CHECKPOINTS_FOLDER = "checkpoints"
WEIGHTS_FILES = "best-*.npz"  # In that folder: see `weights_path`.
LOGS_FOLDER = "logs"
CACHE_FOLDER = "cache"
# Exists from the start of training until the model is complete.
UNFINISHED_FILE = "UNFINISHED"

# Made from the model by other commands; they are removed when a new model replaces it.
REPORT_FILE = "report.html"


def load_model(path: str) -> keras.Model:
    """Returns a trained model: `path` is its folder, or the `model.keras` in it.

    The model is loaded in Keras' safe mode, which executes no code from the file. Its attribute `file` is the path of
    the file, for messages.

    Raises:
        UserError: if there is no model, or it cannot be loaded.
    """
    file = model_file(path)
    check_cloud_access(file)
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
    return join(folder, f"best-{epoch:04d}.npz")


def check_best_weights(folder: str, epoch: int) -> None:
    """Checks that the folder of the checkpoints has the weights of the best epoch until now; `epoch` 0: there is none.

    Raises:
        UserError: if it does not have them.
    """
    path = weights_path(folder, epoch)
    if epoch and not tf.io.gfile.exists(path):
        raise UserError(
            f"{path}: no such file, but epoch {epoch} is the best until now; continue with the version "
            "of fieldpool that began the training, or train from scratch with --overwrite"
        )


def check_folder(folder: str, *, overwrite: bool, resume: bool) -> None:
    """Checks that a training may write to a folder.

    Args:
        folder: The folder; it need not exist.
        overwrite: Whether an earlier model, or an unfinished training, may be replaced.
        resume: Whether the training there is to be resumed.

    Raises:
        TargetExists: the folder has something else than a training; or it has one that would be replaced without
            `overwrite`.
        UserError: `overwrite` and `resume` are both true.
    """
    if overwrite and resume:
        raise UserError("train: --overwrite starts from scratch and --resume continues; give one of them")
    names = names_in(folder)
    is_unfinished = UNFINISHED_FILE in names
    can_resume = has_checkpoint(folder)
    check_folder_output(folder, Kind.MODEL, overwrite=True, is_ours=is_unfinished)
    if overwrite or not names:
        return
    if resume:
        if MODEL_FILE in names and not (can_resume or is_unfinished):
            raise TargetExists(
                f"{folder}: has a trained model but no checkpoint to resume from; choose another folder with --out, or "
                "train from scratch with --overwrite"
            )
    elif is_unfinished and (can_resume or MODEL_FILE in names):
        raise TargetExists(
            f"{folder}: exists already and has an unfinished training; continue it with --resume, choose another "
            "folder with --out, or train from scratch with --overwrite"
        )
    elif not is_unfinished:
        check_folder_output(folder, Kind.MODEL, overwrite=False)


def has_checkpoint(folder: str) -> bool:
    """Returns whether the folder of a training has a checkpoint to resume from."""
    return bool(tf.io.gfile.glob(join(folder, CHECKPOINTS_FOLDER, "state-*.npz")))


def prepare_folder(folder: str, *, keep_checkpoints: bool) -> None:
    """Creates the folder of a model to train, and removes the checkpoints of an earlier training.

    The earlier model, and what was made from it, remain until `replace_model`.

    Args:
        folder: The folder.
        keep_checkpoints: Whether to keep checkpoints, weights and logs, so that training can be resumed.
    """
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(join(folder, UNFINISHED_FILE), "w") as file:  # First: without it, the folder is foreign.
        file.write("")
    remove_cache(folder)
    for name in (CHECKPOINTS_FOLDER, LOGS_FOLDER, CACHE_FOLDER):
        tf.io.gfile.makedirs(join(folder, name))
    if not keep_checkpoints:
        remove_checkpoints(folder)


def remove_checkpoints(folder: str) -> None:
    """Removes the checkpoints, weights and logs of an earlier training."""
    for pattern in (
        join(CHECKPOINTS_FOLDER, "state-*.npz"),
        join(CHECKPOINTS_FOLDER, WEIGHTS_FILES),
        join(LOGS_FOLDER, "*", "events.out.tfevents.*"),
    ):
        for path in tf.io.gfile.glob(join(folder, pattern)):
            tf.io.gfile.remove(path)


@contextlib.contextmanager
def writing_model(folder: str) -> Iterator[None]:
    """Turns errors of the file system in `folder` into CannotWrite; removes a training that cannot be resumed then.

    Raises:
        CannotWrite: the folder cannot be written to.
        Damaged: the block raised it, because the examples are damaged.
    """
    try:
        with writing(folder):
            yield
    except (CannotWrite, Damaged) as error:
        if has_checkpoint(folder):
            raise type(error)(f"{error}. The newest checkpoint remains; continue with --resume") from None
        if UNFINISHED_FILE in names_in(folder):
            with contextlib.suppress(tf.errors.OpError):  # The error to report is that of writing.
                for name in (CHECKPOINTS_FOLDER, LOGS_FOLDER, CACHE_FOLDER):
                    if tf.io.gfile.exists(join(folder, name)):
                        tf.io.gfile.rmtree(join(folder, name))
                tf.io.gfile.remove(join(folder, UNFINISHED_FILE))
        raise


def replace_model(folder: str, model: keras.Model, write_summary: Callable[[], object]) -> None:
    """Replaces the model in a folder; first removes what was made from the earlier one: exported model and report.

    If a file cannot be written, the earlier model and all that was made from it remain. If the process is killed at any
    point, there is never an exported model of the earlier model beside the new one, and `UNFINISHED_FILE` exists.

    Args:
        folder: The folder that `prepare_folder` prepared.
        model: The new model.
        write_summary: Writes `training.json`.
    """

    def replace_the_rest() -> None:
        write_summary()
        serving, report = join(folder, SERVING_FOLDER), join(folder, REPORT_FILE)
        if kind_of(serving) is Kind.EXPORT:
            remove_folder(serving)
        if tf.io.gfile.exists(report):
            tf.io.gfile.remove(report)

    write_model(join(folder, MODEL_FILE), model, before=replace_the_rest)
    tf.io.gfile.remove(join(folder, UNFINISHED_FILE))


def remove_cache(folder: str) -> None:
    """Removes the parsed examples that training with `cache: disk` has written to its folder."""
    if tf.io.gfile.exists(join(folder, CACHE_FOLDER)):
        tf.io.gfile.rmtree(join(folder, CACHE_FOLDER))
