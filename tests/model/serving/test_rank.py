"""The signature `rank`: one user and N candidates give the bits of `raw` with the user repeated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml
from served_model import Served

from fieldpool.model.export import export_model
from fieldpool.model.run import Run
from fieldpool.model.serving.graph import argument_names, serving_feature_spec
from fieldpool.model.serving.rank import rank_signature
from fieldpool.transforms.run_files import TRANSFORM_FN_FOLDER
from fieldpool.transforms.spec import MISSING_TIME
from fieldpool.transforms.spec.fields.sides import user_inputs

OF_USER = {
    *("key_0", "user", "history", "history_weights", "liked", "taste", "age", "visits", "income", "clicked_us"),
}


@pytest.fixture(scope="module")
def model(ranked: Served) -> Any:
    return tf.saved_model.load(str(ranked.export))


def requests(ranked: Served, user: int, candidates: int) -> dict[str, tf.Tensor]:
    """The arguments of `rank`: the values of the log's rows, those of the user from one of them."""
    rng = np.random.default_rng(user)
    chosen = rng.integers(0, len(ranked.rows), candidates)
    spec = Run(str(ranked.run)).spec
    features = serving_feature_spec(spec)
    names, found = argument_names(features), {}
    for name, feature in features.items():
        rows = [ranked.rows[user]] if name in OF_USER else [ranked.rows[i] for i in chosen]
        column = column_of(name)
        values = [row[column] for row in rows]
        if not isinstance(feature, tf.io.FixedLenFeature):
            found[names[name]] = tf.ragged.constant(values, feature.dtype, ragged_rank=1).to_tensor()
            continue
        if feature.dtype == tf.int64:
            values = [MISSING_TIME if value is None else value * 1_000_000 for value in values]
        missing = "" if feature.dtype == tf.string else np.full(feature.shape, np.nan)
        tensor = tf.constant([missing if v is None else v for v in values], feature.dtype)
        found[names[name]] = tf.reshape(tensor, [-1, *feature.shape])
    return found


def column_of(name: str) -> str:
    columns = {"key_0": "user", "key_1": "item", "history_weights": "watched", "genres-1": "genres"}
    return columns.get(name, name.removesuffix("_us"))


def repeated(request: dict[str, tf.Tensor], candidates: int) -> dict[str, tf.Tensor]:
    return {
        name: tf.repeat(tensor, candidates, axis=0) if name in OF_USER else tensor for name, tensor in request.items()
    }


@pytest.mark.parametrize("candidates", [1, 2, 7, 64, 501])
@pytest.mark.parametrize("user", [0, 1, 5, 7, 46])
def test_probabilities_are_those_of_raw_bit_by_bit(ranked: Served, model: Any, user: int, candidates: int) -> None:
    request = requests(ranked, user, candidates)
    by_rank = model.signatures["rank"](**request)
    by_raw = model.signatures["raw"](**repeated(request, candidates))
    assert set(by_rank) == set(by_raw)
    for name, values in by_raw.items():
        found = by_rank[name].numpy()
        assert found.shape == (candidates,)
        if name == "probability":
            found, values = found.view("int32"), values.numpy().view("int32")
        np.testing.assert_array_equal(found, values, err_msg=name)
    assert candidates < 7 or len(np.unique(by_rank["probability"])) > 3


def test_inputs_of_the_user_have_one_row(ranked: Served, model: Any) -> None:
    assert set(user_inputs(Run(str(ranked.run)).spec)) == OF_USER
    arguments = model.signatures["rank"].structured_input_signature[1]
    assert {name for name, of in arguments.items() if of.shape[0] == 1} == OF_USER
    assert {name: (of.dtype, of.shape.rank) for name, of in arguments.items()} == {
        name: (of.dtype, of.shape.rank) for name, of in model.signatures["raw"].structured_input_signature[1].items()
    }


def test_an_export_does_not_check_ids(model: Any) -> None:
    """They are those of its own vocabularies; a check costs operations in each request."""
    graph = model.signatures["rank"].graph.as_graph_def().SerializeToString()
    assert b"SparseTensorDenseMatMul" in graph  # The model's functions are in it.
    assert b"expected ids from" not in graph


def test_a_second_user_is_refused(ranked: Served, model: Any) -> None:
    request = requests(ranked, 0, 2)
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
        model.signatures["rank"](**request | {"user": tf.constant(["u1", "u2"])})


def test_without_candidates_there_are_no_probabilities(ranked: Served, model: Any) -> None:
    assert model.signatures["rank"](**requests(ranked, 3, 0))["probability"].shape == (0,)


def test_the_model_gets_ids_and_weights_of_the_user_in_one_row(ranked: Served) -> None:
    seen: dict[str, int | None] = {}

    def model(features: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        seen.update({name: feature.shape[0] for name, feature in features.items()})
        return tf.zeros([tf.shape(features["item"])[0], 1])

    run = Run(str(ranked.run))
    transform = tf.saved_model.load(str(ranked.run / TRANSFORM_FN_FOLDER))
    rank_signature(run.spec, transform, model)["rank"].get_concrete_function()
    assert {name for name, rows in seen.items() if rows == 1} == {
        *("user", "history", "history_weights", "liked", "income", "hour", "user_hour", "liked_hour"),
    }


def test_a_spec_without_sides_has_no_such_signature(served: Served) -> None:
    assert set(tf.saved_model.load(str(served.export)).signatures) == {"serving_default", "raw", "ids"}


def test_sides_may_be_added_to_the_spec_of_a_run(served: Served, tmp_path: Path) -> None:
    """The model is the one trained before, and its other signatures give the same."""
    run = Path(shutil.copytree(served.run, tmp_path / "run"))
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    for name in ("user", "history", "age"):
        spec["fields"][name]["side"] = "user"
    (run / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    again = tf.saved_model.load(export_model(Run(str(run)), str(served.model), str(tmp_path / "export")))
    arguments = again.signatures["rank"].structured_input_signature[1]
    assert {name for name, of in arguments.items() if of.shape[0] == 1} == {"user", "history", "history_weights", "age"}
    before, example = tf.saved_model.load(str(served.export)), tf.constant([b""])
    for signature in ("serving_default", "ids"):
        found, expected = (model.signatures[signature](examples=example) for model in (again, before))
        assert {name: x.numpy().tolist() for name, x in found.items()} == {
            name: x.numpy().tolist() for name, x in expected.items()
        }
