"""Selects the metric that decides which epoch is the best, and the best epoch by that metric."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np

from ...transforms.errors import FieldpoolWarning
from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ..examples import count_examples, read_examples
from ..metrics import in_mixed_groups
from ..metrics.groups import Numbering, carried_groups, group_ids

_LOWER_IS_BETTER = ("val_logloss",)


def choose_monitor(run: Run, spec: Spec) -> str | None:
    """Returns the metric that selects the best epoch, such as "val_auc"; None if the eval split is empty.

    It is the metric of `train.early_stopping`, else AUC. If no group of the eval split has both labels, AUC replaces
    metrics of groups, and if all labels are the same, logloss replaces AUC, each with a warning. Rows of weight 0 do
    not count.

    Args:
        run: The run with the eval split.
        spec: Its spec, with the settings to train with.
    """
    if not count_examples(run, "eval"):
        _warn(f"{run.path}: the eval split is empty: no early stopping, the last epoch is kept")
        return None
    metric, by = spec.stopping_metric
    if metric == "logloss" or (by is not None and has_both_labels(run, spec, by)):
        return f"val_{metric}"
    if not has_both_labels(run, spec):
        label = next((labels[0] for labels, _ in _eval_labels(run, spec) if len(labels)), None)
        if label is None:
            _warn(f"{run.path}: all weights of the eval split are 0: no early stopping, the last epoch is kept")
            return None
        _warn(
            f"{run.path}: all labels of the eval split are {label:g}, so AUC is undefined; the best epoch "
            "is the one with the lowest logloss"
        )
        return "val_logloss"
    if by is not None:
        known = "" if by in spec.carry else " that is in the vocabulary"
        name = "GAUC" if metric == "gauc" else metric
        useless = "undefined" if metric in ("gauc", "group_auc") else "the same for every model"
        _warn(
            f"{run.path}: no value of {by}{known} has both labels in the eval split, so {name} is {useless}; the "
            "best epoch is the one with the highest AUC"
        )
        return "val_auc"
    return f"val_{metric}"


def best_epoch(history: list[dict[str, float]], monitor: str | None) -> int:
    """Returns the best epoch, from 1, by `monitor`: the first of equal ones.

    It is the last epoch if `monitor` is None, or NaN in all epochs.
    """
    measured = [epoch for epoch in history if monitor and not math.isnan(epoch[monitor])]
    if monitor is None or not measured:
        return len(history)
    sign = -1 if monitor in _LOWER_IS_BETTER else 1
    return int(max(measured, key=lambda epoch: sign * epoch[monitor])["epoch"])


def has_both_labels(run: Run, spec: Spec, by: str | None = None) -> bool:
    """Returns whether a value of `by` has both labels in the eval split; without `by`, whether the split has.

    Stops reading at the first batch with both.
    """
    labels, groups = [], []
    for label, group in _eval_labels(run, spec, by):
        labels.append(label)
        groups.append(group)
        if in_mixed_groups(label, group).any():
            return True
    return bool(in_mixed_groups(np.concatenate(labels), np.concatenate(groups)).any())


def _eval_labels(run: Run, spec: Spec, by: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields labels and groups of the rows of the eval split that metrics count, a batch at a time, both `[rows]`.

    These are rows whose weight is not 0 and, with `by`, that have a group.
    """
    numbering = Numbering()
    batches = read_examples(run, "eval", batch_size=spec.train.batch_size, columns=carried_groups(spec))
    for features, label, *weight in batches:
        group = features[by].numpy() if by else np.zeros(len(label), np.int64)
        counts = np.ones(len(label), bool)
        if by in spec.carry:
            group = numbering.numbers_of(group)
            counts = group > 0
        elif by:
            group, counts = group_ids(spec, by, group)
        for of_batch in weight:
            counts = counts & (of_batch.numpy() > 0)
        yield label.numpy()[counts], group[counts]


def _warn(message: str) -> None:
    warnings.warn(message, FieldpoolWarning, stacklevel=4)  # The caller of `train`.
