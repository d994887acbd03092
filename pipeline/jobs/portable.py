"""Portable runners (Flink, Spark, Prism, any job server): checks of a job's options, workers and job server."""

from __future__ import annotations

import copy
import socket

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner

from ...transforms.errors import UserError

# Does not start a job server, as the other runners do.
_WITHOUT_SERVER = ("portablerunner", "portable")

_SECONDS_TO_ANSWER = 10.0


def faults(options: PipelineOptions) -> list[str]:
    """Returns an error for each option of a job that is missing or wrong."""
    found = []
    if _runner(options).lower() in _WITHOUT_SERVER and not options.view_as(PortableOptions).job_endpoint:
        found.append(
            f"--runner {_runner(options)}: missing: --job_endpoint HOST:PORT of a job server (docs/runners.md)"
        )
    try:
        if workers_of(options).startswith("DOCKER") and not _brings_package(options):
            found.append(
                "missing: workers with fieldpool: --environment_type DOCKER and --environment_config IMAGE, built with "
                "Dockerfile (--sdk_container_image works on Dataflow only), or another type (docs/runners.md)"
            )
    except (AttributeError, TypeError, ValueError) as error:
        found.append(
            f"--environment_type, --environment_config: {error}; expected LOOPBACK, EXTERNAL and HOST:PORT of workers, "
            'DOCKER and an image, or PROCESS and {"command": PATH}'
        )
    return found


def _brings_package(options: PipelineOptions) -> bool:
    """Returns whether an option gives the containers an image or packages besides Beam's own."""
    given = options.get_all_options(drop_default=True)
    return any(
        given.get(name) for name in ("environment_config", "environment_options", "setup_file", "extra_packages")
    )


def workers_of(options: PipelineOptions) -> str:
    """Returns the type of the runner's workers and their image, address or command, for example `DOCKER IMAGE`.

    Raises:
        AttributeError, TypeError, ValueError: Beam does not support the type, or its configuration is invalid.
    """
    wrong = PipelineOptionsValidator(options, None).validate_environment_options(options.view_as(PortableOptions))
    if wrong:
        raise ValueError(" ".join(wrong).rstrip("."))
    own = copy.deepcopy(options)  # Runners change their options.
    environment = create_runner(_runner(own)).default_environment(own)
    kind = type(environment).__name__.removesuffix("Environment").removeprefix("Python").upper()
    return " ".join([kind, *(value for value in vars(environment).values() if value and isinstance(value, str))])


def check_answers(options: PipelineOptions) -> None:
    """Raises UserError if nothing answers at the job server's address; Beam itself would wait a minute."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if not endpoint or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"--job_endpoint {endpoint}: nothing answers at this address ({error}); start the job server, or give the "
            "HOST:PORT of a running one"
        ) from None


def _runner(options: PipelineOptions) -> str:
    return str(options.view_as(StandardOptions).runner)
