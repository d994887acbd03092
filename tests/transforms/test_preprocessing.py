"""`preprocessing_fn(spec)` in a real TFT pipeline, on a few rows whose results are computed by hand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from every_field import SPEC, all_rows

from fieldpool.transforms.errors import UserError
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Spec


@pytest.fixture(scope="module")
def transformed(analyzed: str) -> dict[str, np.ndarray]:
    """The three rows and one with unseen values, transformed by the written transform function, as in serving."""
    layer = tft.TFTransformOutput(analyzed).transform_features_layer()
    return {name: tensor.numpy() for name, tensor in layer(all_rows()).items()}


# The model sees the bags [y z y], [first visit], [y] and the items x, x. The counts are y 3, x 2, "first visit" 1 and
# z 1, the latter two in byte order. With two OOV buckets the first token has id 3.
ITEMS = {"y": 3, "x": 4, "first visit": 5, "z": 6}


def test_key_and_label_are_copied(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["key"].tolist() == [b"a", b"b", b"c", b"d"]
    assert transformed["label"].tolist() == [1.0] * 4


def test_missing_value_is_padding_by_default(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["item"][:3].tolist() == [ITEMS["x"], 0, ITEMS["x"]]


def test_unseen_token_gets_an_oov_bucket(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["item"][3] in (1, 2)
    assert transformed["item"][3] == transformed["history"][3][0]


def test_missing_value_can_be_oov(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["user"].tolist() == [2, 1, 2, 1]


def test_token_of_missing_values_is_counted_like_others(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["city"].tolist() == [2, 1, 2, 1]  # "nowhere" occurs once, below its min_count of 2.


def test_bags_drop_empty_text_keep_the_last_values_and_are_padded(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["history"][:3].tolist() == [
        [ITEMS["y"], ITEMS["z"], ITEMS["y"]],
        [ITEMS["first visit"], 0, 0],
        [ITEMS["y"], 0, 0],
    ]


def test_weights_are_kept_with_their_values(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["history_weights"][:3].tolist() == [[3.0, 4.0, 5.0], [1.0, 0.0, 0.0], [6.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("zscore", [-1.0, 0.0, 1.0, 49.5]),  # mean 1, standard deviation 2
        ("minmax", [0.0, 0.75, 1.0, 1.0]),  # from -1 to 3; a missing number is 2
        ("log", [-np.log(2), np.log(2), np.log(4), np.log(101)]),  # a missing number is the mean, 1
        ("plain", [-1.0, 1.0, 3.0, 100.0]),
    ],
)
def test_scales(transformed: dict[str, np.ndarray], field: str, expected: list[float]) -> None:
    np.testing.assert_allclose(transformed[field], expected, rtol=1e-6)


def test_missing_number_has_bucket_id_0(transformed: dict[str, np.ndarray]) -> None:
    assert transformed["bucket"].tolist() == [1, 0, 2, 2]


def test_preprocessing_fn_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(preprocessing_fn(SPEC))).keywords["spec"] == SPEC


def test_unresolved_max_len_is_an_error(spec_data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fields.genres.max_len: expected a number, found 'auto'"):
        preprocessing_fn(Spec.model_validate(spec_data))


RENAMED = Spec.model_validate(
    {
        "key": "id",
        "carry": {"market": "country"},
        "label": {"field": "click"},
        "split": {"column": "part"},
        "fields": {
            "user": {"type": "categorical", "column": "user_id"},
            "tags": {"type": "multivalued", "column": "genres", "weights": "times", "max_len": 2},
            "age": {"type": "numeric"},
        },
    }
)
NAMES = ["user", "tags", "tags_weights", "age"]


@pytest.mark.parametrize(
    ("names", "missing", "hints"),
    [
        (["user", "tags", "tags_weights"], "age", ""),
        (["user_id", "tags", "tags_weights", "age"], "user", "; rename the raw column user_id to user"),
        (["user", "tags", "times", "age"], "tags_weights", "; rename the raw column times to tags_weights"),
        ([*NAMES, "click"], "label", "; rename the raw column click to label"),
        ([*NAMES, "label", "id"], "key", "; rename the raw column id to key"),
        ([*NAMES, "label", "key", "country"], "market", "; rename the raw column country to market"),
        ([], "user, tags, tags_weights, age", ""),
    ],
    ids=["missing", "field", "weights", "label", "key", "carried", "no inputs"],
)
def test_missing_input_is_reported(names: list[str], missing: str, hints: str) -> None:
    with pytest.raises(UserError) as caught:
        preprocessing_fn(RENAMED)({name: tf.constant([""]) for name in names})
    message = str(caught.value)
    assert message.startswith(f"preprocessing_fn: missing inputs: {missing}; found: {', '.join(names) or 'none'}. ")
    assert message.endswith(f"for the key and the label){hints}")


def test_missing_input_is_reported_by_a_pipeline(tmp_path: Path) -> None:
    metadata = tft.DatasetMetadata.from_feature_spec({"age": tf.io.FixedLenFeature([], tf.float32)})
    with tft_beam.Context(temp_dir=str(tmp_path)), pytest.raises(UserError, match="missing inputs: user, tags"):
        _ = ([{"age": 1.0}], metadata) | tft_beam.AnalyzeDataset(preprocessing_fn(RENAMED))


def test_can_be_part_of_another_preprocessing_fn(tmp_path: Path) -> None:
    """Dense text is split at its separator, and the outputs are used together with other ones."""
    spec = Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"column": "part"},
            "fields": {"tags": {"type": "multivalued", "separator": "|", "max_len": 2}},
        }
    )

    def combined(inputs: dict[str, Any]) -> dict[str, Any]:
        return preprocessing_fn(spec)({"tags": inputs["tags"]}) | {"scaled": tft.scale_to_0_1(inputs["x"])}

    features = {"tags": tf.io.FixedLenFeature([], tf.string), "x": tf.io.FixedLenFeature([], tf.float32)}
    rows = [{"tags": "b|a", "x": 1.0}, {"tags": "", "x": 3.0}, {"tags": "a|", "x": 2.0}]
    with tft_beam.Context(temp_dir=str(tmp_path)):
        (examples, _), _ = (
            rows,
            tft.DatasetMetadata.from_feature_spec(features),
        ) | tft_beam.AnalyzeAndTransformDataset(combined)
    assert [(e["tags"].tolist(), e["scaled"]) for e in examples] == [
        ([3, 2], 0.0),
        ([0, 0], 1.0),
        ([2, 0], 0.5),
    ]


@pytest.mark.parametrize("shape", [[None], [None, 1]])
def test_texts_that_tensorflow_cannot_parse_are_refused(shape: list[int | None]) -> None:
    """As text without a separator, such a list would be one token."""
    tags = {"type": "multivalued", "list": "json", "max_len": 2}
    spec = Spec.model_validate({"label": {"field": "click"}, "split": {"column": "part"}, "fields": {"tags": tags}})
    with tf.Graph().as_default(), pytest.raises(UserError, match="lists in the input tags, found one text per row"):
        preprocessing_fn(spec)({"tags": tf.compat.v1.placeholder(tf.string, shape)})
