"""The parts of fieldpool's packaging that pyproject.toml cannot express; Beam's `--setup_file` takes this file too.

The package folders are at the top of the repository, without a common folder `fieldpool`: the working directory
then never shadows an installed fieldpool.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
FOLDERS = {"fieldpool.transforms": "transforms", "fieldpool.model": "model", "fieldpool.pipeline": "pipeline"}
REPOSITORY = "https://github.com/fieldpool/fieldpool"

# The only place of the version. Matched as text: building must not import TensorFlow or Beam.
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "api/__init__.py").read_text(encoding="utf-8"), re.MULTILINE)


def readme_for_index() -> str:
    """Returns README.md with relative links made absolute: a package index shows it without the repository's files."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:|#)", rf"\g<1>{REPOSITORY}/raw/v{VERSION}/", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?![a-z]+:|#)", rf"\g<1>{REPOSITORY}/blob/v{VERSION}/", text)


setup(
    version=VERSION,
    long_description=readme_for_index(),
    long_description_content_type="text/markdown",
    packages=[
        "fieldpool",
        *(f"fieldpool.{package}" for package in find_packages(str(ROOT / "api"))),
        *(f"fieldpool.{package}" for package in find_packages(str(ROOT), include=[f"{f}*" for f in FOLDERS.values()])),
    ],
    package_dir={"fieldpool": "api", **FOLDERS},
    package_data={
        **{package: ["py.typed"] for package in ("fieldpool", *FOLDERS)},
        "fieldpool.pipeline.reports": ["templates/*.html"],
    },
)
