"""Versions at submission and on workers."""

from __future__ import annotations

import pytest

from fieldpool.pipeline.jobs.versions import check_versions, versions
from fieldpool.transforms.errors import WorkersDiffer


def test_a_worker_of_the_same_versions_may_work() -> None:
    check_versions(versions())


@pytest.mark.parametrize("name", ["Python", "apache-beam", "tensorflow", "tensorflow-transform", "fieldpool's code"])
def test_each_version_that_differs_is_told(name: str) -> None:
    with pytest.raises(WorkersDiffer) as error:
        check_versions(versions() | {name: "0"})
    assert f"submitted with: {name} 0 at submission, {versions()[name]} on the worker. Build" in str(error.value)


def test_a_package_that_is_not_on_the_worker_is_told() -> None:
    with pytest.raises(WorkersDiffer, match=r"isal 1\.7 at submission, none on the worker"):
        check_versions(versions() | {"isal": "1.7"})
