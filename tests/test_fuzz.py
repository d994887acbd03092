"""Mutated inputs: each row of a file is accepted or rejected, or an error says why the file cannot be read.

Readers must not reject everything: they must accept all of an unmutated file, and a minimum share of the mutated inputs
(`Kind.accepted`). `make test-faults` tries 1,000 inputs of each kind (FUZZ sets the number), the default suite a few.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from mutated_inputs import (
    COLUMNS,
    ENTRIES,
    FILES,
    MANY_VALUES,
    MUTATED,
    MUTATIONS,
    NUMBERS,
    PARSED,
    ROWS,
    SPEC,
    Mutations,
    as_bytes,
    csv_bytes,
    examples,
    framed,
    jsonl_bytes,
    mutated,
    parquet_bytes,
    tfrecord_bytes,
)

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.readers import file_ranges, read_batches, read_range
from fieldpool.pipeline.spec_file import dump_spec, parse_spec, parse_yaml
from fieldpool.transforms.errors import SpecError, UserError

MANY, FEW = int(os.environ.get("FUZZ", "1000")), 20


class RowsRead(NamedTuple):
    """Row numbers, after the row checks."""

    accepted: list[int]
    rejected: list[int]

    @property
    def all(self) -> list[int]:
        return sorted(self.accepted + self.rejected)


def check_batches(batches: Iterator[SourceBatch]) -> RowsRead:
    """Checks the rows of a source: each must be accepted, or rejected with a reason."""
    read = RowsRead([], [])
    for batch in batches:
        checked = check_rows(batch, PARSED)
        numbers = [row.row for row in checked.rejected]
        assert checked.rows.num_rows == len(checked.splits) == len(checked.numbers)
        assert sorted([*checked.numbers, *numbers]) == sorted([*batch.numbers, *(row.row for row in batch.rejected)])
        assert all(row.reason and row.field for row in checked.rejected)
        read.accepted.extend(checked.numbers.tolist())
        read.rejected.extend(numbers)
    return read


def read_file(path: Path) -> RowsRead | None:
    """Returns the rows of a file; None if it cannot be read, with an error that names the file or a column."""
    try:
        return check_batches(read_batches(str(path), PARSED.source, COLUMNS))
    except UserError as error:
        message = str(error)
    assert str(path) in message or "column" in message
    return None


def read(name: str, content: bytes) -> RowsRead | None:
    """Returns the rows of a file with this content; see `read_file`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        return read_file(path)


@pytest.mark.parametrize("name", FILES)
def test_all_rows_of_an_unmutated_file_are_accepted(name: str) -> None:
    assert read(name, FILES[name]()) == RowsRead(accepted=NUMBERS, rejected=[])


def test_unmutated_spec_is_accepted() -> None:
    assert parse_spec(parse_yaml(yaml.safe_dump(SPEC), "spec.yaml"), "spec.yaml") == PARSED


# The kinds of input. Each function takes mutations from hypothesis; returns whether the input was accepted: for files,
# whether at least one row was.


def csv_file(mutations: Mutations) -> bool:
    content = mutated(csv_bytes(), mutations)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(content)
        rows = read_file(path)
        if rows is not None:
            assert rows.all == list(range(1, len(rows.all) + 1))
            assert rows.all or len([line for line in content.splitlines() if line]) < 3
        try:
            parts = file_ranges(str(path), PARSED.source, 100)
            in_ranges = [check_batches(read_range(part, PARSED.source, COLUMNS)) for part in parts]
        except UserError:
            in_ranges = None
    if rows is not None and in_ranges is not None:  # Read in ranges of a few rows, the file must have the same rows.
        assert sorted(number for part in in_ranges for number in part.all) == rows.all
    return bool(rows and rows.accepted)


def jsonl_file(mutations: Mutations) -> bool:
    content = mutated(jsonl_bytes(), mutations)
    rows = read("rows.jsonl", content)
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert rows is None or rows.all == list(range(1, len(lines) + 1))
    return bool(rows and rows.accepted)


def tfrecord_file(mutations: Mutations) -> bool:
    content = mutated(tfrecord_bytes(), mutations)
    rows = read("rows.tfrecord", content)
    if rows is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            assert rows.all == list(range(1, 1 + sum(1 for _ in tf.data.TFRecordDataset(file.name))))
    return bool(rows and rows.accepted)


def parquet_file(mutations: Mutations) -> bool:
    rows = read("rows.parquet", mutated(parquet_bytes(), mutations))
    assert rows is None or rows.all == list(range(1, len(rows.all) + 1))
    return bool(rows and rows.accepted)


