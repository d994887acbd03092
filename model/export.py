"""One SavedModel from raw rows to probabilities: the run's transform and the trained model in one graph.

Plain TensorFlow loads it, without fieldpool, Keras or TensorFlow Transform. docs/serving.md shows requests. Exporting
works only on Keras' TensorFlow backend.
"""

from __future__ import annotations

import contextlib
import json
import os
from os.path import join
from typing import Any
from uuid import uuid4

import keras
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ..transforms.errors import UserError
from ..transforms.kinds import Kind
from ..transforms.outputs import check_folder_output, locked, locked_folder
from ..transforms.run_files import (
    EXTRA_ASSETS_FOLDER,
    SERVING_FOLDER,
    SPEC_FILE,
    STATS_FILE,
    TRANSFORM_FN_FOLDER,
    export_file,
)
from ..transforms.runs.damage import reading
from ..transforms.runs.identity import Identity, read_identity
from ..transforms.runs.run import Run, read_resolved_spec
from ..transforms.writing import TEMPORARY, temporary_folder, writing
from .compatibility import check_identity, check_model, check_run
from .examples import feature_spec
from .files import write_folder_atomically, write_json
from .layers.deepfm import DeepFM
from .serving.graph import serving_module
from .serving.rank import rank_signature
from .serving.warmup import write_warmup
from .training.folder import MODEL_FILE, load_model, model_file

# The identity of the run that the model was trained on.
IDENTITY_FILE = "identity.json"


def export_model(run: Run, model_path: str, out: str | None = None, *, overwrite: bool = False) -> str:
    """Exports a run's transform and the model trained on it as one SavedModel; returns its folder.

    Raw rows are named by field, as in the run's raw metadata, and contain text or numbers,
    with lists already split, as the readers return them. The signatures are

        serving_default: The argument is `examples`, serialized `tf.train.Example`s, string `[batch]`. A feature that an
            example lacks is a missing value or an empty list.
        raw: One tensor per field: string `[batch]` (missing: ""), float32 `[batch]` (missing: NaN), or, for lists,
            string `[batch, n]`, padded with "", and their weights float32 `[batch, n]`; n may be different for each
            field and call. Key and carried columns are string `[batch]`. An argument has the name of its feature, with
            `_` instead of characters that are not allowed in arguments (`argument_names`).
        ids: The argument is `examples` as above; returns the features that the model sees, as in the run's examples.
        rank: As `raw`, for one user and many candidates: the inputs of fields with `side: user` have one row. Only if
            the spec has such fields. Probabilities are those of `raw` with the user repeated, bit by bit.

    The method `predict` (a `tf.function`) takes one dict of the same raw features, but lists are `tf.RaggedTensor`s,
    which signatures do not support. Probabilities are float32 `[batch]`, under `probability`; the result also has the
    columns of key and `carry`, string `[batch]`.

    Vocabularies are assets of the SavedModel. `assets.extra/` has `spec.yaml`, which `fieldpool predict` needs to read
    sources, `model.keras`, the trained model without the transform, `identity.json`, which `verify` and `predict`
    compare, and `tf_serving_warmup_requests`, which TensorFlow Serving replays when it loads the model.

    Args:
        run: The run that the model was trained on.
        model_path: The folder of a trained model, or its `model.keras`.
        out: The folder to create. Default: `serving/` in the folder of the trained model.
        overwrite: Whether an existing exported model may be replaced.

    Raises:
        DifferentRun: if the ids or numbers of the run do not have the meaning that the model was trained on.
        TargetExists: if the folder has an exported model and `overwrite` is false, or has other files; if another
            process is working there.
        CannotWrite: if the folder cannot be written to.
        UserError: if there is no such model, or it does not fit the run.
    """
    keras_file = model_file(model_path)
    target = out or join(os.path.dirname(keras_file), SERVING_FOLDER)
    check_folder_output(target, Kind.EXPORT, overwrite=overwrite)
    folder = os.path.dirname(keras_file) or "."
    # `train` locks its folder, too: it must not replace the model while the earlier one is exported beside it.
    with locked(folder) if out is None and os.path.isdir(folder) else contextlib.nullcontext():
        _export(run, model_path, target, overwrite)
    return target


