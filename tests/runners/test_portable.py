"""Beam's job server, with workers in the submitting process (LOOPBACK) or in a worker pool (EXTERNAL)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.worker_handlers import ExternalWorkerHandler
from run_contents import contents
from served_model import Served
from workers import WorkerEnvironment

from fieldpool.model.run import Run
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.jobs.versions import versions
from fieldpool.pipeline.rows import read_rows
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.parity import verify
from fieldpool.transforms.errors import NoWorkers, TimeLimitExceeded, WorkersDiffer
from fieldpool.transforms.spec import Source, Spec
from fieldpool.transforms.spec.inputs import feature_columns

pytestmark = pytest.mark.runners

CHECKOUT = Path(__file__).parents[2]
MINUTES = 3.0


@pytest.fixture(autouse=True)
def _loop_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExternalWorkerHandler, "host_from_worker", lambda _: "localhost")


@pytest.fixture
def workers(tmp_path: Path) -> WorkerEnvironment:
    return WorkerEnvironment(tmp_path / "worker")


@pytest.fixture
def clicks(spec_data: dict[str, Any], rows: list[dict[str, Any]], tmp_path: Path) -> tuple[Spec, str]:
    """A spec and a file of rows, in a directory that workers can read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    return Spec.model_validate(spec_data), str(tmp_path / "rows.parquet")


def portable(job_server: str, *environment: str, minutes: float = MINUTES) -> PipelineOptions:
    return beam_options("PortableRunner", [f"--job_endpoint={job_server}", f"--time_limit={minutes}", *environment])


def external(address: str) -> tuple[str, str]:
    return "--environment_type=EXTERNAL", f"--environment_config={address}"


@contextmanager
def installed(workers: WorkerEnvironment, folder: Path) -> Iterator[str]:
    """Starts workers with this checkout's fieldpool, installed as users install it; yields their address."""
    workers.install(CHECKOUT)
    with workers.pool(folder, {}) as address:
        yield address


def test_remote_workers_make_the_same_run(
    job_server: str, workers: WorkerEnvironment, clicks: tuple[Spec, str], tmp_path: Path
) -> None:
    spec, data = clicks
    transform(spec, [data], str(tmp_path / "local"))
    with installed(workers, tmp_path) as address:
        transform(spec, [data], str(tmp_path / "remote"), portable(job_server, *external(address)))
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")


def test_workers_without_fieldpool_are_reported(
    job_server: str, workers: WorkerEnvironment, clicks: tuple[Spec, str], tmp_path: Path
) -> None:
    spec, data = clicks
    with (
        workers.pool(tmp_path, {}) as address,
        pytest.raises(WorkersDiffer, match=r"workers cannot import fieldpool.*: fieldpool or one of its requirements"),
    ):
        transform(spec, [data], str(tmp_path / "run"), portable(job_server, *external(address)))
    assert not (tmp_path / "run").exists()


def test_workers_with_other_code_are_reported(
    job_server: str, workers: WorkerEnvironment, clicks: tuple[Spec, str], tmp_path: Path
) -> None:
    spec, data = clicks
    workers.install(CHECKOUT)
    with Path(workers.where("fieldpool.transforms.spec", tmp_path)).open("a") as file:
        file.write("# Another version.\n")
    with (
        workers.pool(tmp_path, {}) as address,
        pytest.raises(WorkersDiffer, match=r"fieldpool's code \w+ at submission, \w+ on the worker. Rebuild the"),
    ):
        transform(spec, [data], str(tmp_path / "run"), portable(job_server, *external(address)))


def test_workers_with_other_versions_are_reported(
    job_server: str,
    workers: WorkerEnvironment,
    clicks: tuple[Spec, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, data = clicks
    monkeypatch.setattr(read_rows, "versions", lambda: versions() | {"Python": "3.9", "keras": "3.14.0"})
    with (
        installed(workers, tmp_path) as address,
        pytest.raises(WorkersDiffer, match=r"submitter: Python 3\.9 at submission, .*; keras 3\.14\.0 at submission"),
    ):
        transform(spec, [data], str(tmp_path / "run"), portable(job_server, *external(address)))


def test_missing_worker_pool_is_reported(job_server: str, clicks: tuple[Spec, str], tmp_path: Path) -> None:
    spec, data = clicks
    with pytest.raises(NoWorkers, match=r"no workers answer at .*:1; start them"):
        transform(spec, [data], str(tmp_path / "run"), portable(job_server, *external("localhost:1")))


def test_silent_worker_pool_hits_the_time_limit(job_server: str, clicks: tuple[Spec, str], tmp_path: Path) -> None:
    spec, data = clicks
    with socket.create_server(("localhost", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        with pytest.raises(TimeLimitExceeded, match=r"did not finish within 0\.05 minutes and has been cancelled"):
            transform(spec, [data], str(tmp_path / "run"), portable(job_server, *external(address), minutes=0.05))


def test_verify_has_a_time_limit_too(job_server: str, served: Served) -> None:
    """The pipeline of `verify` runs through `run_pipeline` like all others."""
    columns = feature_columns(Run(str(served.run)).spec)
    with socket.create_server(("localhost", 0)) as silent:
        options = portable(job_server, *external(f"localhost:{silent.getsockname()[1]}"), minutes=0.05)
        job = prepare_job([str(served.data)], options=options)
        with pytest.raises(TimeLimitExceeded, match=r"did not finish within 0\.05 minutes and has been cancelled"):
            verify(Run(str(served.run)), str(served.model), lambda: job.rows(Source(), columns), job.options)


def test_movielens_has_the_same_ids_and_counts_in_all_modes(
    job_server: str, workers: WorkerEnvironment, real_data: Path, tmp_path: Path
) -> None:
    spec = Spec.model_validate(yaml.safe_load((CHECKOUT / "examples" / "movielens.yaml").read_text()))

    def made(name: str, options: PipelineOptions | None = None) -> Any:
        transform(spec, [str(real_data / "ml100k/ratings.parquet")], str(tmp_path / name), options)
        return contents(tmp_path / name)

    local = made("local")
    assert made("threads", beam_options(mode="threads", workers=2)) == local
    assert made("processes", beam_options(mode="processes", workers=2)) == local
    assert made("loopback", portable(job_server, "--environment_type=LOOPBACK")) == local
    with installed(workers, tmp_path) as address:
        assert made("external", portable(job_server, *external(address))) == local
