"""Dataflow: the default options of a job, and the checks that run before anything is staged."""

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

# 4 GB per core: TensorFlow and a bundle take 1.3 GB per process, and Dataflow starts one process per core.
_MACHINE_TYPE = "e2-standard-4"
_MIN_RAM = "12GB"
# One worker keeps two cores busy (`options`); Beam's default of 12 threads per process only takes more memory.
_THREADS = 2

_NEEDED = {
    "project": "--project PROJECT",
    "region": "--region REGION, for example europe-west1",
    "temp_location": "--temp_location gs://BUCKET/FOLDER, for Beam's temporary files",
}
_PACKAGE = "--sdk_container_image IMAGE, or --setup_file SETUP.PY of a checkout (workers need fieldpool)"

# https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.jobs#Job, .../dataflow/docs/guides/labels.
_LONGEST_NAME = 1000  # Dataflow allows 1,024; the job that measures list lengths appends a word.
_LABEL_KEY, _LABEL_VALUE, _MOST_LABELS = re.compile(r"[^\W\d_][\w-]{0,62}"), re.compile(r"[\w-]{0,63}"), 64
_REGION = re.compile(r"[a-z]+-[a-z]+\d+")


def is_dataflow(runner: str) -> bool:
    """Returns whether a runner of this name submits to Dataflow."""
    name = runner.lower().rpartition(".")[2]  # Beam also accepts the full name of the class.
    return name.removesuffix("runner") in ("dataflow", "testdataflow")


def defaults(extra: Sequence[str], job: str) -> list[str]:
    """Returns fieldpool's default arguments for a Dataflow job, without those that `extra` sets.

    Runner v2; the machine type and threads that a worker needs; a name and labels to find the job by; one resource
    hint for all steps, because steps with different hints are not fused; and the `setup.py` of the checkout that this
    process runs from, unless an image or another package brings fieldpool to the workers. No machine type with
    Dataflow Prime, which chooses machines. No hint if the user gives a machine type, nor with FlexRS, which does not
    support hints.
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
    """Checks a job's options against Dataflow's rules, and that workers can reach its paths.

    Args:
        options: options of the job.
        reads: paths or patterns of the files that workers read.
        target: the folder that workers write to.

    Raises:
        UserError: one message that lists everything that is missing or wrong.
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
    faults += _conflicts(given)
    faults += [
        f"{path}: is on this machine, where workers cannot read it; copy it to gs:// (`gcloud storage cp`)"
        for path in reads
        if "://" not in path
    ]
    faults += _wrong_folders(cloud, given.get("tft_temp_location"), target)
    setup = options.view_as(SetupOptions).setup_file
    if setup and (Path(setup).name not in ("setup.py", "pyproject.toml") or not Path(setup).is_file()):
        faults.append(f"--setup_file {setup}: expected an existing setup.py or pyproject.toml")
    if faults:
        raise UserError("the Dataflow job cannot be started:\n" + "\n".join(f"  {fault}" for fault in faults))


def check_buckets(options: PipelineOptions, target: str) -> None:
    """Raises UserError if a bucket does not exist: Beam would retry for minutes to write to it."""
    cloud = options.view_as(GoogleCloudOptions)
    storage = GcsIO(pipeline_options=options)
    paths = {
        "--temp_location": cloud.temp_location,
        "--staging_location": cloud.staging_location,
        "--out": target,
    }
    for name, path in paths.items():
        if not path or not path.startswith("gs://"):
            continue
        bucket, _ = parse_gcs_path(path, object_optional=True)
        with contextlib.suppress(Forbidden):  # A user may have write access without read access.
            if storage.get_bucket(bucket) is None:
                raise UserError(f"{name} {path}: bucket gs://{bucket} does not exist; create it, or use another one")


def page_of(job: str, options: PipelineOptions) -> str:
    """Returns the address of a job's page in the console."""
    cloud = options.view_as(GoogleCloudOptions)
    return f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{job}?project={cloud.project}"


