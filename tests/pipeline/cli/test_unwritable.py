"""Commands whose output cannot be written: an error in words, and nothing is left. Real disks, full and read-only."""

from __future__ import annotations

import pytest
from mounted_places import Case, Outcome, namespace, outcomes
from served_model import Served

FULL, READ_ONLY = "no space left on the disk", "the file system is read-only"


@pytest.fixture(scope="module")
def found(served: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    if namespace() is None:
        pytest.skip("this system allows no mount namespace (`unshare -m`, `unshare -Urm`), so no full disk to write to")
    run, model, data = str(served.run), str(served.model), str(served.data)
    cases = {
        "train on a full disk": Case(["train", run, "--out", "PLACE/model"], size="8k"),
        "export to a full disk": Case(["export", run, model, "--out", "PLACE/export"]),
        "profile on a read-only disk": Case(["profile", data, "--out", "PLACE/look"], read_only=True),
        "demo on a full disk": Case(["demo", "--rows", "1000", "--out", "PLACE/demo"], size="32k"),
    }
    folder = tmp_path_factory.mktemp("mounted")
    return dict(zip(cases, outcomes(folder, list(cases.values())), strict=True))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("train on a full disk", FULL),
        ("export to a full disk", FULL),
        ("profile on a read-only disk", READ_ONLY),
        ("demo on a full disk", FULL),
    ],
)
def test_unwritable_place_is_an_error_in_words_and_nothing_is_left(
    found: dict[str, Outcome], case: str, words: str
) -> None:
    outcome = found[case]
    assert (outcome.code, outcome.left) == (2, [])
    assert len(outcome.error.splitlines()) == 1
    assert outcome.error.startswith("error: ")
    assert words in outcome.error
