"""Scores a complete split with a model, and computes metrics of the scores: over all examples, and by slice."""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ..transforms.errors import FieldpoolWarning, UserError
from ..transforms.runs.run import Run
from ..transforms.spec import Spec
from . import metrics
from .compatibility import check_model
from .examples import NoExamples, read_examples, reading_examples
from .metrics.groups import Numbering, Texts, group_ids

Features = dict[str, tf.Tensor]

# The number of the most frequent values of a field or carried column that have their own slice.
MOST_SLICES = 20

# The slices that have no value of their own.
_OTHER, _OOV, _MISSING = "(other)", "(OOV)", "(missing)"


class Scores(NamedTuple):
    """A scored split.

    Attributes:
        labels: float32 `[n]`.
        logits: float32 `[n]`.
        columns: The columns that `score` kept, by name, each `[n]`.
        weights: The weights of the rows, float32 `[n]`; None without `label.weight` in the spec.
    """

    labels: np.ndarray
    logits: np.ndarray
    columns: dict[str, np.ndarray | Texts]
    weights: np.ndarray | None = None

    def only(self, rows: np.ndarray) -> Scores:
        """Returns the scores of some rows, given as a mask, bool `[n]`."""
        columns = {
            name: column.only(rows) if isinstance(column, Texts) else column[rows]
            for name, column in self.columns.items()
        }
        weights = None if self.weights is None else self.weights[rows]
        return Scores(self.labels[rows], self.logits[rows], columns, weights)


def scorer(model: keras.Model, features: dict[str, tf.TensorSpec]) -> Callable[[Features], tf.Tensor]:
    """Returns a graph from features to logits, `[batch]`, traced once for batches of any size.

    `keras.Model.predict` would compile with XLA, and again for the last, smaller batch. Texts are left out: no model
    reads them.
    """
    read = {name: feature for name, feature in features.items() if feature.dtype != tf.string}

    def logits(batch: Features) -> tf.Tensor:
        return tf.squeeze(tf.cast(model(batch, training=False), tf.float32), axis=1)

    # TensorFlow warns about functions that it traces often; a concrete function is traced once and does not count.
    graph = tf.function(logits, input_signature=[read]).get_concrete_function()
    return lambda batch: graph({name: batch[name] for name in read})


def score(
    logits_of: Callable[[Features], tf.Tensor],
    dataset: tf.data.Dataset,
    keep: Mapping[str, Callable[[Features], tf.Tensor]] | None = None,
) -> Scores:
    """Returns the labels and logits of a dataset of `(features, label)` or `(features, label, weight)`, in its order.

    Args:
        logits_of: See `scorer`.
        dataset: Batches of features, labels and, if they have them, weights.
        keep: Other columns to return, by name: functions from a batch's features to `[batch]`. Default: none.
    """
    keep = keep or {}
    labels, logits, weights = ([np.zeros(0, "float32")] for _ in range(3))
    columns: dict[str, list[np.ndarray]] = {name: [] for name in keep}
    numberings: dict[str, Numbering] = {}
    for features, label, *weight in dataset:
        labels.append(label.numpy())
        weights += [of_batch.numpy() for of_batch in weight]
        logits.append(logits_of(features).numpy())
        for name, column in keep.items():
            kept = np.asarray(column(features))
            if kept.dtype == object:
                kept = numberings.setdefault(name, Numbering()).numbers_of(kept)
            columns[name].append(kept)
    found: dict[str, np.ndarray | Texts] = {
        name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()
    }
    found |= {name: Texts(np.concatenate(columns[name]), of_name.texts) for name, of_name in numberings.items()}
    has_weights = len(dataset.element_spec) == 3
    return Scores(
        np.concatenate(labels), np.concatenate(logits), found, np.concatenate(weights) if has_weights else None
    )


