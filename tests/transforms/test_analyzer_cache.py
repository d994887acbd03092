"""`preprocessing_fn(spec)` with TensorFlow Transform's cache: only new data are read, and the result is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.beam.analysis_graph_builder import get_analysis_cache_entry_keys, get_analysis_dataset_keys
from tensorflow_transform.beam.analyzer_cache import DatasetKey
from tensorflow_transform.impl_helper import get_type_specs_from_feature_specs

from fieldpool.transforms.preprocessing import preprocessing_fn, raw_feature_spec
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.vocabulary_counts import METRICS_NAMESPACE


def spec_with(**changed: dict[str, Any]) -> Spec:
    """Returns a spec of two vocabularies and two numbers, with some settings of its fields changed."""
    fields = {
        "item": {"type": "categorical", "vocabulary": "items"},
        "history": {"type": "multivalued", "vocabulary": "items", "max_len": 3},
        "user": {"type": "categorical", "min_count": 2},
        "age": {"type": "numeric", "scale": "zscore"},
        "price": {"type": "numeric", "scale": {"quantiles": 3}},
    }
    return Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"column": "part"},
            "vocabularies": {"items": {}},
            "fields": {name: fields.get(name, {}) | changed.get(name, {}) for name in {**fields, **changed}},
        }
    )


SPEC = spec_with()
# The first days are analyzed with another min_count, which the cache must serve as well.
EARLIER_SPEC = spec_with(user={"min_count": 5})


def rows_of_day(day: int) -> list[dict[str, Any]]:
    """Returns 40 rows. Some tokens are on all days, often twice only if the days are counted together."""
    chance = np.random.default_rng(day)

    def token() -> bytes:
        return str(chance.choice(["", "x", "é", f"day {day}", f"i{chance.integers(60)}"])).encode()

    return [
        {
            "label": 1.0,
            "item": token(),
            "history": [token() for _ in range(chance.integers(6))],
            "user": token(),
            "age": chance.normal() * 1e6 if index % 5 else float("nan"),
            "price": chance.exponential(),
        }
        for index in range(40)
    ]


DAYS = {DatasetKey(f"day{day}"): rows_of_day(day) for day in (1, 2, 3)}
FIRST_DAYS, LAST_DAY = list(DAYS)[:2], list(DAYS)[2]
METADATA = tft.DatasetMetadata.from_feature_spec(raw_feature_spec(SPEC))
TYPES = get_type_specs_from_feature_specs(raw_feature_spec(SPEC))


class Analyses:
    """Two analyses of the three days in one pipeline: "at once", and "cached", with a cache of the first two days.

    Attributes:
        needed: The days that TFT asked for when it had the cache; the others are not given.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
            days = {key: pipeline | key.key >> beam.Create(rows, reshuffle=False) for key, rows in DAYS.items()}
            first_days = {key: days[key] for key in FIRST_DAYS}
            analyze = "earlier" >> tft_beam.AnalyzeDatasetWithCache(self._function(EARLIER_SPEC, "earlier"))
            _, cache = (first_days, {}, METADATA) | analyze
            function = self._function(SPEC, "cached")
            self.needed = get_analysis_dataset_keys(function, TYPES, set(DAYS), cache, force_tf_compat_v1=False)
            new_days = {key: days[key] if key in self.needed else None for key in DAYS}
            transform_fn, _ = (new_days, cache, METADATA) | "cached" >> tft_beam.AnalyzeDatasetWithCache(function)
            _ = transform_fn | "WriteCached" >> tft_beam.WriteTransformFn(str(folder / "cached"))
            all_rows = list(days.values()) | beam.Flatten()
            transform_fn = (all_rows, METADATA) | "at once" >> tft_beam.AnalyzeDataset(self._function(SPEC, "at once"))
            _ = transform_fn | "WriteAtOnce" >> tft_beam.WriteTransformFn(str(folder / "at once"))
        query = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
        self._counters = pipeline.result.metrics().query(query)["counters"]

    def _function(self, spec: Spec, name: str) -> Any:
        return preprocessing_fn(spec, counts_folder=str(self._folder / "counts" / name))

    def vocabularies(self, name: str) -> dict[str, bytes]:
        """Returns the content of each vocabulary's file."""
        return _files(self._folder / name / "transform_fn/assets")

    def counts(self, name: str) -> dict[str, bytes]:
        """Returns the content of each vocabulary's file of counts."""
        return _files(self._folder / "counts" / name)

    def distinct(self, name: str) -> dict[str, int]:
        """Returns the number of distinct tokens of each vocabulary, by its counter."""
        return {c.key.metric.name: c.result for c in self._counters if c.key.step.startswith(f"{name}/")}

    def features(self, name: str) -> dict[str, np.ndarray]:
        """Returns the features of the first day's rows."""
        rows = DAYS[FIRST_DAYS[0]]
        inputs = {
            name: tf.ragged.constant(values, dtype=tf.string, ragged_rank=1, row_splits_dtype=tf.int64)
            if name == "history"
            else tf.constant(values)
            for name, values in ((name, [row[name] for row in rows]) for name in rows[0])
        }
        features = tft.TFTransformOutput(str(self._folder / name)).transform_features_layer()(inputs)
        return {name: tensor.numpy() for name, tensor in features.items()}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> Analyses:
    return Analyses(tmp_path_factory.mktemp("analyses"))


