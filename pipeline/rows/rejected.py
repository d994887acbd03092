"""`max_rejected`: how many rows may be set aside, held against them as they go by, and what the user is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems

from ...model.run import REJECTED_FOLDER
from ...transforms.errors import TooManyRejected
from ...transforms.spec import Spec
from ..sources.batches import Rejected

_SHOWN = 5


class RejectedLimit:
    """Counts the rows that one worker rejects, and stops the run as soon as they alone are too many.

    A share can be told only of the whole, at the end; the first rows are then no evidence.
    """

    def __init__(self, max_rejected: float) -> None:
        self._max = max_rejected
        self._read = 0
        self._rejected = 0
        self._first: list[Rejected] = []

    def add(self, read: int, rejected: Sequence[Rejected]) -> None:
        """Counts a batch.

        Raises:
            TooManyRejected: more rows than `max_rejected`, if that is a count.
        """
        self._read += read
        self._rejected += len(rejected)
        self._first += rejected[: _SHOWN - len(self._first)]
        if not 0 < self._max < 1 and self._rejected > self._max:
            rows = [vars(row) for row in self._first]
            raise TooManyRejected(_told(self._rejected, self._read, self._max, rows, stopped=True))


def check_rejected(rejected: int, read: int, spec: Spec, work: str) -> None:
    """Raises TooManyRejected if the rows of a whole run that were rejected are too many; `work` has their files."""
    most = spec.max_rejected * read if 0 < spec.max_rejected < 1 else spec.max_rejected
    if rejected > most:
        rows = [row for _, row in zip(range(_SHOWN), read_rejected(work), strict=False)]
        raise TooManyRejected(_told(rejected, read, spec.max_rejected, rows, stopped=False))


def read_rejected(run: str) -> Iterator[dict[str, Any]]:
    """Yields the rejected rows of a run as dicts: source, row, field, reason, raw."""
    pattern = FileSystems.join(run, REJECTED_FOLDER, "*.jsonl")
    for path in sorted(match.path for match in FileSystems.match([pattern])[0].metadata_list):
        with FileSystems.open(path) as file:
            for line in file:
                yield json.loads(line)


def as_json_line(row: Rejected) -> str:
    """Returns a rejected row as it stands in `rejected/`."""
    # A text from JSON may hold half of a surrogate pair, which no file takes as it is.
    return json.dumps(vars(row), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _told(rejected: int, read: int, most: float, rows: Iterable[Mapping[str, Any]], *, stopped: bool) -> str:
    lines = [
        f"{rejected:,} of {read:,} rows cannot be used, and max_rejected is {most:g}"
        + (" (stopped here; there may be more):" if stopped else ":"),
        *_table([("source", "row", "field", "reason")] + [_cells(row) for row in rows]),
    ]
    if rejected > _SHOWN:
        lines.append("  …")
    lines.append("Mend the data or the spec, or let such rows be set aside: `max_rejected: 100`, or a share as 0.01")
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return row["source"], str(row["row"]), row["field"], row["reason"]


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        yield "  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]])
