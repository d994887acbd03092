"""Tables of a run's counts, of the epochs of training, and of metrics.

Like all modules of tables, importable without TensorFlow, which `fieldpool.model` imports: notebooks show the same
tables as the command line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ...transforms.runs.run_stats import RunStats, total
from ...transforms.spec import SPLITS, Spec, TimeSplit
from ...transforms.spec.times import boundary_seconds, iso_text
from ..rows.times import split_unit
from .console import show

if TYPE_CHECKING:
    from ...model.training.result import TrainingResult


def show_stats(stats: RunStats, *, as_json: bool = False) -> None:
    """Prints the counts of a run."""
    if as_json:
        print(json.dumps(stats.as_json()))
        return
    show(stats_tables(stats))


def stats_tables(stats: RunStats) -> list[Table]:
    """Returns the counts of a run: a table of its rows, one of its fields, and one of its pretrained vectors, if any.

    Duplicate keys, and numbers that are limited by `clip`, have a column if there are any.
    """
    exploded = [] if stats.source_rows is None else ["source_rows"]
    counts = {name: getattr(stats, name) for name in (*exploded, "read", *SPLITS, "rejected")}
    if stats.sampled_out is not None:
        counts["sampled out"] = stats.sampled_out
    if stats.duplicate_keys:
        counts["duplicate keys"] = stats.duplicate_keys
    fields = Table(title="Fields", title_justify="left")
    fields.add_column("field", no_wrap=True)
    clipped = {name: total(field.clipped) for name, field in stats.fields.items() if field.clipped is not None}
    columns = ["tokens", "max_len", "missing", "OOV eval", "OOV test", "truncated"]
    for name in [*columns, "clipped"] if any(clipped.values()) else columns:
        fields.add_column(name, justify="right")
    for name, field in stats.fields.items():
        vocabulary = stats.vocabularies.get(field.vocabulary or "")
        oov = [field.oov_share(split) for split in ("eval", "test")]
        truncated = "" if field.values_truncated is None else _share(total(field.values_truncated), total(field.values))
        fields.add_row(
            Text(name),
            f"{vocabulary.tokens:,}" if vocabulary else "",
            str(field.max_len or ""),
            _share(total(field.absent), stats.rows()),
            *(_percent(share) for share in oov),
            truncated,
            *([f"{clipped[name]:,}" if name in clipped else ""] if any(clipped.values()) else []),
        )
    return [counts_table(counts), fields, *_vectors_tables(stats)]


def _vectors_tables(stats: RunStats) -> list[Table]:
    """Returns a table of the vocabularies with pretrained vectors; none if there are none."""
    table = Table(title="Pretrained vectors", title_justify="left")
    for name in ("vocabulary", "length", "tokens", "not in train", "of all tokens", "of the values of train"):
        table.add_column(name, justify="left" if name == "vocabulary" else "right", no_wrap=True)
    for name, vocabulary in stats.vocabularies.items():
        if (vectors := vocabulary.vectors) is not None:
            counts = [f"{number:,}" for number in (vectors.length, vectors.tokens, vectors.not_in_train)]
            shares = _share(vectors.tokens, vocabulary.tokens), _percent(vectors.covered)
            table.add_row(Text(name), *counts, *shares)
    return [table] if table.row_count else []


def split_line(spec: Spec) -> str | None:
    """Returns the boundaries of a time split as a line, None for other splits."""
    split = spec.split
    if not isinstance(split, TimeSplit) or split.eval_from is None or split.test_from is None:
        return None
    unit = split_unit(split)
    return f"Split by {split.time}: eval from {_time(split.eval_from, unit)}, test from {_time(split.test_from, unit)}"


def _time(value: float | str, unit: str) -> str:
    """Returns a boundary in UTC; plain numbers, texts, and times that have no year of four digits, as they are."""
    if isinstance(value, str) or unit in ("auto", "number"):
        return str(value)
    try:
        return iso_text(boundary_seconds(value, unit))
    except (ValueError, OverflowError, OSError):
        return str(value)


def counts_table(counts: Mapping[str, int]) -> Table:
    """Returns a table of one row: counts of rows, a column for each."""
    table = Table(title="Rows", title_justify="left")
    for name in counts:
        table.add_column(name, justify="right")
    table.add_row(*(f"{number:,}" for number in counts.values()))
    return table


def _share(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else ""


def _percent(share: float | None) -> str:
    return "" if share is None else "0" if not share else f"{100 * share:.1f} %"


def show_training(result: TrainingResult, *, as_json: bool = False) -> None:
    """Prints the epochs of training."""
    if as_json:
        from ...model.json_text import json_text

        paths = {"model_path": result.model_path, "training_path": result.training_path}
        numbers = {"history": result.history, "best_epoch": result.best_epoch, "monitor": result.monitor}
        print(json_text(numbers | paths))
        return
    show([training_table(result.history, result.best_epoch)])


def training_table(history: Sequence[Mapping[str, float]], best_epoch: int) -> Table:
    """Returns a table of the epochs of training, one row each.

    Args:
        history: The numbers of each epoch, as in `TrainingResult.history`.
        best_epoch: The epoch to mark as the best, counted from 1.
    """
    table = Table(title="Training", title_justify="left")
    for name in ("epoch", "loss", "eval AUC", "eval logloss", ""):
        table.add_column(name, justify="right" if name else "left")
    for epoch in history:
        shown = (f"{epoch[key]:.4f}" if key in epoch else "" for key in ("loss", "val_auc", "val_logloss"))
        table.add_row(f"{epoch['epoch']:.0f}", *shown, "best, kept" if epoch["epoch"] == best_epoch else "")
    return table


# The columns of a table of slices, which must fit on a screen; `--json` has all metrics. Of the nDCGs, the first one.
_SLICE_METRICS = ("examples", "positives", "auc", "gauc", "ndcg", "mrr", "logloss", "calibration")


def show_metrics(
    metrics: dict[str, dict[str, Any]],
    *,
    best_auc: dict[str, float] | None = None,
    list_fields: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Prints the metrics by split and the slices of the last split; the arguments are those of `metrics_tables`."""
    if as_json:
        from ...model.json_text import json_text

        print(json_text(metrics))
        return
    show(metrics_tables(metrics, best_auc, list_fields=list_fields))


