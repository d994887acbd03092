"""Transforms that fail: a clear error, and no target is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_files import limited_files

from fieldpool.pipeline.analysis import analysis
from fieldpool.pipeline.runs import run_parts
from fieldpool.pipeline.runs.run_directory import transform
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
def before_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Registers a function that is called after the files were listed and before they are read."""

    def register(change: Callable[[], object]) -> None:
        write_rows = run_parts.write_rows

        def change_and_write(*arguments: Any) -> Any:
            change()
            return write_rows(*arguments)

        monkeypatch.setattr(run_parts, "write_rows", change_and_write)

    return register


def check_failure(error: type[UserError], match: str, spec: Spec, data: Path, target: Path) -> str:
    with pytest.raises(error, match=match) as raised:
        transform(spec, [str(data)], str(target))
    assert not target.exists()
    return str(raised.value)


def test_source_changed_before_it_is_read_is_an_error(
    spec: Spec, data: Path, before_reading: Callable[[Callable[[], object]], None]
) -> None:
    before_reading(lambda: data.write_text(data.read_text() + "r999,1,train,u,a,b,x,1\n"))
    check_failure(SourceChanged, r"rows.csv: has been written to since the work began", spec, data, data.parent / "run")


def test_source_deleted_before_it_is_read_is_an_error(
    spec: Spec, data: Path, before_reading: Callable[[Callable[[], object]], None]
) -> None:
    before_reading(data.unlink)
    check_failure(
        SourceChanged, r"rows.csv: existed when the work began, but is missing now", spec, data, data.parent / "run"
    )


def test_file_size_limit_is_reported(spec: Spec, data: Path) -> None:
    with limited_files(3000):
        check_failure(CannotWrite, "a file exceeds the size limit of this system", spec, data, data.parent / "run")


def test_target_below_a_file_is_reported(spec: Spec, data: Path) -> None:
    check_failure(CannotWrite, "a part of the path is a file", spec, data, data / "run")


def test_too_little_memory_for_a_vocabulary_is_reported(
    spec: Spec, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(analysis, "in_vocabulary", refuse)
    check_failure(OutOfMemory, "ran out of memory.*`min_count` and `top_k`", spec, data, data.parent / "run")


def test_transform_stops_while_reading_if_too_many_rows_are_rejected(spec: Spec, data: Path) -> None:
    bad = "".join(f"r{i},7,train,u,a,b,x,1\n" for i in range(200, 50_000))
    data.write_text(data.read_text() + bad + "r,1,train\n")
    message = check_failure(TooManyRejected, "stopped here; there may be more", spec, data, data.parent / "run")
    assert message.splitlines()[1].split() == ["source", "row", "field", "reason"]
    assert message.splitlines()[2].split()[1:4] == ["201", "click", "expected"]


def test_share_of_rejected_rows_is_checked_at_the_end(spec: Spec, data: Path) -> None:
    data.write_text(data.read_text() + "r200,7,train,u,a,b,x,1\n" * 8 + "r208\n" * 3)
    few, many = (spec.model_copy(update={"max_rejected": share}) for share in (0.05, 0.06))
    check_failure(
        TooManyRejected,
        r"11 of 211 rows were rejected, but max_rejected is 0.05; the first 3:",
        few,
        data,
        data.parent / "run",
    )
    stats = transform(many, [str(data)], str(data.parent / "run")).stats
    assert (stats.read, stats.train, stats.rejected) == (211, 200, 11)
