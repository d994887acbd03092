"""Checks that the tokens of vector files are as the fields' normalized values are: others would never be found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...transforms.errors import SourceError
from ...transforms.spec import Spec, VocabularyField
from ...transforms.spec.inputs import vector_files
from .vector_files import TOKEN, Vectors


def check_normalized(spec: Spec, vectors: Mapping[str, Vectors]) -> None:
    """Checks each token of the vectors: at least one field of its vocabulary must leave it as it is.

    Raises:
        SourceError: all fields of the vocabulary have `normalize`, which changes a token.
    """
    for name, of_vocabulary in vectors.items():
        fields = [field for n in spec.vocabulary_fields()[name] if isinstance(field := spec.fields[n], VocabularyField)]
        if not all(field.normalize for field in fields):
            continue
        import tensorflow as tf

        from ...transforms.values.texts import normalized

        tokens = np.array(of_vocabulary.tokens.to_pylist(), object)
        results = [normalized(tf.constant(tokens, tf.string), field.normalize).numpy() for field in fields]
        is_changed = np.all([result != tokens for result in results], axis=0)
        if is_changed.any():
            row = int(is_changed.argmax())
            raise SourceError(
                f"{vector_files(spec)[name]}, column {TOKEN}, row {row + 1}: vectors of the vocabulary {name}: found "
                f"{tokens[row]!r}, expected a normalized token, here {results[0][row]!r}: `normalize` changes the "
                "values of its fields, so this one never occurs; normalize the tokens of the file in the same way"
            )
