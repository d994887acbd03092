"""Results that `print` and notebooks display as tables."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType

# Wide enough for the tables of the command line.
_WIDTH = 120
_HTML = '<pre style="line-height: normal; font-family: Menlo, Consolas, monospace">{code}</pre>'


class Tables:
    """Base of the results that `print` and notebooks display as the tables of the command line."""

    def _tables(self) -> Sequence[RenderableType]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self._printed().export_text().splitlines())

    def _repr_html_(self) -> str:
        """Returns HTML for notebooks; see https://ipython.readthedocs.io/en/stable/config/integrating.html."""
        return self._printed().export_html(inline_styles=True, code_format=_HTML)

    def _printed(self) -> Console:
        console = Console(record=True, file=io.StringIO(), width=_WIDTH, highlight=False)
        for table in self._tables():
            console.print(table)
        return console
