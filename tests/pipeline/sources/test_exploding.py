"""Exploded rows: each element of a column is a row, whatever the format and the ranges of the file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.sources.batches import BATCH_ROWS, SourceBatch
from fieldpool.pipeline.sources.exploding import exploded
from fieldpool.pipeline.sources.readers import (
    check_input,
    file_ranges,
    read_batches,
    read_range,
    usable_columns,
)
from fieldpool.pipeline.sources.sample import first_rows, sample_rows
from fieldpool.pipeline.spec_file import dump_spec, parse_spec, parse_yaml
from fieldpool.transforms.errors import SourceError, SpecError
from fieldpool.transforms.spec import Explode, Source

NEWS = {"column": "shown", "separator": " ", "into": "(?P<news>.+)-(?P<clicked>[01])"}
COLUMNS = ["user", "news", "clicked"]
# The last line has one element that does not match; the third has none.
ROWS = [("u1", "N1-0 N2-1"), ("u2", "  N3-1 "), ("u3", " "), ("u4", "N4-0  N5 N6-1")]
EXPECTED = {
    "1.1": ("u1", "N1", "0"),
    "1.2": ("u1", "N2", "1"),
    "2.1": ("u2", "N3", "1"),
    "4.1": ("u4", "N4", "0"),
    "4.3": ("u4", "N6", "1"),
}
REASON = "expected an element that matches source.explode.into, found 'N5'"


def source_of(**changes: Any) -> Source:
    return Source.model_validate({"explode": NEWS | changes})


def as_text(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def rows_of(batches: Iterable[SourceBatch], columns: Sequence[str] = COLUMNS) -> dict[str, tuple[Any, ...]]:
    """Returns the values of each row, or the reason for which it is rejected, by its number."""
    found: dict[str, tuple[Any, ...]] = {}
    for batch in batches:
        for row, number in enumerate(batch.numbers.tolist()):
            found[number] = tuple(as_text(batch.data[column][row].as_py()) for column in columns)
        found |= {str(row.row): (row.field, row.reason) for row in batch.rejected}
    return found


def write_csv(folder: Path) -> Path:
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user", "shown"), *ROWS])
    return folder / "rows.csv"


def write_json(folder: Path) -> Path:
    lines = [json.dumps({"user": user, "shown": shown}) for user, shown in ROWS]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


def write_lists(folder: Path) -> Path:
    lines = [json.dumps({"user": user, "shown": shown.split(" ")}) for user, shown in ROWS]
    (folder / "lists.jsonl").write_text("\n".join(lines))
    return folder / "lists.jsonl"


def write_parquet(kind: pa.DataType, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        shown = [text.split(" ") if pa.types.is_list(kind) else text for _, text in ROWS]
        columns = {"user": [user for user, _ in ROWS], "shown": pa.array(shown, kind)}
        pq.write_table(pa.table(columns), folder / name, row_group_size=2)
        return folder / name

    return write


FORMATS = {
    "csv": write_csv,
    "jsonl": write_json,
    "jsonl lists": write_lists,
    "parquet": write_parquet(pa.string(), "rows.parquet"),
    "parquet bytes": write_parquet(pa.binary(), "rows.parquet"),
    "parquet lists": write_parquet(pa.list_(pa.string()), "lists.parquet"),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_every_element_is_a_row(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = str(write(tmp_path))
    assert check_input([path], source_of(), COLUMNS) == ["clicked", "news", "user"]
    assert usable_columns([path], source_of()) == (["clicked", "news", "user"], {})
    batches = list(read_batches(path, source_of(), COLUMNS))
    assert rows_of(batches) == EXPECTED | {"4.2": ("shown", REASON)}
    assert sum(batch.source_rows or 0 for batch in batches) == 4
    assert sum(batch.read for batch in batches) == 6


def test_lists_need_no_separator(tmp_path: Path) -> None:
    path = str(write_lists(tmp_path))
    explode = {name: value for name, value in NEWS.items() if name != "separator"}
    batches = read_batches(path, Source.model_validate({"explode": explode}), COLUMNS)
    assert rows_of(batches) == EXPECTED | {"4.2": ("shown", REASON)}


def test_rejected_part_has_the_values_of_its_row(tmp_path: Path) -> None:
    batches = read_batches(str(write_csv(tmp_path)), source_of(), COLUMNS)
    (rejected,) = [row for batch in batches for row in batch.rejected]
    assert rejected.raw == {"user": "u4", "shown": "N5"}


def test_rejected_row_of_a_file_has_a_number_without_a_part(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user,shown\nu1,N1-0\nu2\nu3,N3-1\n")
    batches = list(read_batches(str(path), source_of(), COLUMNS))
    rejected = [row.row for batch in batches for row in batch.rejected]
    assert (rejected, set(rows_of(batches))) == (["2"], {"1.1", "2", "3.1"})
    assert sum(batch.source_rows or 0 for batch in batches) == 3


def test_group_that_takes_no_part_is_missing() -> None:
    explode = Explode(column="shown", separator=" ", into=r"(?P<news>[^-]+)(-(?P<clicked>[01]))?")
    found = rows_of(exploded(batch_of(["N1 N2-1"]), explode, ["user"]), COLUMNS)
    assert found == {"1.1": ("u", "N1", None), "1.2": ("u", "N2", "1")}


def test_group_may_have_the_name_of_the_column() -> None:
    explode = Explode(column="shown", separator="|", into="(?P<shown>.+)")
    assert rows_of(exploded(batch_of(["a|b", None]), explode, ["user", "shown"]), ["user", "shown"]) == {
        "1.1": ("u", "a"),
        "1.2": ("u", "b"),
    }


def batch_of(texts: Sequence[str | bytes | None]) -> SourceBatch:
    kind = pa.binary() if any(isinstance(text, bytes) for text in texts) else pa.string()
    data = pa.RecordBatch.from_pydict({"user": ["u"] * len(texts), "shown": pa.array(texts, kind)})
    return SourceBatch("a.csv", np.arange(1, len(texts) + 1), data)


def test_bytes_that_are_not_utf8_are_kept() -> None:
    explode = Explode(column="shown", separator="|", into="(?P<news>.+)-(?P<clicked>[01])")
    (batch,) = exploded(batch_of([b"\xff-1|caf\xc3\xa9-0"]), explode, COLUMNS)
    assert batch.data["news"].to_pylist() == [b"\xff", "café".encode()]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.none() | st.text("ab-01 |,:é\xa0", max_size=20), max_size=6),
    st.sampled_from([" ", "|", ", ", "::", "a"]),
    st.sampled_from(["(?P<x>.+)", "(?P<x>.+)-(?P<y>[01])", "(?P<x>[ab]*)(-(?P<y>.))?"]),
)
def test_rows_are_those_of_split_and_fullmatch(texts: list[str | None], separator: str, into: str) -> None:
    expected: dict[str, tuple[Any, ...]] = {}
    for row, text in enumerate(texts, 1):
        parts = [part.strip() for part in (text or "").split(separator)]
        for number, part in enumerate(filter(None, parts), 1):
            match = re.fullmatch(into, part)
            reason = f"expected an element that matches source.explode.into, found {part!r}"
            expected[f"{row}.{number}"] = ("u", *match.groups()[:1]) if match else ("shown", reason)
    explode = Explode(column="shown", separator=separator, into=into)
    assert rows_of(exploded(batch_of(texts), explode, ["user", "x"]), ["user", "x"]) == expected


def test_long_rows_are_read_in_batches_of_limited_size() -> None:
    batches = list(exploded(batch_of(["N1-1 " * 40_000, "", "x " * 20_000]), Explode(**NEWS), COLUMNS))
    assert [batch.data.num_rows + len(batch.rejected) for batch in batches] == [BATCH_ROWS] * 3 + [60_000 % BATCH_ROWS]
    assert [batch.source_rows for batch in batches] == [3, 0, 0, 0]
    assert list(rows_of(batches))[-1] == "3.20000"


def test_numbers_do_not_depend_on_ranges(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user,shown\n" + "".join(f"u{i},{'a-1 ' * (i % 4)}\n" for i in range(50)))
    parts = file_ranges(str(path), source_of(), 64)
    assert len(parts) > 5
    backwards = (batch for part in reversed(parts) for batch in read_range(part, source_of(), COLUMNS))
    assert rows_of(backwards) == rows_of(read_batches(str(path), source_of(), COLUMNS))


def test_samples_have_exploded_rows(tmp_path: Path) -> None:
    path = str(write_csv(tmp_path))
    assert set(rows_of(first_rows(path, source_of(), COLUMNS, 3))) == {"1.1", "1.2", "2.1", "4.2"}
    assert set(rows_of(sample_rows([path], source_of(), COLUMNS, 100))) == set(EXPECTED) | {"4.2"}


@pytest.mark.parametrize(
    ("content", "source", "message"),
    [
        ("user,seen\nu,a\n", source_of(), r"has no column 'shown'; it has 'user', 'seen'"),
        (
            "user,news,shown\nu,a,N1-1\n",
            source_of(),
            r"has a column 'news' already, which source.explode.into makes of",
        ),
        ("user,shown\nu,N1-1\n", source_of(separator=None), r"column 'shown' has texts, not lists; set `separator`"),
        ("user,shown\nu,\n", source_of(), r"no rows, or none with elements in column 'shown' \(source.explode\)"),
    ],
)
def test_file_that_cannot_be_exploded_is_reported_before_any_work(
    content: str, source: Source, message: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(SourceError, match=message):
        check_input([str(tmp_path / "rows.csv")], source, COLUMNS)


@pytest.mark.parametrize(
    ("explode", "message"),
    [
        ({"into": "(.+)"}, "source.explode.into: expected a named group for each new column, such as"),
        ({"into": "(?P<x>"}, "source.explode.into: expected a regular expression, such as"),
        ({"separator": ""}, "source.explode.separator: expected at least 1 character"),
        ({"column": None}, "source.explode.column: expected a text"),
    ],
)
def test_wrong_entry_is_refused(explode: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(data_of(explode), "spec.yaml")
    assert message in str(error.value)


def data_of(explode: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = {"user": {"type": "categorical"}, "news": {"type": "categorical"}}
    data = {"source": {"explode": NEWS | explode}, "label": {"field": "clicked"}, "split": {"hash": "user"}}
    return data | {"fields": fields} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "shown"},
        {"label": {"field": "shown"}},
        {"split": {"time": "shown"}},
        {"split": {"hash": ["user", "shown"]}},
        {"fields": {"shown": {"type": "categorical"}}},
        {"fields": {"a": {"type": "multivalued", "weights": "shown"}}},
    ],
    ids=["key", "label", "split", "hash", "field", "weights"],
)
def test_exploded_column_cannot_be_read(changes: dict[str, Any]) -> None:
    message = "expected a column of exploded rows, which have news, clicked in place of 'shown'"
    with pytest.raises(SpecError, match=message):
        parse_spec(data_of({}, **changes), "spec.yaml")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["user", "seen"], "source: `explode.column`: expected one of `columns`, found 'shown'"),
        (["user", "shown", "news"], "source: `explode.into`: the group 'news' is also in `columns`"),
    ],
)
def test_columns_of_files_without_header_are_checked_with_the_spec(columns: list[str], message: str) -> None:
    source = {"header": False, "columns": columns, "explode": NEWS}
    with pytest.raises(SpecError, match=re.escape(message)):
        parse_spec(data_of({}, source=source), "spec.yaml")


def test_entry_is_kept_in_the_spec_of_a_run() -> None:
    spec = parse_spec(data_of({}), "spec.yaml")
    assert parse_spec(parse_yaml(dump_spec(spec), "run"), "run") == spec
