"""Packaging of fieldpool: maps the top-level folders to `fieldpool.transforms`, `.model` and `.pipeline`."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name="fieldpool",
    version="0.1.0",
    description="Multi-valued click logs to trained rankers: Beam + TensorFlow Transform + Keras 3 DeepFM",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    # `fieldpool` itself is a namespace without files of its own: an installed top-level `model` or
    # `pipeline` package would collide with those of other projects.
    packages=[
        f"fieldpool.{package}" for package in find_packages(str(ROOT), include=["transforms*", "model*", "pipeline*"])
    ],
    package_dir={
        "fieldpool.transforms": "transforms",
        "fieldpool.model": "model",
        "fieldpool.pipeline": "pipeline",
    },
    package_data={
        "fieldpool.transforms": ["py.typed"],
        "fieldpool.model": ["py.typed"],
        "fieldpool.pipeline": ["py.typed"],
        "fieldpool.pipeline.reports": ["templates/*.html"],
    },
    install_requires=[
        "apache-beam[gcp]>=2.77,<2.78",
        "tensorflow>=2.21,<2.22",
        "tensorflow-transform>=1.21,<1.22",
        "keras>=3.15,<3.16",
        "pyarrow>=25,<26",
        "isal>=1.7",
        "jinja2>=3.1",
        "matplotlib>=3.10",
        "numpy>=2",
        "pydantic>=2.13",
        "PyYAML>=6",
        "rich>=14",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "tensorboard",
        "typer>=0.20",
    ],
    extras_require={
        "test": [
            "gcp-storage-emulator>=2026.7",
            "hypothesis>=6.150",
            "mypy>=2",
            "pytest>=9",
            "pytest-xdist>=3.8",
            "ruff>=0.17",
            "trustme>=1.2",
            "types-PyYAML",
        ],
        # The layers on Keras' other backends (`make test-backends`).
        "backends": ["jax", "torch"],
    },
    entry_points={"console_scripts": ["fieldpool=fieldpool.pipeline.cli.app:main"]},
)
