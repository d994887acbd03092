"""Tables of rows: decoded examples, and raw rows before and after the transform."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...transforms.spec import SPLITS
from .console import show
from .tables import split_line

if TYPE_CHECKING:
    from ..runs.dry_run import Explanation
    from ..tfrecords.decoding import DecodedExample, DecodedField

_SEPARATOR = " · "

# The numbers of a vector that are shown.
_NUMBERS = 4


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
            is_derived = explanation.spec.fields[name].derivation is not None
            raw = "(derived)" if is_derived else _raw(row.raw.get(explanation.spec.column_of(name)))
            if row.split != "train" and name in explanation.spec.train_only:
                raw = f"{_raw(explanation.spec.train_only[name])} (train_only), not {raw}"
            table.add_row(Text(name), Text(raw), Text(_tokens(field)), Text(_ids(field)))
        title = f"{row.source}, row {row.row} → {row.split}, {_title(row.example)}"
        found += [Text(title, style="bold"), table]
    stats = explanation.stats
    counts = ", ".join(f"{name} {getattr(stats, name)}" for name in (*SPLITS, "rejected"))
    counts += "" if stats.sampled_out is None else f", sampled out {stats.sampled_out}"
    boundaries = split_line(explanation.spec)
    lines = [
        f"Of {stats.read} rows: {counts}. Vocabularies and ids are from these rows only.",
        *([boundaries] if boundaries else []),
    ]
    lines += [f"rejected: {bad.source}, row {bad.row}, {bad.field}: {bad.reason}" for bad in explanation.rejected[:5]]
    return [*found, *map(Text, lines)]


def _title(example: DecodedExample) -> str:
    key = [] if example.key is None else [f"key {example.key}"]
    carried = [f"{name} {visible(text)}" for name, text in example.carried.items()]
    weight = [] if example.label_weight is None else [f"weight {example.label_weight:g}"]
    return ", ".join([*key, *carried, f"label {example.label:g}", *weight])


def _tokens(field: DecodedField) -> str:
    if field.number is not None:
        return f"{field.number:.4g}"
    if field.vector is not None:
        shown = ", ".join(f"{number:.4g}" for number in field.vector[:_NUMBERS])
        return f"[{shown}]" if len(field.vector) <= _NUMBERS else f"[{shown}, …] ({len(field.vector)} numbers)"
    tokens = [visible(token) for token in field.tokens]
    if field.weights is not None:
        tokens = [f"{token} (×{weight:g})" for token, weight in zip(tokens, field.weights, strict=True)]
    return _SEPARATOR.join(tokens) or "(none)"


def visible(text: str) -> str:
    """Returns a text unchanged or, if a part of it would not be visible, in quotes and with escapes."""
    has_blanks = text != text.strip() or any(char.isspace() and char != " " for char in text)
    has_controls = any(unicodedata.category(char) == "Cc" for char in text)
    if not text or has_blanks or has_controls or _SEPARATOR in text or text[0] in "'\"":
        return repr(text)
    return text


def _ids(field: DecodedField) -> str:
    if field.number is not None or field.vector is not None:
        return ""
    return padded_ids(field.ids, field.padding)


def padded_ids(ids: Sequence[Any], padding: int) -> str:
    """Returns ids, or numbers, as text; padding is shown by its length."""
    behind = f" + {padding} × 0" if padding else ""
    return (" ".join(map(str, ids)) + behind).removeprefix(" + ")


def _raw(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_raw(item) for item in value) + "]"
    return "(missing)" if value is None else visible(_text(value))


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