def _brings_package(given: dict[str, Any]) -> bool:
    """Returns whether an option brings packages to the workers."""
    names = ("sdk_container_image", "setup_file", "extra_packages", "requirements_file")
    return any(given.get(name) for name in names)


def _wrong_folders(cloud: GoogleCloudOptions, tft_temp: str | None, target: str) -> list[str]:
    """Returns an error for each folder that workers cannot reach, and for folders inside each other.

    Temporary files may be deleted at any time, so a run must not be among them.
    """
    faults = []
    if target and "://" not in target:
        faults.append(f"--out {target}: is on this machine; give a folder on gs://")
    if tft_temp and "://" not in tft_temp:
        faults.append(f"--tft_temp_location {tft_temp}: is on this machine; give a folder on gs://")
    temporary = {
        "--temp_location": cloud.temp_location,
        "--staging_location": cloud.staging_location,
        "--tft_temp_location": tft_temp,
    }
    for name, path in temporary.items():
        if path and target and _is_inside(path, target):
            faults.append(f"{name} {path}: is inside --out {target}, which is for the run only; give another folder")
        elif path and target and _is_inside(target, path):
            faults.append(f"--out {target}: is inside {name} {path}, where files may be deleted; give another folder")
    if tft_temp and cloud.temp_location and _is_inside(tft_temp, cloud.temp_location):
        faults.append(
            f"--tft_temp_location {tft_temp}: is inside --temp_location {cloud.temp_location}; give another folder"
        )
    return faults


def _is_inside(path: str, folder: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _wrong_hints(options: PipelineOptions) -> list[str]:
    try:
        resource_hints_from_options(options)
    except (ValueError, TypeError) as error:
        return [f"--resource_hints: {error}"]
    return []


def _is_prime(given: dict[str, Any]) -> bool:
    return "enable_prime" in [*(given.get("dataflow_service_options") or []), *(given.get("experiments") or [])]


def _conflicts(given: dict[str, Any]) -> list[str]:
    """Returns an error for each pair of options that exclude each other.

    https://cloud.google.com/dataflow/docs/guides/enable-dataflow-prime, …/guides/right-fitting: unsupported features.
    """
    faults = []
    if _is_prime(given) and given.get("machine_type"):
        faults.append("--machine_type: Dataflow Prime (enable_prime) chooses machines; give --resource_hints instead")
    if given.get("flexrs_goal") and given.get("resource_hints"):
        faults.append("--resource_hints: not supported with --flexrs_goal; give --machine_type instead")
    if given.get("flexrs_goal") and _is_prime(given):
        faults.append("--flexrs_goal: not supported by Dataflow Prime (enable_prime); leave one of the two out")
    return faults


def _wrong_names(cloud: GoogleCloudOptions) -> list[str]:
    faults = []
    if cloud.region and not _REGION.fullmatch(cloud.region):
        faults.append(f"--region {cloud.region}: not a region; expected, for example, europe-west1")
    if cloud.job_name and len(cloud.job_name) > _LONGEST_NAME:
        faults.append(f"--job_name: expected at most {_LONGEST_NAME} characters, found {len(cloud.job_name)}")
    labels = [label.partition("=")[::2] for label in cloud.labels or [] if "{" not in label]
    if len(labels) > _MOST_LABELS:
        faults.append(f"--labels: expected at most {_MOST_LABELS}, found {len(labels)}")
    for key, value in labels:
        is_lower = (key + value).lower() == key + value
        if not (is_lower and _LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value)):
            faults.append(
                f"--labels={key}={value}: expected KEY=VALUE in lower-case letters, digits, '_' and '-'; the key has 1 "
                "to 63 characters and starts with a letter, the value has at most 63 characters"
            )
    return faults


def _user() -> str:
    """Returns the user name in characters allowed in a job name, with a trailing dash; "" if unknown."""
    try:
        name = re.sub(r"[^-a-z0-9]", "", getpass.getuser().lower())
    except (KeyError, OSError):
        return ""
    return f"{name[:30]}-" if name else ""
