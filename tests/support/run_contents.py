"""The contents of runs that tests compare for equality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf


def contents(run: Path) -> tuple[Any, dict[str, bytes], list[bytes]]:
    """Returns the counts, the vocabularies and the sorted records of a run; the bounds of its shards may differ."""
    stats = json.loads((run / "stats.json").read_text())
    vocabularies = {path.name: path.read_bytes() for path in run.glob("transform/transform_fn/assets/*")}
    shards = [str(path) for path in run.glob("examples/*")]
    return stats, vocabularies, sorted(tf.data.TFRecordDataset(shards, "GZIP").as_numpy_iterator())
