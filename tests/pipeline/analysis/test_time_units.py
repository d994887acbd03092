"""The unit of times: whatever the unit of the column and the form of the boundaries, the same splits or an error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.analysis.boundaries import times_of, with_found_boundaries
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.splits import assign_splits
from fieldpool.pipeline.runs.spec_resolution import resolve_spec
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import dump_spec, parse_spec
from fieldpool.transforms.errors import SpecError
from fieldpool.transforms.spec import Spec, TimeSplit

JANUARY = [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 11)]
SHARES = {"train": 0.7, "eval": 0.2, "test": 0.1}
EXPECTED = [0] * 7 + [1, 1, 2]


def micros(moments: list[datetime]) -> list[int]:
    return [(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in moments]


def timestamps(unit: str) -> Callable[[list[datetime]], pa.Array]:
    return lambda moments: pa.array(micros(moments), pa.timestamp("us", "UTC")).cast(pa.timestamp(unit), safe=False)


# The same days in every type and unit.
COLUMNS: dict[str, Callable[[list[datetime]], pa.Array]] = {
    "s": lambda moments: pa.array([m // 1_000_000 for m in micros(moments)]),
    "s as text": lambda moments: pa.array([f"{m / 1e6:.6f}" for m in micros(moments)]),
    "s as float": lambda moments: pa.array([m / 1e6 for m in micros(moments)]),
    "ms": lambda moments: pa.array([m // 1000 for m in micros(moments)]),
    "ms as text": lambda moments: pa.array([str(m // 1000) for m in micros(moments)]),
    "us": lambda moments: pa.array(micros(moments)),
    "ns": lambda moments: pa.array([m * 1000 for m in micros(moments)]),
    "ns as float": lambda moments: pa.array([m * 1e3 for m in micros(moments)]),
    "ns as text": lambda moments: pa.array([str(m * 1000) for m in micros(moments)]),
    "ISO 8601": lambda moments: pa.array([m.isoformat() for m in moments]),
    "ISO 8601 with Z": lambda moments: pa.array([m.isoformat().replace("+00:00", "Z") for m in moments]),
    "timestamp[s]": timestamps("s"),
    "timestamp[ms]": timestamps("ms"),
    "timestamp[us]": timestamps("us"),
    "timestamp[ns]": timestamps("ns"),
    "date32": lambda moments: pa.array([m.date() for m in moments]),
    "YYYYMMDD": lambda moments: pa.array([int(f"{m:%Y%m%d}") for m in moments]),
    "YYYYMMDD as text": lambda moments: pa.array([f"{m:%Y%m%d}" for m in moments]),
    "day": lambda moments: pa.array([(m - JANUARY[0]).days for m in moments]),
}
# Columns that cannot hold an instant between two seconds, or two milliseconds.
COARSE = {"s", "timestamp[s]", "date32", "YYYYMMDD", "YYYYMMDD as text", "day"}
MILLISECONDS = {"ms", "ms as text", "timestamp[ms]"}
DATES = {"eval_from": "2024-01-08", "test_from": "2024-01-10"}
SECONDS = {"eval_from": 1704672000, "test_from": 1704844800}


def resolved(split: dict[str, Any], column: pa.Array, monkeypatch: pytest.MonkeyPatch | None = None) -> Spec:
    """Returns the spec that a run of the column would have, after it was written and read again."""
    spec = spec_of(split)
    if "eval_from" not in split:
        assert isinstance(spec.split, TimeSplit)
        found = with_found_boundaries(times_of(batch_of(column), spec.split), spec.split)
        spec = spec.model_copy(update={"split": found})
    else:
        spec = resolve_spec(spec, _never, PipelineOptions([]), "", [batch_of(column[:0]), batch_of(column)])
    return parse_spec(_plain(dump_spec(spec)), "spec.yaml")


def _never() -> Any:
    raise AssertionError("given boundaries need no pass over the data")


def _plain(text: str) -> dict[str, Any]:
    import yaml

    plain: dict[str, Any] = yaml.safe_load(text)
    return plain


def spec_of(split: dict[str, Any]) -> Spec:
    fields = {"a": {"type": "categorical"}}
    return Spec.model_validate({"label": {"field": "y"}, "split": {"time": "t"} | split, "fields": fields})


def batch_of(column: pa.Array) -> SourceBatch:
    rows = {"t": column, "y": pa.array([0] * len(column)), "a": pa.array(["x"] * len(column))}
    return SourceBatch("rows.csv", np.arange(1, len(column) + 1), pa.RecordBatch.from_pydict(rows))


def codes(split: dict[str, Any], column: pa.Array) -> list[int]:
    found: list[int] = assign_splits(batch_of(column), resolved(split, column)).codes.tolist()
    return found


def unit_and_codes(split: dict[str, Any], column: pa.Array) -> tuple[str, list[int]]:
    spec = resolved(split, column)
    assert isinstance(spec.split, TimeSplit)
    return spec.split.time_unit, assign_splits(batch_of(column), spec).codes.tolist()


TIMES = [name for name in COLUMNS if name != "day"]
EPOCHS = [name for name in TIMES if not name.startswith("YYYYMMDD")]


def unit_of_column(name: str) -> str:
    first = name.split()[0]
    return {"YYYYMMDD": "date", "day": "number"}.get(first, first if first in ("s", "ms", "us", "ns") else "s")


@pytest.mark.parametrize("name", TIMES)
def test_dates_as_boundaries_of_every_column(name: str) -> None:
    assert unit_and_codes(DATES, COLUMNS[name](JANUARY)) == (unit_of_column(name), EXPECTED)


@pytest.mark.parametrize("name", [*EPOCHS, "day"])
def test_boundaries_from_shares_of_every_column(name: str) -> None:
    assert unit_and_codes(SHARES, COLUMNS[name](JANUARY)) == (unit_of_column(name), EXPECTED)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("split", [DATES, SHARES], ids=["dates", "shares"])
def test_stated_unit_gives_the_same_splits_as_the_detected_one(name: str, split: dict[str, Any]) -> None:
    assert codes(split | {"time_unit": unit_of_column(name)}, COLUMNS[name](JANUARY)) == EXPECTED


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000, 1_000_000_000])
def test_numbers_as_boundaries_in_the_unit_of_the_column(factor: int) -> None:
    name = {1: "s", 1000: "ms", 1_000_000: "us", 1_000_000_000: "ns"}[factor]
    split = {key: value * factor for key, value in SECONDS.items()}
    assert unit_and_codes(split, COLUMNS[name](JANUARY)) == (name, EXPECTED)
    for typed in ("ISO 8601", "timestamp[ms]", "date32"):
        assert unit_and_codes(split, COLUMNS[typed](JANUARY)) == (name, EXPECTED)


def test_plain_numbers_stay_plain() -> None:
    days = COLUMNS["day"](JANUARY)
    assert unit_and_codes({"eval_from": 7, "test_from": 9}, days) == ("number", EXPECTED)
    counters = pa.array([0, 5, 20240120, 2 * 10**9, 10**12])
    split = {"eval_from": 10, "test_from": 3 * 10**9, "time_unit": "number"}
    assert codes(split, counters) == [0, 0, 1, 1, 2]


def test_compact_dates_with_a_stated_unit() -> None:
    column = COLUMNS["YYYYMMDD"](JANUARY)
    assert codes({"eval_from": 20240108, "test_from": 20240110, "time_unit": "date"}, column) == EXPECTED
    assert codes({"eval_from": 20240108, "test_from": 20240110, "time_unit": "number"}, column) == EXPECTED
    spec = resolved(SHARES | {"time_unit": "date"}, column)
    assert isinstance(spec.split, TimeSplit)
    assert (spec.split.eval_from, spec.split.test_from) == ("2024-01-08", "2024-01-10")


REFUSED = [
    ("YYYYMMDD", SHARES, "numbers such as 20240101; set `time_unit: date` if they are dates, `time_unit: number` if"),
    ("YYYYMMDD as text", SHARES, "set `time_unit: date` if they are dates"),
    (
        "YYYYMMDD",
        {"eval_from": 20240108, "test_from": 20240110},
        "boundaries are 20240108 and 20240110; write dates as",
    ),
    ("timestamp[us]", {"eval_from": 20240108, "test_from": 20240110}, "write dates as 2024-01-31"),
    (
        "YYYYMMDD",
        SECONDS,
        r"1704672000 and 1704844800, but the column has numbers such as 20240101 \(dates as YYYYMMDD\)",
    ),
    ("ms", SECONDS, r"1704672000 and 1704844800, but the column has numbers such as 1704067200000 \(milliseconds"),
    ("s", {"eval_from": 7, "test_from": 9}, r"7 and 9, but the column has numbers such as 1704067200 \(seconds since"),
    ("ISO 8601", {"eval_from": 7, "test_from": 9}, "7 and 9, but the column has times; write the boundaries as dates"),
    ("timestamp[ms]", {"eval_from": 7, "test_from": 9}, "the column has times"),
    ("day", DATES, r"2024-01-08 and 2024-01-10, but the column has numbers such as 0 \(plain numbers\); .*as numbers"),
    ("s", {"eval_from": 1704672000, "test_from": 1704844800000}, "milliseconds since 1970 and seconds since 1970"),
    ("ms", SECONDS | {"time_unit": "ms"}, r"\(seconds since 1970\), but `time_unit` means milliseconds since 1970"),
]


@pytest.mark.parametrize(("name", "split", "message"), REFUSED)
def test_boundaries_in_another_unit_are_refused(name: str, split: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"split.time: column 't': .*{message}"):
        resolved(split, COLUMNS[name](JANUARY))


@pytest.mark.parametrize("name", ["s", "ms", "us", "ns", "YYYYMMDD"])
@pytest.mark.parametrize("other", ["s", "ms", "us", "ns", "YYYYMMDD"])
@pytest.mark.parametrize("split", [DATES, SHARES], ids=["dates", "shares"])
def test_numbers_of_another_unit_are_rejected(name: str, other: str, split: dict[str, Any]) -> None:
    if name == other:
        return
    column = pa.concat_arrays([COLUMNS[name](JANUARY), COLUMNS[other](JANUARY[:1])])
    spec = resolved(split | {"time_unit": unit_of_column(name)}, column)
    (bad,) = check_rows(batch_of(column), spec).rejected
    assert (bad.row, bad.field) == (11, "t")
    assert bad.reason.endswith(f"or ISO 8601 such as 2024-01-31T10:00:00Z, found {column[10]}")
    if split is DATES or name != "YYYYMMDD":
        assert resolved(split, column).split == spec.split


def test_iso_texts_between_numbers_are_the_same_times() -> None:
    column = pa.concat_arrays([COLUMNS["ms as text"](JANUARY[:8]), COLUMNS["ISO 8601"](JANUARY[8:])])
    for split in (DATES, SHARES):
        assert unit_and_codes(split, column) == ("ms", EXPECTED)


def test_times_between_plain_numbers_are_rejected() -> None:
    column = pa.array(["1", "2", "3", "2024-01-08"])
    spec = resolved({"eval_from": 2, "test_from": 3}, column)
    (bad,) = check_rows(batch_of(column), spec).rejected
    assert bad.reason == "not a time: expected a number, found '2024-01-08'"


@pytest.mark.parametrize("value", ["inf", "nan", "20240132", "-inf", "", None])
def test_values_that_are_not_times_are_rejected(value: str | None) -> None:
    column = pa.array([*[f"{m:%Y%m%d}" for m in JANUARY], value])
    assert codes(DATES, column) == [*EXPECTED, -1]


def test_spec_that_was_not_resolved_rejects_other_units() -> None:
    """For runs of version 0.1.0, and `PTransform`s with boundaries."""
    for column in (COLUMNS["ms"](JANUARY), COLUMNS["YYYYMMDD"](JANUARY)):
        assert set(assign_splits(batch_of(column), spec_of(DATES)).codes.tolist()) == {-1}
    assert assign_splits(batch_of(COLUMNS["s"](JANUARY)), spec_of(DATES)).codes.tolist() == EXPECTED
    for name, split in {
        "s": SECONDS,
        "ms": {key: value * 1000 for key, value in SECONDS.items()},
        "day": {"eval_from": 7, "test_from": 9},
        "YYYYMMDD": {"eval_from": 20240108, "test_from": 20240110},
    }.items():
        assert assign_splits(batch_of(COLUMNS[name](JANUARY)), spec_of(split)).codes.tolist() == EXPECTED


def test_all_rows_at_one_instant_are_train() -> None:
    for name in EPOCHS:
        assert codes(SHARES, COLUMNS[name](JANUARY[:1] * 10)) == [0] * 10


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=2, max_size=20),
    st.sampled_from([timedelta(seconds=1), timedelta(milliseconds=1), timedelta(microseconds=1)]),
    st.sampled_from(["shares", "dates"]),
)
def test_same_instants_have_the_same_splits_in_every_unit(naive: list[datetime], step: timedelta, form: str) -> None:
    moments = [moment.replace(tzinfo=UTC) for moment in naive]
    moments = [moment - (moment - JANUARY[0]) % step for moment in moments]
    ends = sorted(moments)[len(moments) // 2 :: len(moments) // 2][:2]
    given_ends = dict(zip(("eval_from", "test_from"), (end.isoformat() for end in (ends * 2)[:2]), strict=True))
    split: dict[str, Any] = SHARES if form == "shares" else given_ends
    left_out = {timedelta(seconds=1): COARSE - {"s", "timestamp[s]"}, timedelta(milliseconds=1): COARSE}
    skipped = left_out.get(step, COARSE | MILLISECONDS)
    expected = codes(split, COLUMNS["timestamp[us]"](moments))
    for name in set(COLUMNS) - skipped:
        assert codes(split, COLUMNS[name](moments)) == expected, name
