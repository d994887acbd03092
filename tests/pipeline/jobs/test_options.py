"""Beam's options: fieldpool's defaults, and the options that are rejected."""

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
def test_mode_sets_beams_options(arguments: dict[str, Any], expected: str | None) -> None:
    chosen = beam_options(**arguments).get_all_options(drop_default=True)
    assert chosen.get("direct_running_mode") == expected
    assert chosen.get("direct_num_workers") == (arguments.get("workers") if expected else None)


@pytest.mark.parametrize(("cores", "gigabytes", "workers"), [(8, 2, 4), (4, 2, 2), (8, 0.1, 1), (2, 2, 1)])
def test_auto_mode_uses_processes_for_large_input_on_many_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: float, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    options = beam_options()
    choose_mode(options, int(gigabytes * 1e9))
    chosen = options.get_all_options(drop_default=True)
    assert chosen.get("direct_num_workers", 1) == workers
    assert chosen.get("direct_running_mode") == ("multi_processing" if workers > 1 else None)


def test_auto_mode_keeps_beams_options_if_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    options = beam_options(extra=["--direct_running_mode=multi_threading", "--direct_num_workers=3"])
    choose_mode(options, 2 << 30)
    assert options.get_all_options()["direct_running_mode"] == "multi_threading"
    assert options.get_all_options()["direct_num_workers"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runner": "DataflowRunner", "mode": "threads"}, "use the options of DataflowRunner instead"),
        ({"mode": "memory", "workers": 2}, "--mode memory has one worker"),
        ({"runner": "NoRunner"}, "--runner NoRunner: Unexpected pipeline runner: NoRunner"),
    ],
)
def test_invalid_mode_or_runner_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        beam_options(**arguments)


@pytest.mark.parametrize("runner", [None, "DirectRunner", "direct", "FnApiRunner"])
def test_direct_runner_means_the_in_process_runner(runner: str | None) -> None:
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
def test_unsupported_option_is_rejected(runner: str, breaking: str) -> None:
    name = breaking if "experiments" in breaking else breaking.partition("=")[0]
    with pytest.raises(UserError, match=rf"(?m)^{name}: .*; leave it out$"):
        beam_options(runner, [breaking])


def test_all_unsupported_options_are_reported_in_one_message() -> None:
    with pytest.raises(UserError) as error:
        beam_options("DataflowRunner", ["--streaming", "--update", "--experiments=disable_runner_v2"])
    assert str(error.value).count("leave it out") == 3


def test_missing_and_unsupported_options_are_reported_in_one_message() -> None:
    with pytest.raises(UserError) as error:
        beam_options("DataflowRunner", ["--streaming", "--region=europe-west1"])
    unsupported, *missing = str(error.value).splitlines()
    assert unsupported.startswith("--streaming: ")
    assert [line.split()[1] for line in missing] == ["--project", "--temp_location"]


def test_unsupported_experiment_with_a_value_is_rejected() -> None:
    with pytest.raises(UserError, match=r"--experiments=disable_runner_v2=true: .*; leave it out"):
        beam_options("DataflowRunner", ["--experiments=disable_runner_v2=true"])


@pytest.mark.parametrize("limit", ["0", "-5", "inf", "nan"])
def test_time_limit_must_be_a_positive_number(limit: str) -> None:
    with pytest.raises(UserError, match=rf"--time_limit {limit}: expected a number of minutes greater than 0"):
        beam_options("DataflowRunner", [f"--time_limit={limit}"])


def test_runner_gets_its_defaults_for_every_way_to_name_it() -> None:
    with pytest.raises(UserError, match="use --runner instead"):
        beam_options(None, ["--runner=DataflowRunner"])
    named = "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"
    assert beam_options(named).get_all_options()["machine_type"] == "e2-standard-4"


def test_main_session_is_not_pickled() -> None:
    assert beam_options("DataflowRunner").view_as(SetupOptions).save_main_session is False


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--num_workers=many", "--num_workers: invalid int value: 'many'"),
        ("--flink_version=1", "--flink_version: invalid choice: '1' (choose from "),
        ("--time_limit=soon", "--time_limit: invalid float value: 'soon'"),
    ],
)
def test_invalid_value_is_reported(option: str, message: str) -> None:
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
            "(--sdk_container_image works on Dataflow only)",
        ),
        ("FlinkRunner", ["--environment_type=FOO"], "Unknown environment type: FOO; expected LOOPBACK, EXTERNAL"),
        ("FlinkRunner", ["--environment_type=EXTERNAL"], "EXTERNAL and HOST:PORT of workers"),
        ("PrismRunner", ["--environment_type=PROCESS", "--environment_config={x"], 'PROCESS and {"command": PATH}'),
    ],
)
def test_portable_job_without_job_server_or_workers_is_an_error(runner: str, options: list[str], message: str) -> None:
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
def test_given_option_replaces_the_default(extra: str, name: str, value: object) -> None:
    assert given(extra)[name] == value


def test_experiments_of_the_user_are_added() -> None:
    assert {"use_runner_v2", "shuffle_mode=appliance"} <= set(
        given("--experiments=shuffle_mode=appliance")["experiments"]
    )


def test_other_runners_get_no_dataflow_defaults() -> None:
    options = beam_options("PortableRunner", ["--job_endpoint=localhost:1", "--environment_type=LOOPBACK"])
    plain = PipelineOptions(["--runner=PortableRunner"]).get_all_options()
    assert {name: options.get_all_options()[name] for name in ("labels", "machine_type", "setup_file")} == {
        name: plain[name] for name in ("labels", "machine_type", "setup_file")
    }