def texts_of_one_row(name: str, mutations: Mutations) -> bool:
    raw = [{column: as_bytes(x) if isinstance(x, str) else x for column, x in row.items()} for row in ROWS]
    texts = {column: x for column, x in raw[MUTATED - 1].items() if isinstance(x, bytes)}
    raw[MUTATED - 1] |= {column: mutated(text, mutations) for column, text in texts.items()}
    content = parquet_bytes(raw) if name == "rows.parquet" else tfrecord_bytes(raw)
    return _other_rows_are_accepted(read(name, content))


def example_in_tfrecord(mutations: Mutations) -> bool:
    records = examples()
    records[MUTATED - 1] = mutated(records[MUTATED - 1], mutations)
    return _other_rows_are_accepted(read("rows.tfrecord", framed(records)))


def _other_rows_are_accepted(rows: RowsRead | None) -> bool:
    if rows is not None:
        assert rows.all == NUMBERS
        assert set(NUMBERS) - {MUTATED} <= set(rows.accepted)
    return rows is not None


def spec_text(mutations: Mutations) -> bool:
    text = mutated(yaml.safe_dump(SPEC).encode(), mutations).decode("utf-8", "replace")
    return _spec_is_accepted(lambda: parse_yaml(text, "spec.yaml"))


def spec_entry(entry: tuple[tuple[str, ...], Any]) -> bool:
    path, value = entry
    spec = deepcopy(SPEC)
    section = spec
    for name in path[:-1]:
        section = section[name]
    assume(value != section[path[-1]])
    assume("\x85" not in str(value))  # PyYAML does not read back this line break as it wrote it.
    section[path[-1]] = value
    return _spec_is_accepted(lambda: spec)


def _spec_is_accepted(content: Callable[[], Any]) -> bool:
    try:
        spec = parse_spec(content(), "spec.yaml")
    except SpecError as error:
        message = str(error)
    else:
        assert parse_spec(parse_yaml(dump_spec(spec), "again"), "again") == spec
        return True
    assert message.startswith("spec.yaml: ")
    return False


def rows_of_any_kind(column: str, values: list[Any]) -> bool:
    rows = [row | {column: value} for row, value in zip(ROWS, values, strict=False)]
    numbers = list(range(1, len(rows) + 1))
    lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    of_file = read("rows.jsonl", lines.encode())
    assert of_file is None or of_file.all == numbers
    try:
        data = pa.RecordBatch.from_pylist(rows)  # Raises a plain ValueError for NaN among dates.
    except (pa.ArrowException, OverflowError, ValueError):
        return of_file is not None  # No column can hold them.
    message = ""
    try:
        assert check_batches(iter([SourceBatch("rows", np.array(numbers), data)])).all == numbers
    except UserError as error:
        message = str(error)
    assert not message or repr(column) in message
    return of_file is not None and not message


class Kind(NamedTuple):
    """A kind of mutated input; `accepted` is the minimum share of inputs that must be accepted."""

    check: Callable[..., bool]
    arguments: dict[str, st.SearchStrategy[Any]]
    accepted: float


KINDS = [
    Kind(csv_file, {"mutations": MUTATIONS}, 0.1),
    Kind(jsonl_file, {"mutations": MUTATIONS}, 0.3),
    # Nearly every byte of these files has a checksum or is part of the structure: mutated files are rarely valid.
    Kind(tfrecord_file, {"mutations": MUTATIONS}, 0),
    Kind(parquet_file, {"mutations": MUTATIONS}, 0),
    Kind(spec_text, {"mutations": MUTATIONS}, 0),
    Kind(texts_of_one_row, {"name": st.sampled_from(["rows.parquet", "rows.tfrecord"]), "mutations": MUTATIONS}, 0.9),
    Kind(example_in_tfrecord, {"mutations": MUTATIONS}, 0.9),
    Kind(spec_entry, {"entry": ENTRIES}, 0.2),
    Kind(rows_of_any_kind, {"column": st.sampled_from(COLUMNS), "values": MANY_VALUES}, 0.6),
]


def accepted_share(kind: Kind, inputs: int, *, derandomize: bool) -> float:
    """Checks `inputs` inputs of a kind; returns the share that was accepted."""
    accepted: list[bool] = []

    @settings(
        max_examples=inputs,
        deadline=20_000,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=derandomize,
    )
    @given(**kind.arguments)
    def check(**arguments: Any) -> None:
        accepted.append(kind.check(**arguments))

    check()
    return float(np.mean(accepted))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.check.__name__)
def test_few_mutated_inputs_are_read_or_rejected_with_a_reason(kind: Kind) -> None:
    assert accepted_share(kind, FEW, derandomize=True) >= kind.accepted


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.check.__name__)
def test_many_mutated_inputs_are_read_or_rejected_with_a_reason(kind: Kind) -> None:
    assert accepted_share(kind, MANY, derandomize=False) >= kind.accepted
