"""Warnings of fieldpool are printed by the command line, one line each; those of libraries are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade_run import Row, write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

from fieldpool.pipeline.terminal.startup import quiet_libraries
from fieldpool.transforms.errors import FieldpoolWarning

Fieldpool = Callable[..., tuple[int, str, str]]

ROWS: list[Row] = EXAMPLES["eval"][0]
CLICKED = [row for row in ROWS if row["label"] == [1.0]]
NOT_CLICKED = [row for row in ROWS if row["label"] == [0.0]]
# Every item has one label only.
PURE = [row | {"item": [2]} for row in CLICKED] + [row | {"item": [3]} for row in NOT_CLICKED]


def write_run_for_training(folder: Path, eval_rows: list[Row], metric: str = "auc") -> Path:
    settings: dict[str, Any] = {
        "evaluation": {"gauc_by": "item"},
        "train": SPEC["train"] | {"early_stopping": {"metric": metric}, "epochs": 1, "batch_size": 200},
    }
    return Path(write_run(folder / "run", SPEC | settings, TOKENS, {"train": EXAMPLES["train"], "eval": [eval_rows]}))


def warnings_of(standard_error: str) -> list[str]:
    """Returns the warnings; checks that nothing else was printed, such as a file and a line number."""
    lines = standard_error.splitlines()
    assert all(line.startswith("warning: ") for line in lines), standard_error
    return [line.removeprefix("warning: ") for line in lines]


@pytest.mark.parametrize(
    ("eval_rows", "metric", "message"),
    [
        ([], "auc", "the eval split is empty: no early stopping, the last epoch is kept"),
        (
            CLICKED,
            "auc",
            "all labels of the eval split are 1, so AUC is undefined; the best epoch is the one with the lowest "
            "logloss",
        ),
        (
            PURE,
            "gauc",
            "no value of item that is in the vocabulary has both labels in the eval split, so GAUC is undefined; the "
            "best epoch is the one with the highest AUC",
        ),
    ],
    ids=["empty", "one-class", "no-mixed-group"],
)
def test_train_prints_why_the_metric_is_another(
    fieldpool: Fieldpool, tmp_path: Path, eval_rows: list[Row], metric: str, message: str
) -> None:
    run = write_run_for_training(tmp_path, eval_rows, metric)
    code, output, error = fieldpool("train", run, "--out", tmp_path / "model")
    assert code == 0
    assert "best, kept" in output
    assert warnings_of(error) == [f"{run}: {message}"]


def test_train_prints_that_a_damaged_checkpoint_is_skipped(fieldpool: Fieldpool, tmp_path: Path) -> None:
    run = write_run_for_training(tmp_path, ROWS)
    checkpoint = tmp_path / "model/checkpoints/state-0001-000000000.npz"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"PK\x03\x04")
    (tmp_path / "model/UNFINISHED").touch()  # As a training that was killed leaves it.
    code, _, error = fieldpool("train", run, "--out", tmp_path / "model", "--resume")
    assert code == 0
    (line,) = warnings_of(error)
    assert line.startswith(f"{checkpoint}: not a complete checkpoint (")
    assert line.endswith("); trying the previous one")


def test_only_warnings_of_fieldpool_are_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_libraries():
        warnings.simplefilter("always", DeprecationWarning)  # As some libraries do when they are imported.
        warnings.warn("of a library", DeprecationWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
        for _ in range(2):
            warnings.warn("the first line\n  and the [second]", FieldpoolWarning, stacklevel=1)
    assert capfd.readouterr() == ("", "warning: the first line and the [second]\n")


def test_warnings_are_ordinary_ones_again_after_a_command() -> None:
    with quiet_libraries():
        pass
    with pytest.warns(FieldpoolWarning, match="seen"):
        warnings.warn("seen", FieldpoolWarning, stacklevel=1)