def test_days_in_the_cache_are_not_read(analyses: Analyses) -> None:
    assert analyses.needed == {LAST_DAY}


def test_vocabularies_and_their_counts_are_those_of_all_days_at_once(analyses: Analyses) -> None:
    assert {name: bool(tokens) for name, tokens in analyses.counts("cached").items()} == {"items": True, "user": True}
    assert analyses.vocabularies("cached") == analyses.vocabularies("at once")
    assert analyses.counts("cached") == analyses.counts("at once")


def test_distinct_tokens_are_those_of_all_days(analyses: Analyses) -> None:
    users = {row["user"] for rows in DAYS.values() for row in rows} - {b""}
    assert analyses.distinct("cached")["distinct/user"] == len(users)
    assert analyses.distinct("cached") == analyses.distinct("at once")


def test_features_are_those_of_all_days_at_once(analyses: Analyses) -> None:
    expected = analyses.features("at once")
    for name, feature in analyses.features("cached").items():
        np.testing.assert_array_equal(feature, expected[name], err_msg=name)


def cache_keys(spec: Spec) -> set[bytes]:
    types = get_type_specs_from_feature_specs(raw_feature_spec(spec))
    return get_analysis_cache_entry_keys(preprocessing_fn(spec), types, {LAST_DAY}, force_tf_compat_v1=False)


@pytest.fixture(scope="module")
def keys() -> set[bytes]:
    return cache_keys(SPEC)


@pytest.mark.parametrize(
    ("changed", "counted_anew"),
    [
        ({}, []),
        ({"user": {"min_count": 3, "top_k": 5, "num_oov_buckets": 7}}, []),
        ({"age": {"scale": "minmax"}, "price": {"scale": {"quantiles": 9}}}, []),
        ({"age": {"scale": {"quantiles": 3}}}, ["packed_statistics"]),
        ({"history": {"max_len": 4}}, ["packed_vocabularies"]),
        ({"history": {"keep": "last"}}, ["packed_vocabularies"]),
        ({"user": {"vocabulary": "items", "min_count": None}}, ["packed_vocabularies"]),
        ({"city": {"type": "categorical"}}, ["packed_vocabularies"]),
        ({"height": {"type": "numeric"}}, ["packed_statistics"]),
    ],
)
def test_sums_are_used_again_if_nothing_that_they_sum_up_has_changed(
    keys: set[bytes], changed: dict[str, dict[str, Any]], counted_anew: list[str]
) -> None:
    missing = cache_keys(spec_with(**changed)) - keys
    assert [name for name in ("packed_vocabularies", "packed_statistics") if name.encode() in b"".join(missing)] == (
        counted_anew
    )
    assert len(missing) == len(counted_anew)