def metrics_tables(
    metrics: Mapping[str, Mapping[str, Any]],
    best_auc: Mapping[str, float] | None = None,
    *,
    list_fields: Sequence[str] = (),
) -> list[Table]:
    """Returns a table of the metrics by split, and one for each field by which the last split is sliced.

    Args:
        metrics: By split, as `evaluate` returns them.
        best_auc: The best possible AUC by split, where it is known.
        list_fields: The multivalued fields, whose slices are list lengths after truncation: their titles say so.
    """
    by_metric: dict[str, dict[str, float]] = {}
    for split, values in metrics.items():
        for name, value in values.items():
            if name not in ("slices", "calibrated_on"):
                by_metric.setdefault(name.replace("_", " "), {})[split] = value
    if best_auc:
        by_metric["best possible auc"] = dict(best_auc)
    title = "Weighted metrics" if "weight" in by_metric else "Metrics"
    tables = [_numbers_table(title, "", by_metric, list(metrics))]
    split, values = list(metrics.items())[-1]
    if "calibrated_on" in values:
        fitted = values["calibrated_on"]
        tables[
            0
        ].caption = f"Probabilities are calibrated on {fitted}: logloss, calibration and ece of {fitted} flatter."
        tables[0].caption_justify = "left"
    for field, slices in values.get("slices", {}).items():
        present = _of_slices(next(iter(slices.values())))
        title = f"{field} (list length after truncation)" if field in list_fields else field
        tables.append(_numbers_table(f"{split}, by {title}", title, slices, present))
    return tables


def _of_slices(metrics: Collection[str]) -> list[str]:
    found = {name: name for name in metrics} | {name.split("@")[0]: name for name in reversed([*metrics])}
    return [found[name] for name in _SLICE_METRICS if name in found]


def _numbers_table(title: str, first: str, rows: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column(Text(first), overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row, values in rows.items():
        table.add_row(Text(row), *(_number(values[name]) if name in values else "" for name in columns))
    return table


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
