"""A run with pretrained vectors: its tokens, ids, coverage and files, and the models that are trained on it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from apache_beam import Create
from apache_beam.options.pipeline_options import PipelineOptions
from served_model import SPEC, Served, click_row, make_served

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.analysis.cache import CountsCache
from fieldpool.pipeline.folders.work_folder import Fingerprint
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.pipeline.reports.pages import share
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.runs import run_directory
from fieldpool.pipeline.runs.known_transform import known_transform
from fieldpool.pipeline.runs.row_source import RowSource
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.parity import verify_job
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.errors import Damaged, UserError
from fieldpool.transforms.preprocessing import preprocessing_fn
from fieldpool.transforms.spec import Spec

# Items of train are i0 to i16; `new…` are not in train.
TOKENS = ["new2", "i3", "i0", "new1", "i16"]
VECTORS = np.arange(15, dtype=np.float32).reshape(5, 3)


def write_vectors(folder: Path, tokens: list[str] = TOKENS, vectors: np.ndarray = VECTORS) -> Path:
    path = folder / "items.parquet"
    pq.write_table(pa.table({"token": tokens, "vector": vectors.tolist()}), path)
    return path


def spec_with(folder: Path, **settings: Any) -> dict[str, Any]:
    given = {"num_oov_buckets": 2, "vectors": str(folder / "items.parquet"), **settings}
    return SPEC | {"vocabularies": {"items": given}}


def rows_in(folder: Path) -> str:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([click_row(i) for i in range(60)]), path)
    return str(path)


@pytest.fixture(scope="module", params=[True, False], ids=["frozen", "trained"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A run, model and export with vectors, of another length than the model's embeddings."""
    folder = tmp_path_factory.mktemp("vectors")
    write_vectors(folder)
    spec = spec_with(folder, freeze=request.param, min_count=3)
    return make_served(folder, spec, [click_row(i) for i in range(120)])


def test_tokens_of_the_file_have_ids_and_those_that_train_lacks_come_last(made: Served) -> None:
    run = Run(str(made.run))
    found = run.vocabulary("items").to_pydict()
    assert found["token"][-2:] == ["new1", "new2"]
    assert found["count"][-2:] == [0, 0]
    assert found["count"] == sorted(found["count"], reverse=True)
    assert set(TOKENS) < set(found["token"])


def test_the_run_has_the_vectors_by_id(made: Served) -> None:
    run = Run(str(made.run))
    found = run.vectors("items")
    assert found is not None
    ids, vectors = found
    assert ids.tolist() == sorted(ids.tolist())
    tokens = [run.tokens("items")[i - 3].decode() for i in ids.tolist()]
    assert dict(zip(tokens, vectors.tolist(), strict=True)) == dict(zip(TOKENS, VECTORS.tolist(), strict=True))
    assert run.spec.resolved_vocabularies()["items"].vectors == "vectors/items.parquet"
    assert run.spec.resolved_vocabularies()["items"].dim == 3
    assert run.vectors("user") is None


def test_stats_have_the_coverage(made: Served) -> None:
    run = Run(str(made.run))
    vectors = run.stats.vocabularies["items"].vectors
    assert vectors is not None
    assert (vectors.length, vectors.tokens, vectors.not_in_train) == (3, 5, 2)
    # What the model sees of train: items, and the last three of each history.
    rows = [row for row in made.rows if row["part"] == "train"]
    values = [v for row in rows for v in [row["item"], *row["history"][-3:]] if v is not None]
    assert vectors.covered == pytest.approx(sum(value in TOKENS for value in values) / len(values))


def test_the_report_shows_the_coverage(made: Served, tmp_path: Path) -> None:
    run = Run(str(made.run))
    vectors = run.stats.vocabularies["items"].vectors
    assert vectors is not None
    page = Path(write_report(run, str(made.model), str(tmp_path / "report.html"))).read_text(encoding="utf-8")
    assert f"{share(vectors.covered)} of the values of its vocabulary in train have a pretrained vector" in page
    assert f"Only {vectors.covered:.0%} of the values of items in train have a pretrained vector" in page
    frozen = run.spec.resolved_vocabularies()["items"].freeze
    assert ("3, pretrained, frozen" in page) == frozen


