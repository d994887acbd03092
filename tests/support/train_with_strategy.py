"""A process of a distributed training, for `test_strategies`: prints the history as JSON.

Usage: train_with_strategy.py mirrored|workers RUN OUT
"""

from __future__ import annotations

import json
import sys

import tensorflow as tf

kind, run_path, out_dir = sys.argv[1:]
if kind == "mirrored":  # Two replicas on one processor.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:  # Who the others are stands in TF_CONFIG.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

from fieldpool.model.run import Run  # noqa: E402
from fieldpool.model.training.train import train  # noqa: E402

with strategy.scope():
    result = train(Run(run_path), out_dir)
print(json.dumps(result.history))
