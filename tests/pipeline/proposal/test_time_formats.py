"""The format of times that are not ISO 8601: that of most rows, with day and month in the order that fits them all."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from fieldpool.pipeline.proposal.time_formats import TimeFormat, find_compact_format, find_format
from fieldpool.transforms.spec.times import check_format, seconds_of_format

FORMATS = [
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y",
    "%d-%m-%y %H:%M:%S",
    "%m/%d/%y",
    "%Y/%m/%d %H:%M:%S",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d-%b-%y",
    "%d %B %Y, %H:%M",
    "%b %d, %Y",
    "%B %d %Y %I:%M%p",
    "%m %d, %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %z %Y",
    "%m/%d/%Y %H:%M:%S.%f",
    "%d/%m/%Y %H:%M:%S UTC",
]
# From January to April, of 2024.
MOMENTS = [datetime(2024, 1, 3, tzinfo=UTC) + timedelta(hours=7 * i, minutes=i, seconds=30) for i in range(300)]


def found(texts: list[str]) -> TimeFormat | None:
    return find_format(Counter(text.encode() for text in texts))


@pytest.mark.parametrize("form", FORMATS)
def test_format_is_found_that_reads_the_same_times(form: str) -> None:
    texts = [moment.strftime(form) for moment in MOMENTS]
    time_format = found(texts)
    assert time_format is not None
    check_format(time_format.text)
    assert time_format.rows == 1
    read = [seconds_of_format(text, time_format.text) for text in texts]
    assert read == [seconds_of_format(text, form) for text in texts]


def test_order_of_day_and_month_is_decided_by_a_single_text() -> None:
    early = [f"0{1 + i % 9}/0{1 + i % 7}/2024" for i in range(200)]
    time_format = found([*early, "05/13/2024"])
    assert time_format is not None
    assert time_format.text == "%m/%d/%Y"
    assert time_format.reasons == ("the month comes first: with the day first, 0.5% of the rows are not dates",)


@pytest.mark.parametrize(
    ("text", "form"),
    [("05/04/2024", "%d/%m/%Y"), ("05/04/2024 10:20 PM", "%m/%d/%Y %I:%M %p"), ("5.4.24", "%d.%m.%y")],
)
def test_ambiguous_order_is_said(text: str, form: str) -> None:
    time_format = found([text])
    assert time_format is not None
    assert time_format.text == form
    assert time_format.reasons[0].startswith("AMBIGUOUS: no day is above 12")


def test_share_of_rows_with_other_texts_is_counted() -> None:
    time_format = found(["31/01/2024"] * 19 + ["unknown"])
    assert time_format == TimeFormat("%d/%m/%Y", 0.95, time_format.reasons if time_format else ())


@pytest.mark.parametrize(
    "texts",
    [["10.0.0.1"], ["1.2.3"] * 5 + ["x"], ["1-2-3"], ["99/99/2024"], ["a", "b"], ["1/2", "3/4"], [], ["12:30:00"]],
)
def test_other_texts_have_no_format(texts: list[str]) -> None:
    assert found(texts) is None


@pytest.mark.parametrize("form", ["%y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_format_of_compact_times_is_found(form: str) -> None:
    time_format = find_compact_format(Counter(moment.strftime(form).encode() for moment in MOMENTS))
    assert time_format == TimeFormat(form, 1)


def test_numbers_of_one_length_are_not_all_times() -> None:
    assert find_compact_format({str(214_500_000_000 + 977 * i).encode(): 1 for i in range(300)}) is None
