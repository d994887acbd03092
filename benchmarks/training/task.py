"""The input of the systems in the training benchmark, and the report of their results.

Each system runs in the Python of its own environment (3.10 and later), so this module needs only NumPy:

    python -m benchmarks.training.systems.deepctr speed TASK.npz
    python -m benchmarks.training.systems.deepctr quality TASK.npz --epochs 10 --seed 1 --out scores.npz
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

import numpy as np

from .windows import answer

# Features by name, int32 `[n]` or `[n, max_len]` or float32 `[n]`, and labels, float32 `[n]`.
Rows = tuple[dict[str, np.ndarray], np.ndarray]


class Field(NamedTuple):
    """A field with an embedding table; `max_len` 0: single-valued. Id 0 is padding."""

    table: str
    max_len: int


@dataclass
class Task:
    """A model and its rows."""

    tables: dict[str, int]  # Number of rows by name.
    fields: dict[str, Field]
    numeric: list[str]
    batch_size: int
    dim: int
    hidden_units: list[int]
    dropout: float
    l2: float
    learning_rate: float
    splits: dict[str, Rows]

    def save(self, path: str) -> None:
        """Writes the task to an .npz file."""
        settings = {name: value for name, value in vars(self).items() if name != "splits"}
        arrays: dict[str, Any] = {
            f"{split}/{name}": array
            for split, (features, label) in self.splits.items()
            for name, array in {**features, "label": label}.items()
        }
        np.savez(path, settings=np.array(json.dumps(settings)), **arrays)

    @classmethod
    def load(cls, path: str) -> Task:
        """Reads a task that `save` wrote."""
        with np.load(path) as file:
            settings = json.loads(str(file["settings"]))
            settings["fields"] = {name: Field(*field) for name, field in settings["fields"].items()}
            splits: dict[str, Rows] = {}
            for key in file.files:
                split, _, name = key.partition("/")
                if name and name != "label":
                    splits.setdefault(split, ({}, file[f"{split}/label"]))[0][name] = file[key]
        return cls(splits=splits, **settings)

    def stretched(self, factor: int) -> Task:
        """Makes the tables `factor` times as long, and spreads the ids over them; returns the task."""
        self.tables = {name: rows * factor for name, rows in self.tables.items()}
        for features, _ in self.splits.values():
            for name in self.fields:
                features[name] = features[name] * np.int32(factor)
        return self

    def batches(self) -> list[Rows]:
        """Returns the train rows in batches of full size."""
        features, label = self.splits["train"]
        size = self.batch_size
        starts = range(0, len(label) // size * size, size)
        return [({name: x[i : i + size] for name, x in features.items()}, label[i : i + size]) for i in starts]


class System(Protocol):
    """A model that can be trained."""

    def epoch(self) -> None:
        """Trains on the train rows once: in full batches in their order, or shuffled if there is a seed."""

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """Returns probabilities, `[n]`."""


class Settings(NamedTuple):
    """Settings of one training. `seed` is None if speed is measured: batches are prepared and not shuffled."""

    variant: str
    seed: int | None

    @property
    def steps_of_call(self) -> int:
        """The steps that Keras' `fit` runs in a call of TensorFlow: MOST_TOGETHER, those of `train` if it is long."""
        return 10 if self.seed is None else 1


def logloss(label: np.ndarray, scores: np.ndarray) -> float:
    """Returns the mean binary cross-entropy."""
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))


def main(build: Callable[[Task, Settings], System], packages: Sequence[str]) -> None:
    """Runs a system by its command line arguments; prints its measurements and versions as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["speed", "quality"])
    parser.add_argument("task")
    parser.add_argument("--variant", default="")
    parser.add_argument("--epochs", type=int, default=10, help="of quality")
    parser.add_argument("--steps", type=int, default=0, help="the number of batches; 0: all")
    parser.add_argument("--stretch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    task = Task.load(arguments.task).stretched(arguments.stretch)
    versions = {package: version(package) for package in packages}
    if arguments.what == "speed":
        speed(build, task, arguments, versions)
    else:
        quality(build, task, arguments)
        answer(versions=versions)


def speed(
    build: Callable[[Task, Settings], System], task: Task, arguments: argparse.Namespace, versions: dict[str, str]
) -> None:
    """Trains for a window, one epoch, whenever it is asked to; in the end reports the logloss of the first batches."""
    features, label = task.splits["train"]
    if arguments.steps:
        n = arguments.steps * task.batch_size
        features, label = task.splits["train"] = ({name: x[:n] for name, x in features.items()}, label[:n])
    system = build(task, Settings(arguments.variant, None))
    examples = len(label) // task.batch_size * task.batch_size
    serve(system.epoch, examples)
    few = {name: x[: 8 * task.batch_size] for name, x in features.items()}
    answer(versions=versions, logloss=logloss(label[: 8 * task.batch_size], system.scores(few)))


def serve(epoch: Callable[[], object], examples: int) -> None:
    """Answers the questions of `windows.Trainee` until its last one.

    Args:
        epoch: Trains for a window.
        examples: The number of examples of a window.
    """
    epoch()  # Not timed: compiles and warms up.
    answer(ready=True)
    for line in sys.stdin:
        if line.strip() == "end":
            return
        cpu, started = time.process_time(), time.perf_counter()
        epoch()
        answer(seconds=time.perf_counter() - started, cpu=time.process_time() - cpu, examples=examples)


def quality(build: Callable[[Task, Settings], System], task: Task, arguments: argparse.Namespace) -> None:
    """Writes the scores of eval and test after each epoch, `[epochs, n]`."""
    system = build(task, Settings(arguments.variant, arguments.seed))
    scores: dict[str, list[np.ndarray]] = {"eval": [], "test": []}
    for _ in range(arguments.epochs):
        system.epoch()
        for split, of_epochs in scores.items():
            of_epochs.append(system.scores(task.splits[split][0]))
    stacked: dict[str, Any] = {split: np.stack(of_epochs) for split, of_epochs in scores.items()}
    np.savez(arguments.out, **stacked)
