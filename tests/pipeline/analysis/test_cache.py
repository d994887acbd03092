"""The cache of counts: what is counted again, and that the result is the one without a cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from row_batches import EVERY, ROWS, batch_of

from fieldpool.pipeline.analysis import cache as caches
from fieldpool.pipeline.analysis.analysis import analyze
from fieldpool.pipeline.analysis.cache import CountsCache
from fieldpool.pipeline.analysis.partitions import partitions_of
from fieldpool.pipeline.analysis.row_sums import sums_of
from fieldpool.pipeline.analysis.sums_files import groups_of, sums_of_groups, table_of_sums
from fieldpool.pipeline.sources.files import find_files
from fieldpool.transforms.spec import Spec

DAYS = 5
SPEC: dict[str, Any] = {
    "label": {"field": "click"},
    "split": {"hash": "id"},
    "source": {"format": "parquet"},
    "fields": {
        "item": {"type": "categorical", "min_count": 2},
        "tags": {"type": "multivalued", "max_len": "auto"},
        "seen": {"type": "multivalued", "max_len": "p60", "keep": "last"},
        "price": {"type": "numeric", "scale": {"quantiles": 3}},
        "age": {"type": "numeric"},
    },
}
BY_TIME = {"time": "at", "train": 0.6, "eval": 0.2, "test": 0.2}
BY_DAY = {**BY_TIME, "time": "dt"}


def write_day(folder: Path, day: int) -> None:
    """Writes two files of a day; the times of neighbouring days overlap."""
    (folder / f"dt=2026-11-0{day}").mkdir(parents=True, exist_ok=True)
    for half in range(2):
        ids = range(day * 40 + half * 20, day * 40 + half * 20 + 20)
        table = {
            "id": [f"r{i}" for i in ids],
            "click": [i % 2 for i in ids],
            "at": [1_700_000_000 + i + 10 * (i % 3) for i in ids],
            "item": [f"i{i * i % 11}" for i in ids],
            "tags": [[f"t{(i + k) % 5}" for k in range(i % (day + 2))] for i in ids],
            "seen": [[f"s{(i * k) % 7}" for k in range(i % 5)] for i in ids],
            "price": [None if i % 9 == 0 else (i * 37 % 101) / 7 for i in ids],
            "age": [i % 50 for i in ids],
        }
        pq.write_table(pa.table(table), folder / f"dt=2026-11-0{day}" / f"{half}.parquet")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    for day in range(1, DAYS + 1):
        write_day(tmp_path / "log", day)
    return tmp_path / "log"


def spec_of(**changes: Any) -> Spec:
    return Spec.model_validate({**SPEC, **changes})


def analysis(
    log: Path, out: Path, days: range, cache: CountsCache | None = None, spec: Spec | None = None
) -> dict[str, bytes]:
    """Returns the files of an analysis of some days."""
    spec = spec or spec_of()
    partitions = partitions_of(find_files([f"{log}/dt=2026-11-0{day}/*" for day in days]), spec.source)
    analyze(spec, partitions, str(out), 2, cache=cache)
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def counted(cache: CountsCache) -> list[int]:
    """Returns the days that an analysis counted."""
    return sorted(int(name[-1]) for name in cache.counted)


SPLITS = {"hash": SPEC["split"], "time": BY_TIME, "day": BY_DAY, "fixed": {**BY_TIME, "eval_from": 1_700_000_090}}
SPLITS["fixed"]["test_from"] = 1_700_000_095


SAMPLED = {"key": "id", "sample": {"negatives": 0.4}}


@pytest.mark.parametrize(
    ("split", "changes"),
    [*((split, {}) for split in SPLITS.values()), (BY_TIME, SAMPLED)],
    ids=[*SPLITS, "time, sampled"],
)
def test_a_window_that_moves_forward_and_back_gives_what_an_analysis_of_all_rows_gives(
    log: Path, tmp_path: Path, split: dict[str, Any], changes: dict[str, Any]
) -> None:
    spec = spec_of(split=split, **changes)
    for step, days in enumerate([range(1, 4), range(2, 5), range(3, 6), range(2, 5), range(1, 4)]):
        cache = CountsCache(str(tmp_path / "cache"))
        found = analysis(log, tmp_path / f"cached{step}", days, cache, spec)
        assert found == analysis(log, tmp_path / f"plain{step}", days, None, spec)
        if step > 2:  # Days that the boundary of a time split crosses are counted again.
            assert len(counted(cache)) <= int("time" in split)


def test_only_new_partitions_are_read(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(fields={"item": {"type": "categorical"}})
    first = CountsCache(str(tmp_path / "cache"))
    analysis(log, tmp_path / "1", range(1, 5), first, spec)
    assert counted(first) == [1, 2, 3, 4]
    for day in (1, 2, 3, 4):
        monkeypatch.setattr("builtins.open", _refusing(open, f"dt=2026-11-0{day}/"))
    second = CountsCache(str(tmp_path / "cache"))
    analysis(log, tmp_path / "2", range(2, 6), second, spec)
    assert counted(second) == [5]


def _refusing(opened: Callable[..., Any], part: str) -> Callable[..., Any]:
    def refuse(path: Any, *given: Any, **options: Any) -> Any:
        assert part not in str(path)
        return opened(path, *given, **options)

    return refuse


def test_of_a_time_split_only_days_that_the_boundary_crosses_are_read_again(log: Path, tmp_path: Path) -> None:
    spec = spec_of(split=BY_TIME, fields={"item": {"type": "categorical"}})
    found = []
    for step, days in enumerate([range(1, 5), range(1, 6), range(1, 5)]):
        cache = CountsCache(str(tmp_path / "cache"))
        analysis(log, tmp_path / str(step), days, cache, spec)
        found.append(counted(cache))
    # Of days 1 to 4 the boundary is in day 3; of days 1 to 5 between days 3 and 4, whose times overlap.
    assert found == [[1, 2, 3], [3, 4], [3]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fields": SPEC["fields"] | {"item": {"type": "categorical", "min_count": 9, "top_k": 1}}}, []),
        ({"fields": SPEC["fields"] | {"tags": SPEC["fields"]["tags"] | {"side": "user"}}}, []),
        (
            {"fields": SPEC["fields"] | {"item": {"type": "categorical", "num_oov_buckets": 5, "retire_after": "3d"}}},
            [],
        ),
        ({"model": {"embedding_dim": 3}, "max_rejected": 7}, []),
        ({"evaluation": {"gauc_by": "item", "slices": ["tags"]}}, []),
        ({"key": ["id", "item"]}, [1, 2, 3]),
        ({"carry": ["at"]}, [1, 2, 3]),
        ({"fields": SPEC["fields"] | {"tags": {"type": "multivalued", "max_len": 1}}}, [1, 2, 3]),
        ({"fields": SPEC["fields"] | {"item": {"type": "categorical", "missing": "reject"}}}, [1, 2, 3]),
        ({"fields": SPEC["fields"] | {"item": {"type": "categorical", "vocabulary": "tags"}}}, [1, 2, 3]),
        ({"split": {"hash": "id", "salt": "other"}}, [1, 2, 3]),
        ({"label": {"field": "click", "positive": ["0"]}}, [1, 2, 3]),
        ({"limits": {"value_bytes": 50}}, [1, 2, 3]),
        ({"sample": {"negatives": 0.5}}, [1, 2, 3]),
    ],
    ids=str,
)
def test_a_change_of_the_spec_is_noticed_if_it_changes_what_is_counted(
    log: Path, tmp_path: Path, change: dict[str, Any], expected: list[int]
) -> None:
    analysis(log, tmp_path / "1", range(1, 4), CountsCache(str(tmp_path / "cache")))
    cache, spec = CountsCache(str(tmp_path / "cache")), spec_of(**change)
    found = analysis(log, tmp_path / "2", range(1, 4), cache, spec)
    assert counted(cache) == expected
    assert found == analysis(log, tmp_path / "3", range(1, 4), None, spec)


def test_a_changed_file_is_counted_again(log: Path, tmp_path: Path) -> None:
    analysis(log, tmp_path / "1", range(1, 4), CountsCache(str(tmp_path / "cache")))
    files = sorted((tmp_path / "cache").iterdir())
    os.utime(log / "dt=2026-11-01/0.parquet", (1, 1))
    cache = CountsCache(str(tmp_path / "cache"))
    analysis(log, tmp_path / "2", range(1, 4), cache)
    assert counted(cache) == [1]
    assert sorted((tmp_path / "cache").iterdir()) == files


def test_another_format_is_counted_again(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis(log, tmp_path / "1", range(1, 3), CountsCache(str(tmp_path / "cache")))
    monkeypatch.setattr(caches, "FORMAT", 0)
    cache = CountsCache(str(tmp_path / "cache"))
    analysis(log, tmp_path / "2", range(1, 3), cache)
    assert counted(cache) == [1, 2]


@pytest.mark.parametrize("split", [SPEC["split"], BY_TIME, BY_DAY], ids=str)
def test_a_day_without_rows_is_kept_too(log: Path, tmp_path: Path, split: dict[str, Any]) -> None:
    for path in (log / "dt=2026-11-02").iterdir():
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    spec, first, second = (
        spec_of(split=split),
        CountsCache(str(tmp_path / "cache")),
        CountsCache(str(tmp_path / "cache")),
    )
    expected = analysis(log, tmp_path / "0", range(1, 4), None, spec)
    assert analysis(log, tmp_path / "1", range(1, 4), first, spec) == expected
    assert analysis(log, tmp_path / "2", range(1, 4), second, spec) == expected
    assert counted(second) == []


def test_two_processes_may_write_the_same_file(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with ThreadPoolExecutor(2) as threads:
        found = [
            threads.submit(analysis, log, tmp_path / str(part), range(1, 6), CountsCache(str(folder)))
            for part in range(2)
        ]
    assert found[0].result() == found[1].result()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 255
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_file_is_counted_again(log: Path, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    spec = spec_of(split=BY_TIME)
    expected = analysis(log, tmp_path / "1", range(1, 4), CountsCache(str(tmp_path / "cache")), spec)
    for path in (tmp_path / "cache").iterdir():
        damage(path)
    assert analysis(log, tmp_path / "2", range(1, 4), CountsCache(str(tmp_path / "cache")), spec) == expected


@given(ROWS)
def test_sums_are_read_from_a_table_as_they_were_written(rows: list[dict[str, Any]]) -> None:
    sums = sums_of(batch_of(rows), EVERY)
    found = sums_of_groups(groups_of(table_of_sums(sums, "train", EVERY)), "train", EVERY)
    assert found.rows == sums.rows
    for name, counts in sums.tokens.items():
        assert found.tokens[name].equals(counts.sort_by("token").combine_chunks())
    assert {name: list(lengths) for name, lengths in found.lengths.items()} == {
        name: list(lengths) for name, lengths in sums.lengths.items()
    }
    assert all(map(np.array_equal, found.moments, sums.moments))
    assert all(map(np.array_equal, found.histograms["n"], sums.histograms["n"]))
