"""Where the time of a training step of fieldpool goes: each line does what the line above does, and one thing more.

python benchmarks/train_step.py --variant lazy_adam --stretch 1
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from train_batches import batches
from train_data import click_task
from train_fieldpool import ADAGRAD_RATE, compile_model, deepfm
from train_task import Settings

IDS = 162_000


def stages(model: keras.Model) -> dict[str, Callable[[Any, Any], Any]]:
    """Returns graphs of ever more of a step, of a batch's features and label."""

    def loss(features: Any, label: Any) -> tf.Tensor:
        return model.compute_loss(features, label, model(features, training=True))

    def gradients(features: Any, label: Any) -> list:
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
    """Returns the least time of `work`: other work on the machine can only add to it."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def main() -> None:
    """Prints the table."""
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
    model.fit(dataset, verbose=0)  # The variables of the optimizer, too.
    totals = {"reading the batch": milliseconds(lambda: list(dataset), arguments.repeat) / arguments.steps}
    graphs = stages(model)
    for name, work in graphs.items():
        for features, label in rows[:2]:
            work(features, label)
        batch = iter(rows * arguments.repeat)
        totals[name] = milliseconds(
            lambda work=work, batch=batch: work(*next(batch)), arguments.steps * arguments.repeat
        )
    whole = milliseconds(lambda: model.fit(dataset, verbose=0), arguments.repeat) / arguments.steps
    table = Table("part", "ms", "share", title=f"{arguments.variant}, {IDS * arguments.stretch:,} ids, batch 4096")
    before = 0.0
    for name, total in totals.items():
        table.add_row(name, f"{total - before:.1f}", f"{(total - before) / whole:.2f}")
        before = total if name in graphs else 0.0
    table.add_row("the rest of `fit`", f"{whole - before:.1f}", f"{(whole - before) / whole:.2f}")
    table.add_row("a step of `fit`", f"{whole:.1f}", "")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
