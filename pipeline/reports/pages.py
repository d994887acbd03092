"""Pages of reports: templates to one HTML file that needs nothing else, and how numbers look in them."""

from __future__ import annotations

import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .field_profile import FieldProfile

CAPTIONS = (
    "Share of train's values that the most frequent tokens cover; dotted: the size of the vocabulary",
    "Rows by the length of their list; dotted: max_len",
)


def render(template: str, content: dict[str, Any]) -> str:
    """Returns the page; a value that the template needs and `content` has not is an error."""
    pages = Environment(
        loader=PackageLoader("fieldpool.pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"field_row": field_row, "cut_row": cut_row, "number": number}
    return pages.get_template(template).render(content | {"captions": CAPTIONS})


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number as people read it; nothing for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}g}"


def decimals(value: float | None) -> str:
    """Returns a metric, with four decimals."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def share(part: float | None) -> str:
    """Returns a share as a percentage."""
    return "–" if part is None else "0" if part == 0 else "< 0.1 %" if part < 0.001 else f"{100 * part:.1f} %"


def field_row(field: FieldProfile) -> list[str]:
    """Returns the field's row in the table of all fields."""
    return [
        field.name,
        field.type,
        number(field.distinct),
        number(field.tokens),
        share(field.missing),
        share(field.oov_eval),
        share(field.oov_test),
        number(field.max_len),
        "shared" if field.shared and field.table_rows is None else megabytes(field.embedding_mb),
    ]


def megabytes(size: float | None) -> str:
    """Returns a size; small ones as such."""
    return "< 0.01" if size is not None and size < 0.01 else number(size, 3)


def cut_row(cut: tuple[int, float, float]) -> list[str]:
    """Returns the row of one max_len in the table of what is cut."""
    return [str(cut[0]), share(cut[1]), share(cut[2])]
