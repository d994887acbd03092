"""Which specs are valid, the values derived from them, and the errors of invalid ones."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from pydantic import ValidationError

from fieldpool.transforms.spec import EmbeddingTable, Quantiles, Source, Spec, TimeSplit, TokenPolicy, Vocabulary

CATEGORICAL = {"type": "categorical"}
MULTIVALUED = {"type": "multivalued"}
NUMERIC = {"type": "numeric"}


def spec(**changes: Any) -> Spec:
    data: dict[str, Any] = {
        "label": {"field": "click"},
        "split": {"column": "part"},
        "fields": {"a": CATEGORICAL},
    }
    return Spec.model_validate(data | changes)


def test_each_field_has_its_own_vocabulary_by_default() -> None:
    assert spec(fields={"a": CATEGORICAL, "b": MULTIVALUED}).vocabulary_fields() == {"a": ["a"], "b": ["b"]}


def test_fields_share_a_declared_vocabulary() -> None:
    shared = spec(
        vocabularies={"items": {"min_count": 2}},
        fields={"a": CATEGORICAL | {"vocabulary": "items"}, "b": MULTIVALUED | {"vocabulary": "items"}},
    )
    assert shared.vocabulary_fields() == {"items": ["a", "b"]}
    assert shared.resolved_vocabularies() == {"items": Vocabulary(min_count=2)}


def test_vocabulary_settings_may_be_set_on_the_field() -> None:
    assert spec(fields={"a": CATEGORICAL | {"min_count": 3, "num_oov_buckets": 4}}).resolved_vocabularies() == {
        "a": Vocabulary(min_count=3, num_oov_buckets=4)
    }


def test_raw_column_defaults_to_the_field_name() -> None:
    loaded = spec(fields={"a": CATEGORICAL, "b": CATEGORICAL | {"column": "user id / hash"}})
    assert (loaded.column_of("a"), loaded.column_of("b")) == ("a", "user id / hash")


def test_raw_column_without_a_name_can_be_read() -> None:
    """CSV files with row labels of pandas have one."""
    assert spec(fields={"row": CATEGORICAL | {"column": ""}}).column_of("row") == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "id", "fields": {"id": CATEGORICAL}},
        {"split": {"column": "part"}, "fields": {"part": CATEGORICAL}},
        {"split": {"hash": "user"}, "fields": {"user": CATEGORICAL}},
        {"split": {"time": "t"}, "fields": {"t": NUMERIC}},
        {"fields": {"a": CATEGORICAL, "b": NUMERIC | {"column": "a"}}},
    ],
    ids=["key", "split column", "hashed column", "time", "another field"],
)
def test_field_may_read_any_column_except_the_label(changes: dict[str, Any]) -> None:
    assert list(spec(**changes).fields) == list(changes["fields"])


@pytest.mark.parametrize(
    ("key", "features"),
    [
        (None, {}),
        ("id", {"key": "id"}),
        (["id"], {"key": "id"}),
        (["user", "item"], {"key_0": "user", "key_1": "item"}),
    ],
)
def test_a_key_of_several_columns_has_a_feature_for_each(key: Any, features: dict[str, str]) -> None:
    assert spec(key=key).key_columns == features


def test_carried_columns_have_their_own_name_or_a_given_one() -> None:
    assert spec(carry=["market", "device.os"]).carry == {"market": "market", "device.os": "device.os"}
    assert spec(carry={"user_text": "user", "os": "device.os"}).carry == {"user_text": "user", "os": "device.os"}


def test_columns_of_the_key_are_copied_before_carried_ones() -> None:
    assert spec(key="id", carry=["market"]).copied_columns == {"key": "id", "market": "market"}


def test_gauc_and_slices_take_carried_columns() -> None:
    assert spec(carry=["market"], evaluation={"gauc_by": "market", "slices": ["market"]}).evaluation.gauc_by


def test_columns_of_key_label_and_split_may_be_carried() -> None:
    assert set(spec(key="id", carry=["id", "click", "part"]).carry) == {"id", "click", "part"}


def test_a_field_has_the_settings_of_its_vocabulary() -> None:
    shared = spec(
        vocabularies={"items": {"num_oov_buckets": 2}},
        fields={"a": MULTIVALUED | {"vocabulary": "items"}, "b": CATEGORICAL | {"min_count": 3}},
    )
    assert shared.vocabulary_settings_of("a") == Vocabulary(num_oov_buckets=2)
    assert shared.vocabulary_settings_of("b") == Vocabulary(min_count=3)


def test_numeric_field_has_no_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"fields.n: a numeric field has no vocabulary"):
        spec(fields={"n": {"type": "numeric"}}).vocabulary_of("n")


def test_vocabularies_and_quantile_buckets_have_embedding_tables() -> None:
    fields = {
        "n": {"type": "numeric", "scale": {"quantiles": 5}, "dim": 4},
        "a": CATEGORICAL | {"vocabulary": "items"},
        "b": MULTIVALUED | {"vocabulary": "items"},
    }
    loaded = spec(fields=fields, model={"embedding_dim": 8})
    assert [loaded.table_of(name) for name in fields] == ["n:buckets", "items", "items"]
    tables = {"items": EmbeddingTable(rows=102, dim=8), "n:buckets": EmbeddingTable(rows=6, dim=4)}
    assert list(loaded.embedding_tables({"items": 102}).items()) == list(tables.items())


@pytest.mark.parametrize(
    ("max_rejected", "read", "expected"),
    [(0, 1000, 0), (5, 1000, 5), (5, None, 5), (0.1, 1000, 100), (0.1, None, math.inf)],
)
def test_max_rejected_is_a_count_or_a_share(max_rejected: float, read: int | None, expected: float) -> None:
    assert spec(max_rejected=max_rejected).most_rejected(read) == expected


@pytest.mark.parametrize("max_len", [1, 50, "auto", "p99", "p99.5", "p100"])
def test_max_len_is_a_number_auto_or_a_percentile(max_len: int | str) -> None:
    assert spec(fields={"a": MULTIVALUED | {"max_len": max_len}}).fields["a"].max_len == max_len  # type: ignore[union-attr]


def test_policies_and_scales_may_be_mappings() -> None:
    fields = spec(
        fields={
            "a": CATEGORICAL | {"missing": {"token": "none"}},
            "n": {"type": "numeric", "scale": {"quantiles": 5}},
        }
    ).fields
    assert fields["a"].missing == TokenPolicy(token="none")  # type: ignore[union-attr]
    assert fields["n"].scale == Quantiles(quantiles=5)  # type: ignore[union-attr]


def test_yaml_date_as_time_boundary() -> None:
    split = spec(split={"time": "t", "eval_from": datetime.date(2024, 1, 1), "test_from": "2024-02-01"}).split
    assert isinstance(split, TimeSplit)
    assert split.eval_from == "2024-01-01"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "Extra inputs are not permitted"),
        ({"fields": {}}, "at least 1 item"),
        ({"fields": {"a/b": CATEGORICAL}}, "match pattern"),
        ({"fields": {"..": CATEGORICAL}}, "match pattern"),
        ({"fields": {"é": CATEGORICAL}}, "match pattern"),
        ({"fields": {"x" * 101: CATEGORICAL}}, "match pattern"),
        ({"fields": {"label": CATEGORICAL}}, "the name `label` is taken"),
        ({"fields": {"key": CATEGORICAL}}, "the name `key` is taken"),
        ({"key": []}, "at least 1 item"),
        ({"key": ["u", "i", "u"]}, "expected different columns, found 'u' twice"),
        ({"key": ["u", "i"], "fields": {"key_1": CATEGORICAL}}, "the name `key_1` is taken"),
        ({"carry": ["a", "a"]}, "expected different columns, found 'a' twice"),
        ({"carry": [3]}, "expected columns as texts, found 3"),
        ({"carry": ["User ID"]}, "'User ID' cannot be the name of a feature; choose one, as in {my_name: 'User ID'}"),
        ({"carry": ["shelves[].name"]}, "cannot be the name of a feature"),
        ({"carry": {"User ID": "user"}}, "match pattern"),
        ({"carry": ["a"], "fields": {"a": CATEGORICAL}}, "carry: the name `a` is taken by another feature; choose"),
        ({"carry": ["key_0"], "key": ["u", "i"]}, "the name `key_0` is taken by another feature"),
        ({"carry": ["key"]}, "the name `key` is taken by another feature"),
        ({"carry": ["label"]}, "the name `label` is taken by another feature"),
        ({"carry": ["source"]}, "`source` is taken by predictions; choose another, as in {my_source: 'source'}"),
        ({"fields": {"a": MULTIVALUED | {"list": "json", "separator": "|"}}}, "expected either `separator` or `list`"),
        (
            {"fields": {"a": MULTIVALUED | {"weights": "w"}, "a_weights": CATEGORICAL}},
            "the name `a_weights` is taken",
        ),
        ({"fields": {"a": MULTIVALUED | {"max_len": 0}}}, "length from 1"),
        ({"fields": {"a": MULTIVALUED | {"max_len": "p101"}}}, "percentile"),
        ({"fields": {"a": MULTIVALUED | {"weights": "w", "pooling": "max"}}}, "cannot be combined"),
        (
            {"fields": {"a": MULTIVALUED | {"pooling": "max"}}, "model": {"exact_fm": True}},
            "exact_fm needs pooling mean",
        ),
        ({"vocabularies": {"v": {}}}, "no field uses vocabularies.v"),
        ({"fields": {"a": CATEGORICAL | {"num_oov_buckets": 0}}}, "greater than or equal to 1"),
        ({"fields": {"a": CATEGORICAL | {"num_oov": 2}}}, "`num_oov` is now called `num_oov_buckets`"),
        ({"vocabularies": {"v": {"num_oov": 2}}}, "`num_oov` is now called `num_oov_buckets`"),
        ({"check": {"cut": 0.5}}, "`cut` is now called `truncated`"),
        ({"split": {"hash": "u", "train": 0.5}}, r"must be 1, found 0.5 \+ 0.1 \+ 0.1 = 0.7; give all"),
        ({"split": {"time": "t", "eval_from": 3}}, "give both"),
        (
            {"split": {"time": "t", "eval_from": 20, "test_from": 10}},
            r"`eval_from` \(20\) and `test_from` \(10\): the test split may not begin before the eval split",
        ),
        ({"split": {"time": "t", "eval_from": "2024-02-01", "test_from": "2024-01-01"}}, "may not begin before"),
        ({"split": {"time": "t", "eval_from": "soon", "test_from": "2024-01-01"}}, "must be numbers or ISO 8601"),
        ({"split": {"time": "t", "eval_from": 1.7e9, "test_from": "2024-01-01"}}, "both be dates or both be numbers"),
        (
            {"split": {"time": "t", "eval_from": 7, "test_from": 20240101, "time_unit": "date"}},
            r"`eval_from` \(7\) and `test_from` \(20240101\) must be YYYYMMDD or ISO 8601",
        ),
        (
            {"split": {"time": "t", "eval_from": "2024-01-01", "test_from": "2024-01-02", "time_unit": "number"}},
            "must be numbers, because `time_unit` is number",
        ),
        ({"split": {"time": "t", "time_unit": "days"}}, "Input should be 'auto', 's', 'ms', 'us', 'ns', 'date'"),
        ({"split": {"column": "part", "train": ["a"], "eval": ["a"]}}, "'a' is in `train` and `eval`; each value"),
        ({"split": {"column": "part", "train": ["test"]}}, "'test' is in `train` and `test`; each value"),
        ({"split": {"column": "part", "train": []}}, "expected at least one value: without train rows"),
        ({"split": {"column": "part", "eval": [""]}}, "an empty text is a missing value"),
        ({"split": {"files": {"train": ""}}}, "a pattern of file names, without their folders; found ''"),
        ({"split": {"files": {"train": "data/*.csv"}}}, "without their folders; found 'data/"),
        ({"split": {"files": {"train": "*.csv", "test": "*.csv"}}}, "two splits have the same pattern"),
        ({"split": {"hash": "click"}}, "split.hash: 'click' is the label"),
        ({"split": {"time": "click"}}, "split.time: 'click' is the label"),
        (
            {"split": {"time": "t", "eval_from": "31.01.2024", "test_from": "29.02.2024"}},
            "such as 2024-01-31T10:00:00Z",
        ),
        ({"split": {"time": "t", "eval_from": math.nan, "test_from": 3}}, "must be numbers or ISO 8601"),
        ({"fields": {"a": CATEGORICAL | {"column": "click"}}}, "fields.a: reads the label's column 'click'"),
        ({"fields": {"click": CATEGORICAL}}, "fields.click: reads the label's column 'click'"),
        ({"fields": {"a": MULTIVALUED | {"weights": "click"}}}, "fields.a: reads the label's column 'click'"),
        ({"fields": {"a": MULTIVALUED | {"weights": "a"}}}, "fields.a.weights: is the column of the values, 'a'"),
        ({"fields": {"a": CATEGORICAL | {"missing": {"token": "x\ny"}}}}, "without line feeds"),
        ({"fields": {"n": NUMERIC | {"dim": 8}}}, "only buckets .* found `scale: zscore`; remove `dim`"),
        ({"fields": {"n": NUMERIC | {"scale": {"quantiles": 5}, "missing": 3}}}, "cannot be combined with buckets"),
        ({"max_rejected": 1.5}, "expected a count, or a share below 1; found 1.5"),
        ({"evaluation": {"gauc_by": ""}}, "expected a categorical field"),
        ({"evaluation": {"ranking": {"by": "u"}}}, r"evaluation.ranking.by: expected a categorical field or carried"),
        ({"evaluation": {"ranking": {"by": "a", "at": []}}}, "at least 1 item"),
        ({"evaluation": {"ranking": {"by": "a", "at": [5, 5]}}}, "found 5 twice"),
        ({"carry": ["m"], "evaluation": {"gauc_by": "gone"}}, r"field or carried column \(.*m\), found 'gone'"),
        ({"carry": ["m"], "evaluation": {"slices": ["gone"]}}, "or of carried columns, found 'gone'"),
        ({"evaluation": {"slices": ["a", "a"]}}, "contains 'a' twice"),
        ({"source": {"columns": ["a"]}}, "`columns` are for files without a header"),
        ({"source": {"format": "jsonl", "quote": "'"}}, "`quote`: only for CSV, but `format` is jsonl"),
        ({"split": {"by": "luck"}}, "expected one of `column:`, `files:`, `hash:` or `time:`"),
        ({"split": {"column": "part", "hash": "user"}}, "expected one of `column:`, `files:`, `hash:` or `time:`"),
        (
            {
                "vocabularies": {"v": {"min_count": 2}},
                "fields": {"a": CATEGORICAL | {"vocabulary": "v", "min_count": 3}},
            },
            "set all of them there",
        ),
        (
            {
                "fields": {
                    "a": CATEGORICAL | {"vocabulary": "v", "top_k": 3},
                    "b": CATEGORICAL | {"vocabulary": "v", "top_k": 4},
                }
            },
            "share the vocabulary `v` but have different settings",
        ),
    ],
)
def test_invalid_specs_are_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**changes)


def test_spec_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec().key = "id"  # type: ignore[misc]


@pytest.mark.parametrize("source_format", ["csv", "json", "jsonl", "libffm", "parquet", "tfrecord"])
def test_source_with_all_entries_written_can_be_read(source_format: str) -> None:
    """As the spec in a model's `training.json`, which the report reads."""
    source = Source.model_validate({"format": source_format})
    assert Source.model_validate(source.model_dump(mode="json")) == source
