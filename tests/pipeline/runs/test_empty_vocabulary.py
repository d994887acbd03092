"""A vocabulary that stays empty is empty wherever it is shown, and each of its tokens is OOV."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from served_model import Served, make_served

from fieldpool.model.run import Run
from fieldpool.pipeline.reports.run_profile import field_profiles
from fieldpool.pipeline.tfrecords.decoding import decoded_examples

SPEC: dict[str, Any] = {
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {
        "item": {"type": "categorical"},
        "rare": {"type": "categorical", "min_count": 9},
        "tags": {"type": "multivalued", "max_len": 2, "num_oov_buckets": 2},
    },
    "model": {"hidden_units": [2], "embedding_dim": 2},
}
# The token that TensorFlow Transform writes to an empty vocabulary.
PLACEHOLDER = "49d0cd50-04bb-48c0-bc6f-5b575dce351a"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A run in which no token of `rare` is frequent enough, and `tags` has tokens in eval only; its export."""
    rows = [
        {"click": i % 2, "part": part, "item": f"i{i}", "rare": f"x{i}", "tags": ["new"] if part == "eval" else []}
        for i, part in enumerate(["train", "train", "eval"])
    ]
    return make_served(tmp_path_factory.mktemp("empty"), SPEC, rows, trained=False)


def test_the_run_has_no_token_and_no_row_of_an_embedding_table_for_one(empty: Served) -> None:
    run = Run(str(empty.run))
    assert [run.vocabulary(name).num_rows for name in ("item", "rare", "tags")] == [2, 0, 0]
    assert run.vocabulary_sizes == {"item": 4, "rare": 2, "tags": 3}
    assert {name: found.tokens for name, found in run.stats.vocabularies.items()} == {"item": 2, "rare": 0, "tags": 0}


def test_its_tokens_are_oov(empty: Served) -> None:
    run = Run(str(empty.run))
    (example,) = decoded_examples(run, "eval", 1)
    assert example.fields["rare"].ids == [1]
    assert example.fields["rare"].tokens == ["[OOV 1]"]
    assert set(example.fields["tags"].ids[:1]) <= {1, 2}
    assert run.stats.fields["rare"].oov == {"train": 2, "eval": 1, "test": 0}


@pytest.mark.parametrize("token", ["x0", PLACEHOLDER])
def test_the_exported_model_serves_its_tokens_as_oov(empty: Served, token: str) -> None:
    served = tf.saved_model.load(str(empty.export))
    texts = {"item": ["i0"], "rare": [token], "tags": [token]}
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))
        for name, values in texts.items()
    }
    request = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    ids = served.signatures["ids"](examples=tf.constant([request]))
    assert ids["rare"].numpy().tolist() == [1]
    assert ids["tags"].numpy()[0, 0] in (1, 2)


def test_its_profile_shows_no_token(empty: Served) -> None:
    profiles = field_profiles(Run(str(empty.run)))
    assert {field.name: field.tokens for field in profiles} == {"item": 2, "rare": 0, "tags": 0}
