"""Fixtures of all tests, among them a small click log and its spec.

Fixtures import fieldpool in their bodies: `make test-backends` runs without TensorFlow and Arrow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from served_model import Served

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["COLUMNS"] = "200"  # The width of printed tables; read when the console is created.


@pytest.fixture(scope="session")
def spec_data() -> dict[str, Any]:
    """A spec for `rows`, as plain values."""
    return {
        "key": "id",
        "label": {"field": "click"},
        "split": {"column": "part"},
        "vocabularies": {"items": {"num_oov_buckets": 2}},
        "fields": {
            "user": {"type": "categorical"},
            "item": {"type": "categorical", "vocabulary": "items"},
            "history": {"type": "multivalued", "vocabulary": "items", "max_len": 3, "keep": "last"},
            "genres": {"type": "multivalued", "separator": "|", "max_len": "auto"},
            "age": {"type": "numeric"},
        },
    }


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Raw rows, with an empty list, a missing value, an unseen token and a list that is truncated."""
    return [
        _row("r1", 1, "train", "u1", "a", ["b"], ["x", "y"], 20.0),
        _row("r2", 0, "train", "u2", "b", ["a", "c", "b", "a"], [], 30.0),
        _row("r3", 1, "train", None, "a", [], ["y"], None),
        _row("r4", 0, "train", "u1", "c", ["a", "b"], ["y", "z", "x"], 40.0),
        _row("r5", 1, "eval", "u9", "a", ["new"], ["x"], 50.0),
        _row("r6", 0, "test", "u2", "new", ["c", "a", "b", "b"], ["new", "y"], 10.0),
    ]


def _row(key: str, click: int, part: str, user: Any, item: str, history: Any, genres: Any, age: Any) -> dict[str, Any]:
    return {
        "id": key,
        "click": click,
        "part": part,
        "user": user,
        "item": item,
        "history": history,
        "genres": genres,
        "age": age,
    }


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data that the environment variable FIELDPOOL_DATA names."""
    folder = os.environ.get("FIELDPOOL_DATA")
    if not folder:
        pytest.skip("FIELDPOOL_DATA is not set: no real data to run on")
    return Path(folder)


@pytest.fixture
def fieldpool(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """`fieldpool("explain", …)` runs a command; returns exit code, standard output and standard error."""

    from fieldpool.pipeline.cli import app
    from fieldpool.pipeline.terminal.startup import UNTIL_EXIT

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fieldpool", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving, UNTIL_EXIT:
            app.main()
        out, err = capfd.readouterr()
        return int(leaving.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's own job server, on a loop-back port, or the one at the HOST:PORT in FIELDPOOL_JOB_SERVER."""
    if "FIELDPOOL_JOB_SERVER" in os.environ:
        yield os.environ["FIELDPOOL_JOB_SERVER"]
        return
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    server = LocalJobServicer(str(tmp_path_factory.mktemp("jobs")))
    yield f"localhost:{server.start_grpc_server(0)}"
    server.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A small run, a model trained on it, and its export. Tests must not change them."""
    from made_once import made_once
    from served_model import ROWS, SPEC, click_row, make_served, served_in

    rows = [click_row(i) for i in range(ROWS)]
    return served_in(made_once(tmp_path_factory, "served", lambda folder: make_served(folder, SPEC, rows)), rows)


@pytest.fixture(scope="session")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A run with users and candidates, a model with random weights, and its export. Tests must not change them."""
    from made_once import made_once
    from ranked_model import make_ranked, ranked_in

    return ranked_in(made_once(tmp_path_factory, "ranked", make_ranked))
