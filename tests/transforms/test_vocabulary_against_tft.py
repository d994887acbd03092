"""`packed_vocabularies` gives the same vocabularies as TFT, with the ids of fieldpool's layout.

Equally frequent tokens are in descending byte order in TFT and in ascending byte order in fieldpool, so TFT's files are
sorted before they are compared. The same tokens are OOV. An empty vocabulary has a placeholder in TFT.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.tft_rows import adapter_config, as_tft_rows
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Vocabulary
from fieldpool.transforms.spec.inputs import raw_columns
from fieldpool.transforms.vocabulary import lookup, packed_vocabularies

FIELDS = ("a", "b", "c")
EXAMPLES = Path(__file__).parents[2] / "examples"
NO_TOKENS = b"49d0cd50-04bb-48c0-bc6f-5b575dce351a"


def in_fieldpool_order(path: Path) -> list[bytes]:
    """Returns the tokens of a TFT vocabulary file with frequencies, where a blank token is `__SPACE__`."""
    lines = [line.split(b" ") for line in path.read_bytes().split(b"\n") if line]
    pairs = [(-int(count), token.replace(b"__SPACE__", b" ")) for count, token in lines]
    return [token for _, token in sorted(pairs) if token != NO_TOKENS]


def random_rows(chance: random.Random) -> list[tuple[list[bytes], ...]]:
    """Returns rows with a list of up to four tokens for each of FIELDS; in the first row are tokens of blanks.

    All are valid UTF-8: TFT itself fails on others when it writes frequencies.
    """
    letters = ["a", "b", "é", "\u20ac", "\U0001f600", "0", ".", "\x00", "\t", "\r", "\x85", "\u2028", "'"]
    tokens = ["".join(chance.choices(letters, k=chance.randint(1, 2))).encode() for _ in range(12)]
    tokens += [b"a", b"b", b"", b" ", b"a ", b"\n"]
    rows = [tuple(chance.choices(tokens, k=chance.randint(0, 4)) for _ in FIELDS) for _ in range(60)]
    return [([b"; ", b" ;", b"  ", b" "], [b" a", b"a"], [b" "]), *rows]


# A pipeline takes seconds. Each field has other thresholds.
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 10))])
def test_random_tokens(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    rows = random_rows(chance)
    thresholds = [(1, None), (chance.randint(2, 4), None), (chance.randint(1, 2), chance.randint(1, 6))]
    own = {name: Vocabulary(min_count=m, top_k=k) for name, (m, k) in zip(FIELDS, thresholds, strict=True)}

    def both(inputs: dict[str, Any]) -> dict[str, Any]:
        paths = packed_vocabularies({name: [inputs[name]] for name in FIELDS}, own)
        outputs = {f"ids_{name}": lookup(inputs[name], paths[name], 1).to_tensor(shape=[None, 4]) for name in FIELDS}
        for name in FIELDS:
            tft_ids = tft.compute_and_apply_vocabulary(
                inputs[name],
                default_value=-1,
                frequency_threshold=own[name].min_count,
                vocab_filename=f"tft_{name}",
                store_frequency=True,
            )
            outputs[f"tft_ids_{name}"] = tft_ids.to_tensor(shape=[None, 4])
        return outputs

    features = {name: tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64) for name in FIELDS}
    dicts = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    with tft_beam.Context(temp_dir=str(tmp_path / "temp")):
        (examples, _), transform_fn = (
            dicts,
            tft.DatasetMetadata.from_feature_spec(features),
        ) | tft_beam.AnalyzeAndTransformDataset(both)
        transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "out"))
    assets = tmp_path / "out/transform_fn/assets"
    for name in FIELDS:
        tokens = [token for token in (assets / name).read_bytes().split(b"\n") if token]
        assert tokens == in_fieldpool_order(assets / f"tft_{name}")[: own[name].top_k]
        ids = {token: rank + 2 for rank, token in enumerate(tokens)}
        for row, transformed in zip(dicts, examples, strict=True):
            expected = [ids.get(token, 1) for token in row[name]]
            assert transformed[f"ids_{name}"].tolist()[: len(expected)] == expected
            if own[name].top_k is None:
                is_oov = transformed[f"tft_ids_{name}"][: len(expected)] == -1
                np.testing.assert_array_equal(is_oov, np.array(expected) == 1)


@pytest.mark.quality
@pytest.mark.parametrize(
    ("example", "files"),
    [
        ("movielens.yaml", "ml100k/ratings.parquet"),
        ("mind.yaml", "mind5k/candidates.parquet"),
        ("criteo.yaml", "criteo8k/*"),
    ],
)
def test_real_data(real_data: Path, tmp_path: Path, example: str, files: str) -> None:
    """One vocabulary per field, for at most four fields; each list is truncated to 20 values."""
    loaded = load_spec(str(EXAMPLES / example))
    chosen: dict[str, Any] = {}
    for name, field in loaded.fields.items():
        if field.has_vocabulary and len(chosen) < 4:
            own_vocabulary = {"vocabulary": None, "min_count": 2, "top_k": None, "num_oov_buckets": 1}
            chosen[name] = field.model_copy(update=own_vocabulary | ({"max_len": 20} if field.is_list else {}))
    spec = loaded.model_copy(update={"fields": chosen, "vocabularies": {}})

    def both(inputs: dict[str, Any]) -> dict[str, Any]:
        for name, field in chosen.items():
            x = inputs[name]
            if field.is_list:
                x = tf.ragged.boolean_mask(x, tf.not_equal(x, ""))
                x = x[:, :20] if field.keep == "first" else x[:, -20:]
            tft.vocabulary(x, frequency_threshold=2, vocab_filename=f"tft_{name}", store_frequency=True)
        return preprocessing_fn(spec)(inputs)

    def batches(path: str) -> Iterator[pa.RecordBatch]:
        for batch in read_batches(path, spec.source, raw_columns(spec)):
            yield as_tft_rows(check_rows(batch, spec).rows, spec)

    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "temp")):
        paths = [file.path for file in find_files([str(real_data / files)])]
        rows = pipeline | beam.Create(paths, reshuffle=False) | beam.FlatMap(batches)
        transform_fn = (rows, adapter_config(spec)) | tft_beam.AnalyzeDataset(both)
        _ = transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "out"))
    assets = tmp_path / "out/transform_fn/assets"
    for name in chosen:
        tokens = [token for token in (assets / name).read_bytes().split(b"\n") if token]
        assert len(tokens) > 1
        assert tokens == in_fieldpool_order(assets / f"tft_{name}")
