"""Measures the signatures `rank` and `raw` of an exported model for one user with a long history and many candidates.

`serving.py` calls it. Rows are generated: a user with a history of 50 items, its country, device and age, and a
candidate with its category, brand, price and click rate. Item and history share a vocabulary.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from .pipelines.rows import tokens

CANDIDATES, HISTORY = 500, 50
TRAINED_ROWS = 20_000
CALLS, REQUESTS = 1_000, 32
ITEMS, USERS = 20_000, 5_000
# First requests are measured in processes of their own.
FIRST_REQUESTS = 5

USER: dict[str, Any] = {"side": "user"}
SPEC: dict[str, Any] = {
    "label": {"field": "label"},
    "split": {"column": "split"},
    "vocabularies": {"items": {}},
    "fields": {
        "user": {"type": "categorical", **USER},
        "history": {"type": "multivalued", "vocabulary": "items", "max_len": HISTORY, "keep": "last", **USER},
        "country": {"type": "categorical", **USER},
        "device": {"type": "categorical", **USER},
        "age": {"type": "numeric", **USER},
        "item": {"type": "categorical", "vocabulary": "items"},
        "category": {"type": "categorical"},
        "brand": {"type": "categorical"},
        "price": {"type": "numeric", "scale": "log1p"},
        "ctr": {"type": "numeric"},
    },
    "train": {"epochs": 1, "batch_size": 4096},
}


def rows(number: int, seed: int = 0) -> pa.Table:
    """Returns rows of users with candidates."""
    rng = np.random.default_rng(seed)
    offsets = np.arange(0, HISTORY * number + 1, HISTORY, dtype=np.int32)
    split = rng.choice(3, number, p=[0.8, 0.1, 0.1])
    return pa.table(
        {
            "user": tokens(rng, USERS, number, "u"),
            "history": pa.ListArray.from_arrays(pa.array(offsets), tokens(rng, ITEMS, HISTORY * number, "i")),
            "country": tokens(rng, 100, number, "c"),
            "device": tokens(rng, 10, number, "d"),
            "age": rng.integers(18, 80, number).astype(np.float64),
            "item": tokens(rng, ITEMS, number, "i"),
            "category": tokens(rng, 300, number, "k"),
            "brand": tokens(rng, 2_000, number, "b"),
            "price": rng.lognormal(3, 1, number),
            "ctr": rng.random(number),
            "label": (rng.random(number) < 0.25).astype(np.int64),
            "split": pa.array(["train", "eval", "test"]).take(pa.array(split)),
        }
    )


def make_model(folder: Path) -> Path:
    """Returns the folder of an exported model; trains it if it does not exist."""
    from fieldpool.model.export import export_model
    from fieldpool.model.run import Run
    from fieldpool.model.training.train import train
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.transforms.spec import Spec

    run, model = folder / "ranking-run", folder / "ranking-model"
    if (model / "serving").exists():
        return model / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows(TRAINED_ROWS), folder / "ranking.parquet")
    if not (run / "DONE").exists():
        transform(Spec.model_validate(SPEC), [str(folder / "ranking.parquet")], str(run))
    train(Run(str(run)), str(model), overwrite=True)
    return Path(export_model(Run(str(run)), str(model)))


def requests(seed: int) -> dict[str, dict[str, Any]]:
    """Returns a request of one user and CANDIDATES candidates for each signature, as tensors."""
    import tensorflow as tf

    table = rows(CANDIDATES, seed)
    by_rank: dict[str, Any] = {}
    for name, field in SPEC["fields"].items():
        column = table[name][:1] if "side" in field else table[name]
        dtype = tf.float32 if field["type"] == "numeric" else tf.string
        by_rank[name] = tf.constant(column.to_pylist(), dtype)
    of_user = [name for name, field in SPEC["fields"].items() if "side" in field]
    return {"raw": by_rank | {n: tf.repeat(by_rank[n], CANDIDATES, axis=0) for n in of_user}, "rank": by_rank}


def bytes_of(request: Mapping[str, Any], signature: str) -> int:
    """Returns the size of a request to TensorFlow Serving."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    message = PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "model", signature
    for name, tensor in request.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
    return int(message.ByteSize())


def first_milliseconds(export: Path, *, warm_up: bool) -> tuple[float, float]:
    """Returns the time of the first request to `rank` in a new process, and p99 of later ones there."""
    program = f"from benchmarks.ranking import print_first; print_first({str(export)!r}, {warm_up})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    first, p99 = done.stdout.split()[-2:]
    return float(first), float(p99)


def print_first(export: str, warm_up: bool) -> None:
    """Prints what `first_milliseconds` returns, in this process."""
    from fieldpool import load_export

    in_turn = [requests(seed)["rank"] for seed in range(REQUESTS)]
    rank = load_export(export, warm_up=warm_up).signatures["rank"]
    times = [seconds(rank, in_turn[call % REQUESTS]) for call in range(CALLS)]
    print(times[0] * 1e3, np.percentile(times[1:], 99) * 1e3)


def seconds(signature: Any, request: Mapping[str, Any]) -> float:
    """Returns the time of one call, up to the probabilities in NumPy."""
    started = time.perf_counter()
    signature(**request)["probability"].numpy()
    return time.perf_counter() - started


def measure(folder: Path, console: Console) -> None:
    """Prints times and sizes of both signatures, whether their probabilities are equal, and times of first requests."""
    from fieldpool import load_export

    export = make_model(folder)
    signatures = load_export(export).signatures
    in_turn = [requests(seed) for seed in range(REQUESTS)]
    equal = all(
        np.array_equal(*(signatures[name](**request[name])["probability"].numpy().view("int32") for name in request))
        for request in in_turn
    )
    # The two signatures alternate, so that both are measured in the same state of the machine.
    times: dict[str, list[float]] = {name: [] for name in in_turn[0]}
    for call in range(CALLS):
        for name, found in times.items():
            found.append(seconds(signatures[name], in_turn[call % REQUESTS][name]) * 1e3)
    p50 = {name: float(np.median(found)) for name, found in times.items()}
    size = {name: bytes_of(in_turn[0][name], name) for name in times}
    table = Table("signature", "p50 ms", "p99 ms", "request bytes", title=f"1 user × {CANDIDATES} candidates")
    for name, found in times.items():
        table.add_row(name, f"{p50[name]:.2f}", f"{np.percentile(found, 99):.2f}", f"{size[name]:,}")
    console.print(table)
    console.print(
        f"rank / raw: p50 {p50['rank'] / p50['raw']:.0%}, bytes {size['rank'] / size['raw']:.1%}; the probabilities of "
        f"{REQUESTS} requests are {'equal bit by bit' if equal else 'DIFFERENT'}"
    )
    for warm_up, words in ((True, "after the warm-up requests"), (False, "without them")):
        found_in = [first_milliseconds(export, warm_up=warm_up) for _ in range(FIRST_REQUESTS)]
        first, later = np.median(found_in, axis=0)
        console.print(
            f"first request {words}: {first:.2f} ms, {first / later:.2f} times p99 of later ones ({later:.2f} ms); "
            f"medians of {FIRST_REQUESTS} processes"
        )
