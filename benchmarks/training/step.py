"""Measures the parts of a training step of fieldpool, by running increasingly large parts of it.

python -m benchmarks.training.step --variant lazy_adam --stretch 1
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from .batches import batches
from .data import BATCH, IDS, click_task
from .systems.fieldpool import ADAGRAD_RATE, compile_model, deepfm
from .task import Settings


def stages(model: keras.Model) -> dict[str, Callable[[Any, Any], Any]]:
    """Returns graphs of increasingly large parts of a step; each takes a batch's features and label."""

    def loss(features: Any, label: Any) -> tf.Tensor:
        return model.compute_loss(features, label, model(features, training=True))

    def gradients(features: Any, label: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            value = loss(features, label)
        return list(tape.gradient(value, model.trainable_weights))

    def update(features: Any, label: Any) -> None:
        model.optimizer.apply_gradients(zip(gradients(features, label), model.trainable_weights, strict=True))

    return {
        "lookup and pooling": tf.function(lambda features, label: model.fields_of(features)),
        "FM, MLP and loss": tf.function(loss),
        "gradients": tf.function(gradients),
        "optimizer": tf.function(update),
    }


def milliseconds(work: Callable[[], object], repeat: int) -> float:
    """Returns the minimum time of `work`: other programs on the machine can only add time."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def call_with_next(work: Callable[[Any, Any], object], rows: Iterator[tuple[Any, Any]]) -> None:
    """Calls `work` with the features and label of the next batch."""
    work(*next(rows))


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=["lazy_adam", "rowwise_adagrad"], default="lazy_adam")
    parser.add_argument("--stretch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=8)
    arguments = parser.parse_args()
    task = click_task(IDS, arguments.steps).stretched(arguments.stretch)
    model = deepfm(task)
    rate = ADAGRAD_RATE if arguments.variant == "rowwise_adagrad" else task.learning_rate
    compile_model(model, arguments.variant, rate)
    dataset = batches(task, Settings(arguments.variant, None), tf.int64)
    rows = list(dataset)
    model.fit(dataset, verbose=0)  # Also creates the variables of the optimizer.
    totals = {"reading the batch": milliseconds(lambda: list(dataset), arguments.repeat) / arguments.steps}
    graphs = stages(model)
    for name, work in graphs.items():
        for features, label in rows[:2]:
            work(features, label)
        of_next_batch = partial(call_with_next, work, iter(rows * arguments.repeat))
        totals[name] = milliseconds(of_next_batch, arguments.steps * arguments.repeat)
    step_time = milliseconds(lambda: model.fit(dataset, verbose=0), arguments.repeat) / arguments.steps
    table = Table("part", "ms", "share", title=f"{arguments.variant}, {IDS * arguments.stretch:,} ids, batch {BATCH}")
    before = 0.0
    for name, total in totals.items():
        table.add_row(name, f"{total - before:.1f}", f"{(total - before) / step_time:.2f}")
        before = total if name in graphs else 0.0
    table.add_row("the rest of `fit`", f"{step_time - before:.1f}", f"{(step_time - before) / step_time:.2f}")
    table.add_row("a step of `fit`", f"{step_time:.1f}", "")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
