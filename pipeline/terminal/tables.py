"""Tables of a run's counts, a training and its metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ...model.json_text import json_text
from ...model.run_stats import RunStats, total
from ...transforms.spec import SPLITS
from .console import out

if TYPE_CHECKING:
    from ...model.training.result import TrainingResult


def show_stats(stats: RunStats, *, as_json: bool = False) -> None:
    """Prints the counts of a run."""
    if as_json:
        print(json.dumps(stats.as_json()))
        return
    show_counts({name: getattr(stats, name) for name in ("read", *SPLITS, "rejected")})

    fields = Table(title="Fields", title_justify="left")
    fields.add_column("field", no_wrap=True)
    for name in ("tokens", "max_len", "missing", "OOV eval", "OOV test", "cut"):
        fields.add_column(name, justify="right")
    for name, field in stats.fields.items():
        vocabulary = stats.vocabularies.get(field.vocabulary or "")
        oov = [field.oov_share(split) for split in ("eval", "test")]
        cut = "" if field.values_cut is None else _share(total(field.values_cut), total(field.values))
        fields.add_row(
            name,
            f"{vocabulary.tokens:,}" if vocabulary else "",
            str(field.max_len or ""),
            _share(total(field.absent), stats.rows()),
            *(_percent(share) for share in oov),
            cut,
        )
    out.print(fields)


def show_counts(counts: dict[str, int]) -> None:
    """Prints counts of rows, a column each."""
    table = Table(title="Rows", title_justify="left")
    for name in counts:
        table.add_column(name, justify="right")
    table.add_row(*(f"{number:,}" for number in counts.values()))
    out.print(table)


def _share(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else ""


def _percent(share: float | None) -> str:
    return "" if share is None else "0" if not share else f"{100 * share:.1f} %"


def show_training(result: TrainingResult, *, as_json: bool = False) -> None:
    """Prints the epochs of a training."""
    if as_json:
        paths = {"model_path": result.model_path, "training_path": result.training_path}
        numbers = {"history": result.history, "best_epoch": result.best_epoch, "monitor": result.monitor}
        print(json_text(numbers | paths))
        return
    table = Table(title="Training", title_justify="left")
    for name in ("epoch", "loss", "eval AUC", "eval logloss", ""):
        table.add_column(name, justify="right" if name else "left")
    for epoch in result.history:
        shown = (f"{epoch[key]:.4f}" if key in epoch else "" for key in ("loss", "val_auc", "val_logloss"))
        table.add_row(f"{epoch['epoch']:.0f}", *shown, "best, kept" if epoch["epoch"] == result.best_epoch else "")
    out.print(table)


# The columns of a table of slices, which has to fit on a screen; `--json` has all.
_SLICE_METRICS = ("examples", "positives", "auc", "gauc", "logloss", "calibration")


def show_metrics(
    metrics: dict[str, dict[str, Any]], *, best_auc: dict[str, float] | None = None, as_json: bool = False
) -> None:
    """Prints the metrics by split, beside the best possible AUC where it is known, and the last split's slices."""
    if as_json:
        print(json_text(metrics))
        return
    by_metric: dict[str, dict[str, float]] = {}
    for split, values in metrics.items():
        for name, value in values.items():
            if name != "slices":
                by_metric.setdefault(name.replace("_", " "), {})[split] = value
    if best_auc:
        by_metric["best possible auc"] = best_auc
    _show_numbers("Metrics", "", by_metric, list(metrics))
    split, values = list(metrics.items())[-1]
    for field, slices in values.get("slices", {}).items():
        present = [name for name in _SLICE_METRICS if name in next(iter(slices.values()))]
        _show_numbers(f"{split}, by {field}", field, slices, present)


def _show_numbers(title: str, first: str, rows: dict[str, dict[str, float]], columns: Sequence[str]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row, values in rows.items():
        table.add_row(Text(row), *(_number(values[name]) if name in values else "" for name in columns))
    out.print(table)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