def _export(run: Run, model_path: str, target: str, overwrite: bool) -> None:
    keras_file, model = model_file(model_path), load_model(model_path)
    check_model(model, run)
    _check_model_fits(model, run, keras_file)
    for layer in model.pooled_layers if isinstance(model, DeepFM) else []:
        layer.in_export = True

    def write(folder: str) -> None:
        with temporary_folder("export") as copy:
            with reading(join(run.path, TRANSFORM_FN_FOLDER), "transform"):
                with writing(copy, TEMPORARY):
                    _copy_transform(run, copy)
                transform = tf.saved_model.load(copy)
            module, signatures = serving_module(run.spec, transform, model)
            signatures |= rank_signature(run.spec, transform, model)
            tf.saved_model.save(module, folder, signatures=signatures)  # Reads the vocabularies from the copy.
        tf.io.gfile.makedirs(join(folder, EXTRA_ASSETS_FOLDER))
        write_warmup(folder, run)
        tf.io.gfile.copy(join(run.path, SPEC_FILE), export_file(folder, SPEC_FILE))
        tf.io.gfile.copy(keras_file, export_file(folder, MODEL_FILE))
        write_json(export_file(folder, IDENTITY_FILE), run.identity.as_json())
        if run.has_stats:
            _ = run.stats  # Raises an error instead of copying damaged counts.
            tf.io.gfile.copy(join(run.path, STATS_FILE), export_file(folder, STATS_FILE))

    with locked_folder(target):
        check_folder_output(target, Kind.EXPORT, overwrite=overwrite)  # Another process may have written to it.
        write_folder_atomically(target, write)


def check_export(export: str, run: Run | None = None) -> None:
    """Checks that the vocabularies in an exported model are those that it was trained on and, if given, those of a run.

    Raises:
        DifferentRun: if they are not.
    """
    spec = read_resolved_spec(export_file(export, SPEC_FILE))
    with reading(export, "export"):
        of_transform, exported = read_identity(spec, export), ("the exported model", export)
    path = export_file(export, IDENTITY_FILE)
    if tf.io.gfile.exists(path):  # Earlier versions wrote none.
        with reading(path, "export"), tf.io.gfile.GFile(path) as file:
            of_model = Identity.from_json(json.loads(file.read()))
        of_transform = of_transform.with_retired_of(of_model)
        check_identity(of_model, of_transform, ("the model", export_file(export, MODEL_FILE)), exported)
    if run is not None:
        check_run(of_transform, run, exported)


def load_export(export: str) -> Any:
    """Returns the SavedModel of an exported model.

    Raises:
        Damaged: it cannot be loaded.
    """
    with reading(export, "export"):
        return tf.saved_model.load(export)


def _check_model_fits(model: keras.Model, run: Run, path: str) -> None:
    """Calls the model with the largest id of every field.

    Raises:
        UserError: if the call fails, because the model reads other features or has smaller tables.
    """
    tables, features = run.spec.embedding_tables(run.vocabulary_sizes), {}
    for name, feature in feature_spec(run.spec).items():
        field = run.spec.fields.get(name)
        largest = tables[run.spec.table_of(name)].rows - 1 if field is not None and field.is_embedded else 0
        if feature.dtype != tf.string:
            features[name] = tf.fill([1, *feature.shape], tf.cast(largest, feature.dtype))
    try:
        model(features, training=False)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        reason = " ".join(str(error).split())[:500]  # Keras' messages have many lines.
        raise UserError(
            f"{path}: does not fit the run {run.path}; use the run that it was trained on. The model's error: {reason}"
        ) from None


def _copy_transform(run: Run, folder: str) -> None:
    """Copies the run's transform to `folder`, and gives its lookup tables unique names.

    Within a process TensorFlow identifies a table by its name, which is a path of the original transform; two exports
    must not share a table.
    """
    origin = join(run.path, TRANSFORM_FN_FOLDER)
    for parent, _, files in tf.io.gfile.walk(origin):
        inside = join(folder, os.path.relpath(parent, origin))
        tf.io.gfile.makedirs(inside)
        for file in files:
            tf.io.gfile.copy(join(parent, file), join(inside, file))
    _rename_tables(join(folder, "saved_model.pb"))


def _rename_tables(path: str) -> None:
    """Gives each lookup table in the SavedModel file at `path` a unique name."""
    model = SavedModel()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    renamed: dict[bytes, bytes] = {}
    for meta_graph in model.meta_graphs:
        graph = meta_graph.graph_def
        for node in [*graph.node, *(node for function in graph.library.function for node in function.node_def)]:
            if "HashTable" in node.op and node.attr["shared_name"].s:
                name = node.attr["shared_name"]
                name.s = renamed.setdefault(name.s, f"vocabulary_{uuid4().hex}".encode())
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
