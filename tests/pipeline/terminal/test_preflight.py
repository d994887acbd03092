"""Commands that need neither TensorFlow nor Beam import neither: mistakes in paths and columns, `inspect`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

HEAVY = ["tensorflow", "tensorflow_transform", "apache_beam", "keras", "sklearn", "pandas", "matplotlib", "numba"]

# Runs several commands in one process; prints for each the exit code, its error, and which of HEAVY it imported.
PROGRAM = f"""
import contextlib, io, json, sys
from fieldpool.pipeline.cli import app
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["fieldpool", *arguments]
    err, code = io.StringIO(), None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            app.main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code or 0, " ".join(err.getvalue().split()), sorted(set(sys.modules) & set({HEAVY}))]))
"""

# Commands in a folder with a spec, data, a folder `empty`, and a spec `typo.yaml` with a column that no row has.
CASES = {
    "transform spec.yaml nothing.csv --out new": "nothing.csv: no such file",
    "transform typo.yaml rows.csv --out new": "rows.csv: has no column 'usr'",
    "transform spec.yaml rows.csv --out rows.csv": "rows.csv: exists already and is a file",
    "transform spec.yaml rows.csv --out made": "made: exists already and is a run",
    "transform --using empty rows.csv --out new": "empty: not a run (no DONE file)",
    "transform vectors.yaml rows.csv --out new": "items.parquet: no such file",
    "explain typo.yaml rows.csv": "rows.csv: has no column 'usr'",
    "explain spec.yaml nothing.csv": "nothing.csv: no such file",
    "check nothing rows.csv": "nothing: no such folder (no DONE file)",
    "inspect empty": "empty: not a run (no DONE file)",
    "train empty --out new": "empty: not a run (no DONE file)",
    "train made --out made": "made: exists already and is a run, not a trained model",
    "evaluate empty empty": "empty: not a run (no DONE file)",
    "export empty empty": "empty: not a run (no DONE file)",
    "predict empty rows.csv --out new": "empty: no exported model",
    "verify made empty rows.csv": "empty: no exported model",
    "report empty empty --out new.html": "empty: not a run (no DONE file)",
    "profile nothing.csv --out new": "nothing.csv: no such file",
    "run typo.yaml nothing.csv --out new": "nothing.csv: no such file",
    "transform --help": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = "label: {field: y}\nsplit: {column: s}\nfields: {user: {type: categorical}}\n"
    (tmp_path / "spec.yaml").write_text(spec)
    (tmp_path / "typo.yaml").write_text(spec.replace("categorical", "categorical, column: usr"))
    (tmp_path / "vectors.yaml").write_text(spec.replace("categorical", "categorical, vectors: items.parquet"))
    (tmp_path / "rows.csv").write_text("y,s,user\n1,train,a\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "made").mkdir()
    for name in ("DONE", "spec.yaml"):
        (tmp_path / "made" / name).touch()
    return tmp_path


def outcomes(folder: Path, commands: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yields for each command its exit code, its error, and which of HEAVY it and those before it imported."""
    arguments = [sys.executable, "-c", PROGRAM, json.dumps([command.split() for command in commands])]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        code, error, heavy = json.loads(line)
        yield code, error, heavy


def test_mistakes_are_reported_without_heavy_imports(folder: Path) -> None:
    for (case, expected), (code, error, heavy) in zip(CASES.items(), outcomes(folder, list(CASES)), strict=True):
        assert (case, code, heavy) == (case, 2 if expected else 0, [])
        assert expected in error, case


def test_inspect_of_a_local_run_has_no_heavy_imports(tmp_path: Path) -> None:
    write_run(tmp_path / "run", SPEC, TOKENS, EXAMPLES)
    shard = Path(write_run(tmp_path / "damaged", SPEC, TOKENS, EXAMPLES), "examples/train-00000-of-00002.tfrecord.gz")
    shard.write_bytes(shard.read_bytes()[:100])
    shown, without_test, damaged = outcomes(tmp_path, ["inspect run", "inspect run --split test", "inspect damaged"])
    assert shown == (0, "", [])
    assert without_test == (2, "error: run: has no examples in the test split; choose another with --split", [])
    assert damaged[1].startswith("error: damaged/examples/train-00000-of-00002.tfrecord.gz: missing, damaged")
    assert (damaged[0], damaged[2]) == (2, [])
