"""Bags: splitting, dropping empties, truncating, padding; golden cases first, then properties."""

from __future__ import annotations

import doctest

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows import columns
from fieldpool.transforms.tensors import bags

VALUES = st.lists(st.sampled_from(["", "a", "bc", "ü", "def"]), max_size=6)
KEEP = st.sampled_from(["first", "last"])


def ragged(lists: list[list[str]]) -> tf.RaggedTensor:
    return tf.ragged.constant(lists, dtype=tf.string, ragged_rank=1)


def kept(bag: tf.RaggedTensor, max_len: int, keep: str) -> tf.RaggedTensor:
    (positions,) = bags.kept_positions([bag], [max_len], [keep]).by_field()
    return bags.take(bag.flat_values, positions)


def texts(bag: tf.RaggedTensor) -> list[list[str]]:
    return [[value.decode() for value in row] for row in bag.to_list()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", ["a", "b"]), ("a", ["a"]), ("", []), ("|", []), ("a||b|", ["a", "b"]), ("ü|ß", ["ü", "ß"])],
)
def test_text_splits_into_its_values(text: str, expected: list[str]) -> None:
    for dense in (tf.constant([text]), tf.constant([[text]])):
        assert texts(kept(bags.to_lists(dense, "|"), 9, "first")) == [expected]


@pytest.mark.parametrize("form", ["ragged", "sparse", "padded"])
def test_elements_of_lists_are_not_split(form: str) -> None:
    lists = ragged([["a|b"], [], ["c", "d"]])
    given_form = {"ragged": lists, "sparse": lists.to_sparse(), "padded": lists.to_tensor()}[form]
    assert texts(kept(bags.to_lists(given_form, "|"), 9, "last")) == [["a|b"], [], ["c", "d"]]


@pytest.mark.parametrize(("keep", "expected"), [("first", [1.0, 3.0]), ("last", [3.0, 5.0])])
def test_weights_are_kept_with_their_values(keep: str, expected: list[float]) -> None:
    other, bag = ragged([["x", "y", "z"], ["x"]]), ragged([["a", "", "b", "", "c"], [""]])
    _, positions = bags.kept_positions([other, bag], [3, 2], ["first", keep]).by_field()
    weights = tf.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert bags.take(weights, positions).to_list() == [expected, []]


def test_weights_of_another_length_are_an_error() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="differ in length"):
        bags.same_lengths(ragged([["a", "b"]]), tf.ragged.constant([[1.0]], ragged_rank=1))


def test_only_empty_bags_get_the_value() -> None:
    assert texts(bags.fill_empty(ragged([["a"], [], ["b", "c"], []]), "none")) == [
        ["a"],
        ["none"],
        ["b", "c"],
        ["none"],
    ]


@pytest.mark.parametrize(("keep", "expected"), [("first", [["a", "b"], ["d"], []]), ("last", [["b", "c"], ["d"], []])])
def test_long_bag_is_truncated_at_one_end(keep: str, expected: list[list[str]]) -> None:
    assert texts(kept(ragged([["a", "b", "c"], ["d"], []]), 2, keep)) == expected


@given(
    rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5),
    max_lens=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    keeps=st.tuples(KEEP, KEEP),
)
@settings(max_examples=50, deadline=None)
def test_values_order_and_padding(
    rows: list[tuple[list[str], list[str]]], max_lens: tuple[int, int], keeps: tuple[str, str]
) -> None:
    fields = [[row[field] for row in rows] for field in range(2)]
    all_bags = [ragged(lists) for lists in fields]
    positions_by_field = bags.kept_positions(all_bags, max_lens, keeps).by_field()
    for lists, max_len, keep, bag, positions in zip(fields, max_lens, keeps, all_bags, positions_by_field, strict=True):
        padded = bags.pad(bags.take(tf.strings.length(bag.flat_values), positions), max_len).numpy().tolist()
        for row, values in zip(padded, lists, strict=True):
            present = [len(value.encode()) for value in values if value]
            expected = present[:max_len] if keep == "first" else present[-max_len:]
            assert row == expected + [0] * (max_len - len(expected))


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        ((None, None), ([[1, 2], [0, 0]], [[3, 0], [6, 0]])),
        ((9, None), ([[1, 2], [9, 0]], [[3, 0], [6, 0]])),
    ],
    ids=["zeros", "a value for empty bags"],
)
def test_fields_of_one_width_are_padded_together(
    fills: tuple[int | None, int | None], expected: tuple[list[list[int]], list[list[int]]]
) -> None:
    """The example of `Kept.padded`."""
    kept_values = bags.kept_positions([ragged([["a", "b"], []]), ragged([["p", ""], ["", "r"]])], [2, 2], ["first"] * 2)
    values = [tf.constant([1, 2], tf.int64), tf.constant([3, 4, 5, 6], tf.int64)]
    padded = kept_values.padded(values, [None if fill is None else tf.constant(fill, tf.int64) for fill in fills])
    assert tuple(dense.numpy().tolist() for dense in padded) == expected


