"""The counts of a run, the contents of `stats.json`: rows by split, and the values of each field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, ClassVar

from pydantic import ConfigDict

from ..spec import SPLITS
from ..spec.base import NamedEntries

# A number for each of SPLITS.
BySplit = dict[str, int]


class _Counts(NamedEntries):
    """Base of the counts: immutable. Entries of later versions are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class VectorStats(_Counts):
    """The pretrained vectors of a vocabulary.

    Attributes:
        length: The length of the vectors.
        tokens: Number of tokens in the vocabulary that have a vector: all those of the file.
        not_in_train: Number of these that train does not have.
        covered: The share of the values of train whose token has a vector, from 0 to 1. Values are counted as for the
            vocabulary: after lists are truncated.
    """

    length: int
    tokens: int
    not_in_train: int
    covered: float


class VocabularyStats(_Counts):
    """One vocabulary.

    Attributes:
        distinct: Number of distinct tokens in train.
        tokens: Number of tokens in the vocabulary, those of its file; after growth, train may not have some of them.
        retired: Number of tokens among them that are retired: looked up like unknown ones. None: the vocabulary has not
            grown.
        collisions: With `hash_buckets`, the share of the distinct tokens that share their bucket with another one. None
            for a vocabulary, and if the analysis did not count the tokens, as for crosses.
        expected_collisions: The share that is expected of that number of tokens and buckets.
        vectors: With `vectors`, how much they cover.
    """

    distinct: int
    tokens: int
    retired: int | None = None
    collisions: float | None = None
    expected_collisions: float | None = None
    vectors: VectorStats | None = None


class Ancestor(_Counts):
    """An older run, whose vocabularies a run extends.

    Attributes:
        run: Its path when the newer run was created.
        as_of: The date of its rows, if known.
        vocabularies: The `Identity.vocabularies_sha256` of the older run.
    """

    run: str
    as_of: date | None = None
    vocabularies: str


class NumberStats(_Counts):
    """Statistics of a field's numbers in one split: float64, correctly rounded. `std` is that of the population."""

    renamed: ClassVar[Mapping[str, str]] = {"deviation": "std", "low": "min", "high": "max"}

    mean: float
    std: float
    min: float
    max: float
    zeros: int


class FieldStats(_Counts):
    """One field. Counts that do not apply to the type of the field are None.

    Attributes:
        type: categorical, multivalued, numeric or vector.
        vocabulary: The name of its vocabulary.
        missing: Number of rows without a value; None for multivalued fields.
        empty: Number of rows with an empty list; only for multivalued fields.
        values: Number of values, before lists are truncated.
        values_seen: Number of ids that the model sees: after lists are truncated, including the id that replaces a
            missing value or an empty list (`missing: oov`, `missing: {token: X}`, `empty: {token: X}`). Only of fields
            with a vocabulary; None in runs of versions that did not count them.
        oov: Number of these ids that are out of vocabulary.
        max_len: The length that lists are truncated to.
        values_truncated: Number of values that truncation removes.
        rows_truncated: Number of rows with a truncated list.
        lengths: For each split, the number of rows by list length, before lists are truncated.
        numbers: Statistics for each split that has numbers.
        clipped: Number of scaled numbers that are ±`clip`, the limit of the field. None for a field without a limit.
        buckets: Number of quantile buckets.
        length: Length of the vectors of a vector field.
    """

    renamed: ClassVar[Mapping[str, str]] = {"values_cut": "values_truncated", "rows_cut": "rows_truncated"}

    type: str
    vocabulary: str | None = None
    missing: BySplit | None = None
    empty: BySplit | None = None
    values: BySplit
    values_seen: BySplit | None = None
    oov: BySplit | None = None
    max_len: int | None = None
    values_truncated: BySplit | None = None
    rows_truncated: BySplit | None = None
    lengths: dict[str, dict[int, int]] | None = None
    numbers: dict[str, NumberStats] | None = None
    clipped: BySplit | None = None
    buckets: int | None = None
    length: int | None = None

    @property
    def absent(self) -> BySplit:
        """Rows without a value, or with an empty list."""
        return self.missing or self.empty or dict.fromkeys(SPLITS, 0)

    def oov_share(self, *splits: str) -> float | None:
        """Returns the share of the ids that the model sees in these splits that are out of vocabulary, from 0 to 1.

        None without such ids or a vocabulary, or if they were not counted.
        """
        if self.oov is None or self.values_seen is None:
            return None
        seen = total(self.values_seen, splits)
        return total(self.oov, splits) / seen if seen else None


class RunStats(_Counts):
    """All counts of a run: read = train + eval + test + rejected + sampled_out.

    Attributes:
        source_rows: With `source.explode`, the number of rows in the files; the other counts are of exploded rows.
        sampled_out: Number of negative train rows that the spec's `sample` leaves out; None if it has no `sample`.
        positives: Number of rows with label 1, by split.
        label_weights: Statistics of the weights of rows for each split that has rows; None without `label.weight`.
            Their sum is `mean` times the number of rows.
        duplicate_keys: Number of accepted rows minus that of distinct keys; None if the spec has no `key`, or if a
            version that did not count them wrote the run.
        vocabularies: The vocabularies by name.
        fields: The fields by name, in the order of the spec.
        columns: All columns of the source files, also those that the spec does not read; None if unknown.
        as_of: The date of the rows that the vocabularies were made from; None if unknown.
        extends: The older runs whose vocabularies these ones extend, the oldest first; None for a run without `--grow`.
    """

    source_rows: int | None = None
    read: int
    train: int
    eval: int
    test: int
    rejected: int
    sampled_out: int | None = None
    positives: BySplit
    label_weights: dict[str, NumberStats] | None = None
    duplicate_keys: int | None = None
    vocabularies: dict[str, VocabularyStats]
    fields: dict[str, FieldStats]
    columns: list[str] | None = None
    as_of: date | None = None
    extends: list[Ancestor] | None = None

    def rows(self, *splits: str) -> int:
        """Returns the rows of the splits together; without any, of all."""
        return sum(getattr(self, split) for split in splits or SPLITS)

    @property
    def negatives_kept(self) -> float:
        """The share of the negative train rows that the run has, above 0 and at most 1; 1 if it has none."""
        negatives = self.train - self.positives["train"]
        return negatives / (negatives + (self.sampled_out or 0)) if negatives else 1.0

    def as_json(self) -> dict[str, Any]:
        """Returns the contents of `stats.json`."""
        return self.model_dump(mode="json", exclude_none=True)


def total(by_split: BySplit, splits: Iterable[str] = SPLITS) -> int:
    """Returns the sum over the given splits."""
    return sum(by_split[split] for split in splits)
