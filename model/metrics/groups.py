"""Groups of rows by the ids of a field, or by the texts of a carried column, which has no vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...transforms.spec import Spec


class Texts(NamedTuple):
    """A column of texts.

    Attributes:
        numbers: The number of each row's text, int64 `[n]`.
        texts: The texts by number: 0 is the empty text, a missing value, others follow in the order of the rows.
    """

    numbers: np.ndarray
    texts: list[bytes]

    def only(self, rows: np.ndarray) -> Texts:
        """Returns the texts of some rows, given as a mask, bool `[n]`; their numbers stay."""
        return Texts(self.numbers[rows], self.texts)


class Numbering:
    """Numbers the texts of a column, batch by batch.

    Example:
        >>> numbering = Numbering()
        >>> numbering.numbers_of([b"de", b"", b"fr"]).tolist(), numbering.numbers_of([b"de"]).tolist()
        ([1, 0, 2], [1])
        >>> numbering.texts
        [b'', b'de', b'fr']
    """

    def __init__(self) -> None:
        self._number_of: dict[bytes, int] = {b"": 0}

    def numbers_of(self, texts: Sequence[bytes] | np.ndarray) -> np.ndarray:
        """Returns the number of each text, int64 `[batch]`; new texts get the next numbers."""
        number_of = self._number_of
        return np.array([number_of.setdefault(text, len(number_of)) for text in texts], np.int64)

    @property
    def texts(self) -> list[bytes]:
        """The texts by number."""
        return list(self._number_of)


def group_ids(spec: Spec, name: str, column: np.ndarray | Texts) -> tuple[np.ndarray, np.ndarray]:
    """Returns the group of each row, int64 `[n]`, and which rows have one, bool `[n]`.

    Of a categorical field, the groups are the tokens of its vocabulary: values outside share the OOV buckets. Of a
    carried column, they are all texts but the empty one.

    Args:
        spec: The spec of the rows.
        name: A categorical field or a carried column.
        column: The ids of the field, `[n]`, or the texts of the column.
    """
    if isinstance(column, Texts):
        return column.numbers, column.numbers > 0
    return column, spec.vocabulary_settings_of(name).is_token(column)


def carried_groups(spec: Spec) -> list[str]:
    """Returns the carried columns, which `read_examples` reads only on request, whose values are groups in training."""
    groups = (spec.evaluation.gauc_by, spec.stopping_metric[1])
    return [name for name in spec.carry if name in groups]
