"""Rows that differ in any bit are found; those of equal bits are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fieldpool.pipeline.serving.bits import differing_rows

NAN = np.float32("nan")
# A NaN with another payload.
OTHER_NAN = np.array([0x7FC00001], np.uint32).view(np.float32)[0]


@pytest.mark.parametrize(
    ("training", "serving", "rows"),
    [
        ([1, 2, 3], [1, 2, 3], []),
        ([1, 2, 3], [1, 0, 4], [1, 2]),
        ([[1, 0], [2, 3]], [[1, 0], [3, 2]], [1]),
        ([[1, 0], [2, 3]], [[1], [2]], [0, 1]),
        (np.float32([0.1, 1.0]), np.float32([0.1, 1.0]), []),
        (np.float32([0.1, 1.0]), np.nextafter(np.float32([0.1, 1.0]), np.float32(2)), [0, 1]),
        (np.float32([0.0, 1.0]), np.float32([-0.0, 1.0]), [0]),
        (np.float32([NAN, NAN]), np.float32([OTHER_NAN, 0.0]), [1]),
        (np.float64([NAN, 0.5]), np.float64([NAN, 0.25]), [1]),
        (np.float32([0.5, 1.0]), np.float64([0.5, 1.0]), [0, 1]),
        ([1, 2], np.float32([1, 2]), [0, 1]),
        (np.array([b"a", b""], object), np.array([b"a", b"\x00"], object), [1]),
        (tf.constant(["é", "b"]), tf.constant(["é", "c"]), [1]),
    ],
)
def test_rows_with_other_bits_are_found(training: Any, serving: Any, rows: list[int]) -> None:
    found = differing_rows({"same": np.zeros(2), "x": training}, {"x": serving, "same": np.zeros(2)})
    assert {name: of.tolist() for name, of in found.items()} == ({"x": rows} if rows else {})


def test_other_features_are_an_error() -> None:
    with pytest.raises(ValueError, match="found in only one: age, label"):
        differing_rows({"user": [1], "label": [1]}, {"user": [1], "age": [2]})


@pytest.mark.parametrize("nothing", [np.zeros(0), np.zeros((0, 3)), np.float32(1)])
def test_nothing_to_compare_is_an_error(nothing: Any) -> None:
    with pytest.raises(ValueError, match="age: expected rows to compare, found shape"):
        differing_rows({"age": nothing}, {"age": nothing})
