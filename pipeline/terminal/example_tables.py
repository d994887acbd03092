"""Tables of rows: examples decoded, and raw rows beside what they become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...transforms.spec import SPLITS
from .console import show

if TYPE_CHECKING:
    from ..runs.dry_run import Explanation
    from ..tfrecords.decoding import DecodedExample, DecodedField


def show_examples(examples: Sequence[DecodedExample], *, as_json: bool = False) -> None:
    """Prints decoded examples, tokens beside ids."""
    if as_json:
        print(json.dumps([asdict(example) for example in examples]))
        return
    show(example_tables(examples))


def example_tables(examples: Sequence[DecodedExample]) -> list[RenderableType]:
    """Returns a title and a table for each example: tokens beside ids."""
    found: list[RenderableType] = []
    for example in examples:
        table = Table()
        for name in ("field", "tokens", "ids"):
            table.add_column(name, overflow="fold")
        for name, field in example.fields.items():
            table.add_row(Text(name), Text(_tokens(field)), Text(_ids(field)))
        found += [Text(_title(example), style="bold"), table]
    return found


def show_explanation(explanation: Explanation, *, as_json: bool = False) -> None:
    """Prints rows before and after the transform, and the rows that would be rejected."""
    if as_json:
        plain = {"spec": explanation.spec.model_dump(mode="json"), "stats": explanation.stats.as_json()}
        print(json.dumps(asdict(explanation) | plain, default=_text))
        return
    show(explanation_tables(explanation))


def explanation_tables(explanation: Explanation) -> list[RenderableType]:
    """Returns a title and a table for each row, before and after the transform, and lines on the rejected rows."""
    found: list[RenderableType] = []
    for row in explanation.rows:
        table = Table()
        for name in ("field", "raw", "tokens", "ids"):
            table.add_column(name, overflow="fold")
        for name, field in row.example.fields.items():
            raw = _raw(row.raw.get(explanation.spec.column_of(name)))
            table.add_row(Text(name), Text(raw), Text(_tokens(field)), Text(_ids(field)))
        title = f"{row.source}, row {row.row} → {row.split}, {_title(row.example)}"
        found += [Text(title, style="bold"), table]
    stats = explanation.stats
    counts = ", ".join(f"{name} {getattr(stats, name)}" for name in (*SPLITS, "rejected"))
    lines = [f"Of {stats.read} rows: {counts}. Ids are those of these rows alone."]
    lines += [f"rejected: {bad.source}, row {bad.row}, {bad.field}: {bad.reason}" for bad in explanation.rejected[:5]]
    return [*found, *map(Text, lines)]


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
    return padded_ids(field.ids, field.padding)


def padded_ids(ids: Sequence[Any], padding: int) -> str:
    """Returns ids, or numbers, as text, with their padding as a count."""
    behind = f" + {padding} × 0" if padding else ""
    return (" ".join(map(str, ids)) + behind).removeprefix(" + ")


def _raw(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_raw(item) for item in value) + "]"
    return "(missing)" if value is None else _text(value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
