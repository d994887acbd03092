"""Measures increasingly large parts of a training step of fieldpool, and a step of `fit`.

Parts are graphs without XLA. `fit` compiles the FM, so its step can be faster than the largest part.

python -m benchmarks.training.step --variant lazy_adam --stretch 1
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
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
        "lookup and pooling": tf.function(lambda features, label: model.looked_up(features, training=True)[0]),
        "with FM, MLP and loss": tf.function(loss),
        "with gradients": tf.function(gradients),
        "with the optimizer": tf.function(update),
    }


def milliseconds(work: Callable[[], object]) -> float:
    """Returns the time of `work`."""
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)


def times_of_round(
    model: keras.Model,
    dataset: tf.data.Dataset,
    rows: Sequence[tuple[Any, Any]],
    graphs: Mapping[str, Callable[[Any, Any], Any]],
) -> dict[str, float]:
    """Returns the milliseconds a step of reading, of each graph, and of `fit`."""

    def run_all(work: Callable[[Any, Any], Any]) -> None:
        for features, label in rows:
            work(features, label)

    works: dict[str, Callable[[], object]] = {
        "reading the batch": lambda: list(dataset),
        **{name: partial(run_all, work) for name, work in graphs.items()},
        "a step of `fit`": lambda: model.fit(dataset, verbose=0),
    }
    return {name: milliseconds(work) / len(rows) for name, work in works.items()}


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
    graphs = stages(model)
    for work in graphs.values():
        for features, label in rows[:2]:
            work(features, label)
    # In turn, because the speed of a machine changes. The minimum, because other programs can only add time.
    rounds = [times_of_round(model, dataset, rows, graphs) for _ in range(arguments.repeat)]
    table = Table("part", "ms", title=f"{arguments.variant}, {IDS * arguments.stretch:,} ids, batch {BATCH}")
    for name in rounds[0]:
        table.add_row(name, f"{min(times[name] for times in rounds):.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
