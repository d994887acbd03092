"""Weights of the values of a list: a value that is dropped because it is empty drops its weight, whatever that is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows import columns
from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.transforms.spec import Spec, weights_feature

SPEC = Spec.model_validate(
    {
        "label": {"field": "y"},
        "split": {"hash": "user"},
        "fields": {"tags": {"type": "multivalued", "separator": "|", "weights": "w"}},
    }
)


JSON = Spec.model_validate(
    SPEC.model_dump() | {"fields": {"tags": {"type": "multivalued", "list": "json", "weights": "w"}}}
)


def checked(tags: Any, weights: Any, good: Any = None, spec: Spec = SPEC) -> Checked:
    # The other rows of the batch are valid, so that positions in the batch differ from those in the row.
    is_text = isinstance(tags, str) or isinstance(weights, str)
    good = good or (["x|y|z", "1|2|3"] if is_text else [["x"], [5.0]])
    rows = [good, [tags, weights], good]
    data = pa.RecordBatch.from_arrays([pa.array([row[i] for row in rows]) for i in (0, 1)], ["tags", "w"])
    batch = data.append_column("y", pa.array([1, 1, 1])).append_column("user", pa.array(["u", "u", "u"]))
    return check_rows(SourceBatch("rows", np.arange(1, 4), batch), spec)


@pytest.mark.parametrize(
    ("tags", "weights", "expected"),
    [
        (["a", None], [1.0, None], [(b"a", 1.0)]),
        (["a", ""], [1.0, None], [(b"a", 1.0)]),
        (["a", None, "b"], [1.0, float("nan"), 3.0], [(b"a", 1.0), (b"b", 3.0)]),
        (["a", None], [1.0, -1.0], [(b"a", 1.0)]),
        ([None], [None], []),
        ([], [], []),
        ([], None, []),
        (None, [], []),
        ("a||b", "1||3", [(b"a", 1.0), (b"b", 3.0)]),
        ("a|b|", "1|2|", [(b"a", 1.0), (b"b", 2.0)]),
        ("a||b", "1|x|3", [(b"a", 1.0), (b"b", 3.0)]),
        ("|", "|", []),
        ("", "", []),
        ("", None, []),
        (None, "", []),
        ("", "1", []),
        ([None], [], []),
        ([], [None], []),
    ],
)
def test_empty_value_drops_its_weight(tags: Any, weights: Any, expected: list[tuple[bytes, float]]) -> None:
    found = checked(tags, weights)
    assert found.rejected == []
    row = found.rows.slice(1, 1)
    assert columns.bag_lengths(row["tags"]).tolist() == [len(expected)]
    pairs = zip(row["tags"].to_pylist()[0], row[weights_feature("tags")].to_pylist()[0], strict=True)
    assert [pair for pair in pairs if pair[0]] == expected


@pytest.mark.parametrize(
    ("tags", "weights", "reason"),
    [
        (["a", "b"], [1.0, None], "a weight is not a finite, non-negative number"),
        (["a", None], [None, 1.0], "a weight is not a finite, non-negative number"),
        ("a|b", "1|", "a weight is not a finite, non-negative number"),
        ("a||b", "|2|3", "a weight is not a finite, non-negative number"),
        (["a", None], [1.0], "expected one weight for each value of 'tags'"),
        ("a||b", "1|3", "expected one weight for each value of 'tags'"),
        ("a", "", "a weight is not a finite, non-negative number"),
        ("a|b", "1|-2", "a weight is not a finite, non-negative number"),
        ("a", None, "expected one weight for each value of 'tags'"),
        (None, "1", "expected one weight for each value of 'tags'"),
        ("", "1|2", "expected one weight for each value of 'tags'"),
        ([], [1.0], "expected one weight for each value of 'tags'"),
    ],
)
def test_row_with_a_value_without_weight_is_rejected(tags: Any, weights: Any, reason: str) -> None:
    found = checked(tags, weights)
    assert [(bad.row, bad.field, bad.reason.split(", found")[0]) for bad in found.rejected] == [(2, "w", reason)]
    assert found.numbers.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("tags", "weights", "expected"),
    [
        ('["a", null, "b"]', "[1, null, 3.5]", [(b"a", 1.0), (b"b", 3.5)]),
        ("[]", "null", []),
        ("", "", []),
    ],
)
def test_weights_of_lists_in_the_syntax_of_json(tags: str, weights: str, expected: list[tuple[bytes, float]]) -> None:
    found = checked(tags, weights, ['["x"]', "[1]"], JSON)
    assert found.rejected == []
    pairs = zip(found.rows["tags"][1].as_py(), found.rows[weights_feature("tags")][1].as_py(), strict=True)
    assert [(token, weight) for token, weight in pairs if token] == expected


def test_weights_that_are_not_a_json_list_are_rejected() -> None:
    (row,) = checked('["a"]', "1|2", ['["x"]', "[1]"], JSON).rejected
    assert (row.row, row.field) == (2, "w")
    assert row.reason == 'not a list: expected a JSON list of texts or numbers, such as ["a", "b"], found \'1|2\''
