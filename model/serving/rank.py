"""The signature `rank` of an exported model: one user's fields once, the candidates' fields for each candidate.

The user's lists are transformed once, and all of the user's fields looked up and pooled once. The probabilities are
those of `raw` with the user repeated, bit by bit: what is computed once has the same inputs and kernels, and all that
rounds by the shape or the place of a number (products of matrices, logarithms) is computed in the shape of all
candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import keras
import tensorflow as tf

from ...transforms.spec import Spec, weights_feature
from ...transforms.spec.fields.sides import inputs_of, user_fields, user_inputs
from .graph import Features, count_rows, dense_signature, probabilities, ragged, serving_feature_spec, transformed

RANK_SIGNATURE = "rank"

# Kernels compute several of these numbers at once, and the last ones of a tensor by another formula.
_ROUNDED_BY_PLACE = ("log1p", "sqrt")


def rank_signature(spec: Spec, transform: Any, model: keras.Model) -> dict[str, Callable[..., Any]]:
    """Returns the signature by its name; nothing if the spec has no field with `side: user`.

    Its arguments are those of `raw`; the user's have one row. The outputs have a row for each candidate.

    Args:
        spec: The spec of the run.
        transform: The run's transform, as `serving_module` has it.
        model: The trained model, likewise.
    """
    of_user = user_inputs(spec)
    if not of_user:
        return {}
    signature = dense_signature(spec, of_user)
    once = [name for name in user_fields(spec) if getattr(spec.fields[name], "scale", None) not in _ROUNDED_BY_PLACE]
    in_all_rows = inputs_of(spec, [name for name in spec.fields if name not in once])

    def rank(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        request = dict(zip(signature, tensors, strict=True))
        rows = count_rows({name: tensor for name, tensor in request.items() if name not in of_user})
        raw: dict[str, Any] = {}
        for name, feature in serving_feature_spec(spec).items():
            tensor, is_list = request[name], not isinstance(feature, tf.io.FixedLenFeature)
            if is_list and name in of_user and name not in in_all_rows:
                raw[name] = _in_first_row(tensor, rows)
            else:
                tensor = _repeated(tensor, rows) if name in of_user else tensor
                raw[name] = ragged(tensor) if is_list else tensor
        features = transformed(transform.transform_fn, raw, spec)
        return probabilities(model, features | _once_for_model(features, once, rows, spec), spec)

    return {RANK_SIGNATURE: tf.function(rank, list(signature.values()))}


def _repeated(tensor: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return tf.tile(tensor, [rows, *[1] * (tensor.shape.rank - 1)])


def _in_first_row(values: tf.Tensor, rows: tf.Tensor) -> tf.RaggedTensor:
    """Returns one list, `[1, n]`, followed by empty ones."""
    flat = tf.reshape(values[:rows], [-1])  # There may be no rows.
    splits = tf.concat([[0], tf.fill([rows], tf.size(flat, tf.int64))], axis=0)
    return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)


def _once_for_model(features: Features, once: Collection[str], rows: tf.Tensor, spec: Spec) -> dict[str, tf.Tensor]:
    """Returns the user's features as the model takes them: ids and their weights in one row, numbers in all.

    If the candidates have no ids in trained tables, nothing tells `PooledEmbeddings` how many rows there are, so ids
    are in all rows, too; and so are those of frozen tables.
    """
    frozen = [name for name, settings in spec.resolved_vocabularies().items() if settings.freeze]
    embedded = [name for name, of in spec.fields.items() if of.is_embedded and spec.table_of(name) not in frozen]
    in_one_row = set(embedded).intersection(once) if set(embedded).difference(once) else set()
    found: dict[str, tf.Tensor] = {}
    for name in once:
        for part in (name, weights_feature(name)) if spec.fields[name].is_weighted else (name,):
            first = features[part][:1]
            # A sum over one row; zeros without rows.
            found[part] = tf.reduce_sum(first, 0, keepdims=True) if name in in_one_row else _repeated(first, rows)
    return found
