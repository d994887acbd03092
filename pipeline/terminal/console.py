"""What a person sees: tables, progress and errors. Results go to standard output, all else to standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ...model.files import json_text

if TYPE_CHECKING:
    from ...model.training.train import TrainingResult
    from ..runs.dry_run import Explanation
    from ..tfrecords.decoding import DecodedExample, DecodedField

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

_WATCH_SECONDS = 0.3
# An error reaches the user as an exception; Beam, for one, would log its traceback besides.
QUIETED = ("absl", "apache_beam", "tensorflow", "tensorflow_transform", "root")
# What tells of a job elsewhere: its page and its states.
FOLLOWED = ("fieldpool.pipeline.jobs.job", "apache_beam.runners.dataflow.dataflow_runner")


def say(text: str) -> None:
    """Prints a line."""
    _out.print(text, markup=False)


def error(text: str) -> None:
    """Prints an error, its first line in red."""
    _err.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)


def show_plan(lines: dict[str, str]) -> None:
    """Prints what a job elsewhere is going to do."""
    table = Table.grid(padding=(0, 2))
    for title, text in lines.items():
        table.add_row(Text(title, style="bold"), Text(text, overflow="fold"))
    _err.print(table)


def follow_job() -> None:
    """Shows from now on what is told of a job elsewhere: its page, its states, what its workers warn of.

    Its errors come as exceptions; threads of ours that work for it (LOOPBACK) would print theirs when it is cancelled.
    """
    threading.excepthook = lambda _: None
    handler = _Lines()
    handler.addFilter(lambda record: record.levelno < logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%X"))
    for name in FOLLOWED:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


class _Lines(logging.Handler):
    """Above a spinner, and not wrapped: an address is to be copied."""

    def emit(self, record: logging.LogRecord) -> None:
        _err.print(self.format(record), soft_wrap=True, markup=False)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keeps the log lines away that TensorFlow writes to standard error while it is imported.

    They come from C++ before its log level is read, so the file descriptor itself is turned aside; what
    stood there is shown if the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore")
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as aside, working("Starting"):
        os.dup2(aside.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            yield
            tf.get_logger().setLevel(logging.ERROR)
        except Exception:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    for name in QUIETED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def working(what: str) -> Iterator[Status]:
    """Shows that something is going on, where someone is watching."""
    with _err.status(what) as status:
        yield status


@contextlib.contextmanager
def transforming(target: str) -> Iterator[None]:
    """Shows how far a transform into the folder `target` is, by what has been written there."""
    stop = threading.Event()
    start = time.monotonic()
    with working("Reading") as status:

        def watch() -> None:
            while not stop.wait(_WATCH_SECONDS):
                status.update(f"{_stage(target)}, {time.monotonic() - start:.0f} s")

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _stage(target: str) -> str:
    work = next(Path(target).glob(".work-*"), None) if "://" not in target else None
    if work is None:
        return "Working"
    shards = [path.stat().st_size for path in work.glob("shards-temp/*")]
    if shards:
        return f"Writing examples: {sum(shards) / 1e6:,.1f} MB in {len(shards)} shards"
    return "Counting vocabularies" if (work / "tft-temp").exists() else "Measuring list lengths"


def show_stats(stats: dict[str, Any], *, as_json: bool = False) -> None:
    """Prints the counts of a run."""
    if as_json:
        print(json.dumps(stats))
        return
    rows = Table(title="Rows", title_justify="left")
    for name in ("read", "train", "eval", "test", "rejected"):
        rows.add_column(name, justify="right")
    rows.add_row(*(f"{stats[name]:,}" for name in ("read", "train", "eval", "test", "rejected")))
    _out.print(rows)

    fields = Table(title="Fields", title_justify="left")
    fields.add_column("field", no_wrap=True)
    for name in ("tokens", "max_len", "missing", "OOV eval", "OOV test", "cut"):
        fields.add_column(name, justify="right")
    for name, field in stats["fields"].items():
        vocabulary = stats["vocabularies"].get(field.get("vocabulary", ""), {})
        missing = sum((field.get("missing") or field.get("empty")).values())
        fields.add_row(
            name,
            f"{vocabulary['tokens']:,}" if vocabulary else "",
            str(field.get("max_len", "")),
            _share(missing, sum(stats[split] for split in ("train", "eval", "test"))),
            *(
                _share(field["oov"][split], field["values"][split]) if "oov" in field else ""
                for split in ("eval", "test")
            ),
            _share(sum(field["values_cut"].values()), sum(field["values"].values())) if "values_cut" in field else "",
        )
    _out.print(fields)


def _share(part: int, whole: int) -> str:
    return "" if not whole else "0" if not part else f"{100 * part / whole:.1f} %"


def show_training(result: TrainingResult, *, as_json: bool = False) -> None:
    """Prints the epochs of a training."""
    if as_json:
        print(json_text(asdict(result)))
        return
    table = Table(title="Training", title_justify="left")
    for name in ("epoch", "loss", "eval AUC", "eval logloss", ""):
        table.add_column(name, justify="right" if name else "left")
    for epoch in result.history:
        numbers = (f"{epoch[key]:.4f}" if key in epoch else "" for key in ("loss", "val_auc", "val_logloss"))
        table.add_row(f"{epoch['epoch']:.0f}", *numbers, "best, kept" if epoch["epoch"] == result.best_epoch else "")
    _out.print(table)


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
    _out.print(table)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def show_examples(examples: Sequence[DecodedExample], *, as_json: bool = False) -> None:
    """Prints decoded examples, tokens beside ids."""
    if as_json:
        print(json.dumps([asdict(example) for example in examples]))
        return
    for example in examples:
        _out.print(Text(_title(example), style="bold"))
        table = Table()
        for name in ("field", "tokens", "ids"):
            table.add_column(name, overflow="fold")
        for name, field in example.fields.items():
            table.add_row(Text(name), Text(_tokens(field)), Text(_ids(field)))
        _out.print(table)


def show_explanation(explanation: Explanation, *, as_json: bool = False) -> None:
    """Prints rows before and after the transform, and the rows that would be rejected."""
    if as_json:
        print(json.dumps(asdict(explanation) | {"spec": explanation.spec.model_dump(mode="json")}, default=_text))
        return
    for row in explanation.rows:
        _out.print(Text(f"{row.source}, row {row.row} → {row.split}, {_title(row.example)}", style="bold"))
        table = Table()
        for name in ("field", "raw", "tokens", "ids"):
            table.add_column(name, overflow="fold")
        for name, field in row.example.fields.items():
            raw = _raw(row.raw.get(explanation.spec.column_of(name)))
            table.add_row(Text(name), Text(raw), Text(_tokens(field)), Text(_ids(field)))
        _out.print(table)
    counts = ", ".join(f"{split} {explanation.stats[split]}" for split in ("train", "eval", "test", "rejected"))
    say(f"Of {explanation.stats['read']} rows: {counts}. Ids are those of these rows alone.")
    for bad in explanation.rejected[:5]:
        say(f"rejected: {bad.source}, row {bad.row}, {bad.field}: {bad.reason}")


def _title(example: DecodedExample) -> str:
    key = "" if example.key is None else f"key {example.key}, "
    return f"{key}label {example.label:g}"


def _tokens(field: DecodedField) -> str:
    if field.number is not None:
        return f"{field.number:.4g}"
    if field.weights is not None:
        return " · ".join(f"{t} (×{w:g})" for t, w in zip(field.tokens, field.weights, strict=True))
    return " · ".join(field.tokens) or "(none)"


def _ids(field: DecodedField) -> str:
    if field.number is not None:
        return ""
    padding = f" + {field.padding} × 0" if field.padding else ""
    return (" ".join(map(str, field.ids)) + padding).removeprefix(" + ")


def _raw(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_raw(item) for item in value) + "]"
    return "(missing)" if value is None else _text(value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
