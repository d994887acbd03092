"""The cost of vocabularies: analysis time and size of the job graph for 10 and for 200 of them, on 10,000 rows.

python -m benchmarks.pipelines.vocabularies
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from rich.console import Console
from rich.table import Table

from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.rows.tft_rows import adapter_config, as_tft_rows
from fieldpool.pipeline.runs.preprocess import write_run
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Spec

ROWS, BATCH_ROWS = 10_000, 2048
NUMBERS = (10, 200)


def spec_of(vocabularies: int) -> Spec:
    """Returns a spec of single-valued fields, each with its own vocabulary."""
    fields = {f"field{i}": {"type": "categorical"} for i in range(vocabularies)}
    return Spec.model_validate({"label": {"field": "label"}, "split": {"column": "split"}, "fields": fields})


def checked_rows(vocabularies: int) -> pa.RecordBatch:
    """Returns rows as the row checks return them: tokens of Zipf-like frequency."""
    rng = np.random.default_rng(0)
    columns: dict[str, pa.Array] = {"label": pa.array(np.zeros(ROWS, np.float32))}
    for i in range(vocabularies):
        tokens = np.floor(1000 ** rng.random(ROWS)).astype(np.int64)
        columns[f"field{i}"] = pa.array(tokens).cast(pa.string()).cast(pa.large_binary())
    return pa.RecordBatch.from_pydict(columns)


def write_rows(rows: pa.RecordBatch, path: Path) -> None:
    """Writes an Arrow file that the pipeline reads, so that the rows are not part of its graph."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(pa.Table.from_batches([rows]), BATCH_ROWS)


def read_rows(path: str) -> Iterator[pa.RecordBatch]:
    """Yields the batches that `write_rows` wrote."""
    with pa.OSFile(path) as file:
        reader = pa.ipc.open_file(file)
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)


def analysis_seconds(vocabularies: int, folder: Path) -> float:
    """Returns the seconds from the construction of the analysis to its written transform function."""
    spec = spec_of(vocabularies)
    write_rows(as_tft_rows(checked_rows(vocabularies), spec), folder / "rows.arrow")
    started = time.perf_counter()
    with (
        beam.Pipeline(options=beam_options()) as pipeline,
        tft_beam.Context(temp_dir=tempfile.mkdtemp(dir=folder)),
    ):
        rows = pipeline | beam.Create([str(folder / "rows.arrow")], reshuffle=False) | beam.FlatMap(read_rows)
        transform_fn = (rows, adapter_config(spec)) | tft_beam.AnalyzeDataset(preprocessing_fn(spec))
        _ = transform_fn | tft_beam.WriteTransformFn(tempfile.mkdtemp(dir=folder))
    return time.perf_counter() - started


def graph_bytes(vocabularies: int, folder: Path) -> int:
    """Returns the size of the complete job's pipeline proto, without rows."""
    pipeline = beam.Pipeline(options=beam_options())
    sources = {name: pipeline | name >> beam.Create([], reshuffle=False) for name in ("analyze", "transform")}
    write_run(sources, spec_of(vocabularies), work=str(folder / "work"), folder=str(folder / "run"))
    return len(pipeline.to_runner_api().SerializeToString())


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    seconds: dict[int, list[float]] = {number: [] for number in NUMBERS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        analysis_seconds(NUMBERS[0], folder)  # Not timed: the first analysis of a process loads modules.
        for _ in range(repeat):
            for number in NUMBERS:
                seconds[number].append(analysis_seconds(number, folder))
        sizes = {number: graph_bytes(number, folder) for number in NUMBERS}
    medians = {number: statistics.median(values) for number, values in seconds.items()}
    table = Table("vocabularies", "analysis s", "ratio", "pipeline.pb bytes", "ratio")
    for number in NUMBERS:
        ratios = f"{medians[number] / medians[NUMBERS[0]]:.2f}", f"{sizes[number] / sizes[NUMBERS[0]]:.2f}"
        table.add_row(str(number), f"{medians[number]:.2f}", ratios[0], f"{sizes[number]:,}", ratios[1])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
