"""Paths into texts that are lists of objects, `list: json` or `python`: tokens and weights as from typed columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.rows.read_rows import CheckRows
from fieldpool.pipeline.sources.batches import Rejected
from fieldpool.pipeline.sources.readers import check_input, read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Spec, weights_feature
from fieldpool.transforms.spec.inputs import raw_columns

TAGS: list[Any] = [
    [{"name": "a", "count": 2}, {"name": "b, c", "count": 0.5}],
    [{"name": "a", "count": 1}, {"count": 3}, None, {"name": 7, "count": 4}],
    [],
    None,
]
EXPECTED = [[(b"a", 2.0), (b"b, c", 0.5)], [(b"a", 1.0), (b"7", 4.0)], [], []]


def spec_of(**field: Any) -> Spec:
    tags = {"type": "multivalued", "column": "tags[].name", "weights": "tags[].count"} | field
    return Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": {"tags": tags}})


def write_csv(path: Path, tags: list[str], name: str = "tags") -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[name, "y", "s"], *([text, "1", "train"] for text in tags)])
    return str(path)


def write_json(path: Path, tags: list[Any]) -> str:
    path.write_text("".join(json.dumps({"tags": value, "y": 1, "s": "train"}) + "\n" for value in tags))
    return str(path)


def checked(path: str, spec: Spec) -> list[Checked]:
    check_input([path], spec.source, raw_columns(spec))
    return [check_rows(batch, spec) for batch in read_batches(path, spec.source, raw_columns(spec))]


def pairs(found: list[Checked]) -> list[list[tuple[bytes, float]]]:
    """Returns the tokens of each row with their weights, in the order of the rows."""
    rows = {}
    for of_batch in found:
        if of_batch.rows.num_rows:
            bags, weights = (of_batch.rows[name].to_pylist() for name in ("tags", weights_feature("tags")))
            for number, bag, of_bag in zip(of_batch.numbers.tolist(), bags, weights, strict=True):
                rows[number] = [pair for pair in zip(bag, of_bag, strict=True) if pair[0]]
    return [row for _, row in sorted(rows.items())]


def rejected(found: list[Checked]) -> list[Rejected]:
    return [row for of_batch in found for row in of_batch.rejected]


@pytest.mark.parametrize("form", ["json", "python"])
def test_members_of_lists_in_texts(tmp_path: Path, form: str) -> None:
    texts = ["" if value is None else json.dumps(value) if form == "json" else repr(value) for value in TAGS]
    found = checked(write_csv(tmp_path / "rows.csv", texts), spec_of(list=form))
    assert not rejected(found)
    assert pairs(found) == EXPECTED


def test_members_of_lists_with_types_are_the_same(tmp_path: Path) -> None:
    """Of which some rows have texts of such lists, which JSON may also have."""
    lists = write_json(tmp_path / "lists.jsonl", TAGS)
    mixed = write_json(
        tmp_path / "mixed.jsonl", [value if i % 2 else json.dumps(value) for i, value in enumerate(TAGS)]
    )
    assert pairs(checked(lists, spec_of())) == EXPECTED
    assert pairs(checked(mixed, spec_of(list="json"))) == EXPECTED
    assert [(row.row, row.field, row.reason) for row in rejected(checked(mixed, spec_of()))] == [
        (
            number,
            "tags[].name",
            "the path leads into a text; if the text is a list, set list: json or list: python"
            f", found {json.dumps(TAGS[number - 1])!r}",
        )
        for number in (1, 3)
    ]


def test_paths_into_texts_of_parquet_files(tmp_path: Path) -> None:
    texts = [json.dumps(value) for value in TAGS]
    columns = {"item": [{"tags": text} for text in texts], "y": [1] * 4, "s": ["train"] * 4}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    spec = spec_of(list="json", column="item.tags[].name", weights="item.tags[].count")
    assert pairs(checked(str(tmp_path / "rows.parquet"), spec)) == EXPECTED


def test_exploded_rows_have_the_members_too(tmp_path: Path) -> None:
    """Also if the exploded elements are members themselves."""
    row = {"shown": [{"news": "n1-1"}, {"news": "n2-0"}], "tags": json.dumps(TAGS[0]), "s": "train"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    explode = {"column": "shown[].news", "into": "(?P<item>.+)-(?P<y>[01])"}
    spec = Spec.model_validate(spec_of(list="json").model_dump() | {"source": {"explode": explode}})
    assert pairs(checked(str(tmp_path / "rows.jsonl"), spec)) == [EXPECTED[0]] * 2


def test_weights_in_json_do_not_depend_on_the_numbers_of_the_file(tmp_path: Path) -> None:
    spec = spec_of(list="json").model_dump() | {"source": {"decimal": ",", "thousands": "."}}
    text = '[{"name": "a", "count": 1.234}]'
    found = checked(write_csv(tmp_path / "rows.csv", [text]), Spec.model_validate(spec))
    assert pairs(found) == [[(b"a", pytest.approx(1.234))]]


@pytest.mark.parametrize("text", ["a|b", '["a"]', '[{"name": ["a"]}]', '{"name": "a"}', '[{"name": "a", "name": "b"}]'])
def test_text_that_the_path_does_not_fit_is_rejected(tmp_path: Path, text: str) -> None:
    (row,) = rejected(checked(write_csv(tmp_path / "rows.csv", ["[]", text]), spec_of(list="json")))
    assert (row.row, row.field) == (2, "tags[].name")
    expected = """not a list: expected a JSON list for the path '[].name', such as [{"name": "a"}]"""
    assert row.reason == f"{expected}, found {text!r}"
    assert row.raw["tags[].name"] == text


def test_column_of_exactly_the_name_wins(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", ['["a", "b"]'], name="tags[].name")
    found = checked(path, spec_of(list="json", weights=None))
    assert found[0].rows["tags"].to_pylist() == [[b"a", b"b"]]


def test_text_on_the_path_is_rejected_also_if_another_field_parses_it(tmp_path: Path) -> None:
    spec = spec_of(list="json", weights=None).model_dump()
    spec["fields"]["other"] = {"type": "categorical", "column": "tags[].name"}
    found = checked(write_csv(tmp_path / "rows.csv", ['[{"name": "a"}]', ""]), Spec.model_validate(spec))
    assert [(row.row, row.field) for row in rejected(found)] == [(1, "tags[].name")]


def test_member_of_a_text_that_is_not_a_list_is_a_missing_column(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no column 'tags\.name'; it has 'tags', 'y', 's'"):
        checked(write_csv(tmp_path / "rows.csv", ["{}"]), spec_of(column="tags.name", weights=None))


def test_key_label_split_and_single_values_may_be_members(tmp_path: Path) -> None:
    fields = {"os": {"type": "categorical", "column": "user.os"}, "age": {"type": "numeric", "column": "user.age"}}
    sections = {"key": "meta.id", "label": {"field": "meta.y"}, "split": {"column": "meta.part.name"}}
    meta = {"id": 7, "y": True, "part": {"name": "eval"}}
    lines = [{"meta": meta, "user": {"os": "x", "age": "3.5"}}, {"meta": meta}, {"meta": meta | {"part": None}}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = checked(str(tmp_path / "rows.jsonl"), Spec.model_validate(sections | {"fields": fields}))
    assert [row for of_batch in found for row in of_batch.rows.to_pylist()] == [
        {"key": b"7", "label": 1.0, "os": b"x", "age": 3.5},
        {"key": b"7", "label": 1.0, "os": None, "age": None},
    ]
    assert [(row.row, row.field) for row in rejected(found)] == [(3, "meta.part.name")]


def test_rows_of_a_pipeline_may_have_nested_columns() -> None:
    spec = spec_of()
    checks = CheckRows(spec)
    checks.setup()
    rows = pa.RecordBatch.from_pylist([{"y": 1, "s": "train", "tags": [{"name": "a", "count": 2}, None]}])
    assert pairs(list(checks.process(rows))) == [[(b"a", 2.0)]]
