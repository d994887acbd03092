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
from ..metrics.groups import Numbering, carried_group, group_ids

_HIGHER_IS_BETTER = {"auc": True, "gauc": True, "pr_auc": True, "logloss": False}


def choose_monitor(run: Run, spec: Spec) -> str | None:
    """Returns the metric that selects the best epoch, such as "val_auc"; None if the eval split is empty.

    It is the metric of `train.early_stopping`, else AUC. If the labels of the eval split leave GAUC undefined, it is
    AUC instead, and if they leave AUC undefined, it is logloss, each with a warning. Rows of weight 0 do not count.

    Args:
        run: The run with the eval split.
        spec: Its spec, with the settings to train with.
    """
    if not count_examples(run, "eval"):
        _warn(f"{run.path}: the eval split is empty: no early stopping, the last epoch is kept")
        return None
    metric = spec.train.early_stopping.metric if spec.train.early_stopping else "auc"
    gauc_by = spec.evaluation.gauc_by if metric == "gauc" else None
    if metric == "logloss" or (metric == "gauc" and has_both_labels(run, spec, gauc_by)):
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
    if metric == "gauc":
        known = "" if gauc_by in spec.carry else " that is in the vocabulary"
        _warn(
            f"{run.path}: no value of {gauc_by}{known} has both labels in the eval split, so GAUC is undefined; the "
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
    sign = 1 if _HIGHER_IS_BETTER[monitor.removeprefix("val_")] else -1
    return int(max(measured, key=lambda epoch: sign * epoch[monitor])["epoch"])


def has_both_labels(run: Run, spec: Spec, gauc_by: str | None = None) -> bool:
    """Returns whether a value of `gauc_by` has both labels in the eval split; without `gauc_by`, whether the split has.

    Stops reading at the first batch with both.
    """
    labels, groups = [], []
    for label, group in _eval_labels(run, spec, gauc_by):
        labels.append(label)
        groups.append(group)
        if in_mixed_groups(label, group).any():
            return True
    return bool(in_mixed_groups(np.concatenate(labels), np.concatenate(groups)).any())


def _eval_labels(run: Run, spec: Spec, gauc_by: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields labels and groups of the rows of the eval split that metrics count, a batch at a time, both `[rows]`.

    These are rows whose weight is not 0 and, with `gauc_by`, that have a group.
    """
    numbering = Numbering()
    batches = read_examples(run, "eval", batch_size=spec.train.batch_size, columns=carried_group(spec))
    for features, label, *weight in batches:
        group = features[gauc_by].numpy() if gauc_by else np.zeros(len(label), np.int64)
        counts = np.ones(len(label), bool)
        if gauc_by in spec.carry:
            group = numbering.numbers_of(group)
            counts = group > 0
        elif gauc_by:
            group, counts = group_ids(spec, gauc_by, group)
        for of_batch in weight:
            counts = counts & (of_batch.numpy() > 0)
        yield label.numpy()[counts], group[counts]


def _warn(message: str) -> None:
    warnings.warn(message, FieldpoolWarning, stacklevel=4)  # The caller of `train`.
