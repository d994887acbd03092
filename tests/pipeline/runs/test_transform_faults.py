"""A transform that cannot end well: a clear error, the target as it was found, and a re-run that gives the same run."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fieldpool.pipeline.runs import run_directory
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms import vocabulary_counts
from fieldpool.transforms.errors import CannotWrite, OutOfMemory, SourceChanged, TooManyRejected, UserError
from fieldpool.transforms.spec import Spec

HEADER = "id,click,part,user,item,history,genres,age"


@pytest.fixture
def spec(spec_data: dict[str, Any]) -> Spec:
    lists = {"separator": "|", "max_len": 3}
    fields = {k: v | lists if v["type"] == "multivalued" else v for k, v in spec_data["fields"].items()}
    return Spec.model_validate(spec_data | {"fields": fields})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    rows = [f"r{i},{i % 2},train,u{i},a,b|c,x,{i}" for i in range(200)]
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen after the files were listed and before they are read."""

    def arrange(happening: Callable[[], object]) -> None:
        write_run = run_directory.write_run

        def late(*arguments: Any) -> None:
            happening()
            write_run(*arguments)

        monkeypatch.setattr(run_directory, "write_run", late)

    return arrange


@pytest.fixture
def small_files() -> Iterator[None]:
    """A disk on which no file can be larger than 3,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fails(error: type[UserError], match: str, spec: Spec, data: Path, target: Path) -> str:
    with pytest.raises(error, match=match) as raised:
        transform(spec, [str(data)], str(target))
    assert not target.exists()
    return str(raised.value)


def test_a_source_that_changes_in_between(
    spec: Spec, data: Path, between: Callable[[Callable[[], object]], None]
) -> None:
    between(lambda: data.write_text(data.read_text() + "r999,1,train,u,a,b,x,1\n"))
    fails(SourceChanged, r"rows.csv: has been written to since the work began", spec, data, data.parent / "run")


def test_a_source_that_vanishes(spec: Spec, data: Path, between: Callable[[Callable[[], object]], None]) -> None:
    between(data.unlink)
    fails(SourceChanged, r"rows.csv: was there when the work began, and is gone", spec, data, data.parent / "run")


def test_a_full_disk(spec: Spec, data: Path, small_files: None) -> None:
    fails(CannotWrite, "a file grew larger than this system or user may write", spec, data, data.parent / "run")


def test_a_target_inside_a_file(spec: Spec, data: Path) -> None:
    fails(CannotWrite, "a part of the path is a file", spec, data, data / "run")


def test_no_memory_for_a_vocabulary(spec: Spec, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(vocabulary_counts, "_most_frequent_first", refuse)
    fails(OutOfMemory, "ran out of memory.*`min_count` and `top_k`", spec, data, data.parent / "run")


def test_bad_rows_stop_the_run_as_they_go_by(spec: Spec, data: Path) -> None:
    bad = "".join(f"r{i},7,train,u,a,b,x,1\n" for i in range(200, 50_000))
    data.write_text(data.read_text() + bad + "r,1,train\n")
    message = fails(TooManyRejected, "stopped here; there may be more", spec, data, data.parent / "run")
    assert message.splitlines()[1].split() == ["source", "row", "field", "reason"]
    assert message.splitlines()[2].split()[1:4] == ["201", "click", "expected"]


def test_a_share_of_bad_rows_is_told_at_the_end(spec: Spec, data: Path) -> None:
    data.write_text(data.read_text() + "r200,7,train,u,a,b,x,1\n" * 8 + "r208\n" * 3)
    few, many = (spec.model_copy(update={"max_rejected": share}) for share in (0.05, 0.06))
    fails(TooManyRejected, r"11 of 211 rows cannot be used, and max_rejected is 0.05:", few, data, data.parent / "run")
    stats = transform(many, [str(data)], str(data.parent / "run")).stats
    assert (stats.read, stats.train, stats.rejected) == (211, 200, 11)
