"""The profiles of a run's fields agree with its rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from served_model import Served

from fieldpool.model.run import Run
from fieldpool.pipeline.reports.field_profile import FieldProfile
from fieldpool.pipeline.reports.run_profile import field_profiles
from fieldpool.transforms.spec import EmbeddingTable


@pytest.fixture(scope="module")
def fields(served: Served) -> dict[str, FieldProfile]:
    return {field.name: field for field in field_profiles(Run(str(served.run)))}


def train_rows(served: Served) -> list[dict[str, Any]]:
    return [row for row in served.rows if row["part"] == "train"]


def test_lengths_are_those_of_train_before_they_are_truncated(fields: dict[str, FieldProfile], served: Served) -> None:
    lengths = Counter(len(row["history"]) for row in train_rows(served))
    assert fields["history"].lengths == lengths
    assert max(lengths) > 3


def test_truncation_at_max_len_is_that_of_the_run(fields: dict[str, FieldProfile], served: Served) -> None:
    lengths = [len(row["history"]) for row in train_rows(served)]
    assert fields["history"].max_len == 3
    (truncation,) = [found for found in fields["history"].truncations() if found.max_len == 3]
    assert truncation.rows == pytest.approx(sum(n > 3 for n in lengths) / len(lengths))
    assert truncation.values == pytest.approx(sum(max(n - 3, 0) for n in lengths) / sum(lengths))


def test_counts_are_those_of_train_most_frequent_first(fields: dict[str, FieldProfile], served: Served) -> None:
    users = Counter(row["user"] or "(none)" for row in train_rows(served))
    counts = fields["user"].counts
    assert counts is not None
    assert counts.tolist() == sorted(users.values(), reverse=True)


def test_values_out_of_vocabulary_are_uncounted(fields: dict[str, FieldProfile], served: Served) -> None:
    missing = sum(row["item"] is None for row in train_rows(served))  # Missing items go to the first OOV bucket.
    assert fields["item"].uncounted == missing > 0


def test_table_is_that_of_the_spec(fields: dict[str, FieldProfile]) -> None:
    assert fields["user"].embedding_mb == (2 + 4) * 5 * 4 / 1e6
    assert fields["price"].table == EmbeddingTable(rows=4, dim=4)
    assert fields["age"].table is None


def test_shared_table_is_counted_once(fields: dict[str, FieldProfile]) -> None:
    item = fields["item"]
    assert item.table is not None
    assert item.tokens is not None
    assert item.table.rows == 3 + item.tokens
    assert fields["history"].table is None
