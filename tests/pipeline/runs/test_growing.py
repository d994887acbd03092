"""Runs that grow: each extends the vocabularies of the one before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from fieldpool.model.compatibility import DifferentRun, check_run
from fieldpool.model.export import check_export, export_model, load_export
from fieldpool.model.from_spec import deepfm
from fieldpool.model.run import Run
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.errors import FieldpoolWarning, UserError
from fieldpool.transforms.spec import Spec

SPEC = {
    "label": {"field": "clicked"},
    "split": {"column": "part"},
    "fields": {
        "item": {"type": "categorical", "min_count": 2, "num_oov_buckets": 3, "retire_after": "1d"},
        "tags": {"type": "multivalued", "separator": " ", "max_len": 2},
    },
}
# Tokens of `item`, one a row, of three days: b is missing on the second, and comes back on the third.
DAYS = {1: "aaabb", 2: "aaccb", 3: "bbddda"}


def rows_of(folder: Path, day: int, items: str = "") -> str:
    """Returns the path of a file in a folder of Hive with a row for each item."""
    items = items or DAYS[day]
    path = folder / f"dt=2026-11-0{day}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ["train"] * len(items) + ["eval"]
    rows = {"clicked": [0, 1] * 8, "part": parts, "item": [*items, "a"], "tags": ["x y"] * len(parts)}
    pq.write_table(pa.table({name: values[: len(parts)] for name, values in rows.items()}), path)
    return str(path)


def grown(folder: Path, day: int, older: Run | None, name: str = "", **changes: Any) -> Run:
    fields = SPEC["fields"] | {"item": SPEC["fields"]["item"] | changes}  # type: ignore[operator,index]
    spec = Spec.model_validate(SPEC | {"fields": fields})
    result = transform(spec, [rows_of(folder, day)], str(folder / (name or f"run{day}")), grow=older)
    return Run(result.path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("growing")


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[Run]:
    runs: list[Run] = []
    for day in DAYS:
        runs.append(grown(folder, day, runs[-1] if runs else None))
    return runs


def ids(run: Run, name: str = "item") -> list[int]:
    """Returns the ids of the train rows."""
    records = tf.data.TFRecordDataset(run.shards("train"), "GZIP").as_numpy_iterator()
    return [tf.train.Example.FromString(record).features.feature[name].int64_list.value[0] for record in records]


def contents(run: Run) -> dict[str, bytes]:
    """Returns the files of a run that state what its ids mean, and its examples."""
    parts = ("vocabulary_*/*", "transform/transform_fn/assets/*", "examples/*", "stats.json")
    paths = [path for part in parts for path in sorted(Path(run.path).glob(part))]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in paths}


def test_ids_never_move_and_retired_tokens_come_back_to_their_id(runs: list[Run]) -> None:
    assert [run.tokens("item") for run in runs] == [[b"a", b"b"], [b"a", b"b", b"c"], [b"a", b"b", b"c", b"d"]]
    # b is used on the second day, once; c is not on the third.
    assert [run.stats.vocabularies["item"].retired for run in runs] == [0, 0, 1]
    assert [ids(run) for run in runs] == [[4, 4, 4, 5, 5], [4, 4, 6, 6, 5], [5, 5, 7, 7, 7, 4]]
    assert runs[2].vocabulary("item")["count"].to_pylist() == [1, 2, 0, 3]


def test_ledger_has_the_dates_of_first_and_last_use(runs: list[Run]) -> None:
    first, second, third = (date(2026, 11, day) for day in DAYS)
    assert [run.stats.as_of for run in runs] == [first, second, third]
    assert runs[2].ledger("item").to_pydict() == {
        "token": [b"a", b"b", b"c", b"d"],
        "id": [4, 5, 6, 7],
        "since": [first, first, second, third],
        "until": [third, third, second, third],
        "retired": [False, False, True, False],
    }


def test_retired_token_is_looked_up_as_oov_by_the_transform(runs: list[Run], folder: Path) -> None:
    path = rows_of(folder / "later", 4, "cabz")
    later = transform(runs[2].spec, [path], str(folder / "later" / "run"), using=runs[2])
    found = ids(Run(later.path))
    assert found[1:3] == [4, 5]
    assert {found[0], found[3]} <= {1, 2, 3}
    assert later.stats.vocabularies == runs[2].stats.vocabularies
    assert Run(later.path).ledger("item") == runs[2].ledger("item")
    assert Run(later.path).identity == runs[2].identity


def test_run_that_is_made_again_has_the_same_bytes(runs: list[Run], folder: Path) -> None:
    assert contents(grown(folder, 3, runs[1], "again")) == contents(runs[2])


def test_first_run_has_the_plain_vocabulary(runs: list[Run], folder: Path) -> None:
    plain = contents(grown(folder, 1, None, "plain", retire_after=None))
    first = contents(runs[0])
    assert {name: first[name] for name in plain if name != "stats.json"} == {
        name: plain[name] for name in plain if name != "stats.json"
    }
    assert Run(str(folder / "plain")).ledger("item")["until"].to_pylist() == [None, None]


def test_identity_of_an_older_run_is_refused_by_the_name_of_that_run(runs: list[Run]) -> None:
    with pytest.raises(DifferentRun) as error:
        check_run(runs[0].identity, runs[2], ("the model", "models/first"))
    message = str(error.value)
    assert message.startswith(f"models/first: is older than the run {runs[2].path}")
    assert runs[0].path in message
    assert "vocabulary item: 2 tokens in the model, 4 in the run" in message
    with pytest.raises(DifferentRun, match="have another meaning"):  # Not the other way round.
        check_run(runs[2].identity, runs[0], ("the model", "models/third"))


def test_export_of_a_grown_run_fits_it_and_looks_up_retired_tokens_as_oov(runs: list[Run], folder: Path) -> None:
    exports = []
    for number, run in enumerate(runs[1:]):
        model = folder / f"model{number}"
        model.mkdir()
        deepfm(run.spec, run.vocabulary_sizes, identity=run.identity.as_json()).save(model / "model.keras")
        exports.append(export_model(run, str(model)))
    check_export(exports[1], runs[2])
    with pytest.raises(DifferentRun, match="is older than the run"):
        check_export(exports[0], runs[2])
    examples = [{"item": [token]} for token in (b"b", b"c")]
    found = ids_of_export(exports[1], examples)
    assert found[0] == 5
    assert found[1] in (1, 2, 3)


def ids_of_export(path: str, rows: list[dict[str, list[bytes]]]) -> list[int]:
    features = [
        tf.train.Features(
            feature={
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
                for name, values in (row | {"tags": [b"x"]}).items()
            }
        )
        for row in rows
    ]
    examples = [tf.train.Example(features=of_row).SerializeToString() for of_row in features]
    found = load_export(path).signatures["ids"](examples=tf.constant(examples))
    return found["item"].numpy().ravel().tolist()


def test_retired_tokens_are_part_of_the_identity(runs: list[Run]) -> None:
    assert runs[2].identity.vocabularies["item"].retired == 1
    assert "retired" not in str(runs[1].identity.as_json())


@pytest.mark.parametrize(
    ("change", "day", "expected"),
    [
        (lambda run: {"num_oov_buckets": 2}, 3, "the vocabulary item has 3 OOV buckets there"),
        (lambda run: {}, 1, "its rows are of 2026-11-02, and those of the new run of 2026-11-01"),
    ],
)
def test_growth_that_would_move_ids_or_goes_back_in_time_is_an_error(
    runs: list[Run], folder: Path, change: Callable[[Run], dict[str, Any]], day: int, expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        grown(folder, day, runs[1], "wrong", **change(runs[1]))


def test_retiring_needs_a_date(runs: list[Run], folder: Path) -> None:
    undated = folder / "undated.parquet"
    undated.write_bytes(Path(rows_of(folder, 3)).read_bytes())
    spec = Spec.model_validate(SPEC)
    with pytest.raises(UserError, match=r"expected the date of the rows, .* found none"):
        transform(spec, [str(undated)], str(folder / "undated"), grow=runs[1])


def test_new_vocabulary_is_built_and_one_that_is_gone_is_a_warning(runs: list[Run], folder: Path) -> None:
    fields = {"item": SPEC["fields"]["item"], "labels": {"type": "multivalued", "column": "tags", "separator": " "}}  # type: ignore[index]
    spec = Spec.model_validate(SPEC | {"fields": fields})
    with pytest.warns(FieldpoolWarning, match="no field of the spec uses its vocabulary tags"):
        result = transform(spec, [rows_of(folder, 3)], str(folder / "renamed"), grow=runs[1], as_of=date(2026, 12, 1))
    run = Run(result.path)
    assert (run.tokens("item"), run.tokens("labels")) == (runs[2].tokens("item"), [b"x", b"y"])
    assert run.stats.as_of == date(2026, 12, 1)
