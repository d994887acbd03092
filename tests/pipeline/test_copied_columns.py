"""Key and carried columns, from raw rows to examples, predictions and `verify`; the model does not read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from served_model import Served, make_served

from fieldpool.model.examples import read_examples
from fieldpool.model.export import load_export
from fieldpool.model.run import Run
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.pipeline.serving.parity import verify_job
from fieldpool.pipeline.tfrecords.decoding import decoded_examples
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec

ROWS = 60
SPEC: dict[str, Any] = {
    "key": ["impression", "item"],
    "carry": ["market", "device.os", "at"],
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 2,
    "fields": {"item": {"type": "categorical"}, "age": {"type": "numeric"}},
    "model": {"hidden_units": [4], "embedding_dim": 4},
}


def row_of(i: int) -> dict[str, Any]:
    """Returns a row of an impression with three items; every fifth has no market, two rows are equal."""
    i = 0 if i == 1 else i
    return {
        "impression": i // 3,
        "item": f"i{i % 3}",
        "market": None if i % 5 == 0 else f"m{i % 4}",
        "device": {"os": ("ios", None)[i % 2]},
        "at": 1_700_000_000.5 + i,
        "click": i % 2,
        "part": ("train", "train", "eval")[i % 3],
        "age": float(i % 7),
    }


@pytest.fixture(scope="module")
def carrying(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_served(tmp_path_factory.mktemp("carrying"), SPEC, [row_of(i) for i in range(ROWS)], trained=False)


def copied(i: int) -> dict[str, str]:
    """Returns the copied columns of row i, by feature."""
    row = row_of(i)
    return {
        "key_0": str(row["impression"]),
        "key_1": row["item"],
        "market": row["market"] or "",
        "device.os": row["device"]["os"] or "",
        "at": str(row["at"]),
    }


def test_examples_have_the_texts_of_key_and_carried_columns(carrying: Served) -> None:
    names = list(copied(0))
    features, _ = next(iter(read_examples(Run(str(carrying.run)), "eval", batch_size=ROWS, columns=names)))
    found = [
        dict(zip(names, (text.decode() for text in row), strict=True))
        for row in zip(*(features[n].numpy() for n in names), strict=True)
    ]
    assert found == [copied(i) for i in range(ROWS) if row_of(i)["part"] == "eval"]


def test_features_of_a_model_have_no_copied_columns(carrying: Served) -> None:
    features, _ = read_examples(Run(str(carrying.run)), "eval", batch_size=4).element_spec
    assert set(features) == {"item", "age"}


def test_key_of_several_columns_is_read_as_a_matrix(carrying: Served) -> None:
    *_, keys = next(iter(read_examples(Run(str(carrying.run)), "eval", batch_size=2, with_key=True)))
    assert keys.numpy().tolist() == [[b"0", b"i2"], [b"1", b"i2"]]


def test_an_unknown_column_is_named(carrying: Served) -> None:
    with pytest.raises(ValueError, match=r"\(key_0, key_1, market, device.os, at\), found 'item'"):
        read_examples(Run(str(carrying.run)), "eval", batch_size=2, columns=["item"])


def test_equal_keys_are_counted_over_all_columns(carrying: Served) -> None:
    assert Run(str(carrying.run)).stats.duplicate_keys == 1


def test_predictions_have_key_and_carried_columns(carrying: Served, tmp_path: Path) -> None:
    assert predict(str(carrying.export), [str(carrying.data)], str(tmp_path / "out"))["predicted"] == ROWS
    table = ds.dataset(tmp_path / "out" / "predictions").to_table()
    assert table.schema.names == [*copied(0), "probability"]
    assert table.drop_columns(["probability"]).to_pylist() == [copied(i) for i in range(ROWS)]


def test_rows_without_a_part_of_the_key_are_rejected_and_without_a_carried_value_are_not(
    carrying: Served, tmp_path: Path
) -> None:
    rows = [row_of(2) | {"impression": None}, row_of(2) | {"item": None}, row_of(2) | {"market": None, "device": None}]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(carrying.data)), tmp_path / "rows.parquet")
    predict(str(carrying.export), [str(tmp_path / "rows.parquet")], str(tmp_path / "out"))
    (path,) = (tmp_path / "out" / "rejected").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["field"], line["reason"]) for line in lines] == [
        ("impression", "the key is missing"),
        ("item", "the key is missing"),
    ]


def test_exported_model_returns_what_it_is_given(carrying: Served) -> None:
    model = load_export(str(carrying.export))
    texts = {"key_0": "7", "market": "de"}
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[t.encode()])) for name, t in texts.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    outputs = model.signatures["serving_default"](examples=tf.constant([example]))
    assert set(outputs) == {"probability", *copied(0)}
    found = {name: value.numpy()[0].decode() for name, value in outputs.items() if name != "probability"}
    assert found == {"key_0": "7", "key_1": "", "market": "de", "device.os": "", "at": ""}


def test_verify_compares_copied_columns(carrying: Served) -> None:
    parity = verify_job(prepare_job([str(carrying.data)], run=str(carrying.run), model=str(carrying.model)))
    assert (parity.holds, parity.rows) == (True, ROWS)


def test_inspected_examples_show_key_and_carried_columns(carrying: Served) -> None:
    (example,) = decoded_examples(Run(str(carrying.run)), "eval", 1)
    assert (example.key, example.carried) == ("0, i2", {"market": "m2", "device.os": "ios", "at": copied(2)["at"]})


@pytest.fixture(scope="module")
def without(carrying: Served, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the same rows that carries nothing."""
    target = str(tmp_path_factory.mktemp("without") / "run")
    return Run(transform(Spec.model_validate(SPEC | {"carry": []}), [str(carrying.data)], target).path)


def test_carried_columns_do_not_change_the_identity_of_a_run(carrying: Served, without: Run) -> None:
    assert without.identity == Run(str(carrying.run)).identity


def test_an_export_without_the_carried_columns_of_the_run_is_an_error(carrying: Served, without: Run) -> None:
    message = r"other features .*carry: \['at', 'device.os', 'market'\] in the exported model, \[\] in the run"
    with pytest.raises(UserError, match=message):
        verify_job(prepare_job([str(carrying.data)], run=without.path, model=str(carrying.model)))
