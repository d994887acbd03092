"""The profile of files: the proposed spec is valid, and the profiles of the fields are correct."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.reports.data_profile import DataProfile, profile_data, profile_page
from fieldpool.pipeline.reports.field_profile import FieldProfile
from fieldpool.pipeline.reports.pages import share
from fieldpool.pipeline.reports.profile_files import spec_text
from fieldpool.pipeline.reports.sample_profile import check_sample, field_profiles
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.errors import SourceError, UserError
from fieldpool.transforms.spec import EmbeddingTable, Source, Spec


@pytest.fixture(scope="module", params=["parquet", "csv", "jsonl"])
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, log_columns: dict[str, list[Any]]
) -> DataProfile:
    """The profile of one click log, in each format; CSV has no list columns."""
    path = tmp_path_factory.mktemp("profile") / f"rows.{request.param}"
    if request.param == "parquet":
        pq.write_table(pa.table(log_columns), path)
    elif request.param == "csv":
        pyarrow.csv.write_csv(pa.table(log_columns).drop_columns("history"), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in pa.table(log_columns).to_pylist()))
    return profile_data([str(path)])


def by_name(found: DataProfile) -> dict[str, FieldProfile]:
    return {field.name: field for field in found.fields}


def test_proposed_spec_can_be_loaded(found: DataProfile, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(spec_text(found.proposal))
    assert load_spec(str(tmp_path / "spec.yaml")) == found.spec


def test_rows_are_counted_by_split(found: DataProfile) -> None:
    assert found.rows == {"train": 320, "eval": 40, "test": 40, "rejected": 0}


def test_single_values_are_profiled(found: DataProfile) -> None:
    hour = by_name(found)["hour"]
    assert (hour.distinct, hour.missing, hour.oov_eval) == (24, 0, 0)


def test_lists_are_profiled(found: DataProfile) -> None:
    genres = by_name(found)["genres"]
    assert genres.lengths == {0: 80, 1: 80, 2: 80, 3: 80}
    assert (genres.missing, genres.max_len) == (0.25, 3)


def test_numbers_are_profiled(found: DataProfile, log_columns: dict[str, list[Any]]) -> None:
    numbers = by_name(found)["age"].numbers
    assert numbers is not None
    ages = log_columns["age"]
    assert (numbers["smallest"], numbers["largest"]) == (20, 30)
    assert numbers["mean"] == pytest.approx(sum(ages) / len(ages))


def test_shared_table_is_counted_with_its_first_field(tmp_path: Path, log_columns: dict[str, list[Any]]) -> None:
    pq.write_table(pa.table(log_columns), tmp_path / "rows.parquet")
    fields = by_name(profile_data([str(tmp_path / "rows.parquet")]))
    assert [name for name, field in fields.items() if field.shared == "item_vocabulary"] == ["history", "item_id"]
    # Padding, one OOV bucket, and all items.
    assert fields["history"].table == EmbeddingTable(rows=2 + 90, dim=16)
    assert fields["item_id"].table is None


def test_field_whose_eval_values_are_all_new_is_left_out(tmp_path: Path, log_columns: dict[str, list[Any]]) -> None:
    batches = [f"batch-{i // 20}" for i in range(400)]
    pq.write_table(pa.table({**log_columns, "batch": batches}), tmp_path / "rows.parquet")
    found = profile_data([str(tmp_path / "rows.parquet")])
    assert found.proposal.left_out["batch"] == "100% of its values in the eval split are new"
    assert "batch" not in by_name(found)


@pytest.mark.parametrize(("keep", "share"), [("first", 1.0), ("last", 0.0)])
def test_oov_rate_is_over_the_values_that_the_model_sees(keep: str, share: float) -> None:
    spec = Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"column": "part"},
            "fields": {"tags": {"type": "multivalued", "max_len": 1, "keep": keep}},
        }
    )
    rows = [
        {"click": 1, "part": "train", "tags": ["a", "", "b"]},
        {"click": 0, "part": "train", "tags": []},
        {"click": 0, "part": "eval", "tags": ["c", "", "b"]},
    ]
    sample = check_sample([SourceBatch("rows", np.arange(3), pa.RecordBatch.from_pylist(rows))], spec)
    (tags,) = field_profiles(spec, sample, {})
    assert (tags.distinct, tags.oov_eval, tags.oov_test) == (1, share, None)


def test_decisions_on_how_to_read_a_file_are_in_the_spec_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "rows.dat").write_text("id::kind::click\n" + "".join(f"{i}::x{i % 5}::{i % 2}\n" for i in range(50)))
    found = profile_data([str(tmp_path / "rows.dat")])
    assert found.spec is not None
    assert (found.spec.source.format, found.spec.source.delimiter) == ("csv", "::")
    assert "  delimiter: '::'  # 2 characters; every sampled row has 2 of them\n" in spec_text(found.proposal)


def test_plain_csv_needs_no_source(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,kind,click\n" + "".join(f"{i},x{i % 5},{i % 2}\n" for i in range(50)))
    found = profile_data([str(tmp_path / "rows.csv")])
    assert "source" not in found.proposal.spec


def test_file_without_header_has_the_given_columns(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("".join(f"{i % 2}\tx{i % 5}\t{i}\n" for i in range(50)))
    source = Source(delimiter="\t", header=False, columns=["click", "kind", "number of"])
    found = profile_data([str(tmp_path / "train.tsv")], source=source)
    assert found.spec is not None
    assert {name: getattr(found.spec.source, name) for name in source.model_fields_set} == source.model_dump(
        exclude_unset=True
    )
    assert found.spec.fields["kind"].type == "categorical"


def test_file_whose_rows_are_all_rejected_is_reported_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "rows.dat").write_text("".join(f"{i}::x{i % 5}::{i % 2}\n" for i in range(50)))
    with pytest.raises(
        UserError, match=r"all rows of the sample are rejected; row 1: expected 2 columns, found 3.*--columns"
    ):
        profile_data([str(tmp_path / "rows.dat")], source=Source(header=False, columns=["a", "b"]))


def test_wrong_delimiter_is_named_as_the_probable_fault(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id;kind;click\n" + "".join(f"{i};x{i % 5};{i % 2}\n" for i in range(50)))
    with pytest.raises(UserError, match=r"no column can be a field; .*Only one column was found: .*--delimiter"):
        profile_data([str(tmp_path / "rows.csv")], source=Source(delimiter=","))


def test_entries_that_do_not_fit_the_content_are_reported(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[" + ",".join(f'{{"id": {i}, "click": {i % 2}}}' for i in range(50)) + "]")
    with pytest.raises(SourceError, match=r"rows\.json: `delimiter`: only for CSV, but `format` is json"):
        profile_data([str(tmp_path / "rows.json")], source=Source(delimiter=";"))


def test_file_without_rows_is_reported(tmp_path: Path) -> None:
    pq.write_table(pa.table({"click": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    with pytest.raises(UserError, match=r"none.parquet: no rows"):
        profile_data([str(tmp_path / "none.parquet")])


def test_data_without_a_label_are_profiled_with_a_spec_that_says_what_to_add(tmp_path: Path) -> None:
    rows = "".join(f"{i},u{i % 9},{(i * 7) % 60}\n" for i in range(300))
    (tmp_path / "rows.csv").write_text(f"id,user,item\n{rows}")
    found = profile_data([str(tmp_path / "rows.csv")])
    assert (sum(found.rows.values()), found.rows["rejected"], found.spec) == (300, 0, None)
    assert "# label: {field: COLUMN}" in spec_text(found.proposal)
    completed = spec_text(found.proposal).replace("# label: {field: COLUMN}", "label: {field: click}")
    (tmp_path / "spec.yaml").write_text(completed)
    assert load_spec(str(tmp_path / "spec.yaml")).label.field == "click"
    assert "No column has only the values 0 and 1" in profile_page(found, "rows.csv")


def test_words_for_missing_numbers_become_null_values_and_their_rows_are_read(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 2},{'n/a' if i in (77, 78) else i * 37 % 911}\n" for i in range(400))
    (tmp_path / "rows.csv").write_text(f"id,click,price\n{rows}")
    found = profile_data([str(tmp_path / "rows.csv")])
    assert found.spec is not None
    assert found.spec.source.null_values[-1] == "n/a"
    assert found.spec.fields["price"].type == "numeric"
    assert found.rows["rejected"] == 0
    assert "2 of 400" in next(line for line in spec_text(found.proposal).splitlines() if "null_values" in line)


def test_spec_of_impressions_reads_a_row_for_each(tmp_path: Path) -> None:
    rows = "".join(f"u{i % 9}\tN{i % 30}-1 N{(i + 7) % 30}-0\n" for i in range(100))
    (tmp_path / "log.tsv").write_text(f"user\tshown\n{rows}")
    found = profile_data([str(tmp_path / "log.tsv")], label="shown")
    (tmp_path / "spec.yaml").write_text(spec_text(found.proposal))
    assert load_spec(str(tmp_path / "spec.yaml")) == found.spec
    assert found.spec is not None
    assert found.spec.label.field == "clicked"
    assert sum(found.rows.values()) == 200


@pytest.mark.parametrize(("bad", "limit"), [(1, 0.01), (6, 0.03), (19, 0.05)])
def test_rejected_rows_of_the_sample_are_allowed_up_to_5_percent(tmp_path: Path, bad: int, limit: float) -> None:
    rows = "".join(f"{i},{i % 2},{'$9' if i < bad else i * 37 % 911}\n" for i in range(400))
    (tmp_path / "rows.csv").write_text(f"id,click,price\n{rows}")
    found = profile_data([str(tmp_path / "rows.csv")])
    assert (found.rows["rejected"], found.proposal.spec["max_rejected"]) == (bad, limit)
    assert ("max_rejected" in found.proposal.reasons) == (bad > 1)


def test_fields_of_libffm_files_have_weights_unless_they_are_all_1(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2} 0:{i % 40}:1 1:{100 + i % 7}:0.3 1:{100 + (i + 1) % 7}:0.7\n" for i in range(200))
    (tmp_path / "train.ffm").write_text(rows)
    found = profile_data([str(tmp_path / "train.ffm")], label="c0")
    assert found.spec is not None
    assert list(found.spec.fields) == ["0", "1"]
    fields = found.proposal.spec["fields"]
    assert ("weights" in fields["0"], fields["1"]["weights"]) == (False, "1.value")
    assert (found.proposal.spec["split"]["hash"], found.rows["rejected"]) == (["0", "1"], 0)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_broken_rows_of_the_sample_are_counted(tmp_path: Path, name: str) -> None:
    rows = [{"user": f"u{i % 7}", "item": f"i{i % 9}", "label": i % 2} for i in range(200)]
    lines = [json.dumps(row) if name == "rows.jsonl" else ",".join(map(str, row.values())) for row in rows]
    lines[10::50] = ["{broken"] * 4 if name == "rows.jsonl" else ["a,b,c,d"] * 4
    header = "" if name == "rows.jsonl" else "user,item,label\n"
    (tmp_path / name).write_text(header + "\n".join(lines) + "\n")
    found = profile_data([str(tmp_path / name)])
    assert found.rows["rejected"] == 4
    assert found.proposal.spec["max_rejected"] == 0.04


def test_numbers_of_exploded_rows_are_left_out(tmp_path: Path) -> None:
    shown = [" ".join(f"N{(i * 7 + k) % 50}-{int(k == i % 5)}" for k in range(5)) for i in range(100)]
    lines = [f"{i}\tU{i % 9}\t{cell}\n" for i, cell in enumerate(shown)]
    (tmp_path / "behaviors.tsv").write_text("".join(lines))
    proposal = profile_data([str(tmp_path / "behaviors.tsv")]).proposal
    assert proposal.left_out["c0"] == "the number of the row that is exploded"
    assert set(proposal.spec["fields"]) == {"c1", "item_id"}


def test_collisions_of_hashed_tokens_are_shown(tmp_path: Path) -> None:
    rows = 110_000
    urls = [f"/{i}" for i in range(100_000)] + ["/"] * (rows - 100_000)
    columns = {
        "click": [i * 7 % 3 % 2 for i in range(rows)],
        "part": ["train"] * (rows - 10) + ["eval"] * 10,
        "url": urls,
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    found = profile_data([str(tmp_path / "rows.parquet")])
    (url,) = (field for field in found.fields if field.name == "url")
    assert (url.hash_buckets, url.tokens) == (1_000_000, None)
    assert url.expected_collisions == pytest.approx(1 - (1 - 1e-6) ** 100_000)
    assert url.collisions == pytest.approx(url.expected_collisions, rel=0.05)
    shown = f"hashed to 1,000,000 ids. {share(url.collisions)} of the distinct tokens share their id"
    assert shown in profile_page(found, "rows")