def test_only_trained_vectors_change(made: Served) -> None:
    run, model = Run(str(made.run)), load_model(str(made.model))
    found = run.vectors("items")
    assert found is not None
    ids, vectors = found
    freeze = run.spec.resolved_vocabularies()["items"].freeze
    table = (model.frozen if freeze else model.embeddings).table("items")[:, :-1]
    values = np.asarray(table)
    assert (values[ids] == vectors).all() == freeze
    np.testing.assert_allclose(values[ids], vectors, atol=0.1)  # Few steps.
    if freeze:
        others = np.setdiff1d(np.arange(len(values)), ids)
        assert not values[others].any()


def test_verify_finds_no_difference(made: Served) -> None:
    parity = verify_job(prepare_job([str(made.data)], run=str(made.run), model=str(made.export)), None)
    assert (parity.holds, parity.rows, parity.differences) == (True, 120, [])


def test_a_resumed_training_starts_from_its_checkpoint(made: Served, tmp_path: Path) -> None:
    run = Run(str(made.run))
    two = run.spec.train.model_copy(update={"epochs": 2})
    train(run, str(tmp_path / "whole"), train_settings=two)
    train(run, str(tmp_path / "parts"))
    train(run, str(tmp_path / "parts"), train_settings=two, resume=True)
    whole, parts = (load_model(str(tmp_path / name)) for name in ("whole", "parts"))
    for expected, found in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert evaluate(parts, run, "eval") == evaluate(whole, run, "eval")


def test_another_run_with_the_transform_has_the_vectors_too(made: Served, tmp_path: Path) -> None:
    run = Run(str(made.run))
    result = transform(run.spec, [str(made.data)], str(tmp_path / "run"), using=run)
    assert (Path(result.path) / "vectors/items.parquet").read_bytes() == (
        made.run / "vectors/items.parquet"
    ).read_bytes()
    assert Run(result.path).identity == run.identity


@pytest.mark.parametrize("damage", ["missing", "cut", "other tokens"])
def test_a_damaged_file_of_vectors_is_named(made: Served, tmp_path: Path, damage: str) -> None:
    shutil.copytree(made.run, tmp_path / "run")
    path = tmp_path / "run/vectors/items.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        table = pq.read_table(path)
        pq.write_table(table.set_column(1, "id", pa.array(np.asarray(table["id"]) - 1)), path)
    with pytest.raises(Damaged, match=r"run/vectors/items\.parquet: missing, damaged"):
        Run(str(tmp_path / "run")).vectors("items")


