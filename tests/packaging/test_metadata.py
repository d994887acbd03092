"""The metadata that package indexes show and installers read."""

from __future__ import annotations

import re
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from archives import CHECKOUT, Archives

import fieldpool

LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def metadata(archives: Archives) -> Message:
    with zipfile.ZipFile(archives.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Name", "fieldpool"),
        ("Version", fieldpool.__version__),
        ("License-Expression", "Apache-2.0"),
        ("License-File", "LICENSE"),
        ("Author", "The fieldpool authors"),
        ("Requires-Python", "<3.14,>=3.11"),
        ("Description-Content-Type", "text/markdown"),
    ],
)
def test_a_field_has_its_value(metadata: Message, field: str, value: str) -> None:
    assert metadata[field] == value


@pytest.mark.parametrize("field", ["Summary", "Keywords", "Classifier", "Project-URL", "Requires-Dist"])
def test_a_field_is_filled(metadata: Message, field: str) -> None:
    assert metadata[field]


def test_every_supported_python_has_a_classifier(metadata: Message) -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier", [])))
    assert named == ["3.11", "3.12", "3.13"]


def test_the_extras_are_those_of_the_project(metadata: Message) -> None:
    assert metadata.get_all("Provides-Extra") == ["test", "docs", "backends"]


def test_the_command_starts_the_command_line(archives: Archives) -> None:
    with zipfile.ZipFile(archives.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert archive.read(name).decode().split() == [
            "[console_scripts]",
            "fieldpool",
            "=",
            "fieldpool.pipeline.cli.program:main",
        ]


def test_links_of_the_description_are_absolute(metadata: Message) -> None:
    links = LINK.findall(str(metadata.get_payload()))
    assert links
    assert [link for link in links if urlsplit(link).scheme != "https" and not link.startswith("#")] == []


def test_links_of_the_description_name_files_of_this_version(metadata: Message) -> None:
    start = rf"https://github\.com/fieldpool/fieldpool/(?:blob|raw)/v{re.escape(fieldpool.__version__)}/"
    files = re.findall(rf"\]\({start}([^)#]+)", str(metadata.get_payload()))
    relative = [link for link in LINK.findall((CHECKOUT / "README.md").read_text()) if not urlsplit(link).scheme]
    assert files == [link.partition("#")[0] for link in relative if not link.startswith("#")]
    assert [name for name in files if not Path(CHECKOUT / name).exists()] == []


def test_images_of_the_description_are_files_and_not_pages(metadata: Message) -> None:
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", str(metadata.get_payload()))
    assert images
    assert [image for image in images if "/fieldpool/raw/v" not in image] == []
