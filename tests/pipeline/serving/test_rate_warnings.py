"""New rows whose missing or OOV rates are far from the run's are reported by `predict` and `transform --using`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served_model import Served

from fieldpool.model.run import Run
from fieldpool.pipeline.counts.rates import Rates, warn_of_far_rates
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.transforms.errors import FieldpoolWarning
from fieldpool.transforms.spec import Check

ALIKE = Rates(missing=0.1, oov=0.05)


@pytest.mark.parametrize(
    ("new", "limits", "expected"),
    [
        (ALIKE, {}, []),
        (Rates(0.1, 0.15), {}, []),
        (Rates(0.1, 0.16), {}, ["field f: the OOV rate is 16.0%, and 5.0% in the run"]),
        (Rates(0.1, 0.0), {}, []),
        (Rates(0.1, 0.9), {"oov": None}, []),
        (Rates(0.3, 0.05), {}, ["field f: the missing rate is 30.0%, and 10.0% in the run"]),
        (Rates(0.0, 0.05), {"missing": 0.05}, ["field f: the missing rate is 0.0%, and 10.0% in the run"]),
        (Rates(None, None), {}, []),
    ],
)
def test_the_thresholds_are_those_of_check(new: Rates, limits: dict[str, Any], expected: list[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_far_rates({"f": ALIKE}, {"f": new}, Check(**limits), "the run")
    assert [str(warning.message).partition(";")[0] for warning in caught] == expected
    assert all(warning.category is FieldpoolWarning for warning in caught)


def test_a_field_that_the_run_lacks_is_compared_with_0() -> None:
    with pytest.warns(FieldpoolWarning, match="the OOV rate is 100.0%, and 0.0% in"):
        warn_of_far_rates({}, {"f": Rates(0.0, 1.0)}, Check(), "the run")


def changed(served: Served, folder: Path, column: str, value: str | None) -> str:
    table = pq.read_table(served.data)
    position = table.schema.get_field_index(column)
    pq.write_table(
        table.set_column(position, column, pa.array([value] * len(table), pa.string())), folder / "a.parquet"
    )
    return str(folder / "a.parquet")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("item", "1.0", "field item: the OOV rate is 100.0%"),
        ("genres", None, "field genres-1: the missing rate is 100.0%"),
    ],
)
def test_predict_reports_new_tokens_and_missing_values(
    served: Served, tmp_path: Path, column: str, value: str | None, message: str
) -> None:
    with pytest.warns(FieldpoolWarning, match=message):
        predict(str(served.export), [changed(served, tmp_path, column, value)], str(tmp_path / "out"))


def test_predict_on_rows_like_the_run_is_silent(served: Served, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FieldpoolWarning)
        predict(str(served.export), [str(served.data)], str(tmp_path / "out"))


def test_transform_using_a_run_reports_new_tokens(served: Served, tmp_path: Path) -> None:
    run = Run(str(served.run))
    with pytest.warns(FieldpoolWarning, match=r"field item: the OOV rate is .* in the run .*/run;"):
        transform(run.spec, [changed(served, tmp_path, "item", "1.0")], str(tmp_path / "new"), using=run)
