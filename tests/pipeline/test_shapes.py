"""Files as people have them: the proposed spec, unedited, reads what an independent reader reads, value by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import further_shapes
import pyarrow as pa
import pytest
from public_shapes import SHAPES as PUBLIC
from shapes import Shape, value_of

from fieldpool.pipeline.reports import data_profile
from fieldpool.pipeline.reports.profile_files import spec_text
from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.spec import (
    KEY_FEATURE,
    LABEL_FEATURE,
    SPLITS,
    MultivaluedField,
    NumericField,
    Spec,
    TimeSplit,
    weights_feature,
)
from fieldpool.transforms.spec.inputs import raw_columns

ALL = PUBLIC | further_shapes.SHAPES
LABELLED = [name for name, shape in ALL.items() if shape.label]
UNLABELLED = [name for name, shape in ALL.items() if not shape.label]


@dataclass(frozen=True)
class Read:
    """A shape, the spec that was proposed for it, as it is read from its file, and the rows."""

    shape: Shape
    spec: Spec
    batches: list[Checked]

    def values(self, name: str) -> list[Any]:
        """Returns the values of a column of the checked rows; texts as str."""
        return [_text(value) for batch in self.batches if batch.rows.num_rows for value in batch.rows[name].to_pylist()]


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def write(shape: Shape, folder: Path) -> str:
    path = folder / shape.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shape.content)
    return str(path)


def propose(path: str, shape: Shape, folder: Path) -> data_profile.DataProfile:
    """Returns the profile, with its spec in spec.yaml."""
    found = data_profile.profile_data([path], label=shape.label)
    (folder / "spec.yaml").write_text(spec_text(found.proposal), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Read]:
    """Returns the function that profiles a shape and reads all of its rows with the spec; each shape once."""
    done: dict[str, Read] = {}

    def once(name: str) -> Read:
        if name not in done:
            folder, shape = tmp_path_factory.mktemp(name), ALL[name]
            path = write(shape, folder)
            propose(path, shape, folder)
            spec = load_spec(str(folder / "spec.yaml"))
            batches = list(read_batches(path, spec.source, raw_columns(spec)))
            if isinstance(spec.split, TimeSplit):
                table = pa.Table.from_batches([batch.data for batch in batches if batch.data.num_rows])
                spec = data_profile._with_boundaries(spec, table)
            done[name] = Read(_with_groups(shape, spec), spec, [check_rows(batch, spec) for batch in batches])
        return done[name]

    return once


def _with_groups(shape: Shape, spec: Spec) -> Shape:
    """Returns a shape with the names that the spec gives to the parts of exploded elements."""
    if spec.source.explode is None:
        return shape
    names = dict(zip(("item", "clicked"), spec.source.explode.groups, strict=True))
    rows = [{names.get(column, column): value for column, value in row.items()} for row in shape.rows]
    return replace(shape, rows=rows, label=names["clicked"])


@pytest.mark.parametrize("name", LABELLED)
def test_proposed_spec_reads_the_values_of_an_independent_reader(read: Callable[[str], Read], name: str) -> None:
    found = read(name)
    shape, spec = found.shape, found.spec
    rejected = [row for batch in found.batches for row in batch.rejected]
    assert [row.row for row in rejected] == list(shape.rejected), rejected
    assert spec.label.field == shape.label
    assert found.values(LABEL_FEATURE) == [int(shape.positive(row[shape.label])) for row in shape.rows]
    if spec.key is not None:
        assert found.values(KEY_FEATURE) == [str(value_of(row, spec.key)) for row in shape.rows]
    columns = {name: spec.column_of(name) for name, field in spec.fields.items() if field.derivation is None}
    assert set(shape.lists) <= set(columns.values())
    assert shape.label not in columns.values()
    for field, column in columns.items():
        check_field(found, field, column)


def check_field(found: Read, name: str, column: str) -> None:
    """Checks the values of a field: tokens, lists, weights or numbers."""
    shape, field, values = found.shape, found.spec.fields[name], found.values(name)
    if column in shape.lists:
        assert isinstance(field, MultivaluedField), name
        assert [value or [] for value in values] == [shape.lists[column](row) for row in shape.rows], name
        if field.weights is not None:
            weights = [shape.weights[field.weights](row) for row in shape.rows]
            assert [value or [] for value in found.values(weights_feature(name))] == [
                pytest.approx(row) for row in weights
            ], name
        return
    texts = [value_of(row, column) for row in shape.rows]
    if isinstance(field, NumericField):
        number = shape.numbers.get(column, float)
        assert values == [None if text is None else pytest.approx(number(text)) for text in texts], name
    else:
        assert not isinstance(field, MultivaluedField), name
        assert values == [None if text is None else str(text) for text in texts], name


@pytest.mark.parametrize("name", [name for name in LABELLED if ALL[name].times])
def test_rows_are_split_by_the_order_of_their_times(read: Callable[[str], Read], name: str) -> None:
    found = read(name)
    ((column, time),) = found.shape.times.items()
    assert isinstance(found.spec.split, TimeSplit)
    assert found.spec.split.time == column
    times: dict[str, list[Any]] = {split: [] for split in SPLITS}
    codes = [code for batch in found.batches for code in batch.splits]
    for code, row in zip(codes, found.shape.rows, strict=True):
        times[SPLITS[code]].append(time(row[column]))
    assert max(times["train"]) < min(times["eval"])
    assert max(times["eval"]) < min(times["test"])


@pytest.mark.parametrize("name", UNLABELLED)
def test_a_file_without_a_label_has_a_page(name: str, tmp_path: Path) -> None:
    shape = ALL[name]
    found = propose(write(shape, tmp_path), shape, tmp_path)
    assert sum(found.rows.values()) == len(shape.rows)
    assert "label" not in found.proposal.spec
    assert "</html>" in data_profile.profile_page(found, "profile")


# One complete run for each way to read bytes; `make test-faults` runs the others, too.
FEW = ("impressions", "hive_text")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.faults) for name in PUBLIC if name in LABELLED]
)
def test_transform_with_the_proposed_spec_counts_all_rows(name: str, tmp_path: Path) -> None:
    shape = PUBLIC[name]
    path = write(shape, tmp_path)
    propose(path, shape, tmp_path)
    made = transform(load_spec(str(tmp_path / "spec.yaml")), [path], str(tmp_path / "run"))
    assert (made.stats.read, made.stats.rejected) == (len(shape.rows), 0)
