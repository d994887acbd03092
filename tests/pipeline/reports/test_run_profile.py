"""The profiles of a run's fields agree with its rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from served_model import Served, click_row, make_served

from fieldpool.model.run import Run
from fieldpool.pipeline.reports.field_profile import FieldProfile
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.pipeline.reports.pages import share
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


@pytest.fixture(scope="module")
def hashed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with hashed tokens, and with a hashed cross."""
    fields = {
        "user": {"type": "categorical", "hash_buckets": 5},
        "tags": {"type": "multivalued"},
        "pairs": {"type": "multivalued", "from": {"cross": ["user", "tags"]}, "hash_buckets": 50},
    }
    spec = {"label": {"field": "click"}, "split": {"column": "part"}, "fields": fields, "train": {"epochs": 1}}
    return Run(str(make_served(tmp_path_factory.mktemp("hashed"), spec, [click_row(i) for i in range(60)]).run))


def test_hashed_tokens_have_collisions_in_place_of_a_vocabulary(hashed: Run) -> None:
    user, _, pairs = field_profiles(hashed)
    stats = hashed.stats.vocabularies["user"]
    assert (user.hash_buckets, user.tokens, user.oov_eval, user.oov_test) == (5, None, None, None)
    assert (user.distinct, user.collisions) == (stats.distinct, stats.collisions)
    assert user.expected_collisions == pytest.approx(1 - (1 - 1 / 5) ** (stats.distinct - 1))
    # The combinations of a cross are hashed as they are computed, so nobody knows how many there are.
    assert (pairs.hash_buckets, pairs.distinct, pairs.collisions) == (50, None, None)


def test_the_report_shows_the_collisions_of_hashed_tokens(hashed: Run, tmp_path: Path) -> None:
    write_report(hashed, str(Path(hashed.path).parent / "model"), str(tmp_path / "r.html"))
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    stats = hashed.stats.vocabularies["user"]
    assert stats.collisions is not None
    assert f"hashed to 5 ids. {share(stats.collisions)} of the distinct tokens share their id" in text
    assert "hashed to 50 ids.</p>" in text
