"""Dataflow: the defaults of a job, and what is wrong with one, reported before anything is staged."""

from __future__ import annotations

import contextlib
import getpass
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from apache_beam.io.gcp.gcsio import GcsIO, parse_gcs_path
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, SetupOptions, WorkerOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.transforms.resources import resource_hints_from_options
from google.api_core.exceptions import Forbidden

from ...transforms.errors import UserError

# 4 GB a core: TensorFlow and a bundle take 1.3 GB a process, and Dataflow starts one process a core.
_MACHINE_TYPE = "e2-standard-4"
_MIN_RAM = "12GB"
# One worker keeps two cores busy (`options`); Beam's own default of 12 threads a process only holds more memory.
_THREADS = 2

_NEEDED = {
    "project": "--project PROJECT",
    "region": "--region REGION, such as europe-west1",
    "temp_location": "--temp_location gs://BUCKET/FOLDER, for Beam's own files",
}
_PACKAGE = "--sdk_container_image IMAGE, or --setup_file SETUP.PY of a checkout: workers need fieldpool"

# https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.jobs#Job, .../dataflow/docs/guides/labels.
_LONGEST_NAME = 1000  # Of 1,024: a pass that measures lengths adds a word.
_LABEL_KEY, _LABEL_VALUE, _MOST_LABELS = re.compile(r"[^\W\d_][\w-]{0,62}"), re.compile(r"[\w-]{0,63}"), 64
_REGION = re.compile(r"[a-z]+-[a-z]+\d+")


def is_dataflow(runner: str) -> bool:
    """Returns whether a runner of this name submits to Dataflow."""
    name = runner.lower().rpartition(".")[2]  # Beam takes a class by its full name, too.
    return name.removesuffix("runner") in ("dataflow", "testdataflow")


def defaults(extra: Sequence[str], job: str) -> list[str]:
    """Returns the arguments that the project adds for a Dataflow job, where `extra` does not give them.

    Runner v2; machines and threads by what a worker needs; a name and labels to find the job by; one resource hint
    for all steps, since steps with different hints are not fused; and the `setup.py` of the checkout that this
    process runs from, unless an image or another package brings fieldpool to the workers. No machine where Dataflow
    Prime chooses it, and no hint beside a machine of the user's own or with FlexRS, which knows none.
    """
    given = PipelineOptions([*extra]).get_all_options(drop_default=True)
    arguments = [
        "--experiments=use_runner_v2",
        f"--labels=fieldpool={version('fieldpool').replace('.', '-')}",
        f"--labels=fieldpool-job={job}",
    ]
    single = {
        "job_name": f"fieldpool-{job}-{_user()}{datetime.now(UTC):%Y%m%d-%H%M%S}",
        "number_of_worker_harness_threads": str(_THREADS),
    }
    if not _is_prime(given):
        single["machine_type"] = _MACHINE_TYPE
    if "machine_type" not in given and not given.get("flexrs_goal"):
        single["resource_hints"] = f"min_ram={_MIN_RAM}"
    setup = Path(__file__).resolve().parents[2] / "setup.py"
    if setup.exists() and not _brings_package(given):
        single["setup_file"] = str(setup)
    return arguments + [f"--{name}={value}" for name, value in single.items() if name not in given]


def missing(options: PipelineOptions) -> list[str]:
    """Returns the required options that are not set."""
    cloud = options.view_as(GoogleCloudOptions)
    found = [what for name, what in _NEEDED.items() if not getattr(cloud, name)]
    if not _brings_package(options.get_all_options(drop_default=True)):
        found.append(_PACKAGE)
    return [f"missing: {what}" for what in found]


def check_job(options: PipelineOptions, reads: Sequence[str], target: str) -> None:
    """Checks a job against Dataflow's rules and what its workers can reach.

    Args:
        options: those of the job.
        reads: paths or patterns of all that workers read.
        target: the folder that they write to.

    Raises:
        UserError: naming all that is missing or wrong, at once.
    """
    cloud = options.view_as(GoogleCloudOptions)
    given = options.get_all_options(drop_default=True)
    faults = missing(options)
    validator = PipelineOptionsValidator(options, None)
    if cloud.project and cloud.region:
        found = validator.validate_cloud_options(cloud)
        faults += [fault for fault in found if "dataflow endpoint" not in fault]  # An endpoint with a port is valid.
    for name in ("temp_location", "staging_location"):
        if getattr(cloud, name):
            faults += validator.validate_gcs_path(cloud, name)
    faults += validator.validate_num_workers(options.view_as(WorkerOptions))
    faults += validator.validate_worker_region_zone(options.view_as(WorkerOptions))
    faults += validator.validate_pickle_library(options.view_as(SetupOptions))
    faults += _wrong_hints(options)
    faults += _wrong_names(cloud)
    faults += _excluding_each_other(given)
    faults += [
        f"{path}: is on this machine, where workers cannot read it; copy it to gs://, for one with `gcloud storage cp`"
        for path in reads
        if "://" not in path
    ]
    faults += _wrong_places(cloud, given.get("tft_temp_location"), target)
    setup = options.view_as(SetupOptions).setup_file
    if setup and (Path(setup).name not in ("setup.py", "pyproject.toml") or not Path(setup).is_file()):
        faults.append(f"--setup_file {setup}: no such setup.py")
    if faults:
        raise UserError("the Dataflow job cannot be started:\n" + "\n".join(f"  {fault}" for fault in faults))


