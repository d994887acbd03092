"""The profile of one field: coverage, truncation by `max_len`, the size of its table."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fieldpool.pipeline.reports.field_profile import FieldProfile
from fieldpool.transforms.spec import EmbeddingTable


def test_coverage_is_a_share_of_all_values() -> None:
    field = FieldProfile("f", "categorical", counts=np.array([6, 3, 1]), uncounted=10)
    coverage = field.coverage()
    assert coverage is not None
    assert [part.tolist() for part in coverage] == [[1, 2, 3], [0.3, 0.45, 0.5]]


def test_truncations_are_shares_of_rows_and_values() -> None:
    field = FieldProfile("f", "multivalued", lengths={0: 5, 2: 4, 10: 1}, max_len=2)
    assert field.truncations() == [(2, 0.1, pytest.approx(8 / 18)), (10, 0.0, 0.0)]


def test_truncations_are_at_percentiles_the_longest_list_and_max_len() -> None:
    field = FieldProfile("f", "multivalued", lengths=dict.fromkeys(range(1, 201), 1), max_len=7)
    assert [truncation.max_len for truncation in field.truncations()] == [7, 100, 180, 190, 198, 200]


def test_empty_lists_have_no_truncations() -> None:
    assert FieldProfile("f", "multivalued", lengths={0: 5}, max_len=2).truncations() == []


def test_histogram_of_long_lists_has_at_most_40_bars() -> None:
    field = FieldProfile("f", "multivalued", lengths={0: 1, 999: 1}, max_len=30)
    ((_, chart),) = field.charts
    assert {"0–24", "900–924"} <= set(re.findall(r">([^<>]*)</text>", chart))


def test_size_of_table_includes_a_linear_weight_a_row() -> None:
    assert FieldProfile("f", "categorical", table=EmbeddingTable(rows=1000, dim=16)).embedding_mb == 1000 * 17 * 4 / 1e6
    assert FieldProfile("f", "categorical").embedding_mb is None
