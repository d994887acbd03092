"""A model, checkpoint or export is used only with a run whose ids and numbers mean the same.

Every command with every wrong pair: refused in words.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import fieldpool as package
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.spec import Spec

Call = Callable[..., tuple[int, str, str]]

SPEC: dict[str, Any] = {
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {
        "item": {"type": "categorical"},
        "tags": {"type": "multivalued", "max_len": 2},
        "age": {"type": "numeric"},
    },
    "model": {"hidden_units": [4], "embedding_dim": 4},
    "train": {"epochs": 1, "batch_size": 100, "checkpoint_steps": 3},
}
SAVED_TRANSFORM = Path("transform/transform_fn/saved_model.pb")


def click_rows(a: int, b: int) -> list[dict[str, Any]]:
    """Returns rows of which the item a is clicked, b is not. The more frequent one has the smaller id."""
    items = ["a"] * a + ["b"] * b
    splits = ["train" if i % 10 < 8 else ("eval", "test")[i % 2] for i in range(a + b)]
    return [
        {"click": int(item == "a"), "part": part, "item": item, "tags": ["x", "y", "x"][: i % 4], "age": float(i % 7)}
        for i, (item, part) in enumerate(zip(items, splits, strict=True))
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@dataclass(frozen=True)
class Trained:
    """A run, its rows, and the folder of its training, which contains the export."""

    run: Path
    data: Path
    model: Path


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 400 rows of item a and 600 of item b: their ids are those of `trained` the other way round."""
    folder = tmp_path_factory.mktemp("swapped")
    data = write_rows(folder / "rows.parquet", click_rows(400, 600))
    return Path(transform(Spec.model_validate(SPEC), [str(data)], str(folder / "run")).path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of 600 rows of item a and 400 of item b. Tests must not change it."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_rows(folder / "rows.parquet", click_rows(600, 400))
    transform(Spec.model_validate(SPEC), [str(data)], str(folder / "run"))
    package.train(folder / "run", folder / "model")
    package.export(folder / "run", folder / "model")
    return Trained(folder / "run", data, folder / "model")


def vocabulary_file(run: Path, name: str) -> Path:
    return run / "transform/transform_fn/assets" / name


def with_tokens(name: str, tokens: str) -> Callable[[Path], None]:
    """Returns the function that replaces a vocabulary of a run, and its counts."""

    def change(run: Path) -> None:
        vocabulary_file(run, name).write_text("".join(f"{token}\n" for token in tokens))
        stats = json.loads((run / "stats.json").read_text())
        stats["vocabularies"][name] = {"distinct": len(tokens), "tokens": len(tokens)}
        (run / "stats.json").write_text(json.dumps(stats))

    return change


def change_examples(run: Path, change: Callable[[Any], None]) -> None:
    """Calls `change` with the features of each example of a run."""
    for shard in (run / "examples").iterdir():
        examples = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(shard), "GZIP")]
        with tf.io.TFRecordWriter(str(shard), tf.io.TFRecordOptions(compression_type="GZIP")) as file:
            for example in examples:
                change(example.features.feature)
                file.write(example.SerializeToString())


def with_setting(field: str, **settings: Any) -> Callable[[Path], None]:
    """Returns the function that changes, or adds, a field in the spec of a run."""

    def change(run: Path) -> None:
        spec = yaml.safe_load((run / "spec.yaml").read_text())
        spec["fields"].setdefault(field, {}).update(settings)
        (run / "spec.yaml").write_text(yaml.safe_dump(spec))

    return change


def with_longer_lists(run: Path) -> None:
    with_setting("tags", max_len=3)(run)
    change_examples(run, lambda features: features["tags"].int64_list.value.append(0))


def with_another_field(run: Path) -> None:
    with_setting("colour", type="categorical")(run)
    with_tokens("colour", "rg")(run)
    change_examples(run, lambda features: features["colour"].int64_list.value.append(2))
    stats = json.loads((run / "stats.json").read_text())
    stats["fields"]["colour"] = stats["fields"]["item"] | {"vocabulary": "colour"}
    (run / "stats.json").write_text(json.dumps(stats))


def without_a_field(run: Path) -> None:
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    del spec["fields"]["tags"]
    (run / "spec.yaml").write_text(yaml.safe_dump(spec))


