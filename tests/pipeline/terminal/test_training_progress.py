"""The progress bar of training shows examples, also if several steps are one call."""

from __future__ import annotations

import pytest

from fieldpool.pipeline.terminal.training_progress import TrainingProgress
from fieldpool.transforms.spec import Train


@pytest.mark.parametrize(
    ("last_steps", "expected"),
    [([0, 1, 2], [10, 20, 25]), ([1, 3], [20, 25])],  # Keras counts a last call of one step as if it had two.
    ids=["one step a call", "two steps a call"],
)
def test_bar_is_at_the_examples_that_are_trained_on(last_steps: list[int], expected: list[int]) -> None:
    progress = TrainingProgress(25, Train(batch_size=10))
    progress.on_epoch_begin(0)
    found = []
    for step in last_steps:
        progress.on_train_batch_end(step)
        found.append(progress.examples)
    assert found == expected
