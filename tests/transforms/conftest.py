"""A transform that TensorFlow Transform analyzed and wrote."""

from __future__ import annotations

import apache_beam as beam
import pytest
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from every_field import ROWS, SPEC

from fieldpool.transforms.preprocessing import preprocessing_fn, raw_feature_spec


@pytest.fixture(scope="session")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of the transform of `every_field.SPEC`, from `every_field.ROWS`."""
    folder = str(tmp_path_factory.mktemp("transform"))
    metadata = tft.DatasetMetadata.from_feature_spec(raw_feature_spec(SPEC))
    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=f"{folder}/temp"):
        rows = pipeline | beam.Create(ROWS, reshuffle=False)
        transform_fn = (rows, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn(SPEC))
        _ = transform_fn | tft_beam.WriteTransformFn(folder)
    return folder
