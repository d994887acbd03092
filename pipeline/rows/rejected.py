"""Rejected rows: enforces `max_rejected` during and after reading, writes rejected rows and reads them back."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import TooManyRejected
from ...transforms.run_files import REJECTED_FOLDER
from ...transforms.spec import Spec
from ..sources.batches import Reason, Rejected

# An error shows this number of rows, so that it has at most six lines.
_SHOWN = 3

# If at least this share of the rows is rejected, the spec does not fit the data.
_NEARLY_ALL = 0.9

# The probable fault of the spec if nearly all rows are rejected for the same reason.
_REMEDIES = {
    Reason.WRONG_LABEL: "is {field!r} the label? `label: {{field: …}}` has its column. For labels other than 0 and 1, "
    "add the positive ones: `positive: [buy]`, or `positive: '>= 4'`",
    Reason.NO_NUMBER: "if the labels of column {field!r} are texts, list the positive ones: `positive: [buy]`",
    Reason.NOT_FINITE: "is column {field!r} categorical? Then set `type: categorical`. For numbers such as 1.002,5 or "
    "3%, set `source: {{decimal: ',', thousands: '.'}}` or `percent: true`",
    Reason.WRONG_WIDTH: "check `source: {{delimiter: …}}`, and for lines before the header `skip_rows`",
    Reason.UNKNOWN_SPLIT: "state the values of column {field!r}: `split: {{column: {field}, train: [a, b], …}}`",
    Reason.NO_TIME: "convert column {field!r}, state its format (`time_format: '%d.%m.%Y %H:%M'`), or split by another "
    "one (`split: {{hash: user}}`)",
    Reason.SEVERAL_VALUES: "column {field!r} has lists; use `type: multivalued`",
    Reason.NO_LIST: "how are the lists of column {field!r} written? Set `separator`, `list: json` or `list: python`",
    Reason.TEXT_ON_PATH: "if the texts of column {field!r} are lists, add `list: json` or `list: python` to a field of "
    "`type: multivalued`",
    Reason.NESTED_VALUE: "name a member: `column: {field}.name`, or `column: {field}[].name` in a list of objects",
    Reason.NO_LABEL: "is {field!r} the label? `label: {{field: …}}` has its column",
}


class RejectedLimit:
    """Counts the rows that one worker rejects, and stops the run as soon as they exceed `max_rejected`.

    This works only if `max_rejected` is a count: a share needs the total number of rows, which is known at the end.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._read = 0
        self._rejected = 0
        self._first: list[Rejected] = []

    def add(self, read: int, rejected: Sequence[Rejected]) -> None:
        """Counts a batch.

        Raises:
            TooManyRejected: this worker has rejected more rows than `max_rejected`, if that is a count.
        """
        self.count(read, rejected)
        self._check()

    def count(self, read: int, rejected: Sequence[Rejected]) -> None:
        """Counts a batch; see `is_exceeded`."""
        self._count(read, len(rejected), rejected)

    @property
    def is_exceeded(self) -> bool:
        """Whether more rows were rejected than `max_rejected`, if that is a count."""
        return self._rejected > self._spec.most_rejected(None)

    def add_worker(self, other: RejectedLimit) -> None:
        """Counts the rows of another worker, and raises TooManyRejected as `add` does."""
        self._count(other._read, other._rejected, other._first)
        self._check()

    def _count(self, read: int, rejected: int, first: Sequence[Rejected]) -> None:
        self._read += read
        self._rejected += rejected
        self._first += first[: _SHOWN - len(self._first)]

    def _check(self) -> None:
        if self.is_exceeded:
            rows = [vars(row) for row in self._first]
            raise TooManyRejected(_message(self._rejected, self._read, self._spec.max_rejected, rows, stopped=True))


def check_rejected(rejected: int, read: int, spec: Spec, work: str) -> None:
    """Raises TooManyRejected if a run has rejected more rows than allowed; the folder `work` has the rejected rows."""
    if rejected > spec.most_rejected(read):
        rows = list(itertools.islice(read_rejected(work), _SHOWN))
        raise TooManyRejected(_message(rejected, read, spec.max_rejected, rows, stopped=False))


