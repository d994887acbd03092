"""Versions at submission and on workers."""

from __future__ import annotations

import pytest

from fieldpool.pipeline.jobs.versions import check_versions, versions
from fieldpool.transforms.errors import WorkersDiffer


def test_worker_with_the_same_versions_is_accepted() -> None:
    check_versions(versions())


@pytest.mark.parametrize("name", ["Python", "apache-beam", "tensorflow", "tensorflow-transform", "fieldpool's code"])
def test_each_different_version_is_reported(name: str) -> None:
    with pytest.raises(WorkersDiffer) as error:
        check_versions(versions() | {name: "0"})
    assert f"than the submitter: {name} 0 at submission, {versions()[name]} on the worker. Rebuild" in str(error.value)


def test_package_missing_on_the_worker_is_reported() -> None:
    with pytest.raises(WorkersDiffer, match=r"isal 1\.7 at submission, none on the worker"):
        check_versions(versions() | {"isal": "1.7"})