def with_another_mean(run: Path) -> None:
    """Changes the statistics of numbers in the graph of the transform."""
    graph = SavedModel()
    graph.ParseFromString((run / SAVED_TRANSFORM).read_bytes())
    nodes = graph.meta_graphs[0].graph_def.node
    (statistics,) = [n.attr["value"].tensor for n in nodes if n.op == "Const" and n.attr["value"].tensor.dtype == 2]
    mean = bytearray(statistics.tensor_content)
    mean[6] ^= 1
    statistics.tensor_content = bytes(mean)
    (run / SAVED_TRANSFORM).write_bytes(graph.SerializeToString())


# The changes that make another run of a copy of the first one, and what the error says.
CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "other order": (with_tokens("item", "ba"), "vocabulary item: the same 2 tokens in another order"),
    "other tokens": (with_tokens("item", "ac"), "vocabulary item: 2 tokens in both, but not the same ones"),
    "more tokens": (with_tokens("tags", "xyz"), "vocabulary tags: 2 tokens in the model, 3 in the run"),
    "fewer tokens": (with_tokens("tags", "x"), "vocabulary tags: 2 tokens in the model, 1 in the run"),
    "other OOV buckets": (with_setting("item", num_oov_buckets=2), "num_oov_buckets 1 in the model, 2 in the run"),
    "other max_len": (with_longer_lists, "fields.tags: max_len 2 in the model, 3 in the run"),
    "other missing": (with_setting("item", missing="oov"), "fields.item: missing 'pad' in the model, 'oov' in the run"),
    "other scale": (with_setting("age", scale="none"), "fields.age: scale 'zscore' in the model, 'none' in the run"),
    "another field": (with_another_field, "fields.colour: only in the run"),
    "field less": (without_a_field, "fields.tags: only in the model"),
    "other mean": (with_another_mean, "fields.age: mean "),
}


