"""Hooks of mkdocs (`make docs`): the site has the folders of the repository, so that relative links hold in both."""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", "benchmarks/README.md", "examples/README.md")
# Files that pages link to.
LINKED = ("Dockerfile", "examples/*.yaml", "examples/*.py", "examples/*.ipynb", "docs/*.svg")
# The folders of the package, as setup.py maps them.
PACKAGE = ("transforms", "model", "pipeline", "api/*")


@event_priority(100)  # Before mkdocstrings reads its configuration.
def on_config(config: MkDocsConfig) -> None:
    """Gives mkdocstrings the package as it is when installed: `fieldpool` with its parts."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    package = Path(folder.name) / "fieldpool"
    package.mkdir()
    for pattern in PACKAGE:
        for path in ROOT.glob(pattern):
            (package / path.name).symlink_to(path)
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [folder.name]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Returns the files of the site, each at its path in the repository. README.md is the home page."""
    found = [path for pattern in (*PAGES, *LINKED) for path in sorted(ROOT.glob(pattern))]
    theme = [file for file in files if not file.src_uri.endswith((".md", ".py", ".svg"))]
    return Files([*theme, *(_file(path, config) for path in found)])


def _file(path: Path, config: MkDocsConfig) -> File:
    return File(str(path.relative_to(ROOT)), str(ROOT), config.site_dir, config.use_directory_urls)
