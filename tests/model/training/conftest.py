"""Trainings that several tests compare with, or continue from copies of. Tests must not change their folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS, settings_of

from fieldpool.model.run import Run
from fieldpool.model.training.result import TrainingResult
from fieldpool.model.training.train import train
from fieldpool.transforms.spec import Train


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run whose clicks can be learned. Tests must not change it."""
    return Run(write_run(tmp_path_factory.mktemp("tiny") / "run", SPEC, TOKENS, EXAMPLES))


@pytest.fixture(scope="session")
def one_epoch(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of one epoch."""
    return Path(train(run, str(tmp_path_factory.mktemp("one")), train_settings=settings_of(run, epochs=1)).folder)


@pytest.fixture(scope="session")
def three_epochs(run: Run, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A training with the settings of the run: three epochs."""
    return train(run, str(tmp_path_factory.mktemp("three")))


@pytest.fixture(scope="session")
def impatient(run: Run) -> Train:
    """Settings that end a training after the first epoch that is not better than the one before."""
    return settings_of(run, epochs=30, early_stopping=run.spec.train.early_stopping.model_copy(update={"patience": 1}))


@pytest.fixture(scope="session")
def stopped_early(run: Run, impatient: Train, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A training with the settings `impatient`."""
    return train(run, str(tmp_path_factory.mktemp("early")), train_settings=impatient)