@pytest.fixture(scope="module")
def changed_run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`changed_run("other order")`: a copy of the run with that change."""

    def make(change: str) -> Path:
        run = tmp_path_factory.mktemp("changed") / "run"
        shutil.copytree(trained.run, run)
        CHANGES[change][0](run)
        return run

    return make


# For each command its arguments, from the run, the model and the rows.
COMMANDS: dict[str, Callable[[Path, Trained], list[Any]]] = {
    "evaluate": lambda run, other: ["evaluate", run, other.model],
    "export": lambda run, other: ["export", run, other.model, "--out", run.parent / "serving"],
    "verify": lambda run, other: ["verify", run, other.model, other.data],
    "report": lambda run, other: ["report", run, other.model, "--out", run.parent / "report.html"],
    "train --resume": lambda run, other: ["train", run, "--out", other.model, "--resume"],
}


def check_refused(result: tuple[int, str, str], *parts: str) -> None:
    code, _, err = result
    words = " ".join(err.split())
    assert code == 2, err
    assert "Traceback" not in err
    assert [part for part in parts if part not in words] == [], words


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("change", CHANGES)
def test_another_run_is_refused(
    command: str, change: str, trained: Trained, changed_run: Callable[[str], Path], fieldpool: Call
) -> None:
    run, before = changed_run(change), contents(trained.model)
    result = fieldpool(*COMMANDS[command](run, trained))
    holder = "checkpoint" if command == "train --resume" else "exported model" if command == "verify" else "model"
    expected = CHANGES[change][1].replace("the model", f"the {holder}")
    check_refused(result, expected, str(run), str(trained.model))
    assert contents(trained.model) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("command", COMMANDS)
def test_run_with_swapped_ids_is_refused(command: str, trained: Trained, swapped: Path, fieldpool: Call) -> None:
    """With 600 and 400 rows of two items, the ids of a second run with 400 and 600 rows are swapped."""
    check_refused(
        fieldpool(*COMMANDS[command](swapped, trained)), "vocabulary item: the same 2 tokens in another order"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_run_that_was_overwritten_is_refused(
    command: str, trained: Trained, swapped: Path, tmp_path: Path, fieldpool: Call
) -> None:
    """The path of the run is that of the training, but another run is there now."""
    shutil.copytree(trained.model, tmp_path / "model")
    shutil.copytree(swapped, tmp_path / "run")
    other = Trained(tmp_path / "run", trained.data, tmp_path / "model")
    check_refused(fieldpool(*COMMANDS[command](tmp_path / "run", other)), "vocabulary item", "in another order")


def swap_tokens(export: Path) -> None:
    (export / "assets/item").write_text("b\na\n")


def lengthen_lists(export: Path) -> None:
    spec = yaml.safe_load((export / "assets.extra/spec.yaml").read_text())
    spec["fields"]["tags"]["max_len"] = 3
    (export / "assets.extra/spec.yaml").write_text(yaml.safe_dump(spec))


@pytest.mark.parametrize(("change", "expected"), [(swap_tokens, "in another order"), (lengthen_lists, "max_len 2 in")])
@pytest.mark.parametrize("command", ["predict", "verify"])
def test_export_whose_parts_differ_is_refused(
    command: str, change: Callable[[Path], None], expected: str, trained: Trained, tmp_path: Path, fieldpool: Call
) -> None:
    export = tmp_path / "serving"
    shutil.copytree(trained.model / "serving", export)
    change(export)
    out = tmp_path / "scores"
    arguments = {
        "predict": ["predict", export, trained.data, "--out", out],
        "verify": ["verify", trained.run, export, trained.data],
    }
    check_refused(fieldpool(*arguments[command]), str(export), expected, "export again")
    assert not out.exists()


def test_verify_refuses_an_export_without_identity_by_its_vocabularies(
    trained: Trained, swapped: Path, tmp_path: Path, fieldpool: Call
) -> None:
    """Earlier versions did not write the identity."""
    shutil.copytree(trained.model / "serving", tmp_path / "serving")
    (tmp_path / "serving/assets.extra/identity.json").unlink()
    check_refused(fieldpool("verify", swapped, tmp_path / "serving", trained.data), "vocabulary item")


@pytest.mark.parametrize("form", ["model", "path"])
def test_other_runs_are_refused_in_python(form: str, trained: Trained, swapped: Path) -> None:
    model = package.load_model(trained.model) if form == "model" else trained.model
    with pytest.raises(package.UserError, match=r"model\.keras: does not fit the run .*in another order"):
        package.evaluate(swapped, model)


def test_run_made_with_using_has_the_identity_of_the_first_run(
    trained: Trained, tmp_path: Path, fieldpool: Call
) -> None:
    """Its rows are those of `swapped`, so frequencies, means and list lengths are not the same."""
    data = write_rows(tmp_path / "rows.parquet", click_rows(400, 600))
    code, _, err = fieldpool("transform", "--using", trained.run, data, "--out", tmp_path / "run")
    assert code == 0, err
    first, second = (package.Run(path).identity for path in (trained.run, tmp_path / "run"))
    assert first == second
    code, out, err = fieldpool("evaluate", tmp_path / "run", trained.model, "--json")
    assert code == 0, err
    assert json.loads(out)["test"]["auc"] > 0.9


def test_copied_model_file_is_compared_too(trained: Trained, swapped: Path, tmp_path: Path, fieldpool: Call) -> None:
    shutil.copy(trained.model / "model.keras", tmp_path / "copy.keras")
    assert fieldpool("evaluate", trained.run, tmp_path / "copy.keras")[0] == 0
    check_refused(fieldpool("evaluate", swapped, tmp_path / "copy.keras"), "copy.keras", "in another order")


@pytest.fixture(scope="module")
def old_model(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as an earlier version saved it: without an identity."""
    path = tmp_path_factory.mktemp("old") / "model.keras"
    with zipfile.ZipFile(trained.model / "model.keras") as new, zipfile.ZipFile(path, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                del config["config"]["identity"]
                content = json.dumps(config).encode()
            old.writestr(name, content)
    return path


def test_model_without_identity_is_used(trained: Trained, old_model: Path, fieldpool: Call) -> None:
    code, _, err = fieldpool("evaluate", trained.run, old_model)
    assert code == 0, err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("fewer tokens", "fields.tags: a list of ids below 4 in the model, a list of ids below 3 in the run"),
        ("field less", "fields.tags: a list of ids below 4 in the model, nothing in the run"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_model_without_identity_is_compared_by_sizes(
    command: str, change: str, expected: str, old_model: Path, changed_run: Callable[[str], Path], fieldpool: Call
) -> None:
    check_refused(fieldpool(command, changed_run(change), old_model), expected)
