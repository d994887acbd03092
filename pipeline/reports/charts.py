"""Charts of reports: matplotlib figures as inline SVG, in the colours of the page, light or dark.

matplotlib, because its SVG takes a few kilobytes and needs no script; plotly would add 4.5 MB to each page. Figures are
drawn in placeholder colours, which are then replaced by CSS variables of the page. Text remains text in the SVG.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, PercentFormatter

# A caption and its chart.
Captioned = tuple[str, Markup]
# Name, x values and y values.
Line = tuple[str, Sequence[float], Sequence[float]]

# The placeholder colours of figures, and the CSS variable that replaces each.
_COLOURS = {
    "#010203": "var(--ink)",
    "#040506": "var(--muted)",
    "#070809": "var(--line)",
    "#0a0b0c": "var(--series-1)",
    "#0d0e0f": "var(--series-2)",
    "#101112": "var(--series-3)",
}
_INK, _MUTED, _LINE, *SERIES = _COLOURS
_INCHES = (4.2, 2.7)  # Width and height, at 72 points an inch.
_MOST_TICKS = 12
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.5,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def chart(title: str, draw: Callable[[Axes], None]) -> Markup:
    """Returns a chart as an `<svg>` element for a page.

    Args:
        title: Describes the chart, for screen readers. Must be unique on a page, because the chart's ids depend on it.
        draw: Draws the chart on the given axes.
    """
    text = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[\w.]+_[0-9]+"', "", svg)  # Ids of groups: `axes_1` would occur in every chart of a page.
    svg = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font: \1px var(--font)", svg)
    for marker, variable in _COLOURS.items():
        svg = svg.replace(marker, variable)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))


def curves(
    title: str,
    lines: Sequence[Line],
    *,
    labels: tuple[str, str],
    marked: float | None = None,
    diagonal: bool = False,
    percent: str = "",
    log_x: bool = False,
) -> Markup:
    """Returns a line chart.

    Args:
        title: See `chart`.
        lines: At most three lines. A line with an empty name is not in the legend.
        labels: The labels of the x axis and the y axis.
        marked: The x of a dotted vertical line.
        diagonal: Whether to add a dashed line from (0, 0) to (m, m), where m is the largest value.
        percent: The axes whose values are shares: "x", "y" or "xy".
        log_x: Whether the x axis is logarithmic.
    """

    def draw(axes: Axes) -> None:
        if diagonal:
            end = max((max(*x, *y) for _, x, y in lines if len(x)), default=1)
            axes.plot([0, end], [0, end], color=_MUTED, linewidth=0.8, linestyle="--")
        for (name, x, y), colour in zip(lines, SERIES, strict=False):
            axes.plot(x, y, color=colour, label=name or None, marker="o" if len(x) < 30 else None, markersize=3)
        if marked is not None:
            axes.axvline(marked, color=_MUTED, linewidth=0.8, linestyle=":")
        if any(name for name, *_ in lines):
            axes.legend()
        if log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.xaxis.set_minor_formatter(LogFormatter())  # Labels such as 2 and 3, if there are few powers of 10.
        elif all(float(value).is_integer() for _, x, _ in lines for value in x):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, labels, percent)

    return chart(title, draw)


def bars(
    title: str,
    names: Sequence[object],
    heights: Sequence[float],
    *,
    labels: tuple[str, str],
    percent: str = "",
    bottom: float = 0.0,
    marked: float | None = None,
) -> Markup:
    """Returns a bar chart.

    Args:
        title: See `chart`.
        names: The names of the bars.
        heights: The y value at the top of each bar.
        labels: The labels of the x axis and the y axis.
        percent: See `curves`.
        bottom: The y value at the bottom of all bars.
        marked: The x of a dotted vertical line; bar i is centred at i.
    """

    def draw(axes: Axes) -> None:
        positions = np.arange(len(names))
        axes.bar(positions, np.asarray(heights) - bottom, 0.85, bottom=bottom, color=SERIES[0])
        step = max(1, math.ceil(len(names) / _MOST_TICKS))
        axes.set_xticks(positions[::step], [str(name) for name in names][::step])
        axes.grid(visible=False, axis="x")
        if marked is not None:
            axes.axvline(marked, color=_MUTED, linewidth=0.8, linestyle=":")
        _finish(axes, labels, percent)

    return chart(title, draw)


def _finish(axes: Axes, labels: tuple[str, str], percent: str) -> None:
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    if "x" in percent:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    if "y" in percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
