"""A transform written from known values is the one that TensorFlow Transform writes after an analysis."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from every_field import ROWS, SPEC, all_rows

from fieldpool.transforms.known import Known
from fieldpool.transforms.numeric_statistics import Summary
from fieldpool.transforms.preprocessing import preprocessing_fn, raw_feature_spec
from fieldpool.transforms.runs.identity import read_identity
from fieldpool.transforms.spec import NumericField
from fieldpool.transforms.transform_graph import TransformGraph


@pytest.fixture(scope="module")
def known(analyzed: str) -> Known:
    """The vocabularies of the analysis, and statistics of the rows."""
    fields = SPEC.fields_of(NumericField)
    summary = Summary([field.buckets or 1 for field in fields.values()])
    numbers = np.array([[row[name] for name in fields] for row in ROWS], np.float32)
    statistics = summary.extract_output(summary.add_input(summary.create_accumulator(), (numbers,)))
    return Known({name: f"{analyzed}/transform_fn/assets/{name}" for name in SPEC.vocabulary_fields()}, statistics)


@pytest.fixture(scope="module")
def written(known: Known, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("known"))
    TransformGraph(SPEC, pickle.loads(pickle.dumps(known))).write(folder)
    return folder


def features(folder: str) -> dict[str, Any]:
    layer = tft.TFTransformOutput(folder).transform_features_layer()
    return {name: tensor.numpy() for name, tensor in layer(all_rows()).items()}


def unlabelled_rows() -> dict[str, Any]:
    return {name: tensor for name, tensor in all_rows().items() if name != "label"}


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
        bits = [array.tolist() if array.dtype == object else array.tobytes() for array in (found[name], values)]
        assert bits[0] == bits[1], name


def test_features_are_those_of_the_analysis(written: str, analyzed: str) -> None:
    assert_same_bits(features(written), features(analyzed))


def test_plain_tensorflow_loads_it(written: str, analyzed: str) -> None:
    transform = tf.saved_model.load(f"{written}/transform_fn").transform_fn
    assert_same_bits({name: tensor.numpy() for name, tensor in transform(all_rows()).items()}, features(analyzed))


def test_function_in_memory_gives_the_same_features(known: Known, analyzed: str) -> None:
    found = TransformGraph(SPEC, known, label=False).function()(unlabelled_rows())
    expected = features(analyzed)
    del expected["label"]
    assert_same_bits({name: tensor.numpy() for name, tensor in found.items()}, expected)


def test_files_are_those_of_the_analysis(written: str, analyzed: str) -> None:
    def files(folder: str) -> dict[str, bytes]:
        paths = [path for part in ("transform_fn", "transformed_metadata") for path in Path(folder, part).rglob("*")]
        return {os.path.relpath(path, folder): path.read_bytes() for path in paths if path.is_file()}

    found, expected = files(written), files(analyzed)
    assert sorted(found) == sorted(expected)
    differ = {name for name, content in found.items() if content != expected[name]}
    graph = ("transform_fn/saved_model.pb", "transform_fn/fingerprint.pb", "transform_fn/variables/")
    assert all(name.startswith(graph) for name in differ)


def test_tensorflow_transform_reads_it(written: str, analyzed: str) -> None:
    found, expected = tft.TFTransformOutput(written), tft.TFTransformOutput(analyzed)
    assert found.transformed_feature_spec() == expected.transformed_feature_spec()
    assert found.raw_metadata == tft.DatasetMetadata.from_feature_spec(raw_feature_spec(SPEC))
    for name in SPEC.vocabulary_fields():
        assert found.vocabulary_by_name(name) == expected.vocabulary_by_name(name)


def test_its_identity_is_that_of_the_analysis(written: str, analyzed: str) -> None:
    identity = read_identity(SPEC, f"{written}/transform_fn")
    assert identity.numbers
    assert identity == read_identity(SPEC, f"{analyzed}/transform_fn")


def test_retired_tokens_are_looked_up_like_unknown_ones(known: Known) -> None:
    # The lines of `items` are y, x, "first visit" and z; with two OOV buckets, the id of y is 3.
    retired = dataclasses.replace(known, retired={"items": np.array([1]), "rare": np.array([], np.int64)})
    ids = TransformGraph(SPEC, retired, label=False).function()(unlabelled_rows())
    bucket = int(tf.strings.to_hash_bucket_fast("x", 2)) + 1
    assert ids["item"].numpy()[:3].tolist() == [bucket, 0, bucket]
    assert ids["history"].numpy()[:2].tolist() == [[3, 6, 3], [5, 0, 0]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vocabularies": {"items": "a/items"}}, r"found for user, rare, city: None, None, None"),
        ({"vocabularies": dict.fromkeys(SPEC.vocabulary_fields(), "a/items")}, "for user, rare, city: a/items, a/it"),
        ({"statistics": np.zeros(4)}, r"known.statistics: expected float64 \[21\] for 5 .* found float64 \[4\]"),
        ({"statistics": np.zeros(21, np.float32)}, r"found float32 \[21\]"),
    ],
    ids=["no vocabulary", "another file name", "number of statistics", "dtype"],
)
def test_values_that_do_not_match_the_spec_are_reported(known: Known, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        preprocessing_fn(SPEC, known=dataclasses.replace(known, **change))
