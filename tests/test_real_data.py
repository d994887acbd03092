"""The specs of `examples/`, and derived fields, on the real data that FIELDPOOL_DATA names; skipped without it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pages import ROOT

from fieldpool.model.evaluation import evaluate
from fieldpool.model.export import export_model
from fieldpool.model.from_spec import deepfm
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.reports.data_profile import profile_data
from fieldpool.pipeline.reports.profile_files import spec_text
from fieldpool.pipeline.runs.run_directory import TransformResult, transform
from fieldpool.pipeline.serving.parity import Parity, verify
from fieldpool.pipeline.sources.sample import sample_rows
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.runs.run_stats import total
from fieldpool.transforms.spec import FileSplit, Spec
from fieldpool.transforms.spec.inputs import feature_columns

EXAMPLES = ROOT / "examples"


def row_counts(result: TransformResult) -> list[int]:
    stats = result.stats
    return [stats.read, stats.train, stats.eval, stats.test, stats.rejected]


def transformed(example: str, data: Path | list[Path], target: Path) -> TransformResult:
    files = [str(path) for path in ([data] if isinstance(data, Path) else data)]
    return transform(load_spec(str(EXAMPLES / example)), files, str(target))


def records(result: TransformResult, split: str) -> list[bytes]:
    return list(tf.data.TFRecordDataset(Run(result.path).shards(split), "GZIP").as_numpy_iterator())


@pytest.fixture(scope="module")
def movielens(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformResult:
    folder = tmp_path_factory.mktemp("movielens")
    return transformed("movielens.yaml", real_data / "ml100k/ratings.parquet", folder / "run")


def test_movielens_has_all_rows(movielens: TransformResult) -> None:
    assert row_counts(movielens) == [100_000, 80_000, 10_000, 10_000, 0]
    assert [len(records(movielens, split)) for split in ("train", "eval", "test")] == [80_000, 10_000, 10_000]


@pytest.mark.parametrize("rows", [8000, pytest.param(100_000, marks=pytest.mark.quality)])
def test_movielens_as_csv_gives_the_same_run_byte_for_byte(real_data: Path, tmp_path: Path, rows: int) -> None:
    lines = (real_data / "ml100k/ratings.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "rows.csv").write_bytes(b"".join(lines[: rows + 1]))
    pq.write_table(pq.read_table(real_data / "ml100k/ratings.parquet").slice(0, rows), tmp_path / "rows.parquet")
    csv, parquet = (
        transformed("movielens.yaml", tmp_path / f"rows.{ending}", tmp_path / ending) for ending in ("csv", "parquet")
    )
    assert csv.stats == parquet.stats
    assert csv.stats.read == rows
    for split in ("train", "eval", "test"):
        assert records(csv, split) == records(parquet, split)
    for vocabulary in csv.spec.vocabulary_fields():
        assert Run(csv.path).tokens(vocabulary) == Run(parquet.path).tokens(vocabulary)


def test_movielens_auc_of_one_seed(movielens: TransformResult, tmp_path: Path) -> None:
    """One seed, with a margin; `make test-quality` compares the mean of three seeds with DeepCTR's 0.715."""
    run = Run(movielens.path)
    result = train(run, str(tmp_path / "model"))
    assert evaluate(load_model(result.model_path), run, "test")["auc"] > 0.71


def aucs_of(result: TransformResult, folder: Path) -> list[float]:
    """Returns the test AUC of the seeds 0, 1 and 2."""
    run, aucs = Run(result.path), []
    for seed in (0, 1, 2):
        settings = run.spec.train.model_copy(update={"seed": seed})
        result_of_seed = train(run, str(folder / f"model-{seed}"), train_settings=settings)
        aucs.append(evaluate(load_model(result_of_seed.model_path), run, "test")["auc"])
    return aucs


@pytest.mark.quality
def test_movielens_auc_of_three_seeds_is_at_least_that_of_deepctr(movielens: TransformResult, tmp_path: Path) -> None:
    aucs = aucs_of(movielens, tmp_path)
    print("test AUC of seeds 0, 1, 2:", aucs)
    assert sum(aucs) / len(aucs) >= 0.715


