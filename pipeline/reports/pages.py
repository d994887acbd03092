"""Renders the templates of reports to self-contained HTML pages, and formats numbers for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...transforms.errors import TargetExists
from ...transforms.kinds import check_cloud_access
from ...transforms.outputs import REPLACE
from .field_profile import FieldProfile, Truncation


@dataclass(frozen=True)
class Header:
    """The top of a page; a tile is a name and a value."""

    title: str
    subtitle: str
    tiles: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table of a page: names of the columns, and rows of cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


# The start of the title of each report.
REPORT_TITLE = "Model card"


def check_report(path: str, *, overwrite: bool) -> None:
    """Checks that a report may be written to `path`: only a report may be replaced.

    Raises:
        TargetExists: the path exists, and it is not a report or `overwrite` is false.
    """
    check_cloud_access(path)
    import tensorflow as tf  # Takes seconds to import; the other functions do not need it.

    if not tf.io.gfile.exists(path):
        return
    found = "is a folder"
    if not tf.io.gfile.isdir(path):
        with tf.io.gfile.GFile(path, "rb") as file:
            found = "is a report" if f"<title>{REPORT_TITLE}".encode() in file.read(1000) else "is not a report"
    if found != "is a report":
        raise TargetExists(f"{path}: exists already and {found}; choose another file with --out")
    if not overwrite:
        raise TargetExists(f"{path}: exists already; {REPLACE}")


def render(template: str, **sections: object) -> str:
    """Returns the page. A section that the template uses but that is not given is an error."""
    pages = Environment(
        loader=PackageLoader("fieldpool.pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"field_row": field_row, "truncation_row": truncation_row, "number": number, "share": share}
    return pages.get_template(template).render(sections)


def number(value: float | None, digits: int = 4) -> str:
    """Returns an integer with thousands separators, or a float with `digits` digits; a dash for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}g}"


def decimals(value: float | None) -> str:
    """Returns a metric with four decimals; a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def share(part: float | None) -> str:
    """Returns a share as a percentage, `< 0.1 %` for smaller ones; a dash for None."""
    if part is None:
        return "–"
    if part == 0:
        return "0"
    return "< 0.1 %" if part < 0.001 else f"{100 * part:.1f} %"


def megabytes(size: float | None) -> str:
    """Returns a size in megabytes, `< 0.01` for smaller ones; a dash for None."""
    return "< 0.01" if size is not None and size < 0.01 else number(size, 3)


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
        "shared" if field.shared and field.table is None else megabytes(field.embedding_mb),
    ]


def truncation_row(truncation: Truncation) -> list[str]:
    """Returns the row of one `max_len` in the table of truncations."""
    return [str(truncation.max_len), share(truncation.rows), share(truncation.values)]
