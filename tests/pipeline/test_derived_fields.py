"""Derived fields in whole jobs: features are those of plain Python, served as they were trained, on any runner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from derived_rows import SPEC, rows_of, values_of
from run_contents import contents
from served_model import Served, make_served

from fieldpool.model.examples import feature_spec
from fieldpool.model.run import Run
from fieldpool.model.slices import slices_of
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.files import find_files
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import feature_columns

ROWS = rows_of(seed=0, count=400)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_served(tmp_path_factory.mktemp("derived"), SPEC, ROWS, trained=False)


@pytest.fixture(scope="module")
def features(served: Served) -> Mapping[str, Mapping[str, np.ndarray]]:
    """The features of each row, by its key."""
    run = Run(str(served.run))
    records = tf.data.TFRecordDataset([*run.shards("train"), *run.shards("eval"), *run.shards("test")], "GZIP")
    examples = [tf.io.parse_single_example(record, feature_spec(run.spec)) for record in records]
    found = [{name: value.numpy() for name, value in example.items()} for example in examples]
    return {example["key"].decode(): example for example in found}


def tokens_of(run: Run, name: str, ids: Any) -> list[str]:
    """Returns the tokens of ids, without padding."""
    tokens, first = run.tokens(run.spec.vocabulary_of(name)), run.spec.vocabulary_settings_of(name).first_token_id
    return [tokens[i - first].decode() if i >= first else "(OOV)" for i in np.atleast_1d(ids).tolist() if i]


@pytest.mark.parametrize("name", ["device", "genre", "hour", "weekday", "device_hour"])
def test_tokens_are_those_of_plain_python(name: str, served: Served, features: Mapping[str, Any]) -> None:
    run = Run(str(served.run))
    for row in ROWS:
        (expected,) = [values_of(row)[name]]
        found = tokens_of(run, name, features[row["id"]][name])
        assert found in ([] if expected is None else [expected], ["(OOV)"])
        assert found != ["(OOV)"] or (expected is not None and row["part"] != "train")


@pytest.mark.parametrize("name", ["genres", "device_genres", "words"])
def test_lists_are_those_of_plain_python(name: str, served: Served, features: Mapping[str, Any]) -> None:
    run = Run(str(served.run))
    for row in ROWS:
        values, max_len = values_of(row)[name], run.spec.fields[name].shape[0]
        expected = values[-max_len:] if SPEC["fields"][name].get("keep") == "last" else values[:max_len]
        found = tokens_of(run, name, features[row["id"]][name])
        assert len(found) == len(expected)
        assert all(pair[0] in (pair[1], "(OOV)") for pair in zip(found, expected, strict=True))
        assert row["part"] != "train" or found == expected


@pytest.mark.parametrize("name", ["age", "matches", "share", "ratio", "no_price"])
def test_numbers_are_those_of_plain_python(name: str, features: Mapping[str, Any]) -> None:
    expected = {row["id"]: values_of(row)[name] for row in ROWS}
    present = [value for row in ROWS if row["part"] == "train" and (value := expected[row["id"]]) is not None]
    mean = np.sqrt(np.mean(np.square(present))) if name == "ratio" else np.mean(present)
    if name == "ratio":  # The mean of the ratios, before their square roots.
        mean = np.sqrt(np.mean([value**2 for value in present]))
    for key, value in expected.items():
        np.testing.assert_allclose(features[key][name], mean if value is None else value, rtol=1e-6)


def test_numbers_between_given_boundaries_share_a_bucket(features: Mapping[str, Any]) -> None:
    for row in ROWS:
        price = values_of(row)["price"]
        expected = 0 if price is None else 1 + np.searchsorted([10, 20, 30], price, side="right")
        assert features[row["id"]]["price"] == expected


@pytest.mark.parametrize(("name", "buckets"), [("hashed_cross", 50), ("hashed", 7)])
def test_hashed_values_have_one_id_each(name: str, buckets: int, features: Mapping[str, Any]) -> None:
    ids: dict[Any, set[int]] = {}
    for row in ROWS:
        values = values_of(row)[name]
        values = values if isinstance(values, list) else [values] if values else []
        found = [i for i in np.atleast_1d(features[row["id"]][name]).tolist() if i]
        assert len(found) == len(values)
        for value, i in zip(values, found, strict=True):
            ids.setdefault(value, set()).add(i)
    assert all(len(of_value) == 1 for of_value in ids.values())
    assert all(1 <= i <= buckets for of_value in ids.values() for i in of_value)


def test_checked_rows_have_the_values_of_the_source() -> None:
    """So that `verify` sends requests with these values, which the exported graph normalizes and limits."""
    batch = SourceBatch("rows", np.arange(len(ROWS)), pa.RecordBatch.from_pylist(ROWS))
    found = check_rows(batch, Spec.model_validate(SPEC)).rows
    assert found["device"].to_pylist() == [row["device"].encode() if row["device"] else None for row in ROWS]
    assert found["price"].to_pylist() == [row["price"] for row in ROWS]
    assert "hour" not in found.schema.names


def test_counts_are_those_of_the_derived_values(served: Served) -> None:
    stats = Run(str(served.run)).stats
    values = [values_of(row) for row in ROWS]
    for name in ("hour", "device_hour", "age", "ratio", "device"):
        assert sum(stats.fields[name].absent.values()) == sum(value[name] is None for value in values)
    for name in ("words", "device_genres", "hashed_cross", "genres"):
        assert sum(stats.fields[name].values.values()) == sum(len(value[name]) for value in values)
    hashed = stats.vocabularies["hashed"]
    assert (hashed.distinct, hashed.tokens) == (2, 0)
    assert hashed.collisions in (0.0, 1.0)
    assert hashed.expected_collisions == pytest.approx(1 / 7)


def test_models_are_served_the_values_they_were_trained_on(served: Served, tmp_path: Path) -> None:
    """Bit by bit in all signatures, for rows that no job has seen."""
    new = tmp_path / "new.parquet"
    pq.write_table(pa.Table.from_pylist(rows_of(seed=1, count=1000)), new)
    spec = Run(str(served.run)).spec
    parity = verify(
        Run(str(served.run)),
        str(served.model),
        lambda: ReadBatches(find_files([str(new)]), spec.source, feature_columns(spec)),
    )
    assert parity.holds
    assert parity.rows == 1000


def test_tensorflow_transform_finds_the_same_run(job_server: str, served: Served, tmp_path: Path) -> None:
    """On another runner TensorFlow Transform analyzes the rows; it does not count tokens that are hashed."""
    loopback = [f"--job_endpoint={job_server}", "--environment_type=LOOPBACK"]
    transform(Spec.model_validate(SPEC), [str(served.data)], str(tmp_path), beam_options("PortableRunner", loopback))
    (stats, *others), (expected, *expected_others) = contents(tmp_path), contents(served.run)
    for name in ("hashed", "hashed_cross"):
        del stats["vocabularies"][name], expected["vocabularies"][name]
    assert stats == expected
    assert others == expected_others


def test_counts_of_a_cache_give_the_same_run(served: Served, tmp_path: Path) -> None:
    for name in ("first", "second"):
        transform(
            Spec.model_validate(SPEC), [str(served.data)], str(tmp_path / name), counts_cache=str(tmp_path / "cache")
        )
        assert contents(tmp_path / name) == contents(served.run)


def test_explain_shows_derived_fields(fieldpool: Any, served: Served, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC))
    code, out, _ = fieldpool("explain", str(tmp_path / "spec.yaml"), str(served.data), "--rows", "1")
    assert code == 0
    assert "(derived)" in out


def test_slices_of_hashed_tokens_are_their_buckets(served: Served) -> None:
    slices = slices_of(Run(str(served.run)), "hashed", np.array([0, 3, 5, 3]))
    assert {name: rows.tolist() for name, rows in slices.items()} == {
        "bucket 3": [False, True, False, True],
        "bucket 5": [False, False, True, False],
        "(missing)": [True, False, False, False],
    }