def mean_auc(spec: Spec, files: list[Path], folder: Path) -> float:
    """Returns the mean test AUC of three seeds."""
    aucs = aucs_of(transform(spec, [str(path) for path in files], str(folder / "run")), folder)
    return sum(aucs) / len(aucs)


def proposed(files: list[Path], label: str, folder: Path) -> Spec:
    """Returns the spec that `profile` proposes, as it is read from its file."""
    found = profile_data([str(path) for path in files], label=label)
    (folder / "spec.yaml").write_text(spec_text(found.proposal), encoding="utf-8")
    return load_spec(str(folder / "spec.yaml"))


@pytest.mark.quality
@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("movielens.yaml", "ml100k/ratings.parquet"),
        ("movielens.yaml", "ml100k/ratings.csv"),
        ("mind.yaml", "mind5k/candidates.parquet"),
    ],
)
def test_proposed_spec_has_nearly_the_auc_of_the_example(
    real_data: Path, tmp_path: Path, example: str, name: str
) -> None:
    files, by_hand = [real_data / name], load_spec(str(EXAMPLES / example))
    spec = proposed(files, "label", tmp_path)
    assert spec.split == by_hand.split
    assert "rating" not in map(spec.column_of, spec.fields)  # The label is derived from it.
    found = [mean_auc(spec, files, tmp_path / "proposed"), mean_auc(by_hand, files, tmp_path / "by_hand")]
    print(f"{name}: mean test AUC of the proposed spec, and of {example}:", found)
    assert found[0] >= found[1] - 0.01


@pytest.mark.quality
def test_criteo_without_a_header_needs_no_spec(real_data: Path, tmp_path: Path) -> None:
    files = [real_data / f"criteo8k/{name}.csv" for name in ("train", "dev", "test")]
    spec = proposed(files, "c0", tmp_path)
    assert isinstance(spec.split, FileSplit)
    auc = mean_auc(spec, files, tmp_path / "proposed")
    print("criteo8k: mean test AUC of the proposed spec:", auc)
    assert auc > 0.6