@given(
    rows=st.lists(st.tuples(*[VALUES] * 4), max_size=4),
    max_lens=st.tuples(*[st.integers(1, 3)] * 4),
    keeps=st.tuples(*[KEEP] * 4),
    fills=st.tuples(*[st.sampled_from([None, 99])] * 4),
)
@settings(max_examples=50, deadline=None)
def test_padding_all_fields_equals_padding_each(
    rows: list[tuple[list[str], ...]],
    max_lens: tuple[int, ...],
    keeps: tuple[str, ...],
    fills: tuple[int | None, ...],
) -> None:
    all_bags = [ragged([row[field] for row in rows]) for field in range(4)]
    values = [tf.strings.length(bag.flat_values) for bag in all_bags]
    kept_values = bags.kept_positions(all_bags, max_lens, keeps)
    padded = kept_values.padded(values, [None if fill is None else tf.constant(fill) for fill in fills])
    for index, positions in enumerate(kept_values.by_field()):
        of_field = bags.take(values[index], positions)
        filled = of_field if fills[index] is None else bags.fill_empty(of_field, fills[index])
        assert padded[index].numpy().tolist() == bags.pad(filled, max_lens[index]).numpy().tolist()


def assert_lengths_agree(counted: pa.Array, lists: tf.RaggedTensor) -> None:
    """Lengths as in `stats.json` equal the number of values that the model sees if nothing is truncated."""
    longest = max(len(values) for values in lists.to_list())
    (positions,) = bags.kept_positions([lists], [longest + 1], ["first"]).by_field()
    assert columns.bag_lengths(counted).tolist() == positions.row_lengths().numpy().tolist()


@given(
    rows=st.lists(st.text("a| ,üß\0\n", max_size=8).map(str.encode), min_size=1, max_size=5),
    separator=st.sampled_from(["|", "||", ", ", "ü", "\0"]),
    trim=st.booleans(),
)
@settings(deadline=None)
def test_row_checks_split_and_count_texts_in_the_same_way(rows: list[bytes], separator: str, trim: bool) -> None:
    lists = bags.to_lists(tf.constant(rows), separator, trim=trim)
    split = columns.bags(pa.array(rows), separator, "tags", trim=trim).values
    assert split.to_pylist() == lists.to_list()
    assert_lengths_agree(split, lists)


def test_row_checks_trim_the_same_bytes() -> None:
    texts = [bytes([byte]) + b"a" + bytes([byte]) for byte in range(256)]
    trimmed = columns.bags(pa.array(texts), None, "tags", trim=True).values
    assert bags.to_lists(tf.constant(texts), trim=True).to_list() == trimmed.to_pylist()


@given(rows=st.lists(VALUES, min_size=1, max_size=5))
@settings(deadline=None)
def test_row_checks_count_lists_in_the_same_way(rows: list[list[str]]) -> None:
    assert_lengths_agree(columns.bags(pa.array(rows, pa.list_(pa.string())), None, "tags").values, ragged(rows))


def test_docstring_example() -> None:
    assert doctest.testmod(bags) == doctest.TestResults(failed=0, attempted=4)


@pytest.mark.parametrize("form", ["dense", "column", "sparse", "ragged"])
def test_single_values_of_any_tensor_type(form: str) -> None:
    sparse = tf.SparseTensor([[0, 0], [2, 0]], ["a", "c"], [3, 1])
    forms = {
        "dense": tf.constant(["a", "", "c"]),
        "column": tf.constant([["a"], [""], ["c"]]),
        "sparse": sparse,
        "ragged": tf.RaggedTensor.from_sparse(sparse),
    }
    assert bags.single_values(forms[form], "").numpy().tolist() == [b"a", b"", b"c"]


def test_integer_ids_become_text() -> None:
    assert bags.as_strings(tf.constant([7, -1])).numpy().tolist() == [b"7", b"-1"]


def test_float_ids_are_an_error() -> None:
    with pytest.raises(TypeError, match="found float32"):
        bags.as_strings(tf.constant([1.5]))
