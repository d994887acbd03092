"""Measures training on a run: from its TFRecords, read as by `fieldpool train`, or from the same examples in memory.

python -m benchmarks.training.records bench-data/train-run-1000000 --source records
"""

from __future__ import annotations

import argparse
import json

import keras

from fieldpool.model.examples import read_examples
from fieldpool.model.layers.deepfm import deepfm
from fieldpool.model.run import Run

from .systems.fieldpool import compile_model
from .task import Clock


def main() -> None:
    """Trains; prints the examples per second after the first epoch as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--source", choices=["records", "memory"], required=True)
    parser.add_argument("--variant", default="lazy_adam")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    run = Run(arguments.run)
    train = run.spec.train
    shuffle = train.shuffle_buffer if arguments.source == "records" else 0
    dataset = read_examples(run, "train", batch_size=train.batch_size, shuffle_buffer=shuffle, seed=0)
    if arguments.source == "memory":
        dataset = dataset.cache().prefetch(2)
    model = deepfm(run.spec, run.vocabulary_sizes)
    compile_model(model, arguments.variant, train.learning_rate)
    clock = Clock(train.batch_size)
    timed = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: clock.start(), on_train_batch_end=lambda step, logs: clock.step()
    )
    model.fit(dataset, verbose=0)
    model.fit(dataset, verbose=0, epochs=arguments.epochs, callbacks=[timed])
    print(json.dumps({"rates": clock.rates}))


if __name__ == "__main__":
    main()
