"""What a spec accepts, what it works out, and what it refuses."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from pydantic import ValidationError

from fieldpool.transforms.spec import EmbeddingTable, Quantiles, Spec, TimeSplit, TokenPolicy, Vocabulary

CATEGORICAL = {"type": "categorical"}
MULTIVALUED = {"type": "multivalued"}


def spec(**changes: Any) -> Spec:
    data: dict[str, Any] = {
        "label": {"field": "click"},
        "split": {"column": "part"},
        "fields": {"a": CATEGORICAL},
    }
    return Spec.model_validate(data | changes)


def test_a_field_has_a_vocabulary_of_its_own_by_default() -> None:
    assert spec(fields={"a": CATEGORICAL, "b": MULTIVALUED}).vocabulary_fields() == {"a": ["a"], "b": ["b"]}


def test_fields_share_a_declared_vocabulary() -> None:
    shared = spec(
        vocabularies={"items": {"min_count": 2}},
        fields={"a": CATEGORICAL | {"vocabulary": "items"}, "b": MULTIVALUED | {"vocabulary": "items"}},
    )
    assert shared.vocabulary_fields() == {"items": ["a", "b"]}
    assert shared.resolved_vocabularies() == {"items": Vocabulary(min_count=2)}


def test_vocabulary_settings_may_stand_on_the_field() -> None:
    assert spec(fields={"a": CATEGORICAL | {"min_count": 3, "num_oov_buckets": 4}}).resolved_vocabularies() == {
        "a": Vocabulary(min_count=3, num_oov_buckets=4)
    }


def test_the_raw_column_defaults_to_the_fields_name() -> None:
    loaded = spec(fields={"a": CATEGORICAL, "b": CATEGORICAL | {"column": "user id / hash"}})
    assert (loaded.column_of("a"), loaded.column_of("b")) == ("a", "user id / hash")


def test_a_field_has_the_settings_of_its_vocabulary() -> None:
    shared = spec(
        vocabularies={"items": {"num_oov_buckets": 2}},
        fields={"a": MULTIVALUED | {"vocabulary": "items"}, "b": CATEGORICAL | {"min_count": 3}},
    )
    assert shared.vocabulary_settings_of("a") == Vocabulary(num_oov_buckets=2)
    assert shared.vocabulary_settings_of("b") == Vocabulary(min_count=3)


def test_a_number_has_no_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"fields.n: a numeric field has no vocabulary"):
        spec(fields={"n": {"type": "numeric"}}).vocabulary_of("n")


def test_embedding_tables_are_those_of_vocabularies_and_of_buckets() -> None:
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
    ("max_rejected", "read", "most"),
    [(0, 1000, 0), (5, 1000, 5), (5, None, 5), (0.1, 1000, 100), (0.1, None, math.inf)],
)
def test_rows_that_may_be_rejected_are_a_count_or_a_share(max_rejected: float, read: int | None, most: float) -> None:
    assert spec(max_rejected=max_rejected).most_rejected(read) == most


@pytest.mark.parametrize("max_len", [1, 50, "auto", "p99", "p99.5", "p100"])
def test_lengths(max_len: int | str) -> None:
    assert spec(fields={"a": MULTIVALUED | {"max_len": max_len}}).fields["a"].max_len == max_len  # type: ignore[union-attr]


def test_policies_and_scales_are_words_or_mappings() -> None:
    fields = spec(
        fields={
            "a": CATEGORICAL | {"missing": {"token": "none"}},
            "n": {"type": "numeric", "scale": {"quantiles": 5}, "missing": 0},
        }
    ).fields
    assert fields["a"].missing == TokenPolicy(token="none")  # type: ignore[union-attr]
    assert fields["n"].scale == Quantiles(quantiles=5)  # type: ignore[union-attr]


def test_a_yaml_date_is_a_time_boundary() -> None:
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
        (
            {"fields": {"a": MULTIVALUED | {"weights": "w"}, "a_weights": CATEGORICAL}},
            "the name `a_weights` is taken",
        ),
        ({"fields": {"a": MULTIVALUED | {"max_len": 0}}}, "length from 1"),
        ({"fields": {"a": MULTIVALUED | {"max_len": "p101"}}}, "percentile"),
        ({"fields": {"a": MULTIVALUED | {"weights": "w", "pooling": "max"}}}, "no meaning"),
        ({"fields": {"a": MULTIVALUED | {"pooling": "max"}}, "model": {"exact_fm": True}}, "exact_fm pairs the values"),
        ({"vocabularies": {"v": {}}}, "used by no field"),
        ({"fields": {"a": CATEGORICAL | {"num_oov_buckets": 0}}}, "greater than or equal to 1"),
        ({"fields": {"a": CATEGORICAL | {"num_oov": 2}}}, "`num_oov` is now called `num_oov_buckets`"),
        ({"vocabularies": {"v": {"num_oov": 2}}}, "`num_oov` is now called `num_oov_buckets`"),
        ({"check": {"cut": 0.5}}, "`cut` is now called `truncated`"),
        ({"split": {"hash": "u", "train": 0.5}}, "must be 1, found 0.7"),
        ({"split": {"time": "t", "eval_from": 3}}, "give both"),
        ({"split": {"by": "luck"}}, "expected one of `column:`, `files:`, `hash:` or `time:`"),
        ({"split": {"column": "part", "hash": "user"}}, "expected one of `column:`, `files:`, `hash:` or `time:`"),
        ({"source": {"header": False}}, "needs its column names"),
        ({"source": {"columns": ["a", "a"]}}, "a column twice"),
        (
            {
                "vocabularies": {"v": {"min_count": 2}},
                "fields": {"a": CATEGORICAL | {"vocabulary": "v", "min_count": 3}},
            },
            "keep the settings in one place",
        ),
        (
            {
                "fields": {
                    "a": CATEGORICAL | {"vocabulary": "v", "top_k": 3},
                    "b": CATEGORICAL | {"vocabulary": "v", "top_k": 4},
                }
            },
            "share the vocabulary `v` but set it differently",
        ),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**changes)


def test_a_spec_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec().key = "id"  # type: ignore[misc]
