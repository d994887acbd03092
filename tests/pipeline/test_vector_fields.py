"""Fields of vectors on their whole way: rows, checks, examples, counts, training, export, requests, verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from served_model import Served, expected_probabilities, make_served

from fieldpool.model.examples import read_examples
from fieldpool.model.export import load_export
from fieldpool.model.run import Run
from fieldpool.pipeline.analysis.lengths import with_vector_lengths
from fieldpool.pipeline.proposal.spec_proposal import propose
from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.serving.batch_prediction import predict_job
from fieldpool.pipeline.serving.parity import verify_job
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.transforms.errors import SpecError
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Spec

ROWS = 100
SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {
        "user": {"type": "categorical"},
        "title": {"type": "vector"},
        "image": {"type": "vector", "length": 2, "separator": " ", "column": "pixels"},
        "sound": {"type": "vector", "length": 2, "list": "json"},
        "unheard": {"type": "numeric", "from": {"missing": "sound"}, "scale": "none"},
        "age": {"type": "numeric"},
    },
    "model": {"hidden_units": [4], "embedding_dim": 4, "exact_fm": True},
    "train": {"epochs": 1, "batch_size": 16},
}


def row_of(i: int) -> dict[str, Any]:
    return {
        "id": f"r{i}",
        "click": (i // 2) % 2,
        "part": ("train", "train", "train", "eval", "test")[i % 5],
        "user": f"u{i % 5}",
        "title": None if i % 7 == 0 else [] if i % 7 == 1 else [i / 10, -1.5, 1e30 if i == 9 else 0.0],
        "pixels": None if i % 11 == 0 else f"{i} {i / 4}",
        "sound": None if i % 3 == 0 else json.dumps([i / 2, -i]),
        "age": float(i % 60),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_served(tmp_path_factory.mktemp("vectors"), SPEC, [row_of(i) for i in range(ROWS)])


def test_examples_have_the_numbers_as_they_are_and_zeros_for_missing_vectors(made: Served) -> None:
    run = Run(str(made.run))
    found = {}
    for split in ("train", "eval", "test"):
        for features, _, key in read_examples(run, split, batch_size=50, with_key=True):
            for i, name in enumerate(key.numpy().tolist()):
                found[name.decode()] = {n: features[n].numpy()[i] for n in ("title", "image", "sound", "unheard")}
    for i in range(ROWS):
        row = row_of(i)
        expected = {
            "title": np.array(row["title"] or [0, 0, 0], np.float32),
            "image": np.array((row["pixels"] or "0 0").split(), np.float32),
            "sound": np.array(json.loads(row["sound"] or "[0, 0]"), np.float32),
            "unheard": np.float32(row["sound"] is None),
        }
        for name, values in expected.items():
            np.testing.assert_array_equal(found[f"r{i}"][name], values)


def test_counts_have_the_missing_vectors(made: Served) -> None:
    stats = Run(str(made.run)).stats
    title = stats.fields["title"]
    assert (title.type, title.length) == ("vector", 3)
    assert Run(str(made.run)).spec.fields["title"].shape == (3,)
    assert sum((title.missing or {}).values()) == sum(not row_of(i)["title"] for i in range(ROWS))
    assert sum(title.values.values()) == sum(bool(row_of(i)["title"]) for i in range(ROWS))


def test_verify_finds_no_difference(made: Served) -> None:
    parity = verify_job(prepare_job([str(made.data)], run=str(made.run), model=str(made.export)), None)
    assert (parity.holds, parity.rows, parity.differences) == (True, ROWS, [])


def test_predictions_are_those_of_the_model(made: Served, tmp_path: Path) -> None:
    predict_job(prepare_job([str(made.data)], str(tmp_path / "out"), model=str(made.export)), output="parquet")
    table = pq.read_table(tmp_path / "out/predictions")
    found = dict(zip(table["key"].to_pylist(), table["probability"].to_pylist(), strict=True))
    expected = expected_probabilities(made)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), atol=1e-6)


def test_requests_have_vectors_of_numbers_and_missing_ones_are_nan_or_left_out(made: Served) -> None:
    served = load_export(str(made.export))
    raw = served.signatures["raw"]
    _, arguments = raw.structured_input_signature
    assert {name: arguments[name].shape.as_list() for name in ("title", "image", "sound")} == {
        "title": [None, 3],
        "image": [None, 2],
        "sound": [None, 2],
    }
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"r1"]))
    example = tf.train.Example(features=tf.train.Features(feature={"key": feature})).SerializeToString()
    ids = served.signatures["ids"](examples=tf.constant([example]))
    assert ids["title"].numpy().tolist() == [[0, 0, 0]]
    assert ids["unheard"].numpy().tolist() == [1]
    missing = {"title": [[np.nan] * 3], "image": [[1.0, np.inf]], "sound": [[np.nan, 2.0]], "age": [np.nan]}
    texts = {"key": tf.constant(["r1"]), "user": tf.constant([""])}
    by_raw = raw(**texts, **{name: tf.constant(values, tf.float32) for name, values in missing.items()})
    by_example = served.signatures["serving_default"](examples=tf.constant([example]))
    np.testing.assert_array_equal(by_raw["probability"], by_example["probability"])


def test_explain_and_inspect_show_the_first_numbers(
    fieldpool: Callable[..., tuple[int, str, str]], made: Served, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC))
    code, out, _ = fieldpool("explain", tmp_path / "spec.yaml", made.data, "--rows", "3")
    assert (code, "[0.2, -1.5, 0]" in out) == (0, True)
    code, out, _ = fieldpool("inspect", made.run, "--split", "train")
    assert code == 0


def checked(values: Any, **settings: Any) -> Checked:
    """Returns the checked rows of a column `v` for a field of vectors."""
    return check_rows(batch_of(values), open_spec(length=2, **settings))


def batch_of(values: Any) -> SourceBatch:
    data = {"y": pa.array([1] * len(values)), "s": pa.array(["train"] * len(values)), "v": values}
    return SourceBatch("a.parquet", np.arange(1, len(values) + 1), pa.RecordBatch.from_pydict(data))


def open_spec(**settings: Any) -> Spec:
    fields = {"v": {"type": "vector"} | settings}
    return Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": fields})


@pytest.mark.parametrize(
    ("batches", "settings", "length"),
    [
        ([pa.array([None, [], [1.5, 2.0, 3.0], [1.0]])], {}, 3),
        ([pa.array([None], pa.list_(pa.float32())), pa.array([[0.5]])], {}, 1),
        ([pa.array(["", "1|2"])], {"separator": "|"}, 2),
        ([pa.array(["[]", "what", "[1, 2.5]"])], {"list": "json"}, 2),
    ],
)
def test_the_first_row_with_a_vector_decides_the_length(
    batches: list[pa.Array], settings: dict[str, Any], length: int
) -> None:
    found = with_vector_lengths(open_spec(**settings), map(batch_of, batches))
    assert found.fields["v"].shape == (length,)


def test_a_length_that_no_row_shows_must_be_stated() -> None:
    with pytest.raises(SpecError, match=r"fields\.v\.length: none of the first rows has a vector in 'v'; set it"):
        with_vector_lengths(open_spec(), [batch_of(pa.array([None, []], pa.list_(pa.float32())))])
    with pytest.raises(ValueError, match="length: expected a number, found 'auto'; the spec of a run has one"):
        preprocessing_fn(open_spec())


COLUMNS: dict[str, tuple[pa.Array, dict[str, Any]]] = {
    "list<float>": (pa.array([[1.0, 2.5], None, [3.0, 4.0]], pa.list_(pa.float32())), {}),
    "large_list<double>": (pa.array([[1.0, 2.5], None, [3.0, 4.0]], pa.large_list(pa.float64())), {}),
    "fixed_size_list": (pa.array([[1.0, 2.5], None, [3.0, 4.0]], pa.list_(pa.float32(), 2)), {}),
    "list<text>": (pa.array([["1", "2.5"], [], ["3.0", "4"]]), {}),
    "missing numbers": (pa.array([[1.0, 2.5], [None, float("nan")], [3.0, 4.0]]), {}),
    "separator": (pa.array(["1|2.5", "", "3|4"]), {"separator": "|"}),
    "json": (pa.array(["[1, 2.5]", None, "[3, 4.0]"]), {"list": "json"}),
    "python": (pa.array(["[1, 2.5]", "None", "[3, 4.0]"]), {"list": "python"}),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_lists_of_every_kind_become_vectors(kind: str) -> None:
    values, settings = COLUMNS[kind]
    found = checked(values, **settings)
    assert found.rejected == []
    assert found.rows["v"].type == pa.list_(pa.float32(), 2)
    assert found.rows["v"].to_pylist() == [[1.0, 2.5], None, [3.0, 4.0]]


@pytest.mark.parametrize(
    ("values", "settings", "reason"),
    [
        (pa.array([[1.0, 2.0, 3.0]]), {}, "expected a vector of 2 numbers, found [1.0, 2.0, 3.0]"),
        (pa.array([[1.0]]), {}, "expected a vector of 2 numbers, found [1.0]"),
        (pa.array([[1.0, None]]), {}, "not a finite number, found [1.0, None]"),
        (pa.array([[1.0, float("inf")]]), {}, "not a finite number, found [1.0, 'inf']"),
        (pa.array([[1.0, 1e39]]), {}, "not a finite number, found [1.0, 1e+39]"),
        (pa.array(["1|x"]), {"separator": "|"}, "not a finite number, found '1|x'"),
        (pa.array(["1 2"]), {"list": "json"}, "not a list: expected a JSON list"),
        (pa.array([None], pa.list_(pa.float32())), {"missing": "reject"}, "the value is missing"),
    ],
)
def test_other_lists_are_rejected_with_the_reason(values: pa.Array, settings: dict[str, Any], reason: str) -> None:
    found = checked(values, **settings)
    assert found.rows.num_rows == 0
    assert [row.reason[: len(reason)] for row in found.rejected] == [reason]


@pytest.mark.parametrize("seed", range(10))
def test_vectors_equal_those_of_plain_python(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = random.choice([-1, 0, 1, 2, 2, 2, 3], size=20)
    values = [None if n < 0 else random.normal(size=n).astype("float32").tolist() for n in lengths.tolist()]
    found = checked(pa.array(values, pa.list_(pa.float32())))
    good = [i for i, value in enumerate(values) if not value or len(value) == 2]
    assert (found.numbers - 1).tolist() == good
    assert found.rows["v"].to_pylist() == [values[i] or None for i in good]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "two forms": (
        {"fields": {"v": {"type": "vector", "length": 2, "list": "json", "separator": "|"}}},
        "expected either `separator` or `list`",
    ),
    "derived": (
        {"fields": {"v": {"type": "vector", "length": 2, "from": {"age": "a", "at": "b"}}}},
        "`from` computes numeric values, found `type: vector`",
    ),
    "crossed": (
        {
            "fields": {
                "v": {"type": "vector", "length": 2},
                "u": {"type": "categorical"},
                "c": {"type": "categorical", "from": {"cross": ["u", "v"]}},
            }
        },
        "expected categorical or multivalued fields, found 'v', which is vector",
    ),
    "constant": (
        {"fields": {"v": {"type": "vector", "length": 1}, "u": {"type": "categorical"}}, "train_only": {"v": 1}},
        "train_only.v: expected a categorical, multivalued or numeric field, found a field of vectors",
    ),
    "slices": (
        {"fields": {"v": {"type": "vector", "length": 1}}, "evaluation": {"slices": ["v"]}},
        "evaluation.slices: expected names of categorical or multivalued fields",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_spec_that_uses_vectors_as_something_else_is_refused(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}} | changes)


VECTORS = [[float(i), i / 4, -0.5] for i in range(50)]


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        (VECTORS, {"type": "vector", "length": 3}),
        ([None, *VECTORS[1:]], {"type": "vector", "length": 3}),
        ([json.dumps(vector) for vector in VECTORS], {"type": "vector", "list": "json", "length": 3}),
    ],
    ids=["lists", "one missing", "json"],
)
def test_lists_of_one_length_with_fractions_are_proposed_as_vectors(values: Any, settings: dict[str, Any]) -> None:
    table = pa.table({"click": [i % 2 for i in range(50)], "user": [i // 10 for i in range(50)], "title": values})
    proposal = propose(table, ["a.parquet"])
    assert proposal.spec["fields"]["title"] == settings
    assert "lists of 3 numbers, not all whole" in " ".join(proposal.reasons["title"])
    Spec.model_validate(proposal.spec)


@pytest.mark.parametrize("values", [[[i, i + 1] for i in range(50)], [*VECTORS[1:], [0.5]]], ids=["whole", "lengths"])
def test_other_lists_of_numbers_are_tokens(values: Any) -> None:
    table = pa.table({"click": [i % 2 for i in range(50)], "user": [i // 10 for i in range(50)], "title": values})
    assert propose(table, ["a.parquet"]).spec["fields"]["title"]["type"] == "multivalued"