def why_all_rejected(rejected: int, read: int, work: str) -> str | None:
    """Returns the first rejected row of a run, and how to correct the spec, if nearly all rows were rejected."""
    rows = list(itertools.islice(read_rejected(work), _SHOWN))
    if not rows or rejected < _NEARLY_ALL * read:
        return None
    remedy = probable_remedy(rejected, read, rows)
    first = name_first(rejected, read, rows[0])
    return f"{first}; {remedy}" if remedy else first


def name_first(rejected: int, read: int, first: Mapping[str, Any]) -> str:
    """Returns the number of rejected rows and of rows read, and the first rejected row, as text."""
    source, row, field, reason = _cells(first)
    return f"{rejected:,} of {read:,} rows were rejected, the first is {source}, row {row}, {field}: {reason}"


def read_rejected(run: str) -> Iterator[dict[str, Any]]:
    """Yields the rejected rows of a run as dicts: source, row, field, reason, raw."""
    pattern = FileSystems.join(run, REJECTED_FOLDER, "*.jsonl")
    for path in sorted(match.path for match in FileSystems.match([pattern])[0].metadata_list):
        with FileSystems.open(path) as file:
            for line in file:
                yield json.loads(line)


class RejectedFile:
    """Writes rejected rows to the file that WriteRejected writes if there is one worker; no file if there are none."""

    def __init__(self, folder: str) -> None:
        self._path = FileSystems.join(folder, "rows-00000-of-00001.jsonl")
        self._file: Any = None

    def __enter__(self) -> RejectedFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, rows: Sequence[Rejected]) -> None:
        """Appends rows."""
        if rows and self._file is None:
            self._file = FileSystems.create(self._path)
        for row in rows:
            self._file.write(f"{as_json_line(row)}\n".encode())


class WriteRejected(beam.PTransform):
    """Writes rejected rows to a folder as JSON Lines; no file if there are none."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, rejected: beam.PCollection) -> beam.PCollection:
        """Returns the names of the files."""
        lines = rejected | "AsJson" >> beam.Map(as_json_line)
        sink = beam.io.WriteToText(FileSystems.join(self._folder, "rows"), ".jsonl", skip_if_empty=True)
        return lines | "WriteLines" >> sink


def as_json_line(row: Rejected) -> str:
    """Returns a rejected row as a line of the files in `rejected/`."""
    # A text from JSON may contain half of a surrogate pair, which UTF-8 cannot encode.
    return json.dumps(vars(row), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _message(rejected: int, read: int, most: float, rows: Sequence[Mapping[str, Any]], *, stopped: bool) -> str:
    ends = [" (stopped here; there may be more)"] if stopped else []
    ends += [f"; the first {_SHOWN}"] if rejected > _SHOWN else []
    remedy = probable_remedy(rejected, read, rows)
    allow = "allow rejected rows: `max_rejected: 100`, or a share such as `0.01`"
    lines = [
        f"{rejected:,} of {read:,} rows were rejected, but max_rejected is {most:g}{''.join(ends)}:",
        *_table([("source", "row", "field", "reason")] + [_cells(row) for row in rows]),
        f"Nearly all rows were rejected: {remedy}" if remedy else f"Fix the data or the spec, or {allow}",
    ]
    return "\n".join(lines)


def probable_remedy(rejected: int, read: int, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Returns how to correct the spec if nearly all rows are rejected, and the given ones for the same reason."""
    if rejected < _NEARLY_ALL * read:
        return None
    for reason, remedy in _REMEDIES.items():
        form = re.compile(re.sub(r"\\{.*?\\}", ".*", re.escape(reason)))
        if all(form.match(row["reason"]) for row in rows):
            fields = {row["field"] for row in rows}
            return remedy.format(field=fields.pop()) if len(fields) == 1 else None
    return None


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return row["source"], str(row["row"]), row["field"], row["reason"]


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        yield "  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]])
