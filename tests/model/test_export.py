"""The exported model: plain TensorFlow loads it, and it transforms raw rows as the run did."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from served_model import SPEC, Served, expected_probabilities
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from fieldpool.model.export import export_model
from fieldpool.model.from_spec import deepfm
from fieldpool.model.run import Run
from fieldpool.model.serving.graph import argument_names
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.run_files import find_export
from fieldpool.transforms.spec import Spec

# Runs in a separate process: predictions for raw rows with plain TensorFlow, as named tensors and as tf.Examples.
BARE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fieldpool", "tensorflow_transform", "tfx_bsl", "apache_beam"):
            raise ImportError(f"{name} is blocked in this test")

sys.meta_path.insert(0, Blocked())
import tensorflow as tf

model, rows = tf.saved_model.load(sys.argv[1]), json.load(sys.stdin)

def feature(values):
    if values and isinstance(values[0], str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode() for v in values]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

examples = [
    tf.train.Example(features=tf.train.Features(feature={
        name: feature(value if isinstance(value, list) else [value])
        for name, value in row.items() if value not in (None, [])
    })).SerializeToString() for row in rows
]

def column(name):
    values = [row[name] for row in rows]
    if isinstance(values[0], list):
        padding = 0.0 if name.endswith("_weights") else ""
        width = 1 + max(map(len, values))
        return tf.constant([value + [padding] * (width - len(value)) for value in values])
    missing = float("nan") if any(isinstance(value, float) for value in values) else ""
    return tf.constant([missing if value is None else value for value in values])

by_example = model.signatures["serving_default"](examples=tf.constant(examples))
arguments = model.signatures["raw"].structured_input_signature[1]
by_tensor = model.signatures["raw"](**{name: column(name.replace("genres_1", "genres-1")) for name in arguments})
print(json.dumps([
    {"key": [key.decode() for key in outputs["key"].numpy()], "probability": outputs["probability"].numpy().tolist()}
    for outputs in (by_example, by_tensor)
]))
"""


