"""What vocabularies cost: analysis time and job graph for 10 and for 200 of them, on 10,000 rows.

python benchmarks/many_vocabularies.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from rich.console import Console
from rich.table import Table

from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.runs.preprocess import raw_tensor_adapter_config, write_run
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Spec

ROWS = 10_000

# Read by the pipeline, but no part of it.
_BATCHES: dict[int, list[pa.RecordBatch]] = {}


def spec_of(vocabularies: int) -> Spec:
    """Returns a spec of single-valued fields."""
    fields = {f"field{i}": {"type": "categorical"} for i in range(vocabularies)}
    return Spec.model_validate({"label": {"field": "label"}, "split": {"column": "split"}, "fields": fields})


def checked_rows(vocabularies: int) -> pa.RecordBatch:
    """Returns rows as the row checks leave them: tokens of Zipf-like frequency."""
    rng = np.random.default_rng(0)
    ones = np.arange(ROWS + 1)
    columns: dict[str, pa.Array] = {"label": pa.array(np.zeros(ROWS, np.float32))}
    for i in range(vocabularies):
        tokens = np.floor(1000 ** rng.random(ROWS)).astype(np.int64)
        columns[f"field{i}"] = pa.array(tokens).cast(pa.string()).cast(pa.large_binary())
    columns["__split__"] = pa.array(np.zeros(ROWS, np.int64))
    lists = [pa.LargeListArray.from_arrays(ones, column) for column in columns.values()]
    return pa.RecordBatch.from_arrays(lists, list(columns))


def batches_of(vocabularies: int) -> list[pa.RecordBatch]:
    """Returns what `analysis_seconds` has made."""
    return _BATCHES[vocabularies]


def analysis_seconds(vocabularies: int) -> float:
    """Returns the seconds from building the analysis to its written transform function."""
    spec, batch = spec_of(vocabularies), checked_rows(vocabularies)
    _BATCHES[vocabularies] = [batch.slice(start, 2048) for start in range(0, ROWS, 2048)]
    started = time.perf_counter()
    with (
        beam.Pipeline(options=beam_options()) as pipeline,
        tft_beam.Context(temp_dir=tempfile.mkdtemp(), passthrough_keys={"__split__"}),
    ):
        rows = pipeline | beam.Create([vocabularies], reshuffle=False) | beam.FlatMap(batches_of)
        transform_fn = (rows, raw_tensor_adapter_config(spec)) | tft_beam.AnalyzeDataset(preprocessing_fn(spec))
        _ = transform_fn | tft_beam.WriteTransformFn(tempfile.mkdtemp())
    return time.perf_counter() - started


def graph_bytes(vocabularies: int) -> int:
    """Returns the size of the whole job's pipeline proto, the rows not in it."""
    pipeline = beam.Pipeline(options=beam_options())
    sources = {name: pipeline | name >> beam.Create([], reshuffle=False) for name in ("analyze", "transform")}
    write_run(sources, spec_of(vocabularies), tempfile.mkdtemp())
    return len(pipeline.to_runner_api().SerializeToString())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    analysis_seconds(10)  # Whatever the first run of a process loads.
    numbers = (10, 200)
    seconds: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(repeat):
        for number in numbers:
            seconds[number].append(analysis_seconds(number))
    medians = {number: statistics.median(values) for number, values in seconds.items()}
    sizes = {number: graph_bytes(number) for number in numbers}
    table = Table("vocabularies", "analysis s", "ratio", "pipeline.pb bytes", "ratio")
    for number in numbers:
        ratios = f"{medians[number] / medians[10]:.2f}", f"{sizes[number] / sizes[10]:.2f}"
        table.add_row(str(number), f"{medians[number]:.2f}", ratios[0], f"{sizes[number]:,}", ratios[1])
    Console(width=120).print(table)


if __name__ == "__main__":
    # By the module's own name, so that the pickled functions find its batches.
    import many_vocabularies

    many_vocabularies.main()
