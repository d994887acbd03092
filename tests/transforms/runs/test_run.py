"""`Run`: the contents of a finished run directory, and the files that it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from handmade_run import write_run

from fieldpool.transforms.errors import Damaged, UserError
from fieldpool.transforms.run_files import NotARun
from fieldpool.transforms.runs.run import Run

SPEC: dict[str, Any] = {
    "label": {"field": "y"},
    "split": {"column": "s"},
    "fields": {
        "genres": {"type": "multivalued", "max_len": 2, "num_oov_buckets": 2},
        "age": {"type": "numeric"},
    },
}
ROWS = [{"genres": [3, 0], "age": [1.0], "label": [1.0]}]


@pytest.fixture
def run(tmp_path: Path) -> str:
    return write_run(tmp_path / "run", SPEC, {"genres": [b"drama", b"\xff war"]}, {"train": [ROWS]})


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [("values_cut", "values_cut", "values_truncated"), ("numbers", "deviation", "std"), ("numbers", "low", "min")],
)
def test_counts_under_an_old_name_are_refused(run: str, section: str, old: str, new: str) -> None:
    path = Path(run) / "stats.json"
    stats = json.loads(path.read_text())
    if section == "numbers":
        stats["fields"]["age"]["numbers"] = {"train": {"mean": 1.0, "max": 1.0, "zeros": 0, old: 0.0}}
    else:
        stats["fields"]["genres"][old] = {"train": 0, "eval": 0, "test": 0}
    path.write_text(json.dumps(stats))
    with pytest.raises(NotARun, match=rf"stats\.json: not written by this version .*`{old}` is now called `{new}`"):
        _ = Run(run).stats


@pytest.mark.parametrize(
    ("size", "has_stats", "reason"),
    [
        (0, True, "expected 2 tokens, found 0"),
        (6, True, "expected 2 tokens, found 1"),
        (11, True, "the last line is truncated"),
        (3, False, "the last line is truncated"),
    ],
)
def test_truncated_vocabulary_is_reported(run: str, size: int, has_stats: bool, reason: str) -> None:
    path = Path(Run(run).vocabulary_path("genres"))
    path.write_bytes(b"drama\n\xff war\n"[:size])
    if not has_stats:
        (Path(run) / "stats.json").unlink()
    with pytest.raises(Damaged, match=rf"/genres: missing, damaged .* \({reason}\); copy"):
        Run(run).tokens("genres")


def test_an_entry_of_the_spec_under_an_old_name_is_refused(run: str) -> None:
    path = Path(run) / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC | {"check": {"cut": 0.5}}))
    with pytest.raises(NotARun, match=r"spec\.yaml: not written by this version .*`cut` is now called `truncated`"):
        _ = Run(run).spec


def test_a_vocabulary_is_a_table_of_token_id_and_count(run: str) -> None:
    (Path(run) / "vocabulary_counts").mkdir()
    (Path(run) / "vocabulary_counts" / "genres").write_text("7\n2\n")
    assert Run(run).vocabulary("genres").to_pylist() == [
        {"token": "drama", "id": 3, "count": 7},
        {"token": "\\xff war", "id": 4, "count": 2},
    ]


def test_without_counts_a_vocabulary_has_no_count(run: str) -> None:
    assert Run(run).vocabulary("genres")["count"].to_pylist() == [None, None]


@pytest.mark.parametrize("name", ["age", "genre"])
def test_an_unknown_vocabulary_is_reported(run: str, name: str) -> None:
    with pytest.raises(UserError, match=rf"expected a vocabulary of this run \(genres\), found '{name}'"):
        Run(run).vocabulary(name)
