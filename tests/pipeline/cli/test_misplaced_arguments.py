"""Arguments in the wrong position: each command names what it was given, and the right order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from served_model import Served

Fieldpool = Callable[..., tuple[int, str, str]]

RUN, MODEL, SPEC, DATA = "{0}/run", "{0}/model", "{0}/run/spec.yaml", "{0}/rows.parquet"
EXPORT, KERAS, OUT = "{0}/model/serving", "{0}/model/model.keras", "--out={0}/new"

CASES = [
    (["explain", DATA, SPEC], "rows.parquet is a data file; expected a spec", "explain SPEC DATA..."),
    (["explain", RUN, DATA], "run is a run; expected a spec", "explain SPEC DATA..."),
    (["explain", SPEC, SPEC], "spec.yaml is a YAML file; expected data", "explain SPEC DATA..."),
    (
        ["transform", DATA, SPEC, OUT],
        "rows.parquet is a data file; expected a spec",
        "transform SPEC DATA... --out OUT",
    ),
    (["transform", SPEC, RUN, OUT], "run is a run; expected data", "transform SPEC DATA... --out OUT"),
    (["transform", MODEL, DATA, OUT], "model is a trained model; expected a spec", "transform SPEC DATA... --out OUT"),
    (
        ["transform", "--using", MODEL, DATA, OUT],
        "model is a trained model; expected a run",
        "transform --using RUN DATA... --out OUT",
    ),
    (
        ["transform", "--grow", MODEL, SPEC, DATA, OUT],
        "model is a trained model; expected a run",
        "transform SPEC DATA... --out OUT",
    ),
    (["transform", "--using", RUN, SPEC, DATA, OUT], "spec.yaml is a YAML file; expected data", "--using RUN DATA..."),
    (["run", DATA, SPEC, OUT], "rows.parquet is a data file; expected a spec", "run SPEC DATA... --out OUT"),
    (["check", DATA, RUN], "rows.parquet is a data file; expected a run", "check RUN DATA..."),
    (["check", MODEL, DATA], "model is a trained model; expected a run", "check RUN DATA..."),
    (["inspect", MODEL], "model is a trained model; expected a run", "inspect RUN"),
    (["inspect", DATA], "rows.parquet is a data file; expected a run", "inspect RUN"),
    (["train", MODEL, OUT], "model is a trained model; expected a run", "train RUN --out OUT"),
    (["train", SPEC, OUT], "spec.yaml is a YAML file; expected a run", "train RUN --out OUT"),
    (["train", "{0}", OUT], "expected a run, the folder that `fieldpool transform` creates; pass {0}/run", "train RUN"),
    (["evaluate", MODEL, RUN], "model is a trained model; expected a run", "evaluate RUN MODEL"),
    (["evaluate", RUN, RUN], "run is a run; expected a trained model", "evaluate RUN MODEL"),
    (["evaluate", RUN, EXPORT], "serving is an exported model; expected a trained model", "evaluate RUN MODEL"),
    (["export", MODEL, RUN], "model is a trained model; expected a run", "export RUN MODEL"),
    (["export", RUN, RUN], "run is a run; expected a trained model", "export RUN MODEL"),
    (["verify", MODEL, RUN, DATA], "model is a trained model; expected a run", "verify RUN MODEL DATA..."),
    (["verify", RUN, DATA, MODEL], "model is a trained model; expected data", "verify RUN MODEL DATA..."),
    (["report", MODEL, RUN], "model is a trained model; expected a run", "report RUN MODEL"),
    (["report", RUN, RUN], "run is a run; expected a trained model", "report RUN MODEL"),
    (["predict", DATA, MODEL, OUT], "model is a trained model; expected data", "predict MODEL DATA... --out OUT"),
    (["predict", RUN, DATA, OUT], "run is a run; expected an exported model", "predict MODEL DATA... --out OUT"),
    (["predict", KERAS, DATA, OUT], "model.keras: no exported model", ""),
    (["profile", RUN, OUT], "run is a run; expected data", "profile DATA... --out OUT"),
]


@pytest.mark.parametrize(("arguments", "message", "usage"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_argument_in_the_wrong_position_is_recognised(
    fieldpool: Fieldpool, served: Served, arguments: list[str], message: str, usage: str
) -> None:
    folder = served.run.parent
    before = sorted(folder.iterdir())
    code, output, errors = fieldpool(*(argument.format(folder) for argument in arguments))
    assert (code, output) == (2, "")
    first, *more = errors.splitlines()
    assert message.format(folder) in first
    assert [line for line in more if not line.startswith("Usage: fieldpool ")] == []
    assert usage in errors
    assert sorted(folder.iterdir()) == before


def test_a_folder_of_predictions_is_not_a_run(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    assert fieldpool("predict", served.model, served.data, "--out", tmp_path / "scores")[0] == 0
    code, _, errors = fieldpool("inspect", tmp_path / "scores")
    assert code == 2
    assert "scores is a folder of predictions; expected a run" in errors
