"""Honest probabilities: sampled negatives against all rows, and models with and without `train.calibrate`.

    python -m benchmarks.training.probabilities sample --rows 1000000 --folder bench-data/probabilities
    python -m benchmarks.training.probabilities calibrate --data ratings.parquet --spec examples/movielens.yaml

`sample` generates a click log with known probabilities, and trains on all rows, on a tenth of the negatives by row, and
on a tenth of them in groups of ten rows. `calibrate` trains on the files of a spec, with several seeds, and measures
each model on test with its calibration and without. The last lines are means over seeds; ± is the standard deviation.
"""

from __future__ import annotations

import argparse
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, logit

from fieldpool.model.evaluation import evaluate
from fieldpool.model.metrics import auc
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.demo_log import SPEC as DEMO_SPEC
from fieldpool.pipeline.demo_log import generate_click_log
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.spec_file import load_spec, parse_spec, parse_yaml
from fieldpool.transforms.runs.run import Run

METRICS = ("auc", "logloss", "calibration", "ece")


def main() -> None:
    """Runs the benchmark named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["sample", "calibrate"])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated log")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of training with `sample`")
    parser.add_argument("--shift", type=float, default=0.0, help="is added to the log-odds of a click; -3: 2 %% clicks")
    parser.add_argument("--seeds", type=int, default=5, help="number of trainings with `calibrate`")
    parser.add_argument("--data", help="the rows for `calibrate`")
    parser.add_argument("--spec", help="their spec")
    parser.add_argument("--folder", type=Path, default=Path("bench-data/probabilities"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    if options.what == "sample":
        compare_samples(options.folder, options.rows, options.epochs, options.shift)
    else:
        compare_calibration(options.folder, options.spec, options.data, options.seeds)


def compare_samples(folder: Path, rows: int, epochs: int, shift: float) -> None:
    """Prints the metrics on test of models of all rows, and of a tenth of the negatives."""
    log, data = generate_click_log(rows, seed=1), folder / "clicks.parquet"
    probabilities = expit(logit(log.probabilities) + shift)
    labels = (np.random.default_rng(2).random(rows) < probabilities).astype(np.int64)
    table = log.table.set_column(log.table.schema.get_field_index("label"), "label", pa.array(labels))
    pq.write_table(table.append_column("group", pa.array(np.arange(rows) // 10)), data)
    print(f"{rows:,} rows, {labels.mean():.1%} clicked; AUC of the true probabilities {auc(labels, probabilities):.4f}")
    spec: dict[str, Any] = parse_yaml(DEMO_SPEC, "demo")
    spec["split"] = {"hash": "row_id"}
    # A learning rate that falls to 0, and the epoch of the best logloss: else the last steps decide the calibration.
    spec["train"] = {**spec["train"], "epochs": epochs, "decay": "cosine", "early_stopping": {"metric": "logloss"}}
    for name, sample in (
        ("all rows", None),
        ("10 % by row", {"negatives": 0.1}),
        ("10 % by group", {"negatives": 0.1, "by": "group"}),
    ):
        target, began = folder / name.replace(" ", "-"), time.perf_counter()
        changed = spec if sample is None else spec | {"sample": sample}
        run = Run(transform(parse_spec(changed, name), [str(data)], str(target / "run")).path)
        transformed = time.perf_counter()
        model = load_model(train(run, str(target / "model")).folder)
        trained = time.perf_counter()
        print(
            f"{name:13} train rows {run.stats.train:>9,}  {shown(evaluate(model, run, 'test', slices=[]))}  transform "
            f"{transformed - began:.0f} s, training {trained - transformed:.0f} s",
            flush=True,
        )


def compare_calibration(folder: Path, spec: str, data: str, seeds: int) -> None:
    """Prints the metrics on test of models with and without their calibration."""
    run = Run(transform(load_spec(spec), [data], str(folder / "run")).path)
    found: dict[str, list[dict[str, Any]]] = {"without": [], "with": []}
    for seed in range(seeds):
        settings = run.spec.train.model_copy(update={"seed": seed, "calibrate": "isotonic"})
        model = load_model(train(run, str(folder / f"model-{seed}"), train_settings=settings).folder)
        found["with"].append(evaluate(model, run, "test", slices=[]))
        model.calibration = None
        found["without"].append(evaluate(model, run, "test", slices=[]))
        for name, measured in found.items():
            print(f"seed {seed} {name:8} {shown(measured[-1])}", flush=True)
    for name, measured in found.items():
        for metric in METRICS:
            values = [values[metric] for values in measured]
            print(f"{name:8} {metric:12} {np.mean(values):.5f} ± {np.std(values):.5f}")


def shown(metrics: dict[str, Any]) -> str:
    """Returns metrics as a line."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in METRICS)


if __name__ == "__main__":
    main()
