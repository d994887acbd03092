"""The counts of a run, as `stats.json` holds them: rows by split, and what each field has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from ..transforms.spec import SPLITS
from ..transforms.spec.base import NamedEntries

# A number for each of SPLITS.
BySplit = dict[str, int]


class _Counts(NamedEntries):
    """Never changes once made; counts that a later version may add are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class VocabularyStats(_Counts):
    """One vocabulary: the distinct tokens of train, and how many of them are in it."""

    distinct: int
    tokens: int


class NumberStats(_Counts):
    """The numbers that a field has in one split: float64, exactly rounded; `std` is the population's."""

    renamed: ClassVar[Mapping[str, str]] = {"deviation": "std", "low": "min", "high": "max"}

    mean: float
    std: float
    min: float
    max: float
    zeros: int


class FieldStats(_Counts):
    """One field. What a kind of field does not have is None.

    Attributes:
        type: categorical, multivalued or numeric.
        vocabulary: Its name.
        missing: Rows without a value; of multivalued fields `empty` has those with an empty list. See `absent`.
        values: Values before lists are truncated.
        oov: Values, of those that the model sees, that are out of vocabulary.
        max_len: The length that lists are truncated to.
        values_truncated: Values removed by it.
        rows_truncated: Rows whose list was truncated.
        lengths: By split, rows by the length of their list before it is truncated.
        numbers: By split, where it has numbers.
        buckets: Quantile buckets.
    """

    renamed: ClassVar[Mapping[str, str]] = {"values_cut": "values_truncated", "rows_cut": "rows_truncated"}

    type: str
    vocabulary: str | None = None
    missing: BySplit | None = None
    empty: BySplit | None = None
    values: BySplit
    oov: BySplit | None = None
    max_len: int | None = None
    values_truncated: BySplit | None = None
    rows_truncated: BySplit | None = None
    lengths: dict[str, dict[int, int]] | None = None
    numbers: dict[str, NumberStats] | None = None
    buckets: int | None = None

    @property
    def absent(self) -> BySplit:
        """Rows without a value, or with an empty list."""
        return self.missing or self.empty or dict.fromkeys(SPLITS, 0)

    def oov_share(self, split: str) -> float | None:
        """Returns the share of the split's values that are out of vocabulary; None without values or vocabulary."""
        if self.oov is None or not self.values[split]:
            return None
        return self.oov[split] / self.values[split]


class RunStats(_Counts):
    """All counts of a run: read = train + eval + test + rejected.

    Attributes:
        positives: Rows with label 1.
        vocabularies: By name.
        fields: By name, in the spec's order.
        columns: Of the source files, whether the spec reads them or not; None where they are not known.
    """

    read: int
    train: int
    eval: int
    test: int
    rejected: int
    positives: BySplit
    vocabularies: dict[str, VocabularyStats]
    fields: dict[str, FieldStats]
    columns: list[str] | None = None

    def rows(self, *splits: str) -> int:
        """Returns the rows of the splits together; without any, of all."""
        return sum(getattr(self, split) for split in splits or SPLITS)

    def as_json(self) -> dict[str, Any]:
        """Returns the contents of `stats.json`."""
        return self.model_dump(mode="json", exclude_none=True)


def total(by_split: BySplit, splits: Iterable[str] = SPLITS) -> int:
    """Returns the sum over some splits."""
    return sum(by_split[split] for split in splits)
