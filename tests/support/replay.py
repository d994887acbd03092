"""Executes the staged pipeline of a job that was submitted to Dataflow, on remote workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from dataflow_service import Job
from emulated_bucket import EmulatedBucket


def replay_on(workers: str, bucket: EmulatedBucket) -> Callable[[Job], None]:
    """Returns a function that executes a job: its pipeline, unchanged except for the address of the workers."""
    endpoint = endpoints_pb2.ApiServiceDescriptor(url=workers)
    payload = beam_runner_api_pb2.ExternalPayload(endpoint=endpoint).SerializeToString()

    def execute(job: Job) -> None:
        staged = bucket.read(job.options["pipelineUrl"].removeprefix("gs://pool/"))
        pipeline = beam_runner_api_pb2.Pipeline.FromString(staged)
        for environment in pipeline.components.environments.values():
            assert environment.urn == common_urns.environments.DOCKER.urn
            environment.urn, environment.payload = common_urns.environments.EXTERNAL.urn, payload
            del environment.dependencies[:]  # Already installed, as by the start of a container.
        result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
        job.metrics = [
            _metric(counter, tentative)
            for counter in result.metrics().query()["counters"]
            for tentative in (True, False)
        ]

    return execute


def _metric(counter: Any, tentative: bool) -> dict[str, Any]:
    """Returns a counter as Dataflow reports it. Dataflow reports each counter twice, once as tentative."""
    context = {"namespace": counter.key.metric.namespace, "step": counter.key.step}
    name = {"origin": "user", "name": counter.key.metric.name}
    return {
        "name": name | {"context": context | ({"tentative": "true"} if tentative else {})},
        "scalar": counter.committed if not tentative else counter.attempted,
    }
