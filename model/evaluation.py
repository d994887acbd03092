"""Scores a complete split with a model, and computes metrics of the scores: over all examples, and by slice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ..transforms.errors import FieldpoolWarning, UserError
from ..transforms.runs.run import Run
from ..transforms.spec import CategoricalField, Ranking, Spec
from . import metrics
from .compatibility import check_model
from .examples import NoExamples, read_examples, reading_examples
from .metrics.groups import Numbering, Texts, group_ids
from .slices import slices_of

Features = dict[str, tf.Tensor]


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
    rank_by: str | None = None,
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
        rank_by: The categorical field or carried column within whose values rows are ranked, with the other settings of
            the spec's `evaluation.ranking`. Default: `by` of that section.

    Returns:
        The metrics of `metrics.measures`, weighted if the spec has `label.weight`. With `gauc_by` also `gauc`, of the
        groups that have both labels, and `gauc_examples`, the number of rows of these groups. Missing values are no
        group, nor are those that are not in the vocabulary of a field, because they share the OOV buckets.
        With `rank_by` also the metrics of `metrics.ranking_measures`, of the same kind of groups and without rows of
        weight 0, and `ranking_examples`, the number of the groups' rows.
        With `slices` also `slices`: by field and slice, all these metrics of its rows; rows of a group in other
        slices have no rank there. The slices of a categorical field are its 20 most frequent values in the split,
        `(missing)`, `(OOV)` and `(other)`, where a token of such a name is quoted: `'(other)'`; those of a carried
        column are the same without `(OOV)`; those of a multivalued field are the lengths of its lists, `0`, `1`, `2–3`,
        `4–7`, …
        With a model that is calibrated also `calibrated_on`, the split that the calibration was fitted on.

    Raises:
        DifferentRun: if the model was trained on a run whose ids or numbers have another meaning.
        NoExamples: if the split is empty.
        UserError: if `gauc_by` or `rank_by` is not a categorical field or carried column, or a slice is not that or a
            multivalued field.
    """
    gauc_by = gauc_by or run.spec.evaluation.gauc_by
    slices = run.spec.evaluation.slices if slices is None else slices
    ranking = run.spec.evaluation.ranking
    if rank_by:
        ranking = (ranking or Ranking(by=rank_by)).model_copy(update={"by": rank_by})
    scores = score_split(model, run, split, batch_size=batch_size, gauc_by=gauc_by, slices=slices, ranking=ranking)
    result = measure(scores, run, gauc_by=gauc_by, slices=slices, ranking=ranking)
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
    ranking: Ranking | None = None,
) -> Scores:
    """Returns the scores of a complete split, with the columns that `measure` needs for the same arguments.

    Arguments and errors are those of `evaluate`, but `gauc_by`, `slices` and `ranking` have no default from the spec.
    """
    check_model(model, run)
    spec = run.spec
    rank_by, groups = ranking.by if ranking else None, [*spec.fields_of(CategoricalField), *spec.carry]
    if rank_by and rank_by not in groups:
        raise UserError(
            f"ranking.by: expected a categorical field or carried column ({', '.join(groups)}), found {rank_by!r}"
        )
    keep = {name: _kept(spec, name) for name in dict.fromkeys([*slices, gauc_by, rank_by]) if name}
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


def measure(
    scores: Scores,
    run: Run,
    *,
    gauc_by: str | None = None,
    slices: Sequence[str] = (),
    ranking: Ranking | None = None,
) -> dict[str, Any]:
    """Returns the result of `evaluate` for a split that `score_split` scored with the same arguments."""
    spec = run.spec
    result: dict[str, Any] = _measures(scores, spec, gauc_by, ranking)
    if slices:
        result["slices"] = {
            name: {
                slice_name: _measures(scores.only(rows), spec, gauc_by, ranking)
                for slice_name, rows in slices_of(run, name, scores.columns[name]).items()
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


def _measures(scores: Scores, spec: Spec, gauc_by: str | None, ranking: Ranking | None) -> dict[str, float]:
    result = metrics.measures(scores.labels, scores.logits, weights=scores.weights)
    if gauc_by:
        group, is_group = group_ids(spec, gauc_by, scores.columns[gauc_by])
        labels, logits, _, weights = scores.only(is_group)
        counted = metrics.in_mixed_groups(labels, group[is_group], weights)
        gauc = metrics.gauc(labels, logits, group[is_group], weights)
        result |= {"gauc": gauc, "gauc_examples": int(counted.sum())}
    return result | (ranking_measures(scores, spec, ranking) if ranking else {})


def ranking_measures(scores: Scores, spec: Spec, ranking: Ranking) -> dict[str, float]:
    """Returns the metrics of the order of rows within groups; the scores have the column `ranking.by`."""
    group, rows = group_ids(spec, ranking.by, scores.columns[ranking.by])
    if scores.weights is not None:
        rows = rows & (scores.weights > 0)
    weights = None
    if ranking.weights == "rows":
        weights = np.ones(int(rows.sum())) if scores.weights is None else scores.weights[rows]
    labels, logits = scores.labels[rows], scores.logits[rows]
    found = metrics.ranking_measures(labels, logits, group[rows], at=ranking.at, weights=weights)
    return found | {"ranking_examples": int(rows.sum())}
