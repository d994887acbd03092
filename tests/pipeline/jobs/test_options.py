"""Beam's options: what the project chooses, and what nobody reaches by accident."""

from __future__ import annotations

from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions

from fieldpool.pipeline.jobs.options import beam_options, choose_mode, runs_in_process
from fieldpool.transforms.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, None),
        ({"workers": 1}, None),
        ({"mode": "threads", "workers": 3}, "multi_threading"),
        ({"workers": 2}, "multi_processing"),
        ({"runner": "DataflowRunner"}, None),
    ],
)
def test_the_mode_is_beams_own(arguments: dict[str, Any], expected: str | None) -> None:
    chosen = beam_options(**arguments).get_all_options(drop_default=True)
    assert chosen.get("direct_running_mode") == expected
    assert chosen.get("direct_num_workers") == (arguments.get("workers") if expected else None)


@pytest.mark.parametrize(("cores", "gigabytes", "workers"), [(8, 2, 4), (4, 2, 2), (8, 0.1, 1), (2, 2, 1)])
def test_processes_for_many_bytes_on_many_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: float, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    options = beam_options()
    choose_mode(options, int(gigabytes * 1e9))
    chosen = options.get_all_options(drop_default=True)
    assert chosen.get("direct_num_workers", 1) == workers
    assert chosen.get("direct_running_mode") == ("multi_processing" if workers > 1 else None)


def test_what_beams_own_options_say_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    options = beam_options(extra=["--direct_running_mode=multi_threading", "--direct_num_workers=3"])
    choose_mode(options, 2 << 30)
    assert options.get_all_options()["direct_running_mode"] == "multi_threading"
    assert options.get_all_options()["direct_num_workers"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runner": "DataflowRunner", "mode": "threads"}, "DataflowRunner has options of its own"),
        ({"mode": "memory", "workers": 2}, "--mode memory has one worker"),
        ({"runner": "NoRunner"}, "--runner NoRunner: Unexpected pipeline runner: NoRunner"),
    ],
)
def test_modes_and_runners_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        beam_options(**arguments)


@pytest.mark.parametrize("runner", [None, "DirectRunner", "direct", "FnApiRunner"])
def test_the_direct_runner_is_the_one_in_process_and_no_download(runner: str | None) -> None:
    options = beam_options(runner)
    assert runs_in_process(options)
    assert options.get_all_options()["runner"] == "FnApiRunner"


@pytest.mark.parametrize(
    "breaking",
    [
        "--streaming",
        "--save_main_session",
        "--runtime_type_check",
        "--performance_runtime_type_check",
        "--template_location=gs://pool/template",
        "--update",
        "--dry_run=true",
        "--output_executable_path=job.jar",
        "--experiments=disable_runner_v2",
        "--experiments=disable_prime_runner_v2",
        "--experiments=disable_portable_runner",
        "--experiments=enable_streaming_engine",
    ],
)
@pytest.mark.parametrize("runner", ["DirectRunner", "DataflowRunner"])
def test_options_that_break_tensorflow_transform_are_refused(runner: str, breaking: str) -> None:
    name = breaking if "experiments" in breaking else breaking.partition("=")[0]
    with pytest.raises(UserError, match=rf"(?m)^{name}: .*; leave it out$"):
        beam_options(runner, [breaking])


def test_all_options_that_break_it_are_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        beam_options("DataflowRunner", ["--streaming", "--update", "--experiments=disable_runner_v2"])
    assert str(error.value).count("leave it out") == 3


def test_what_dataflow_misses_is_told_with_what_breaks_it() -> None:
    with pytest.raises(UserError) as error:
        beam_options("DataflowRunner", ["--streaming", "--region=europe-west1"])
    refused, *missing = str(error.value).splitlines()
    assert refused.startswith("--streaming: ")
    assert [line.split()[1] for line in missing] == ["--project", "--temp_location"]


def test_an_experiment_with_a_value_is_refused_too() -> None:
    with pytest.raises(UserError, match=r"--experiments=disable_runner_v2=true: .*; leave it out"):
        beam_options("DataflowRunner", ["--experiments=disable_runner_v2=true"])