def test_paths_are_relative_to_the_spec_and_a_run_has_its_own_copy(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    write_vectors(tmp_path / "specs")
    spec = spec_with(tmp_path) | {"vocabularies": {"items": {"vectors": "items.parquet"}}}
    (tmp_path / "specs/spec.yaml").write_text(yaml.safe_dump(spec))
    loaded = load_spec(str(tmp_path / "specs/spec.yaml"))
    assert loaded.vocabularies["items"].vectors == str(tmp_path / "specs/items.parquet")
    first = transform(loaded, [rows_in(tmp_path)], str(tmp_path / "1"))
    shutil.rmtree(tmp_path / "specs")
    second = transform(load_spec(str(tmp_path / "1/spec.yaml")), [rows_in(tmp_path)], str(tmp_path / "2"))
    assert Run(first.path).identity == Run(second.path).identity
    assert (tmp_path / "1/vectors/items.parquet").read_bytes() == (tmp_path / "2/vectors/items.parquet").read_bytes()


def test_vectors_may_be_set_on_the_field(tmp_path: Path) -> None:
    write_vectors(tmp_path)
    field = {"type": "categorical", "vectors": str(tmp_path / "items.parquet"), "freeze": True}
    spec = SPEC | {"vocabularies": {}, "fields": {"item": field}}
    run = Run(transform(Spec.model_validate(spec), [rows_in(tmp_path)], str(tmp_path / "run")).path)
    assert (run.spec.vocabulary_settings_of("item").dim, run.spec.vocabulary_settings_of("item").freeze) == (3, True)
    assert run.tokens("item")[-2:] == [b"new1", b"new2"]


def contents(run: str) -> dict[str, bytes]:
    """Returns the files that state what ids mean, and the examples."""
    parts = ("vocabulary_*/*", "vectors/*", "transform/transform_fn/assets/*", "examples/*", "stats.json")
    paths = [path for part in parts for path in sorted(Path(run).glob(part))]
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def test_counts_of_a_cache_give_the_same_run_also_with_other_vectors(tmp_path: Path) -> None:
    """The cache has counts of all tokens; which of them are in the vocabulary is decided afterwards."""
    data, cache = rows_in(tmp_path), str(tmp_path / "counts")
    for number, tokens in enumerate([TOKENS, TOKENS, ["new9", *TOKENS[1:]]]):
        write_vectors(tmp_path, tokens)
        spec = Spec.model_validate(spec_with(tmp_path, min_count=2, top_k=4))
        plain = transform(spec, [data], str(tmp_path / f"plain{number}"))
        cached = transform(spec, [data], str(tmp_path / f"cached{number}"), counts_cache=cache)
        assert isinstance(cached.counts_cache, CountsCache)
        assert bool(cached.counts_cache.counted) == (number == 0)
        assert contents(cached.path) == contents(plain.path)
        assert (b"new9" in Run(cached.path).tokens("items")) == (number == 2)


def test_ids_do_not_move_when_a_run_grows_and_new_tokens_of_the_file_are_appended(tmp_path: Path) -> None:
    data = rows_in(tmp_path)
    write_vectors(tmp_path)
    spec = Spec.model_validate(spec_with(tmp_path))
    first = Run(transform(spec, [data], str(tmp_path / "1")).path)
    write_vectors(tmp_path, ["new0", *TOKENS[1:]])
    second = Run(transform(spec, [data], str(tmp_path / "2"), grow=first).path)
    assert second.tokens("items") == [*first.tokens("items"), b"new0"]
    found = second.vectors("items")
    assert found is not None
    tokens = [second.tokens("items")[i - 3].decode() for i in found[0].tolist()]
    assert sorted(tokens) == sorted(["new0", *TOKENS[1:]])  # `new2` has an id, but no vector any more.


def test_the_file_is_one_of_the_inputs_that_resumed_work_must_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Fingerprint] = []

    def stopped(_: Spec, source: RowSource, *others: Any, **options: Any) -> None:
        assert source.fingerprint is not None
        found.append(source.fingerprint)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_directory, "transform_rows", stopped)
    data = rows_in(tmp_path)
    for vectors in (VECTORS, np.tile(VECTORS, 2)):
        path = write_vectors(tmp_path, vectors=vectors)
        with pytest.raises(KeyboardInterrupt):
            transform(Spec.model_validate(spec_with(tmp_path)), [data], str(tmp_path / "run"))
    first, second = found
    assert second.differences(asdict(first)) == [str(path)]


def test_an_analyzer_of_tensorflow_transform_does_not_know_the_file() -> None:
    fields = {"item": {"type": "categorical", "vectors": "items.parquet"}}
    spec = Spec.model_validate(SPEC | {"fields": fields, "vocabularies": {}})
    with pytest.raises(ValueError, match="vectors of item: expected `known`, found none"):
        preprocessing_fn(spec)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hash_buckets": 9, "vectors": "items.parquet"}, "`hash_buckets` replaces a vocabulary; remove vectors"),
        ({"freeze": True}, "`freeze` is for pretrained vectors; add `vectors: FILE`"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Spec.model_validate(SPEC | {"vocabularies": {"items": settings}})


def test_another_runner_refuses_vectors(tmp_path: Path) -> None:
    spec, options = Spec.model_validate(spec_with(tmp_path)), PipelineOptions(["--runner=PortableRunner"])
    with pytest.raises(UserError, match="vectors of the vocabulary items: expected a job in this process"):
        known_transform(spec, RowSource(lambda: Create([])), options, str(tmp_path), using=None, grow=None)
