"""Matches: how the values of one field occur in the list of another one, in the same row."""

from __future__ import annotations

import tensorflow as tf

from ..spec import Match


def matched(values: tf.RaggedTensor, found_in: tf.RaggedTensor, derivation: Match) -> tf.Tensor:
    """Returns the measure of the derivation, float32 `[batch]`; see `Match`.

    Args:
        values: The values to look for, ragged string `[batch, (values)]`, without empty texts.
        found_in: The lists to look in, of the same form.

    >>> genres, history = tf.ragged.constant([["a"], ["b"]]), tf.ragged.constant([["x", "a", "a"], ["a"]])
    >>> matched(genres, history, Match(match=["genre", "history"], measure="last")).numpy().tolist()
    [3.0, 0.0]
    """
    is_match = found_in.with_flat_values(_is_match(values, found_in))
    if derivation.measure == "last":
        positions = found_in.with_flat_values(tf.ragged.range(found_in.row_lengths()).flat_values + 1)
        last = positions.with_flat_values(tf.where(is_match.flat_values, positions.flat_values, 0))
        return tf.cast(tf.maximum(tf.reduce_max(last, axis=1), 0), tf.float32)  # Of an empty list it is negative.
    count = tf.reduce_sum(is_match.with_flat_values(tf.cast(is_match.flat_values, tf.float32)), axis=1)
    if derivation.measure == "any":
        return tf.minimum(count, 1.0)
    if derivation.measure == "count":
        return count
    lengths = tf.cast(found_in.row_lengths(), tf.float32)
    return tf.where(lengths > 0, tf.math.divide_no_nan(count, lengths), float("nan"))


def _is_match(values: tf.RaggedTensor, found_in: tf.RaggedTensor) -> tf.Tensor:
    """Returns for each flat value of `found_in` whether its row has it among `values`, bool `[values]`.

    Pairs of a row and a token become numbers, which are searched in a sorted list: memory grows with the number of
    values, not with that of pairs. With tokens numbered from 0, of which there are `size`, the number of a pair is
    row · size + token.
    """
    tokens, numbers = tf.unique(tf.concat([found_in.flat_values, values.flat_values], axis=0), tf.int64)
    of_list, of_values = tf.split(numbers, [tf.size(found_in.flat_values), tf.size(values.flat_values)])
    size = tf.size(tokens, tf.int64)
    pairs = found_in.value_rowids() * size + of_list
    # The last one, larger than all others, is found where there is none.
    wanted = tf.concat([tf.sort(values.value_rowids() * size + of_values), [tf.int64.max]], axis=0)
    return tf.equal(tf.gather(wanted, tf.searchsorted(wanted, pairs)), pairs)