def evaluate(
    model: keras.Model,
    run: Run,
    split: str,
    *,
    batch_size: int = 1024,
    gauc_by: str | None = None,
    slices: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Returns the metrics of `model` on a complete split.

    Args:
        model: A model that computes a logit, `[batch, 1]`, from the features of `run`.
        run: The run with the examples.
        split: train, eval or test.
        batch_size: Examples per batch; affects only speed and memory.
        gauc_by: The categorical field or carried column whose values are the groups of GAUC. Default: the spec's
            `evaluation.gauc_by`.
        slices: Fields and carried columns by which to compute metrics of slices. Default: the spec's
            `evaluation.slices`.

    Returns:
        The metrics of `metrics.measures`, weighted if the spec has `label.weight`. With `gauc_by` also `gauc`, of the
        groups that have both labels, and `gauc_examples`, the number of rows of these groups. Missing values are no
        group, nor are those that are not in the vocabulary of a field, because they share the OOV buckets.
        With `slices` also `slices`: the same metrics by field and slice. The slices of a categorical field are its 20
        most frequent values in the split, `(missing)`, `(OOV)` and `(other)`, where a token of such a name is quoted:
        `'(other)'`; those of a carried column are the same without `(OOV)`; those of a multivalued field are the
        lengths of its lists, `0`, `1`, `2–3`, `4–7`, …
        With a model that is calibrated also `calibrated_on`, the split that the calibration was fitted on.

    Raises:
        DifferentRun: if the model was trained on a run whose ids or numbers have another meaning.
        NoExamples: if the split is empty.
        UserError: if `gauc_by` is not a categorical field or carried column, or a slice is not that or a multivalued
            field.
    """
    gauc_by = gauc_by or run.spec.evaluation.gauc_by
    slices = run.spec.evaluation.slices if slices is None else slices
    scores = score_split(model, run, split, batch_size=batch_size, gauc_by=gauc_by, slices=slices)
    result = measure(scores, run, gauc_by=gauc_by, slices=slices)
    calibration = getattr(model, "calibration", None)  # Other models have none.
    return result if calibration is None else result | {"calibrated_on": calibration.split}


def score_split(
    model: keras.Model,
    run: Run,
    split: str,
    *,
    batch_size: int = 1024,
    gauc_by: str | None = None,
    slices: Sequence[str] = (),
) -> Scores:
    """Returns the scores of a complete split, with the columns that `measure` needs for `gauc_by` and `slices`.

    Arguments and errors are those of `evaluate`, but `gauc_by` and `slices` have no default from the spec.
    """
    check_model(model, run)
    spec = run.spec
    keep = {name: _kept(spec, name) for name in dict.fromkeys([*slices, *([gauc_by] if gauc_by else [])])}
    if gauc_by and gauc_by in spec.fields and spec.fields[gauc_by].is_list:
        raise UserError(f"gauc_by: expected a categorical field, found {gauc_by!r}, which has several values per row")
    dataset = read_examples(run, split, batch_size=batch_size, columns=[name for name in keep if name in spec.carry])
    with reading_examples(run):
        scores = score(scorer(model, dataset.element_spec[0]), dataset, keep)
    if len(scores.labels) == 0:
        raise NoExamples(f"{run.path}: the files of the split {split!r} have no examples; evaluate another split")
    warn_of_nan(scores.logits, f"{run.path}, {split}")
    return scores


def warn_of_nan(logits: np.ndarray, where: str) -> None:
    """Warns if scores are NaN, because metrics of these rows are NaN, too; `where` names the split."""
    nan = int(np.isnan(logits).sum())
    if nan:
        message = (
            f"{where}: the scores of {nan:,} of {len(logits):,} rows are NaN, so the metrics are NaN; look for extreme "
            "values in the numeric fields"
        )
        warnings.warn(message, FieldpoolWarning, stacklevel=3)


def measure(scores: Scores, run: Run, *, gauc_by: str | None = None, slices: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the result of `evaluate` for a split that was scored with the same `gauc_by` and `slices`."""
    spec = run.spec
    result: dict[str, Any] = _measures(scores, spec, gauc_by, np.ones(len(scores.labels), bool))
    if slices:
        result["slices"] = {
            name: {
                slice_name: _measures(scores, spec, gauc_by, rows)
                for slice_name, rows in _slices(run, name, scores.columns[name]).items()
            }
            for name in slices
        }
    return result


def _kept(spec: Spec, name: str) -> Callable[[Features], tf.Tensor]:
    """Returns the function from features to a field's ids, the lengths of its lists or a column's texts, `[batch]`."""
    allowed = [n for n, field in spec.fields.items() if field.has_vocabulary and n not in spec.train_only]
    if name not in allowed and name not in spec.carry:
        carried = f", or a carried column ({', '.join(spec.carry)})" if spec.carry else ""
        raise UserError(
            f"evaluation: expected a categorical or multivalued field ({', '.join(allowed)}){carried}, found {name!r}"
        )
    if name in spec.fields and spec.fields[name].is_list:
        return lambda features: tf.math.count_nonzero(features[name], axis=1)
    return lambda features: features[name]


def _measures(scores: Scores, spec: Spec, gauc_by: str | None, rows: np.ndarray) -> dict[str, float]:
    scores = scores.only(rows)
    result = metrics.measures(scores.labels, scores.logits, weights=scores.weights)
    if gauc_by:
        group, is_group = group_ids(spec, gauc_by, scores.columns[gauc_by])
        labels, logits, _, weights = scores.only(is_group)
        counted = metrics.in_mixed_groups(labels, group[is_group], weights)
        gauc = metrics.gauc(labels, logits, group[is_group], weights)
        result |= {"gauc": gauc, "gauc_examples": int(counted.sum())}
    return result


def _slices(run: Run, name: str, column: np.ndarray | Texts) -> dict[str, np.ndarray]:
    """Returns for each slice of a field or carried column its rows, bool `[n]`; slices without rows are left out."""
    if isinstance(column, Texts):
        masks = _slices_of_texts(*column)
    elif run.spec.fields[name].is_list:
        edges = [0, *(2**i for i in range(int(column.max(initial=0)).bit_length() + 1))]
        ranges = pairwise(edges)
        masks = {
            (str(first) if last - first == 1 else f"{first}–{last - 1}"): (column >= first) & (column < last)
            for first, last in ranges
        }
    else:
        vocabulary, tokens = run.spec.vocabulary_settings_of(name), run.tokens(run.spec.vocabulary_of(name))
        is_token = vocabulary.is_token(column)
        ids, counts = np.unique(column[is_token], return_counts=True)
        frequent = ids[np.argsort(-counts, kind="stable")][:MOST_SLICES]
        names = _slice_names([tokens[i - vocabulary.first_token_id] for i in frequent], tokens)
        masks = {name: column == i for name, i in zip(names, frequent, strict=True)}
        masks[_OTHER] = is_token & ~np.isin(column, frequent)
        masks[_OOV] = vocabulary.is_oov(column)
        masks[_MISSING] = column == 0
    return {slice_name: mask for slice_name, mask in masks.items() if mask.any()}


def _slices_of_texts(numbers: np.ndarray, texts: list[bytes]) -> dict[str, np.ndarray]:
    counts = np.bincount(numbers, minlength=len(texts))
    frequent = heapq.nsmallest(MOST_SLICES, range(1, len(texts)), key=lambda n: (-counts[n], texts[n]))
    names = _slice_names([texts[n] for n in frequent], texts)
    masks = {name: numbers == n for name, n in zip(names, frequent, strict=True)}
    return masks | {_OTHER: (numbers > 0) & ~np.isin(numbers, frequent), _MISSING: numbers == 0}


def _slice_names(frequent: Sequence[bytes], tokens: Collection[bytes]) -> list[str]:
    """Returns a different name for each of the `frequent` ones of some tokens.

    It is the token's text, in quotes if that is the name of a slice without a token. Bytes that are not valid UTF-8 are
    shown as `\\xff`, in quotes if another token has this text.
    """
    names: list[str] = []
    for token in frequent:
        name = token.decode("utf-8", "backslashreplace")
        while name in (_OTHER, _OOV, _MISSING, *names) or (name.encode() != token and name.encode() in tokens):
            name = f"'{name}'"
        names.append(name)
    return names