@pytest.fixture(scope="module")
def mind(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformResult:
    return transformed("mind.yaml", real_data / "mind5k/candidates.parquet", tmp_path_factory.mktemp("mind") / "run")


def test_candidates_of_mind_are_ranked_within_their_impressions(real_data: Path, mind: TransformResult) -> None:
    """`tests/model/metrics/test_ranking.py` compares these metrics with MIND's definition."""
    rows = pq.read_table(real_data / "mind5k/candidates.parquet", columns=["impression_id", "split"])
    run = Run(mind.path)
    found = evaluate(deepfm(run.spec, run.vocabulary_sizes), run, "test", batch_size=4096)
    assert found["groups"] == len(rows.filter(pc.field("split") == "test")["impression_id"].unique())
    assert found["ranking_examples"] == found["examples"]
    assert found["groups_without_positives"] == 0
    assert 0.4 < found["group_auc"] < 0.6  # The model is not trained.


def test_mind_with_empty_and_very_long_histories(mind: TransformResult) -> None:
    counts = row_counts(mind)
    assert counts[0] == 189_359 == sum(counts[1:])
    assert (mind.stats.rejected, mind.stats.duplicate_keys) == (0, 0)
    history = mind.stats.fields["history"]
    assert history.lengths is not None
    assert history.values_truncated is not None
    assert max(length for lengths in history.lengths.values() for length in lengths) == 425
    assert total(history.absent) > 3000
    assert total(history.values_truncated) > 0


def test_criteo_without_header_and_with_many_missing_values(real_data: Path, tmp_path: Path) -> None:
    files = [real_data / f"criteo8k/{name}.csv" for name in ("train", "dev", "test")]
    result = transformed("criteo.yaml", files, tmp_path / "run")
    assert row_counts(result) == [8000, 7200, 409, 391, 0]
    assert total(result.stats.fields["I1"].absent) > 3000
    assert json.loads(Path(result.path, "stats.json").read_text()) == result.stats.as_json()


def parity(result: TransformResult, files: list[Path], folder: Path, rows: int) -> Parity:
    """Exports an untrained model of the run, and checks it for training-serving skew on about `rows` rows."""
    run, spec = Run(result.path), result.spec
    deepfm(spec, run.vocabulary_sizes).save(folder / "model.keras")
    export_model(run, str(folder))
    sample = sample_rows([str(path) for path in files], spec.source, feature_columns(spec), rows)
    return verify(run, str(folder), lambda: beam.Create(sample, reshuffle=False))


def test_movielens_has_no_training_serving_skew(movielens: TransformResult, real_data: Path, tmp_path: Path) -> None:
    found = parity(movielens, [real_data / "ml100k/ratings.parquet"], tmp_path, 5000)
    assert (found.holds, found.rows) == (True, 5000)


@pytest.mark.quality
@pytest.mark.parametrize(
    ("example", "names", "rows"),
    [
        ("movielens.yaml", ["ml100k/ratings.parquet"], 100_000),
        ("movielens.yaml", ["ml100k/ratings.csv"], 100_000),
        ("mind.yaml", ["mind5k/candidates.parquet"], 189_359),
        ("criteo.yaml", [f"criteo8k/{name}.csv" for name in ("train", "dev", "test")], 8000),
    ],
)
def test_no_row_has_training_serving_skew(
    real_data: Path, tmp_path: Path, example: str, names: list[str], rows: int
) -> None:
    files = [real_data / name for name in names]
    result = transformed(example, files, tmp_path / "run")
    found = parity(result, files, tmp_path, rows)
    assert (found.holds, found.rows) == (True, rows)


def _derived(kind: str, derivation: dict[str, Any], **entries: Any) -> dict[str, Any]:
    return {"type": kind, "from": derivation, **entries}


# Every kind of `from` that the columns allow.
MOVIELENS_DERIVED: dict[str, Any] = {
    "key": "row_id",
    "label": {"field": "label"},
    "split": {"column": "split"},
    "times": {"released": {"format": "%Y"}},
    "fields": {
        "user": {"type": "categorical", "column": "user_id", "hash_buckets": 500},
        "item_id": {"type": "categorical", "vocabulary": "movies"},
        "history": {"type": "multivalued", "vocabulary": "movies", "max_len": 50, "keep": "last"},
        "genres": {"type": "multivalued"},
        "liked": {"type": "multivalued", "vocabulary": "genres", "max_len": 50, "keep": "last"},
        "gender": {"type": "categorical", "normalize": ["strip", "lower"]},
        "occupation": {"type": "categorical", "normalize": ["lower"]},
        "age": {"type": "numeric", "range": [18, 60], "scale": {"boundaries": [25, 35, 50]}},
        "years": {"type": "numeric", "column": "age", "scale": "sqrt"},
        "hour": _derived("categorical", {"time": "timestamp", "part": "hour", "zone": "America/Chicago"}),
        "weekday": _derived("categorical", {"time": "timestamp", "part": "weekday", "zone": "Asia/Kathmandu"}),
        "day": _derived("categorical", {"time": "timestamp", "part": "day"}),
        "month": _derived("categorical", {"time": "timestamp", "part": "month", "zone": "Europe/Berlin"}),
        "week": _derived("categorical", {"time": "timestamp", "part": "hour_of_week", "zone": "Australia/Lord_Howe"}),
        "movie_age": _derived("numeric", {"age": "released", "at": "timestamp", "unit": "days"}),
        "gender_genres": _derived("multivalued", {"cross": ["gender", "genres"]}, min_count=10),
        "age_of_job": _derived("categorical", {"cross": ["occupation", "gender"]}),
        "hour_genres": _derived("multivalued", {"cross": ["hour", "genres"]}, hash_buckets=1000),
        "of_history": _derived("multivalued", {"cross": ["gender", "history"], "max_pairs": 20}, hash_buckets=10_000),
        "liked_count": _derived("numeric", {"match": ["genres", "liked"]}),
        "liked_share": _derived("numeric", {"match": ["genres", "liked"], "measure": "share"}),
        "liked_any": _derived("numeric", {"match": ["genres", "liked"], "measure": "any"}, scale="none"),
        "liked_last": _derived("numeric", {"match": ["genres", "liked"], "measure": "last"}, scale="log1p"),
        "ratio": _derived("numeric", {"ratio": ["years", "row_id"]}, range=[0, 1], scale={"quantiles": 10}),
        "no_history": _derived("numeric", {"missing": "history"}, scale="none"),
        "words": _derived("multivalued", {"text": "title", "ngrams": 2}, min_count=5),
    },
}
MIND_DERIVED: dict[str, Any] = {
    "key": ["impression_id", "news_id"],
    "label": {"field": "label"},
    "split": {"column": "split"},
    "fields": {
        "user_id": {"type": "categorical", "hash_buckets": 5000},
        "news_id": {"type": "categorical", "vocabulary": "news", "normalize": ["lower"]},
        "history": {"type": "multivalued", "vocabulary": "news", "max_len": "p95", "normalize": ["lower"]},
        "hour": {"type": "categorical"},
        "weekday": {"type": "categorical"},
        "hour_of_week": _derived("categorical", {"cross": ["weekday", "hour"]}),
        "pairs": _derived(
            "multivalued", {"cross": ["news_id", "history"]}, hash_buckets=100_000, keep="last", max_len=50
        ),
        "days": _derived("multivalued", {"cross": ["weekday", "history"], "max_pairs": 30}, min_count=20),
        "read_before": _derived("numeric", {"match": ["news_id", "history"], "measure": "any"}, scale="none"),
        "last_read": _derived("numeric", {"match": ["news_id", "history"], "measure": "last"}),
        "no_history": _derived("numeric", {"missing": "history"}, scale="none"),
        "ratio": _derived("numeric", {"ratio": ["hour_number", "weekday_number"]}),
        "hour_number": {"type": "numeric", "column": "hour", "scale": {"boundaries": [6, 12, 18]}},
        "weekday_number": {"type": "numeric", "column": "weekday", "range": [None, 5]},
        "user_words": _derived("multivalued", {"text": "impression_id", "ngrams": 2}, hash_buckets=1000),
    },
}


@pytest.fixture(scope="module")
def sources(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The data sets; ratings also have the columns that `benchmarks.training.derived` adds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks.training.derived import with_sources
    ratings = tmp_path_factory.mktemp("derived") / "ratings.parquet"
    pq.write_table(with_sources(pq.read_table(real_data / "ml100k/ratings.parquet")), ratings)
    return {"movielens": ratings, "mind": real_data / "mind5k/candidates.parquet"}


@pytest.mark.quality
@pytest.mark.parametrize(
    ("name", "spec", "rows"), [("movielens", MOVIELENS_DERIVED, 100_000), ("mind", MIND_DERIVED, 189_359)]
)
def test_no_row_with_derived_fields_has_training_serving_skew(
    sources: dict[str, Path], tmp_path: Path, name: str, spec: dict[str, Any], rows: int
) -> None:
    result = transform(Spec.model_validate(spec), [str(sources[name])], str(tmp_path / "run"))
    found = parity(result, [sources[name]], tmp_path, rows)
    print(f"{name}: {len(spec['fields'])} fields, {found}")
    assert (found.holds, found.rows, found.rejected, found.differing_ids, found.differing_scores) == (
        True,
        rows,
        0,
        0,
        0,
    )
    assert all(total(field.values) for field in result.stats.fields.values())


def test_hours_and_ages_of_ratings_are_those_of_plain_python(sources: dict[str, Path], tmp_path: Path) -> None:
    """Their counts; the first 8,000 rows."""
    rows = pq.read_table(sources["movielens"]).slice(0, 8000)
    pq.write_table(rows, tmp_path / "rows.parquet")
    result = transform(Spec.model_validate(MOVIELENS_DERIVED), [str(tmp_path / "rows.parquet")], str(tmp_path / "run"))
    moments = [datetime.fromtimestamp(second, UTC) for second in rows["timestamp"].to_pylist()]
    hours = Counter(str(moment.astimezone(ZoneInfo("America/Chicago")).hour).encode() for moment in moments)
    run = Run(result.path)
    assert sorted(run.tokens("hour"), key=lambda token: (-hours[token], token)) == list(run.tokens("hour"))
    assert set(run.tokens("hour")) == set(hours)
    ages = [
        (moment - datetime(int(year), 1, 1, tzinfo=UTC)).total_seconds() / 86_400
        for moment, year in zip(moments, rows["released"].to_pylist(), strict=True)
        if year is not None
    ]
    numbers = result.stats.fields["movie_age"].numbers
    assert numbers is not None
    assert numbers["train"].mean == pytest.approx(sum(ages) / len(ages), rel=1e-6)
