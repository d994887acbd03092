"""What the sdist and the wheel hold."""

from __future__ import annotations

import tarfile
import zipfile

from archives import Archives

PACKAGES = {"api": "fieldpool", "model": "fieldpool/model", "pipeline": "fieldpool/pipeline"} | {
    "transforms": "fieldpool/transforms"
}
# The sdist is also what Beam stages for each job with `--setup_file`.
MOST_BYTES = 2 << 20


def test_the_sdist_has_every_tracked_file(archives: Archives, tracked: list[str]) -> None:
    with tarfile.open(archives.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert sorted(set(tracked) - names) == []


def test_the_sdist_is_small_enough_to_be_staged_for_each_job(archives: Archives) -> None:
    assert archives.sdist.stat().st_size < MOST_BYTES


def test_the_wheel_has_the_package_and_nothing_else(archives: Archives, tracked: list[str]) -> None:
    names = {name for name in zipfile.ZipFile(archives.wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{PACKAGES[folder]}/{rest}"
        for folder, _, rest in (name.partition("/") for name in tracked)
        if folder in PACKAGES
    }
    assert names == expected


def test_the_wheel_has_the_license_and_is_marked_as_typed(archives: Archives) -> None:
    names = zipfile.ZipFile(archives.wheel).namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "fieldpool/py.typed" in names
