"""Trains in one process of a distributed training, for `test_strategies`; prints the histories as JSON.

Usage: train_with_strategy.py mirrored|workers OUT RUN...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tensorflow as tf


def strategy_of(kind: str) -> tf.distribute.Strategy:
    """Returns the strategy: `mirrored` has two replicas on one CPU, `workers` the workers of TF_CONFIG."""
    if kind == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def main(kind: str, out: str, *runs: str) -> None:
    """Trains on each run, in a folder with its name in `out`, and prints a list of histories.

    Each training is resumed after its first epoch. Checkpoints are written and read in small blocks.
    """
    strategy = strategy_of(kind)
    # TensorFlow must know its devices and workers before it is used.
    from fieldpool.model.run import Run
    from fieldpool.model.training import variables
    from fieldpool.model.training.train import train

    variables._BLOCK = 100

    def history(run: Run) -> list[dict[str, float]]:
        folder = str(Path(out) / Path(run.path).name)
        train(run, folder, train_settings=run.spec.train.model_copy(update={"epochs": 1}))
        return train(run, folder, resume=True).history

    with strategy.scope():
        histories = [history(Run(run)) for run in runs]
    print(json.dumps(histories))


if __name__ == "__main__":
    main(*sys.argv[1:])
