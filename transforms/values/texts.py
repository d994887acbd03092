"""Texts: normalized tokens, and the words of a text. All operations are those of plain TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# What separates words: everything but letters, digits, and marks such as accents, which belong to letters.
_BETWEEN_WORDS = r"[^\p{L}\p{M}\p{N}]+"


def normalized(tokens: tf.Tensor, steps: Sequence[str]) -> tf.Tensor:
    """Returns tokens, string of any shape, after the steps `strip` and `lower` in the given order.

    strip removes ASCII white space at both ends. lower is that of Unicode; bytes that are not valid UTF-8 become the
    replacement character U+FFFD, and a text with a NUL stays as it is.
    """
    for step in steps:
        tokens = tf.strings.strip(tokens) if step == "strip" else _lower(tokens)
    return tokens


def _lower(tokens: tf.Tensor) -> tf.Tensor:
    # TensorFlow's operation would end a text at its first NUL.
    has_nul = tf.strings.regex_full_match(tokens, r"(?s).*\x00.*")
    return tf.where(has_nul, tokens, tf.strings.lower(tokens, encoding="utf-8"))


def words(texts: tf.Tensor, ngrams: int) -> tf.RaggedTensor:
    """Returns the words of each text, in lower case, then its sequences of 2 to `ngrams` words, joined by spaces.

    Args:
        texts: String `[batch]`.
        ngrams: The maximum number of words in a sequence, 1 or more.

    >>> words(tf.constant(["The Hitchhiker's Guide"]), ngrams=1).to_list()
    [[b'the', b'hitchhiker', b's', b'guide']]
    >>> words(tf.constant(["No Time", ""]), ngrams=2).to_list()
    [[b'no', b'time', b'no time'], []]
    """
    single = tf.strings.split(tf.strings.lower(tf.strings.regex_replace(texts, _BETWEEN_WORDS, " "), encoding="utf-8"))
    return single if ngrams == 1 else tf.strings.ngrams(single, list(range(1, ngrams + 1)), separator=" ")
