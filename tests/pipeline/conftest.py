"""Fixtures that several modules of tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served_model import ROWS, SPEC, Served, click_row, make_served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A small run, a model trained on it and its export; not to be changed."""
    return make_served(tmp_path_factory.mktemp("served"), SPEC, [click_row(i) for i in range(ROWS)])


@pytest.fixture
def fieldpool(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """`fieldpool("explain", …)` gives exit code, standard output and standard error."""

    from fieldpool.pipeline import cli

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fieldpool", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        out, err = capfd.readouterr()
        return int(leaving.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's own job server, on a loop-back port."""
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    server = LocalJobServicer(str(tmp_path_factory.mktemp("jobs")))
    yield f"localhost:{server.start_grpc_server(0)}"
    server.stop()
