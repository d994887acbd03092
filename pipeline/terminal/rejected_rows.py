"""The line that a command prints about rejected rows."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .console import say

# The number of rejected rows whose reasons are counted; reading them takes about a second.
_COUNTED_ROWS = 200_000
_SHOWN_REASONS = 2

# The text after this in a reason is data, different for each row, or the next step.
_REST_OF_REASON = re.compile(r": |, found |; ")


def show_rejected(folder: str, rejected: int) -> None:
    """Prints the number of rejected rows of a run or of predictions, with the most frequent reasons; nothing for 0."""
    if rejected:
        say(rejected_line(folder, rejected))


def rejected_line(folder: str, rejected: int) -> str:
    """Returns the number of rejected rows, their most frequent reasons with field and count, and their folder.

    Args:
        folder: The folder of a run or of predictions.
        rejected: The number of its rejected rows.
    """
    from ..rows.rejected import read_rejected  # Imports Beam.

    reasons = Counter(map(_reason, itertools.islice(read_rejected(folder), _COUNTED_ROWS)))
    parts = [f"{reason} ({count:,})" for reason, count in reasons.most_common(_SHOWN_REASONS)]
    if len(reasons) > _SHOWN_REASONS:
        parts.append("…")
    sample = f"of the first {_COUNTED_ROWS:,}: " if rejected > _COUNTED_ROWS else ""
    rows = "1 row" if rejected == 1 else f"{rejected:,} rows"
    return f"{rows} rejected: {sample}{', '.join(parts)}; see {folder.rstrip('/')}/rejected"


def _reason(row: Mapping[str, Any]) -> str:
    """Returns the field and the reason of a rejected row, without data and next step."""
    reason = _REST_OF_REASON.split(row["reason"], maxsplit=1)[0]
    return f"{row['field']}: {reason}" if row["field"] else reason