def check_buckets(options: PipelineOptions, target: str) -> None:
    """Raises UserError for a bucket that is not there: Beam would try for minutes to write to it."""
    cloud = options.view_as(GoogleCloudOptions)
    storage = GcsIO(pipeline_options=options)
    places = {
        "--temp_location": cloud.temp_location,
        "--staging_location": cloud.staging_location,
        "--out": target,
    }
    for name, path in places.items():
        if not path or not path.startswith("gs://"):
            continue
        bucket, _ = parse_gcs_path(path, object_optional=True)
        with contextlib.suppress(Forbidden):  # Who may write to a bucket need not be one who may look at it.
            if storage.get_bucket(bucket) is None:
                raise UserError(f"{name} {path}: there is no bucket gs://{bucket}; make it, or name another")


def page_of(job: str, options: PipelineOptions) -> str:
    """Returns the address of a job's page in the console."""
    cloud = options.view_as(GoogleCloudOptions)
    return f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{job}?project={cloud.project}"


def _brings_package(given: dict[str, Any]) -> bool:
    """Returns whether an option brings packages to the workers."""
    names = ("sdk_container_image", "setup_file", "extra_packages", "requirements_file")
    return any(given.get(name) for name in names)


def _wrong_places(cloud: GoogleCloudOptions, tft_temp: str | None, target: str) -> list[str]:
    """Returns which folders workers cannot reach, and which lie in one another: some hold what may go at any time."""
    faults = []
    if target and "://" not in target:
        faults.append(f"--out {target}: is on this machine; name a folder on gs://")
    if tft_temp and "://" not in tft_temp:
        faults.append(f"--tft_temp_location {tft_temp}: is on this machine; name a folder on gs://")
    temporary = {
        "--temp_location": cloud.temp_location,
        "--staging_location": cloud.staging_location,
        "--tft_temp_location": tft_temp,
    }
    for name, path in temporary.items():
        if path and target and _lies_in(path, target):
            faults.append(f"{name} {path}: lies in --out {target}, which holds a run alone")
        elif path and target and _lies_in(target, path):
            faults.append(f"--out {target}: lies in {name} {path}, whose files may go at any time")
    if tft_temp and cloud.temp_location and _lies_in(tft_temp, cloud.temp_location):
        faults.append(f"--tft_temp_location {tft_temp}: lies in --temp_location {cloud.temp_location}; keep them apart")
    return faults


def _lies_in(path: str, folder: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _wrong_hints(options: PipelineOptions) -> list[str]:
    try:
        resource_hints_from_options(options)
    except (ValueError, TypeError) as error:
        return [f"--resource_hints: {error}"]
    return []


def _is_prime(given: dict[str, Any]) -> bool:
    return "enable_prime" in [*(given.get("dataflow_service_options") or []), *(given.get("experiments") or [])]


def _excluding_each_other(given: dict[str, Any]) -> list[str]:
    """Returns what cannot stand together.

    https://cloud.google.com/dataflow/docs/guides/enable-dataflow-prime, …/guides/right-fitting: unsupported features.
    """
    faults = []
    if _is_prime(given) and given.get("machine_type"):
        faults.append("--machine_type: Dataflow Prime (enable_prime) chooses machines; give --resource_hints instead")
    if given.get("flexrs_goal") and given.get("resource_hints"):
        faults.append("--resource_hints: --flexrs_goal knows none; give --machine_type instead")
    if given.get("flexrs_goal") and _is_prime(given):
        faults.append("--flexrs_goal: Dataflow Prime (enable_prime) has no FlexRS; leave one of the two out")
    return faults


def _wrong_names(cloud: GoogleCloudOptions) -> list[str]:
    faults = []
    if cloud.region and not _REGION.fullmatch(cloud.region):
        faults.append(f"--region {cloud.region}: no region; expected one such as europe-west1")
    if cloud.job_name and len(cloud.job_name) > _LONGEST_NAME:
        faults.append(f"--job_name: {len(cloud.job_name)} characters; at most {_LONGEST_NAME}")
    labels = [label.partition("=")[::2] for label in cloud.labels or [] if "{" not in label]
    if len(labels) > _MOST_LABELS:
        faults.append(f"--labels: {len(labels)} of them; at most {_MOST_LABELS}")
    for key, value in labels:
        is_lower = (key + value).lower() == key + value
        if not (is_lower and _LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value)):
            faults.append(
                f"--labels={key}={value}: expected KEY=VALUE of lower-case letters, digits, '_' and '-', the key of 1 "
                "to 63 beginning with a letter, the value of up to 63"
            )
    return faults


def _user() -> str:
    """Returns the user name in characters allowed in a job name, with a trailing dash; "" if unknown."""
    try:
        name = re.sub(r"[^-a-z0-9]", "", getpass.getuser().lower())
    except (KeyError, OSError):
        return ""
    return f"{name[:30]}-" if name else ""
