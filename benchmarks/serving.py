"""Measures an exported model: latency for 1 and 256 rows, of ranking candidates, and throughput of batch prediction.

    python -m benchmarks.serving --rows 1000000 --repeat 3

The rows are those of `pipelines/rows.py`; the model is trained on 100,000 of them in one epoch. Latency is measured in
this process, through the exported signatures, with changing requests. Throughput is that of a `fieldpool predict`
process, so it includes all imports and the loading of the model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from . import ranking
from .pipelines import rows as click_rows

TRAINED_ROWS = 100_000
CALLS = 2_000


def make_model(folder: Path) -> Path:
    """Returns the folder of a model trained on TRAINED_ROWS rows, with its export; trains it if it does not exist."""
    from fieldpool.model.export import export_model
    from fieldpool.model.run import Run
    from fieldpool.model.training.train import train
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.transforms.spec import Spec

    run, model = folder / "serving-run", folder / "serving-model"
    if (model / "serving").exists():
        return model
    if not (run / "DONE").exists():
        data = click_rows.rows_file(folder, TRAINED_ROWS)
        spec = click_rows.spec(click_rows.columns_of(str(data))) | {"train": {"epochs": 1, "batch_size": 4096}}
        transform(Spec.model_validate(spec), [str(data)], str(run))
    train(Run(str(run)), str(model), overwrite=True)
    export_model(Run(str(run)), str(model))
    return model


def requests(data: Path, rows: int, number: int) -> dict[str, list[dict[str, Any]]]:
    """Returns `number` requests of `rows` rows for each signature, as tensors."""
    import tensorflow as tf

    from fieldpool.model.serving.graph import argument_names, serving_feature_spec
    from fieldpool.pipeline.rows.checks import check_rows
    from fieldpool.pipeline.rows.tft_rows import as_tft_rows
    from fieldpool.pipeline.sources.readers import read_batches
    from fieldpool.pipeline.tfrecords.encoding import encode_examples
    from fieldpool.transforms.spec import Spec
    from fieldpool.transforms.spec.inputs import feature_columns

    spec = Spec.model_validate(click_rows.spec(click_rows.columns_of(str(data))))
    batch = next(read_batches(str(data), spec.source, feature_columns(spec)))
    checked = check_rows(batch, spec, label=False, split=False)
    serialized = encode_examples(as_tft_rows(checked.rows, spec, label=False)).to_numpy(zero_copy_only=False)
    chosen = [np.arange(i * rows, (i + 1) * rows) % len(serialized) for i in range(number)]
    examples = [tf.constant(serialized[rows_of_request]) for rows_of_request in chosen]
    by_name = []
    for request in examples:
        raw = tf.io.parse_example(request, serving_feature_spec(spec))
        names = argument_names(raw)
        by_name.append({names[n]: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x for n, x in raw.items()})
    return {"raw": by_name, "serving_default": [{"examples": request} for request in examples]}


def milliseconds(signature: Callable[..., Any], requests_in_turn: list[dict[str, Any]]) -> np.ndarray:
    """Returns the time of each call, up to the probabilities in NumPy."""
    for request in requests_in_turn[:50]:
        signature(**request)["probability"].numpy()
    times = []
    for i in range(CALLS):
        started = time.perf_counter()
        signature(**requests_in_turn[i % len(requests_in_turn)])["probability"].numpy()
        times.append(time.perf_counter() - started)
    return np.array(times) * 1e3


def prediction_seconds(model: Path, data: Path, out: Path, rows: int) -> float:
    """Returns the seconds of one `fieldpool predict`, which must predict all rows."""
    shutil.rmtree(out, ignore_errors=True)
    program = "from fieldpool.pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", program, "predict", str(model), str(data), "--out", str(out), "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode or json.loads(done.stdout) != {"read": rows, "predicted": rows, "rejected": 0}:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr[-3000:]}")
    shutil.rmtree(out)
    return seconds


def main() -> None:
    """Measures, and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    model = make_model(arguments.folder)
    data = click_rows.rows_file(arguments.folder, arguments.rows)
    out = arguments.folder / "predicted"
    seconds = [prediction_seconds(model, data, out, arguments.rows) for _ in range(arguments.repeat)]
    console = Console(width=120)
    table = Table("rows per call", "signature", "p50 ms", "p99 ms", "rows/s at p50", title="Calls in process")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model / "serving"))
    for rows in (1, 256):
        for signature, requests_in_turn in requests(data, rows, 64).items():
            times = milliseconds(loaded.signatures[signature], requests_in_turn)
            p50, p99 = np.percentile(times, [50, 99])
            table.add_row(str(rows), signature, f"{p50:.2f}", f"{p99:.2f}", f"{rows / p50 * 1e3:,.0f}")
    console.print(table)
    wall = statistics.median(seconds)
    console.print(
        f"fieldpool predict, {arguments.rows:,} rows: {', '.join(f'{s:.1f}' for s in seconds)} s; "
        f"median {arguments.rows / wall:,.0f} rows/s, start-up included"
    )
    ranking.measure(arguments.folder, console)


if __name__ == "__main__":
    main()
