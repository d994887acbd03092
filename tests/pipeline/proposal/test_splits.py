"""The proposed split: by a time, or by the hash of what distinguishes the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.spec_proposal import Proposal, propose
from fieldpool.transforms.spec import Spec

ROWS = 400
SHARES = {"train": 0.8, "eval": 0.1, "test": 0.1}
RATINGS = {
    "click": [i * 7 % 3 % 2 for i in range(ROWS)],
    "user": [i // 20 for i in range(ROWS)],
    "item": [f"i{i * 7 % 20}" for i in range(ROWS)],
}
SECONDS = [1_700_000_000 + 600 * i for i in range(ROWS)]


def proposed(**columns: list[Any]) -> Proposal:
    """Returns the proposal for ratings with more columns."""
    found = propose(pa.table({**RATINGS, **columns}), ["rows.csv"])
    Spec.model_validate(found.spec)
    return found


def texts(zone: str) -> list[str]:
    return [str(np.datetime64(second, "s")) + zone for second in SECONDS]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timestamp", texts("Z")),
        ("c4", texts("")),
        ("clicked_on", [text.replace("T", " ") for text in texts("")]),
        ("day", [f"2024-01-{1 + i % 28:02d}" for i in range(ROWS)]),
        ("timestamp", SECONDS),
        ("ts", [1000 * second for second in SECONDS]),
        ("eventTime", [1_000_000 * second for second in SECONDS]),
        ("c4", [str(second) for second in SECONDS]),
    ],
)
def test_time_is_found_by_its_texts_or_by_its_size(name: str, values: list[Any]) -> None:
    found = proposed(**{name: values})
    assert found.spec["split"] == {"time": name, **SHARES}
    assert name not in found.spec["fields"]


def test_compact_dates_state_their_unit() -> None:
    found = proposed(date=[20240101 + i % 28 for i in range(ROWS)])
    assert found.spec["split"] == {"time": "date", **SHARES, "time_unit": "date"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("watch_time", [i * 37 % 911 for i in range(ROWS)]),
        ("birth_date", texts("")),
        ("c4", [3_000_000_000 + i for i in range(ROWS)]),
        ("price", SECONDS),
        ("timestamp", [None] * 8 + texts("")[8:]),
        ("day", [f"2024-01-0{1 + i % 3}" for i in range(ROWS)]),
    ],
    ids=["duration", "time of something else", "ids", "amount", "too many without a time", "too few times"],
)
def test_other_column_is_not_the_time_of_the_split(name: str, values: list[Any]) -> None:
    assert "time" not in proposed(**{name: values}).spec["split"]


def test_finest_time_of_the_event_is_chosen() -> None:
    found = proposed(birth_date=texts("Z"), date=[text[:10] for text in texts("")], timestamp=texts("Z"))
    assert found.spec["split"]["time"] == "timestamp"
    assert {"birth_date", "date"} <= set(found.left_out)


def test_reason_names_the_share_of_rows_without_a_time() -> None:
    reasons = proposed(timestamp=[*texts("Z")[:-2], "n/a", "?"]).reasons["split"]
    assert reasons[1] == "0.50% of the rows have no such time and are rejected"


def test_rows_are_split_by_user_and_item_together_so_that_both_stay_known() -> None:
    found = proposed()
    assert found.spec["split"] == {"hash": ["user", "item"], **SHARES}
    assert (
        "none identifies the row: rows are split at random, by the hash of user and item" in found.reasons["split"][0]
    )


def test_column_that_distinguishes_all_rows_is_hashed_alone() -> None:
    assert proposed(price=[i * 1.37 for i in range(ROWS)]).spec["split"]["hash"] == "price"


def test_no_row_is_without_a_value_to_hash() -> None:
    sparse = {f"x{k}": [None if (i + k) % 5 == 0 else i % 31 for i in range(ROWS)] for k in range(3)}
    found = propose(pa.table({"click": RATINGS["click"], **sparse}), ["day_0"])
    assert len(found.spec["split"]["hash"]) > 1


@pytest.mark.parametrize(
    ("ids", "is_key"),
    [
        ([*range(ROWS - 2), 0, 1], True),
        ([None, *range(1, ROWS)], True),
        ([*range(ROWS - 10), *range(10)], False),
    ],
    ids=["0.5 % twice", "one missing", "2.5 % twice"],
)
def test_column_of_ids_is_the_key_unless_many_are_not_unique(ids: list[int | None], is_key: bool) -> None:
    assert ("key" in proposed(row_id=ids).spec) == is_key


def test_reason_of_the_key_gives_the_number_of_rows_that_repeat_it() -> None:
    reasons = proposed(row_id=[*range(ROWS - 1), 0]).reasons["key"]
    assert "1 of the sample's rows (0.25%) has the id of another row" in reasons[-1]


@pytest.mark.parametrize(
    "times",
    [
        [f"{i % 24:02d}{i * 7 % 60:02d}" for i in range(ROWS)],
        [100 * (i % 24) + i * 7 % 60 for i in range(ROWS)],
        [10_000 * (i % 24) + 100 * (i * 7 % 60) + i * 11 % 60 for i in range(ROWS)],
    ],
    ids=["HHMM", "numbers", "HHMMSS"],
)
def test_time_of_day_does_not_order_rows(times: list[Any]) -> None:
    assert "time" not in proposed(time=times).spec["split"]


def test_date_is_preferred_to_time_of_day() -> None:
    dates = [f"2024{1 + i // 200:02d}{1 + i % 28:02d}" for i in range(ROWS)]
    found = proposed(time=[f"{i % 24:02d}{i * 7 % 60:02d}" for i in range(ROWS)], date=dates)
    assert found.spec["split"]["time"] == "date"