@pytest.mark.parametrize("limit", ["0", "-5", "inf", "nan"])
def test_a_time_limit_is_a_time(limit: str) -> None:
    with pytest.raises(UserError, match=rf"--time_limit {limit}: expected minutes, more than 0"):
        beam_options("DataflowRunner", [f"--time_limit={limit}"])


def test_a_runner_has_its_defaults_however_it_is_named() -> None:
    with pytest.raises(UserError, match="give it as --runner"):
        beam_options(None, ["--runner=DataflowRunner"])
    named = "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"
    assert beam_options(named).get_all_options()["machine_type"] == "e2-standard-4"


def test_no_main_session_is_pickled() -> None:
    assert beam_options("DataflowRunner").view_as(SetupOptions).save_main_session is False


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--num_workers=many", "--num_workers: invalid int value: 'many'"),
        ("--flink_version=1", "--flink_version: invalid choice: '1' (choose from "),
        ("--time_limit=soon", "--time_limit: invalid float value: 'soon'"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_told(option: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        beam_options("DataflowRunner", [option])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("PortableRunner", [], "--runner PortableRunner: missing: --job_endpoint HOST:PORT"),
        ("FlinkRunner", ["--flink_master=h:8081"], "missing: workers with fieldpool: --environment_type DOCKER"),
        (
            "SparkRunner",
            ["--spark_master_url=spark://h:7077", "--sdk_container_image=x"],
            "(--sdk_container_image is Dataflow's alone)",
        ),
        ("FlinkRunner", ["--environment_type=FOO"], "Unknown environment type: FOO; expected LOOPBACK, EXTERNAL"),
        ("FlinkRunner", ["--environment_type=EXTERNAL"], "EXTERNAL and HOST:PORT of workers"),
        ("PrismRunner", ["--environment_type=PROCESS", "--environment_config={x"], 'PROCESS and {"command": PATH}'),
    ],
)
def test_a_portable_job_that_lacks_its_server_or_workers_is_told(runner: str, options: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        beam_options(runner, options)
    assert message in str(error.value)


def given(*extra: str) -> dict[str, Any]:
    return beam_options("DataflowRunner", extra).get_all_options()


def test_defaults_of_a_dataflow_job() -> None:
    options = given()
    assert "use_runner_v2" in options["experiments"]
    assert options["machine_type"] == "e2-standard-4"
    assert options["number_of_worker_harness_threads"] == 2
    assert options["resource_hints"] == ["min_ram=12GB"]
    assert options["labels"] == ["fieldpool=0-1-0", "fieldpool-job=transform"]
    assert options["job_name"].startswith("fieldpool-transform-")
    assert options["setup_file"].endswith("setup.py")
    assert not options["streaming"]


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        ("--machine_type=n2-highmem-8", "machine_type", "n2-highmem-8"),
        ("--machine_type=n2-standard-2", "resource_hints", []),
        ("--flexrs_goal=COST_OPTIMIZED", "resource_hints", []),
        ("--dataflow_service_options=enable_prime", "machine_type", None),
        ("--experiments=enable_prime", "machine_type", None),
        ("--number_of_worker_harness_threads=5", "number_of_worker_harness_threads", 5),
        ("--resource_hints=min_ram=30GB", "resource_hints", ["min_ram=30GB"]),
        ("--job_name=nightly", "job_name", "nightly"),
        ("--sdk_container_image=registry/fieldpool:1", "setup_file", None),
        ("--labels=team=ads", "labels", ["fieldpool=0-1-0", "fieldpool-job=transform", "team=ads"]),
    ],
)
def test_a_given_option_goes_before_the_default(extra: str, name: str, value: object) -> None:
    assert given(extra)[name] == value


def test_experiments_of_a_user_stand_beside_ours() -> None:
    assert {"use_runner_v2", "shuffle_mode=appliance"} <= set(
        given("--experiments=shuffle_mode=appliance")["experiments"]
    )


def test_nothing_of_dataflow_is_added_for_other_runners() -> None:
    options = beam_options("PortableRunner", ["--job_endpoint=localhost:1", "--environment_type=LOOPBACK"])
    plain = PipelineOptions(["--runner=PortableRunner"]).get_all_options()
    assert {name: options.get_all_options()[name] for name in ("labels", "machine_type", "setup_file")} == {
        name: plain[name] for name in ("labels", "machine_type", "setup_file")
    }
