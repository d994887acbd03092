from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from handmade_run import Row, write_run

from fieldpool.model import examples
from fieldpool.model.examples import NoExamples, count_examples, feature_spec, read_examples
from fieldpool.model.run import Run
from fieldpool.transforms.spec import Spec

SPEC = {
    "key": "row_id",
    "label": {"field": "clicked"},
    "split": {"column": "split"},
    "fields": {
        "item": {"type": "categorical"},
        "genres": {"type": "multivalued", "max_len": 2, "weights": "w"},
        "age": {"type": "numeric"},
        "price": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}


def example(i: int) -> Row:
    return {
        "key": [f"row{i}".encode()],
        "label": [float(i % 2)],
        "item": [i],
        "genres": [i, 0],
        "genres_weights": [0.5, 0.0],
        "age": [i / 10],
        "price": [i % 5],
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    shards = [[example(i) for i in range(5)], [example(i) for i in range(5, 9)], []]
    return Run(write_run(tmp_path / "run", SPEC, {}, {"train": shards, "eval": [[example(9)]]}))


def items(dataset: tf.data.Dataset) -> list[int]:
    return [i for features, *_ in dataset for i in features["item"].numpy().tolist()]


def test_feature_spec() -> None:
    assert {name: (f.shape, f.dtype) for name, f in feature_spec(Spec.model_validate(SPEC)).items()} == {
        "item": ([], tf.int64),
        "genres": ([2], tf.int64),
        "genres_weights": ([2], tf.float32),
        "age": ([], tf.float32),
        "price": ([], tf.int64),
        "label": ([], tf.float32),
        "key": ([], tf.string),
    }


def test_feature_spec_needs_a_resolved_spec() -> None:
    spec = Spec.model_validate({**SPEC, "fields": {"genres": {"type": "multivalued"}}})
    with pytest.raises(ValueError, match=r"fields.genres.max_len: expected a number, found 'auto'"):
        feature_spec(spec)


def test_batches_of_features_and_labels(run: Run) -> None:
    features, label = next(iter(read_examples(run, "train", batch_size=3)))

    assert {name: value.numpy().tolist() for name, value in features.items()} == {
        "item": [0, 1, 2],
        "genres": [[0, 0], [1, 0], [2, 0]],
        "genres_weights": [[0.5, 0.0]] * 3,
        "age": pytest.approx([0.0, 0.1, 0.2]),
        "price": [0, 1, 2],
    }
    assert label.dtype == tf.float32
    assert label.numpy().tolist() == [0, 1, 0]


def test_each_example_is_read_once(run: Run) -> None:
    sizes = [len(label) for _, label in read_examples(run, "train", batch_size=4)]
    assert sizes == [4, 4, 1]
    assert items(read_examples(run, "train", batch_size=4)) == list(range(9))
    assert sorted(items(read_examples(run, "train", batch_size=4, shuffle_buffer=3))) == list(range(9))


def test_examples_are_counted_without_stats_json(run: Run) -> None:
    assert [count_examples(run, split) for split in ("train", "eval", "test")] == [9, 1, 0]
    Path(run.path, "stats.json").unlink()
    uncounted = Run(run.path)
    assert [count_examples(uncounted, split) for split in ("train", "eval", "test")] == [9, 1, 0]


def test_key_is_read_on_request(run: Run) -> None:
    *_, key = next(iter(read_examples(run, "eval", batch_size=4, with_key=True)))
    assert key.numpy().tolist() == [b"row9"]


def test_seed_fixes_the_order_and_epochs_differ(run: Run) -> None:
    def two_epochs(seed: int) -> list[list[int]]:
        dataset = read_examples(run, "train", batch_size=4, shuffle_buffer=100, seed=seed)
        return [items(dataset), items(dataset)]

    first, second = two_epochs(3)
    assert [first, second] == two_epochs(3)
    assert first != second
    assert first != two_epochs(4)[0]


def test_the_order_is_the_same_on_any_number_of_cores(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "_BLOCK", 1)
    orders = []
    for number in (1, 2, 8):
        monkeypatch.setattr(examples, "cores", lambda number=number: number)
        orders.append(items(read_examples(run, "train", batch_size=4, shuffle_buffer=5, seed=3)))
    assert orders == orders[:1] * 3


def test_the_end_of_an_iteration_does_not_wait_for_the_thread_that_tunes_it(run: Run) -> None:
    assert read_examples(run, "train", batch_size=4).options().autotune.enabled is False


def test_repeat(run: Run) -> None:
    assert items(read_examples(run, "eval", batch_size=1, repeat=True).take(3)) == [9, 9, 9]


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_cache_gives_the_same_examples_in_another_order_each_epoch(run: Run, tmp_path: Path, cache: str) -> None:
    where = cache if cache == "memory" else str(tmp_path / "cache")
    dataset = read_examples(run, "train", batch_size=4, shuffle_buffer=100, seed=3, cache=where)
    epochs = [items(dataset) for _ in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(9))] * 3
    assert epochs[0] != epochs[1]


def test_order_of_an_epoch_does_not_depend_on_previous_epochs(run: Run) -> None:
    settings: dict[str, Any] = {"batch_size": 2, "shuffle_buffer": 100, "seed": 3}
    orders = [items(read_examples(run, "train", epoch=epoch, **settings)) for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert items(read_examples(run, "train", epoch=1, **settings)) == orders[1]
    assert items(read_examples(run, "train", epoch=1, skip=3, **settings)) == orders[1][6:]

    endless = read_examples(run, "train", epoch=1, skip=3, repeat=True, **settings).take(7)
    assert items(endless) == orders[1][6:] + orders[2]


def test_each_example_is_parsed_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = [[example(i) for i in range(600 * shard, 600 * shard + 600)] for shard in range(2)]
    run = Run(write_run(tmp_path / "run", SPEC, {}, {"train": shards}))
    parsed, parse = tf.Variable(0), tf.io.parse_example

    def counted(records: tf.Tensor, features: dict[str, Any]) -> dict[str, tf.Tensor]:
        parsed.assign_add(tf.size(records))
        return parse(records, features)

    monkeypatch.setattr(tf.io, "parse_example", counted)
    orders = [
        items(read_examples(run, "train", batch_size=100, shuffle_buffer=500, seed=1, epoch=epoch))
        for epoch in range(3)
    ]
    assert [sorted(order) for order in orders] == [list(range(1200))] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert parsed.numpy() == 3 * 1200


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_read_each_example_once(run: Run, workers: int) -> None:
    parts = [items(read_examples(run, "train", batch_size=4, shard=(i, workers))) for i in range(workers)]
    assert sorted(item for part in parts for item in part) == list(range(9))


def test_split_without_shards_is_named(run: Run) -> None:
    with pytest.raises(NoExamples, match=r"no examples in the split 'test'.*change `split:`"):
        read_examples(run, "test", batch_size=1)


def test_unknown_split_is_named(run: Run) -> None:
    with pytest.raises(ValueError, match="split: expected one of train, eval, test; found 'dev'"):
        read_examples(run, "dev", batch_size=1)


def test_with_key_needs_a_key_in_the_spec(tmp_path: Path) -> None:
    spec = {name: value for name, value in SPEC.items() if name != "key"}
    run = Run(write_run(tmp_path / "run", spec, {}, {"train": [[example(0)]]}))
    assert "key" not in next(iter(read_examples(run, "train", batch_size=1)))[0]
    with pytest.raises(ValueError, match="the spec has no `key`"):
        read_examples(run, "train", batch_size=1, with_key=True)
