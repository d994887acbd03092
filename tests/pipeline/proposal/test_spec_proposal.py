"""The proposed spec: the field proposed for each kind of column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.spec_proposal import Proposal, propose
from fieldpool.transforms.spec import Spec

ROWS = 400
Columns = dict[str, list[Any]]
# Columns that replace those of `log_columns`; None leaves one out.
Change = dict[str, list[Any] | None]


def proposed(
    log_columns: Columns, change: Change | None = None, files: list[str] | None = None, label: str | None = None
) -> Proposal:
    table = {name: values for name, values in {**log_columns, **(change or {})}.items() if values is not None}
    return propose(pa.table(table), files or ["rows.parquet"], label=label)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("user_id", {"type": "categorical"}),
        ("item_id", {"type": "categorical", "vocabulary": "item_vocabulary"}),
        ("history", {"type": "multivalued", "max_len": "auto", "vocabulary": "item_vocabulary"}),
        ("genres", {"type": "multivalued", "separator": "|", "max_len": "auto"}),
        ("hour", {"type": "categorical"}),
        ("age", {"type": "numeric", "scale": "zscore"}),
        ("price", {"type": "numeric", "scale": "log1p"}),
        ("country", {"type": "categorical"}),
    ],
)
def test_column_becomes_field_with_reasons(log_columns: Columns, field: str, settings: dict[str, Any]) -> None:
    proposal = proposed(log_columns)
    assert proposal.spec["fields"][field] == settings
    assert proposal.reasons[field]


def test_key_label_and_time_are_found(log_columns: Columns) -> None:
    spec = proposed(log_columns).spec
    assert (spec["key"], spec["label"], spec["split"]["time"]) == ("row_id", {"field": "clicked"}, "created_at")


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("rating", "each value always has the same label: it leaks the label"),
        ("session_text", "a different value in every row"),
        ("constant", "the same value in every row"),
        ("nothing", "no row of the sample has a value"),
    ],
)
def test_column_that_is_useless_or_leaks_the_label_is_left_out(log_columns: Columns, column: str, reason: str) -> None:
    proposal = proposed(log_columns)
    assert reason in proposal.left_out[column]
    assert column not in proposal.spec["fields"]


CLICKED = [i * 7 % 3 % 2 for i in range(ROWS)]


@pytest.mark.parametrize(
    "twin",
    [
        CLICKED,
        [None, *CLICKED[1:]],
        [None, None, *CLICKED[2:]],
        ["", "", *map(str, CLICKED[2:])],
        [float("nan"), float("nan"), *map(float, CLICKED[2:])],
        [str(bool(click)) if i > 9 else None for i, click in enumerate(CLICKED)],
        [7 if click else None for click in CLICKED],
        [1000 + i if click else None for i, click in enumerate(CLICKED)],
        ["" if click else f"reason {i % 40}" for i, click in enumerate(CLICKED)],
        [1000 + i if click and i % 4 else None for i, click in enumerate(CLICKED)],
    ],
    ids=[
        *["copy", "1 null", "2 null", "2 empty", "2 NaN", "text", "only of clicks", "time of clicks", "only of others"],
        *["only of some clicks"],
    ],
)
def test_twin_of_the_label_is_left_out_also_with_missing_values(log_columns: Columns, twin: list[Any]) -> None:
    proposal = proposed(log_columns, {"twin": twin}, label="clicked")
    assert "twin" in proposal.left_out


def test_twin_of_the_label_is_left_out_if_labels_are_missing(log_columns: Columns) -> None:
    proposal = proposed(log_columns, {"clicked": [None, None, *CLICKED[2:]], "rating": [5, 1, *CLICKED[2:]]})
    assert "leaks the label" in proposal.left_out["rating"]


@pytest.mark.parametrize(
    "values",
    [
        [None, None, *[i // 3 % 2 for i in range(2, ROWS)]],
        [f"x{i % 150}" if i % 3 else None for i in range(ROWS)],
        [None] * 390 + ["x", "y"] * 5,
    ],
    ids=["unrelated", "rare values", "few values"],
)
def test_column_with_missing_values_that_does_not_leak_is_a_field(log_columns: Columns, values: list[Any]) -> None:
    assert "twin" in proposed(log_columns, {"twin": values}).spec["fields"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("asin", [f"{i % 80:010d}" for i in range(ROWS)]),
        ("event.item", [1000 + i % 80 for i in range(ROWS)]),
        ("user_pseudo_id", [f"{1000 + i % 80}.5" for i in range(ROWS)]),
        ("items[].product", [[1000 + i % 80, 7] for i in range(ROWS)]),
    ],
    ids=["zeros before digits", "last name of a path", "digits with a point", "list of a path"],
)
def test_ids_of_digits_are_categories(log_columns: Columns, name: str, values: list[Any]) -> None:
    assert proposed(log_columns, {name: values}).spec["fields"][name.replace("[]", "")]["type"] != "numeric"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"['a{i % 5}' 'b{i % 3}']" for i in range(ROWS)], "not lists of JSON or Python, such as \"['a0' 'b0']\""),
        ([f"{{a{i % 5},b{i % 3}}}" for i in range(ROWS)], "not lists of JSON or Python, such as '{a0,b0}'"),
        ([f'{{"os": {i % 7}}}' for i in range(ROWS)], "objects as text, such as '{\"os\": 0}': write their members"),
        ([f"${i:,}.99" for i in range(ROWS)], "texts such as '$0.99' are not numbers: remove the sign"),
        ([f"{i},99 €" for i in range(ROWS)], "texts such as '0,99 €' are not numbers: remove the sign"),
    ],
    ids=["NumPy", "PostgreSQL", "objects", "dollars", "euros"],
)
def test_texts_that_cannot_be_read_as_they_are_meant_are_left_out(
    log_columns: Columns, values: list[str], reason: str
) -> None:
    assert reason in proposed(log_columns, {"odd": values}).left_out["odd"]


@pytest.mark.parametrize("separator", [" > ", "/", " / ", "、", "，"])
def test_separators_of_categories_are_found(log_columns: Columns, separator: str) -> None:
    texts = [separator.join(f"g{i * k % 9}" for k in range(1, 2 + i % 4)) for i in range(ROWS)]
    assert proposed(log_columns, {"genres": texts}).spec["fields"]["genres"]["separator"] == separator


def test_texts_that_never_repeat_are_left_out_also_with_missing_values(log_columns: Columns) -> None:
    texts = [None, *log_columns["session_text"][1:]]
    assert "a different value in every row" in proposed(log_columns, {"session_text": texts}).left_out["session_text"]


RANDOM = np.random.default_rng(0)
POPULARITY = 1 / np.arange(1, 2001)
POPULAR = RANDOM.permutation(2000)[RANDOM.choice(2000, ROWS, p=POPULARITY / POPULARITY.sum())]


@pytest.mark.parametrize(
    ("name", "numbers", "expected"),
    [
        ("article", POPULAR, "categorical"),
        ("article", POPULAR * 1_000_003, "categorical"),
        ("article", [None, *POPULAR[1:].astype(float)], "categorical"),
        ("articleid", np.arange(ROWS) % 150, "categorical"),
        ("item_count", POPULAR, "numeric"),
        ("years", RANDOM.normal(40, 12, ROWS).round(), "numeric"),
        ("seen", RANDOM.geometric(0.05, ROWS), "numeric"),
        ("views", np.exp(RANDOM.normal(3, 2, ROWS)).round(), "numeric"),
        ("bid", np.arange(ROWS) % 150, "numeric"),
        ("debt", RANDOM.normal(0, 100, ROWS), "numeric"),
    ],
    ids=["ids", "large ids", "ids with gaps", "name", "amount", "ages", "counts", "skewed", "uniform", "fractions"],
)
def test_whole_numbers_are_ids_if_some_are_far_more_popular(
    log_columns: Columns, name: str, numbers: Any, expected: str
) -> None:
    proposal = proposed(log_columns, {name: list(numbers)})
    assert proposal.spec["fields"][name]["type"] == expected


def test_reason_of_a_log_scale_names_the_statistics_that_it_compares(log_columns: Columns) -> None:
    numbers = [-1.0] * 300 + [i / 80 for i in range(80)] + [500.0] * 20
    proposal = proposed(log_columns, {"balance": numbers})
    assert proposal.reasons["balance"] == ["numbers", "median of the absolute values 1, 99th percentile 500: log scale"]


def test_values_with_spaces_around_them_are_normalized(log_columns: Columns) -> None:
    countries = ["de ", *log_columns["country"][1:]]
    found = proposed(log_columns, {"country": countries})
    reasons = found.reasons["country"]
    assert found.spec["fields"]["country"]["normalize"] == ["strip"]
    assert "values that are spelling variants of others: 1, such as 'de ': normalized" in reasons


@pytest.mark.parametrize(
    ("change", "files", "split"),
    [
        ({"part": ["train", "dev", "test", "train"] * 100}, [], {"column": "part", "eval": ["dev"]}),
        (
            {"created_at": None},
            ["a/train.csv", "a/dev.csv", "a/test.csv"],
            {"files": {"train": "train.csv", "eval": "dev.csv", "test": "test.csv"}},
        ),
        ({"created_at": None}, ["rows.csv"], {"hash": "row_id", "train": 0.8, "eval": 0.1, "test": 0.1}),
    ],
    ids=["column", "files", "key"],
)
def test_split_without_time_is_by_column_files_or_key(
    log_columns: Columns, change: Change, files: list[str], split: dict[str, Any]
) -> None:
    assert proposed(log_columns, change, files).spec["split"] == split


def test_few_very_long_lists_are_truncated(log_columns: Columns) -> None:
    lists = [["a"] * (200 if i % 200 == 0 else 4) for i in range(400)]
    assert proposed(log_columns, {"history": lists}).spec["fields"]["history"] == {
        "type": "multivalued",
        "max_len": 4,
        "keep": "last",
    }


def test_min_count_makes_few_values_oov(log_columns: Columns) -> None:
    lists = [[f"x{(i + 5 * row) % 1500}" for i in range(400)] for row in range(400)]
    lists[0] = [f"once{i}" for i in range(100)]
    proposal = proposed(log_columns, {"tags": lists})
    assert proposal.spec["fields"]["tags"]["min_count"] == 10
    assert "100 tokens occur fewer than 10 times: 0.1% of the values" in proposal.reasons["tags"]


def test_invalid_field_name_is_replaced_and_kept_as_column(log_columns: Columns) -> None:
    proposal = proposed(log_columns, {"home country": log_columns["country"]})
    assert proposal.spec["fields"]["home_country"] == {"type": "categorical", "column": "home country"}


@pytest.mark.parametrize(
    ("texts", "note"),
    [
        (
            ["True", "False", "True"],
            "texts such as 'True': a file with typed values (Parquet, JSON Lines) gives 'true'",
        ),
        (["1.0", "2.0", "3.0"], "texts such as '1.0': a file with typed values (Parquet, JSON Lines) gives '1'"),
        *(
            (
                [time, time.replace("31", "30")],
                f"texts such as {time!r}: a file with typed values (Parquet, JSON Lines) gives "
                "'2024-01-31T10:00:00.5Z'",
            )
            for time in ("2024-01-31 10:00:00.500", "2024-01-31T12:00:00.5+02:00")
        ),
        (["true", "false", "true"], None),
        (["1", "2", "007"], None),
        (["v1.0", "1.05", "00.0"], None),
        (["2024-01-31", "2024-01-30T10:00:00Z", "2024-01-32 10:00:00"], None),
    ],
)
def test_texts_that_typed_files_spell_otherwise_are_reported(
    log_columns: Columns, texts: list[str], note: str | None
) -> None:
    values = [texts[i // 7 % len(texts)] for i in range(ROWS)]
    reasons = proposed(log_columns | {"flag_id": values}).reasons["flag_id"]
    assert [reason for reason in reasons if reason.startswith("texts such as")] == ([note] if note else [])


EXTREME_TIMES = {
    "nanoseconds": pa.array([1_706_695_200_123_456_789, 1, None], pa.timestamp("ns")),
    "first and last day": pa.array([datetime.min, datetime.max, None], pa.timestamp("us")),
    "another zone": pa.array([datetime.min, datetime.max, None], pa.timestamp("us")).cast(
        pa.timestamp("us", "Asia/Tokyo")
    ),
    "beyond the calendar": pa.array([2**62, -(2**62), None], pa.timestamp("s")),
    "date32": pa.array([date.min, date.max, None], pa.date32()),
    "date64": pa.array([date.min, date.max, None], pa.date64()),
    "lists": pa.array([[datetime.min], [datetime.max], None], pa.list_(pa.timestamp("us"))),
    "texts": pa.array(["0001-01-01", "9999-12-31T23:59:59-05:00", None]),
}


@pytest.mark.parametrize("name", EXTREME_TIMES)
def test_times_of_any_year_in_a_column_do_not_stop_the_proposal(name: str) -> None:
    times = EXTREME_TIMES[name].take(pa.array(np.arange(60) % 3))
    table = pa.table({"t": times, "click": np.arange(60) % 2, "user": [f"u{i % 7}" for i in range(60)]})
    spec = propose(table, ["rows.parquet"]).spec
    assert Spec.model_validate(spec).fields["user"].type == "categorical"


def test_fields_are_derived_from_times(log_columns: Columns) -> None:
    """The event's hour and weekday, and the age of another time; formats go to `times` unless the split has them."""
    start = datetime(2024, 3, 1, tzinfo=UTC)
    rows = len(log_columns["country"])
    clicked = [int((start + timedelta(hours=5 * i)).timestamp()) for i in range(rows)]
    published = [(start - timedelta(days=i % 40)).strftime("%d.%m.%Y") for i in range(rows)]
    found = proposed(log_columns, {"created_at": clicked, "published": published})
    fields = found.spec["fields"]
    assert fields["created_at_hour"] == {
        "type": "categorical",
        "from": {"time": "created_at", "part": "hour", "zone": "UTC"},
    }
    assert fields["created_at_weekday"]["from"]["part"] == "weekday"
    assert fields["published_age"] == {
        "type": "numeric",
        "from": {"age": "published", "at": "created_at", "unit": "days"},
    }
    assert found.spec["times"] == {"published": {"format": "%d.%m.%Y"}}
    assert found.reasons["published_age"] == ["published is another time than created_at: its age at that moment"]
    Spec.model_validate(found.spec)
