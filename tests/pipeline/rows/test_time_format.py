"""Times in a stated format, in the words of strptime."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from fieldpool.pipeline.analysis.boundaries import times_of, with_found_boundaries
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.times import read_times
from fieldpool.pipeline.runs.spec_resolution import resolve_spec
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import dump_spec, parse_spec, parse_yaml
from fieldpool.transforms.errors import SourceError, SpecError
from fieldpool.transforms.spec import Spec, TimeSplit

AMERICAN = "%m/%d/%Y %I:%M:%S %p"


def data_of(**split: Any) -> dict[str, Any]:
    split = {"time": "t", **split}
    return {"label": {"field": "y"}, "split": split, "fields": {"u": {"type": "categorical"}}}


def batch_of(times: pa.Array) -> SourceBatch:
    rows = {"t": times, "y": pa.array([1] * len(times)), "u": pa.array(["u"] * len(times))}
    return SourceBatch("a.csv", np.arange(1, len(times) + 1), pa.RecordBatch.from_pydict(rows))


@pytest.mark.parametrize(
    ("time_format", "text", "expected"),
    [
        (AMERICAN, "11/13/2019 8:36:57 PM", "2019-11-13T20:36:57+00:00"),
        (AMERICAN, "11/13/2019 12:00:00 AM", "2019-11-13T00:00:00+00:00"),
        ("%d.%m.%Y %H:%M", " 03.04.2021 07:05 ", "2021-04-03T07:05:00+00:00"),
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T13:55:36-07:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2000-10-10T13:55:36Z", "2000-10-10T13:55:36+00:00"),
        ("%a %b %d %H:%M:%S PDT %Y", "Mon Apr 06 22:19:45 PDT 2009", "2009-04-06T22:19:45+00:00"),
        ("%Y%m%d %H%M%S.%f", "20240131 100000.25", "2024-01-31T10:00:00.250000+00:00"),
        ("100%% %Y", "100% 1969", "1969-01-01T00:00:00+00:00"),
    ],
)
def test_text_is_read_by_its_format(time_format: str, text: str, expected: str) -> None:
    seconds = datetime.fromisoformat(expected).timestamp()
    assert read_times(pa.array([text]), "t", time_format).seconds("s").tolist() == [seconds]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["24013110", "x", None]),
        pa.array([24013110, 999999999, None]),
        pa.array([24013110.0, 0.5, None]),
        pa.array([b"24013110", b"\xff", b""]),
        pa.array([["24013110"], ["24013110", "24013111"], []]),
        pa.array(["24013110", "x", None]).dictionary_encode(),
    ],
    ids=["text", "integer", "float", "bytes", "lists", "dictionary"],
)
def test_numbers_are_read_by_their_digits(column: pa.Array) -> None:
    seconds = datetime(2024, 1, 31, 10, tzinfo=UTC).timestamp()
    assert np.array_equal(
        read_times(column, "t", "%y%m%d%H").seconds("s"), np.array([seconds, np.nan, np.nan]), equal_nan=True
    )


def test_timestamps_and_dates_need_no_format() -> None:
    moment = datetime(2024, 1, 31, tzinfo=UTC)
    for column in (pa.array([moment]), pa.array([date(2024, 1, 31)])):
        assert read_times(column, "t", AMERICAN).seconds("s").tolist() == [moment.timestamp()]


@pytest.mark.parametrize(
    "time_format", [AMERICAN, "%d.%m.%y %H:%M:%S", "%Y-%j %H:%M:%S.%f %z", "%A %d %B %Y, %X%z", "%c"]
)
def test_times_are_those_of_strptime(time_format: str) -> None:
    draw = random.Random(3)
    moments = [
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randint(0, 2**31))).astimezone(
            timezone(timedelta(minutes=draw.randint(-700, 700)))
        )
        for _ in range(50)
    ]
    texts = [moment.strftime(time_format) for moment in moments] * 2
    read = [datetime.strptime(text, time_format) for text in texts]
    expected = [(m if m.tzinfo else m.replace(tzinfo=UTC)).timestamp() for m in read]
    assert read_times(pa.array(texts), "t", time_format).seconds("s").tolist() == expected


ODD = [
    "02/30/2024 1:00:00 PM",
    "1/2/19 1:00:00 PM",
    "01/02/2019 13:00:00 PM",
    "01/02/2019 12:00:60 AM",
    "1/2/2019 0:00:00 AM",
    "1/2/2019 1:0:0 pm",
    "1/2/2019  1:00:00  PM",
    "1/2/2019 1:00:00 PM x",
    "1/2/0900 01:00:00 PM",
    "٣/2/2019 1:00:00 PM",
    "now",
]


@pytest.mark.parametrize(
    ("time_format", "texts"),
    [
        (AMERICAN, ODD),
        ("%d.%m.%y", ["1.2.68", "01.02.69", "29.2.23", "00.01.20", "1.13.20"]),
        ("%Y", ["2019", "19", "02019", "0019"]),
        ("%Y-%m", ["2019-1", "2019-12", "2019-00"]),
        ("%a %d %b %Y", ["Mon 1 Jan 2024", "Sun 1 Jan 2024", "mon 01 JAN 2024"]),
        ("%a %U %Y", ["Mon 1 2024", "Mon 01 2024", "Sun 53 2023"]),
        ("%Y-%m-%d %z", ["2024-01-01 +0000", "2024-01-01 -0700", "2024-01-01 Z", "2024-01-01 +01:30"]),
        ("%Y %f", ["2024 5", "2024 500000", "2024 1234567"]),
        ("%j%Y", ["0012024", "3662023", "3662024"]),
    ],
    ids=str,
)
def test_odd_texts_are_read_or_rejected_as_by_strptime(time_format: str, texts: list[str]) -> None:
    def reference(text: str) -> float:
        try:
            read = datetime.strptime(text, time_format)
        except ValueError:
            return np.nan
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()

    expected = np.array([reference(text) for text in texts])
    found = read_times(pa.array(texts), "t", time_format).seconds("s")
    assert np.array_equal(found, expected, equal_nan=True)


def test_rows_are_split_in_the_order_of_time_and_others_rejected() -> None:
    texts = ["01/31/2024 11:00:00 PM", "02/01/2024 12:30:00 AM", "02/01/2024 1:00:00 PM", "2024-02-01T10:00:00Z", None]
    split = {"eval_from": "2024-02-01", "test_from": "2024-02-01T13:00:00Z", "time_format": AMERICAN}
    checked = check_rows(batch_of(pa.array(texts)), Spec.model_validate(data_of(**split)))
    assert checked.splits.tolist() == [0, 1, 2]
    assert [(row.row, row.field, row.reason) for row in checked.rejected] == [
        (4, "t", f"not a time: expected the format '{AMERICAN}', found '2024-02-01T10:00:00Z'"),
        (5, "t", f"not a time: expected the format '{AMERICAN}'"),
    ]


def test_boundaries_are_found_and_kept_with_the_format() -> None:
    texts = pa.array([f"1/{day}/2024 1:00:00 PM" for day in range(1, 11)])
    split = Spec.model_validate(data_of(time_format=AMERICAN)).split
    assert isinstance(split, TimeSplit)
    found = with_found_boundaries(times_of(batch_of(texts), split), split)
    spec = Spec.model_validate(data_of()).model_copy(update={"split": found})
    again = parse_spec(parse_yaml(dump_spec(spec), "run"), "run")
    assert isinstance(again.split, TimeSplit)
    assert (again.split.time_format, again.split.time_unit) == (AMERICAN, "s")
    assert check_rows(batch_of(texts), again).splits.tolist() == [0] * 8 + [1, 2]


@pytest.mark.parametrize("eval_from", ["2024-01-05T00:00:00Z", 1704412800], ids=["ISO", "seconds"])
def test_given_boundaries_are_times_or_seconds(eval_from: str | float) -> None:
    texts = pa.array([f"1/{day}/2024 1:00:00 PM" for day in range(1, 11)])
    data = data_of(time_format=AMERICAN, eval_from=eval_from, test_from="2024-01-06")
    spec = resolve_spec(Spec.model_validate(data), _never, PipelineOptions([]), "", [batch_of(texts)])
    assert check_rows(batch_of(texts), spec).splits.tolist() == [0] * 4 + [1] + [2] * 5


def _never() -> Any:
    raise AssertionError("given boundaries need no pass over the data")


def test_boundaries_in_milliseconds_are_refused() -> None:
    data = data_of(time_format=AMERICAN, eval_from=1704412800000, test_from=1704412900000)
    with pytest.raises(SpecError, match="the boundaries are 1704412800000 and 1704412900000"):
        resolve_spec(Spec.model_validate(data), _never, PipelineOptions([]), "", [])


def test_error_without_times_names_the_format() -> None:
    split = Spec.model_validate(data_of(time_format="%d.%m.%Y")).split
    assert isinstance(split, TimeSplit)
    batch = batch_of(pa.array([None, "1/2/2024"]))
    with pytest.raises(SourceError) as error:
        with_found_boundaries(times_of(batch, split), split, [batch])
    assert "a.csv: row 2: no row has a time that can be read in column 't'" in str(error.value)
    assert "this one has '1/2/2024'; expected the format '%d.%m.%Y'" in str(error.value)


@pytest.mark.parametrize(
    ("time_format", "message"),
    [
        ("%Q %Y", "expected a format of Python's strptime, such as '%d.%m.%Y %H:%M'; found '%Q %Y'"),
        ("%Y-%m-%d %", "expected a format of Python's strptime"),
        ("%Y %d %d", "expected a format of Python's strptime"),
        ("", "expected a format with a year (%Y or %y), found ''"),
        ("%H:%M", "expected a format with a year"),
        ("%Y %U", "expected a day of the week (%a) beside the week"),
        ("%d.%m.%Y %I:%M", "expected %I together with %p"),
        ("%d.%m.%Y %H:%M %p", "expected %I together with %p"),
        ("%d.%m.%Y %H:%M %Z", "expected offsets as %z; names of zones (%Z) cannot be read"),
        (5, "expected a text"),
    ],
)
def test_invalid_format_is_refused(time_format: Any, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(data_of(time_format=time_format), "spec.yaml")
    assert f"split.time_format: {message}" in str(error.value)


def test_format_and_unit_exclude_each_other() -> None:
    with pytest.raises(SpecError, match=r"split: `time_unit` is ms, but `time_format` says how the column is read"):
        parse_spec(data_of(time_format="%Y", time_unit="ms"), "spec.yaml")
