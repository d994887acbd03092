"""Conversion of columns of any Arrow type to tokens, bags and numbers."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pytest

from fieldpool.pipeline.rows import columns
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import ListForm


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pa.array(["a", "", None, "é"]), [b"a", None, None, "é".encode()]),
        (pa.array([b"\xff", b"a"]), [b"\xff", b"a"]),
        (pa.array([7, None, -1]), [b"7", None, b"-1"]),
        (pa.array([3.0, 2.5, None, float("nan")]), [b"3", b"2.5", None, None]),
        (pa.array([True, False]), [b"true", b"false"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), [b"x", None, b"x"]),
        (pa.array([datetime.date(2024, 1, 2)]), [b"2024-01-02"]),
        (pa.nulls(2), [None, None]),
        (pa.array([["a"], [], None]), [b"a", None, None]),
        (pa.array([[5]]), [b"5"]),
    ],
)
def test_tokens(raw: pa.Array, expected: list[bytes | None]) -> None:
    column = columns.tokens(raw, "c")
    assert column.values.to_pylist() == expected
    assert not column.bad.any()


def test_list_of_several_values_is_not_a_token() -> None:
    column = columns.tokens(pa.array([["a", "b"], ["c"]]), "c")
    assert column.bad.tolist() == [True, False]
    assert column.reason == "expected a single value"


def test_struct_is_an_error_that_names_the_column() -> None:
    with pytest.raises(UserError, match="column 'c': expected text or numbers, found struct"):
        columns.tokens(pa.array([{"x": 1}]), "c")


@pytest.mark.parametrize(
    ("raw", "separator", "expected"),
    [
        (pa.array(["a|b", "", None, "a||c"]), "|", [[b"a", b"b"], [b""], [], [b"a", b"", b"c"]]),
        (pa.array(["a|b", None]), None, [[b"a|b"], []]),
        (pa.array([["a|b", None], [], None]), "|", [[b"a|b", b""], [], []]),
        (pa.array([[1, 2], [3]]), None, [[b"1", b"2"], [b"3"]]),
        (pa.array([7, None]), "|", [[b"7"], []]),
        (pa.array([["a", "b"], ["c", "d"]], pa.list_(pa.string(), 2)), None, [[b"a", b"b"], [b"c", b"d"]]),
    ],
)
def test_bags(raw: pa.Array, separator: str | None, expected: list[list[bytes]]) -> None:
    assert columns.bags(raw, separator, "c").values.to_pylist() == expected


@pytest.mark.parametrize(
    ("raw", "separator", "form", "expected"),
    [
        (pa.array(["a | b", " ", " c"]), "|", None, [[b"a", b"b"], [b""], [b"c"]]),
        (pa.array([" a b\t", None]), None, None, [[b"a b"], []]),
        (pa.array([[" a\r\n", None], ["b "]]), "|", None, [[b"a", b""], [b"b"]]),
        (pa.array(['[" a ", null, "\u00a0"]']), None, "json", [[b"a", b"", "\u00a0".encode()]]),
        (pa.array([b" \xff |b"]), "|", None, [[b"\xff", b"b"]]),
        (pa.array([[7], []]), None, None, [[b"7"], []]),
    ],
)
def test_trimmed_bags(raw: pa.Array, separator: str | None, form: ListForm | None, expected: list[list[bytes]]) -> None:
    assert columns.bags(raw, separator, "c", form=form, trim=True).values.to_pylist() == expected


def test_trim_removes_the_white_space_of_ascii() -> None:
    texts = [bytes([byte]) + b"a" + bytes([byte]) for byte in range(256)]
    expected = [[text.strip()] for text in texts]
    assert columns.bags(pa.array(texts), None, "c", trim=True).values.to_pylist() == expected


def test_bags_of_texts_in_the_syntax_of_json() -> None:
    raw = pa.array(['["a", null, 1.0]', "", None, "a, b", '["a"]'])
    column = columns.bags(raw, None, "c", form="json")
    assert column.values.to_pylist() == [[b"a", b"", b"1"], [], [], [], [b"a"]]
    assert column.bad.tolist() == [False, False, False, True, False]
    assert column.reason == 'not a list: expected a JSON list of texts or numbers, such as ["a", "b"]'


def test_columns_of_a_list_type_ignore_the_form() -> None:
    assert columns.bags(pa.array([["[1]"]]), None, "c", form="json").values.to_pylist() == [[b"[1]"]]


def test_bags_of_a_sliced_batch() -> None:
    raw = pa.array([["a"], ["b", "c"], [], ["d"]]).slice(1, 2)
    assert columns.bags(raw, None, "c").values.to_pylist() == [[b"b", b"c"], []]


def test_bag_length_does_not_count_empty_texts() -> None:
    bags = columns.bags(pa.array(["a||b", "", "x"]), "|", "c").values
    assert columns.bag_lengths(bags).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pa.array([1, None]), [1.0, None]),
        (pa.array([1.5, float("nan")]), [1.5, None]),
        (pa.array([True]), [1.0]),
        (pa.array([decimal.Decimal("1.25")]), [1.25]),
        (pa.array(["1", " -2.5e1 ", "", None]), [1.0, -25.0, None, None]),
        (pa.array([b"3"]), [3.0]),
        (pa.array([[4.0], [], None]), [4.0, None, None]),
        (pa.nulls(1), [None]),
    ],
)
def test_numbers(raw: pa.Array, expected: list[float | None]) -> None:
    column = columns.numbers(raw, "c")
    assert column.values.to_pylist() == expected
    assert not column.bad.any()


@pytest.mark.parametrize("text", ["x", "1,5", "1_000", "inf", "-inf", "1e99", "0x10", "٣"])
def test_text_that_is_not_a_finite_number_is_marked(text: str) -> None:
    column = columns.numbers(pa.array(["1", text, None]), "c")
    assert column.bad.tolist() == [False, True, False]
