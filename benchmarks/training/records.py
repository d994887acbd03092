"""Trains on a run: from its TFRecords, read as by `fieldpool train`, or from the same examples in memory.

    python -m benchmarks.training.records bench-data/train-run-1000000 --source records

A process of `windows.Trainee`.
"""

from __future__ import annotations

import argparse
import sys
import time

import keras

from fieldpool.model.examples import read_examples
from fieldpool.model.from_spec import deepfm
from fieldpool.model.run import Run
from fieldpool.model.training.steps.own_step import STEPS_WORTH_COMPILING
from fieldpool.model.training.steps.together import steps_together

from .systems.fieldpool import compile_model
from .windows import answer


def main() -> None:
    """Trains for a window whenever it is asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--source", choices=["records", "memory"], required=True)
    parser.add_argument("--variant", default="lazy_adam")
    parser.add_argument("--steps", type=int, default=60, help="steps of a window")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    train = run.spec.train
    shuffle = train.shuffle_buffer if arguments.source == "records" else 0
    dataset = read_examples(
        run, "train", batch_size=train.batch_size, shuffle_buffer=shuffle, seed=0, epoch=0, repeat=shuffle > 0
    )
    if arguments.source == "memory":
        dataset = dataset.filter(lambda _, label: len(label) == train.batch_size).cache().repeat()
    model = deepfm(run.spec, run.vocabulary_sizes)
    compile_model(model, arguments.variant, train.learning_rate)
    # A single `fit` for all windows: a new one would open the files again, and fill the shuffle buffer.
    model.fit(
        dataset,
        epochs=sys.maxsize,
        steps_per_epoch=arguments.steps,
        shuffle=False,
        verbose=0,
        callbacks=[*steps_together(model, STEPS_WORTH_COMPILING), Windows(arguments.steps * train.batch_size)],
    )
    answer()


class Windows(keras.callbacks.Callback):
    """Lets `fit` train for an epoch of `examples` whenever a `windows.Trainee` asks for it."""

    def __init__(self, examples: int) -> None:
        super().__init__()
        self._examples = examples
        self._cpu = self._started = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Answers; waits for the next question. The first epoch is not timed: it compiles and warms up."""
        if epoch:
            seconds, cpu = time.perf_counter() - self._started, time.process_time() - self._cpu
            answer(seconds=seconds, cpu=cpu, examples=self._examples)
        else:
            answer(ready=True)
        self.model.stop_training = sys.stdin.readline().strip() != "window"
        self._cpu, self._started = time.process_time(), time.perf_counter()


if __name__ == "__main__":
    main()
