"""Damaged files: any error of a library is an error in words; others pass."""

from __future__ import annotations

import pytest
import tensorflow as tf

from fieldpool.transforms.errors import Damaged, SpecError
from fieldpool.transforms.runs.damage import reading


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("fields"), "'fields'"),
        (ValueError("bad\nand a long explanation"), "bad"),
        (IndexError(), "IndexError"),
        (OSError(2, "No such file or directory"), "No such file or directory"),
        (OSError(2, "No such file or directory", "run/x"), r"program \(No such file or directory"),
        (OSError(2, "No such file or directory", "run/x/y"), "No such file or directory: 'run/x/y'"),
    ],
)
def test_errors_of_reading_name_the_file_the_reason_and_the_command(error: Exception, reason: str) -> None:
    message = rf"^run/x: missing, damaged or .*{reason}\); .* `fieldpool train`$"
    with pytest.raises(Damaged, match=message), reading("run/x", "train"):
        raise error


@pytest.mark.parametrize(
    "error", [SpecError("bad"), MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM"), KeyboardInterrupt()]
)
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, reading("run/x", "train"):
        raise error
    assert raised.value is error