def requests(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raw rows as a client sends them: named by field, lists split."""
    return [
        {
            "key": row["id"],
            **{name: row[name] for name in ("user", "item", "history", "tags", "age", "price")},
            "history_weights": row["watched"],
            "genres-1": row["genres"].split("|") if row["genres"] else [],
        }
        for row in rows
    ]


def test_plain_tensorflow_loads_a_moved_export_without_other_files(served: Served, tmp_path: Path) -> None:
    expected = expected_probabilities(served)
    process = [sys.executable, "-c", BARE, str(shutil.copytree(served.export, tmp_path / "moved"))]
    origin = served.run.parent
    hidden = origin.rename(tmp_path / "hidden")
    try:
        done = subprocess.run(
            process, input=json.dumps(requests(served.rows)), capture_output=True, text=True, check=False
        )
    finally:
        hidden.rename(origin)
    assert done.returncode == 0, done.stderr
    for outputs in json.loads(done.stdout):
        assert outputs["key"] == [row["id"] for row in served.rows]
        np.testing.assert_allclose(outputs["probability"], [expected[k] for k in outputs["key"]], rtol=0, atol=1e-6)


def test_ids_of_a_request_come_from_the_vocabularies_of_the_run(served: Served) -> None:
    run = Run(str(served.run))
    model = tf.saved_model.load(str(served.export))
    row = {"item": [b"i4"], "history": [b"i1", b"", b"never seen", b"i2", b"i3"], "user": [b"u1"]}
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for name, value in row.items()}
    features["history_weights"] = tf.train.Feature(float_list=tf.train.FloatList(value=[1, 2, 3, 4, 5]))
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    ids = {name: value.numpy()[0] for name, value in model.signatures["ids"](examples=tf.constant([example])).items()}

    items = run.tokens("items")
    assert ids["item"] == 3 + items.index(b"i4")  # Padding, two OOV buckets, then the tokens.
    assert ids["history"].tolist()[1:] == [3 + items.index(token) for token in (b"i2", b"i3")]
    assert ids["history"][0] in (1, 2)
    assert ids["history_weights"].tolist() == [3, 4, 5]  # The empty text is dropped with its weight.
    assert ids["user"] == 2 + run.tokens("user").index(b"u1")
    assert ids["tags"].tolist() == [2 + run.tokens("tags").index(b"untagged"), 0]
    assert not ids["genres-1"].any()
    assert ids["price"] == 0
    assert np.isfinite(ids["age"])


def test_request_without_features_has_a_probability(served: Served) -> None:
    model = tf.saved_model.load(str(served.export))
    (probability,) = model.signatures["serving_default"](examples=tf.constant([b""]))["probability"].numpy()
    assert 0 < probability < 1


@pytest.mark.parametrize("number", [1e25, -3e38])
@pytest.mark.parametrize("weight", [1e-30, 3e38])
def test_extreme_numbers_and_weights_have_a_probability(served: Served, number: float, weight: float) -> None:
    model = tf.saved_model.load(str(served.export))
    numbers = {"age": [number], "price": [number], "history_weights": [weight, weight]}
    features = {name: tf.train.Feature(float_list=tf.train.FloatList(value=value)) for name, value in numbers.items()}
    features["history"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"i1", b"i2"]))
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    (probability,) = model.signatures["serving_default"](examples=tf.constant([example]))["probability"].numpy()
    assert 0 <= probability <= 1


def test_predict_takes_ragged_lists(served: Served) -> None:
    model = tf.saved_model.load(str(served.export))
    raw = {
        "key": tf.constant(["a", "b"]),
        "user": tf.constant(["u1", ""]),
        "item": tf.constant(["i1", "i2"]),
        "history": tf.ragged.constant([["i1", "i2"], []], dtype=tf.string, row_splits_dtype=tf.int64),
        "history_weights": tf.ragged.constant([[1.0, 2.0], []], dtype=tf.float32, row_splits_dtype=tf.int64),
        "genres-1": tf.ragged.constant([[], ["g1"]], dtype=tf.string, row_splits_dtype=tf.int64),
        "tags": tf.ragged.constant([[], []], dtype=tf.string, ragged_rank=1, row_splits_dtype=tf.int64),
        "age": tf.constant([30.0, float("nan")]),
        "price": tf.constant([float("nan"), 3.0]),
    }
    arguments = argument_names(raw)
    padded = {arguments[n]: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x for n, x in raw.items()}
    by_signature = model.signatures["raw"](**padded)
    by_method = model.predict(raw)
    assert by_method["key"].numpy().tolist() == [b"a", b"b"]
    np.testing.assert_allclose(by_method["probability"], by_signature["probability"], rtol=0, atol=1e-6)


def test_vocabularies_are_assets_and_no_file_has_a_path_of_the_run(served: Served) -> None:
    for vocabulary in ("user", "items", "genres-1", "tags"):
        assert (served.export / "assets" / vocabulary).read_bytes() == Path(
            Run(str(served.run)).vocabulary_path(vocabulary)
        ).read_bytes()
    of_this_session = str(served.run.parents[2])  # The run may have been made in another folder of the session.
    for file in served.export.rglob("*"):
        if file.is_file():
            assert of_this_session.encode() not in file.read_bytes(), file


def test_graph_of_the_model_is_saved_once(served: Served) -> None:
    saved = SavedModel.FromString((served.export / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    sigmoids = [node.op for function in functions for node in function.node_def if node.op == "Sigmoid"]
    assert sigmoids == ["Sigmoid"]


def test_graph_has_no_checks_of_ids(served: Served) -> None:
    """Ids of an export are those of its own vocabularies; the checks would take 6 % of the time of a request."""
    assert b"expected ids from 0 to" not in (served.export / "saved_model.pb").read_bytes()


def test_export_contains_the_keras_model(served: Served) -> None:
    copy = served.export / "assets.extra" / "model.keras"
    assert copy.read_bytes() == (served.model / "model.keras").read_bytes()


@pytest.fixture
def write_model(served: Served) -> Callable[..., Path]:
    """Writes an untrained model of the run, with fields or table sizes changed."""

    def write(folder: Path, fields: dict[str, Any] | None = None, rows: int | None = None) -> Path:
        spec = Spec.model_validate(SPEC | {"fields": SPEC["fields"] | (fields or {})})
        sizes = Run(str(served.run)).vocabulary_sizes | dict.fromkeys(fields or {}, 5)
        model = deepfm(spec, {name: rows or size for name, size in sizes.items()})
        model.save(folder / "model.keras")
        return folder

    return write


def test_two_exports_in_one_process_have_separate_vocabularies(served: Served, tmp_path: Path) -> None:
    """TensorFlow shares lookup tables with the same name."""
    swapped = tmp_path / "swapped"
    again = export_model(Run(str(served.run)), str(served.model), str(swapped))
    tokens = (swapped / "assets" / "items").read_bytes().splitlines(keepends=True)
    (swapped / "assets" / "items").write_bytes(b"".join(reversed(tokens)))
    item = tf.train.Feature(bytes_list=tf.train.BytesList(value=[tokens[0].strip()]))
    example = tf.train.Example(features=tf.train.Features(feature={"item": item})).SerializeToString()
    models = [tf.saved_model.load(str(path)) for path in (served.export, again)]
    first, last = (m.signatures["ids"](examples=tf.constant([example]))["item"].numpy()[0] for m in models)
    assert (first, last) == (3, 2 + len(tokens))


def test_only_an_export_is_replaced(served: Served, tmp_path: Path) -> None:
    run, out = Run(str(served.run)), tmp_path / "out"
    export_model(run, str(served.model), str(out))
    (out / "stale").write_text("")
    export_model(run, str(served.model), str(out), overwrite=True)
    assert not (out / "stale").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    shutil.rmtree(out)
    out.mkdir()
    (out / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="is not an exported model"):
        export_model(run, str(served.model), str(out), overwrite=True)
    assert (out / "thesis.txt").exists()


def test_folders_without_a_model_are_reported(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model"):
        export_model(Run(str(served.run)), str(tmp_path))
    with pytest.raises(UserError, match="no exported model; create it with `fieldpool export"):
        find_export(str(tmp_path))
    assert find_export(str(served.model)) == find_export(str(served.export)) == str(served.export)


@pytest.mark.parametrize("change", [{"fields": {"colour": {"type": "categorical"}}}, {"rows": 10}])
def test_model_of_another_run_is_an_error(
    served: Served, tmp_path: Path, write_model: Callable[..., Path], change: dict[str, Any]
) -> None:
    """One model reads another field, the other has smaller tables."""
    with pytest.raises(UserError, match="does not fit the run"):
        export_model(Run(str(served.run)), str(write_model(tmp_path, **change)), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("features", "arguments"),
    [
        (["item", "item_weights"], ["item", "item_weights"]),
        (["a.b", "a-b", "a_b"], ["a_b", "a_b_", "a_b__"]),
        (["0day", "self"], ["arg_0day", "arg_self"]),
    ],
)
def test_argument_names_of_features(features: list[str], arguments: list[str]) -> None:
    assert list(argument_names(features).values()) == arguments
