"""The profiles of the fields of a sample under a proposed spec; `run_profile` has those of a finished run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import UserError
from ...transforms.spec import SPLITS, MultivaluedField, Spec
from ..analysis.collisions import expected_share, measured_share
from ..arrow_lists import offsets
from ..rows import columns
from ..rows.checks import check_rows
from ..rows.separators import present_values
from ..sources.batches import SourceBatch
from .field_profile import FieldProfile

_SAMPLE_VALUES = 5


@dataclass(frozen=True)
class CheckedSample:
    """The rows of a sample that pass the row checks.

    Attributes:
        rows: A column for each field.
        splits: The index in SPLITS of each row's split, `[rows]`.
        rejected: The number of rows rejected.
    """

    rows: pa.Table
    splits: np.ndarray
    rejected: int

    def column(self, field: str) -> pa.Array:
        """Returns the values of a field: tokens, bags or numbers, as `rows.columns` makes them."""
        return self.rows[field].combine_chunks()

    def is_in(self, split: str) -> np.ndarray:
        """Returns which rows are in the split, bool `[rows]`."""
        return np.asarray(self.splits == SPLITS.index(split))

    def seen_tokens(self, spec: Spec, name: str, split: str) -> pa.Array:
        """Returns the tokens of a field that the model sees in the split, truncated lists flattened, large_binary."""
        values, field = self.column(name).filter(pa.array(self.is_in(split))), spec.fields[name]
        found = present_values(values)
        if not isinstance(field, MultivaluedField):
            return found
        lengths, max_len = columns.bag_lengths(values), self.max_len(name, field)
        skipped = np.maximum(lengths - max_len, 0) if field.keep == "last" else np.zeros_like(lengths)
        first_kept = np.repeat(offsets(lengths)[:-1] + skipped, lengths)
        rank = np.arange(len(found)) - first_kept
        return found.filter(pa.array((rank >= 0) & (rank < max_len)))

    def max_len(self, name: str, field: MultivaluedField) -> int:
        """Returns the field's `max_len`, or the longest list in train if it is not a number."""
        if isinstance(field.max_len, int):
            return field.max_len
        return max(1, int(columns.bag_lengths(self.column(name))[self.is_in("train")].max(initial=0)))


def check_sample(batches: Sequence[SourceBatch], spec: Spec, *, label: bool = True) -> CheckedSample:
    """Checks the rows of a sample as `fieldpool transform` does.

    Args:
        batches: At least one, with rows.
        spec: The spec, with a number for each `max_len` and with the boundaries of a time split.
        label: Whether to check the label.

    Raises:
        UserError: all rows are rejected.
    """
    checked = [check_rows(batch, spec, label=label) for batch in batches]
    usable = [batch for batch in checked if batch.rows.num_rows]
    if not usable:
        first = checked[0].rejected[0]
        raise UserError(f"{first.source}: all rows of the sample are rejected; row {first.row}: {first.reason}")
    return CheckedSample(
        rows=pa.Table.from_batches([columns.with_values(batch.rows, spec) for batch in usable]),
        splits=np.concatenate([batch.splits for batch in usable]),
        rejected=sum(len(batch.rejected) for batch in checked),
    )


def field_profiles(spec: Spec, sample: CheckedSample, reasons: Mapping[str, Sequence[str]]) -> list[FieldProfile]:
    """Returns the profile of each field of a sample.

    Args:
        spec: The proposed spec; for a `max_len` that is not a number, the longest list of the sample's train rows is
            used.
        sample: The sample.
        reasons: The reasons of the proposal, by field.
    """
    vocabularies = {
        name: _SampledVocabulary.of(sample, spec, fields, spec.resolved_vocabularies()[name].min_count)
        for name, fields in spec.vocabulary_fields().items()
    }
    sizes = {
        name: settings.table_rows(len(vocabularies[name].tokens))
        for name, settings in spec.resolved_vocabularies().items()
    }
    tables = spec.embedding_tables(sizes)
    profiles = []
    for name, field in spec.fields.items():
        if field.has_vocabulary:
            profile = _profile_tokens(name, spec, sample, vocabularies[spec.vocabulary_of(name)])
        elif field.raw == "vector":
            values = sample.column(name)
            profile = FieldProfile(name, field.type, missing=values.null_count / len(values))
        else:
            profile = _profile_numbers(name, sample)
        if isinstance(field, MultivaluedField):
            profile = _with_lengths(profile, field, sample)
        # A shared table is counted once, with the first of its fields.
        table = tables.pop(spec.table_of(name), None) if field.is_embedded else None
        profiles.append(replace(profile, table=table, reasons=reasons.get(name, [])))
    return profiles


@dataclass(frozen=True)
class _SampledVocabulary:
    """A vocabulary built from the sample's train rows.

    Attributes:
        counts: The number of occurrences of each distinct token in train.
        tokens: The tokens in the vocabulary, large_binary.
    """

    counts: Counter[bytes]
    tokens: pa.Array

    @classmethod
    def of(cls, sample: CheckedSample, spec: Spec, fields: Sequence[str], min_count: int) -> _SampledVocabulary:
        """Returns the vocabulary that these fields share."""
        counts: Counter[bytes] = Counter()
        for field in fields:
            counted = pc.value_counts(sample.seen_tokens(spec, field, "train"))
            counts.update(dict(zip(*(part.to_pylist() for part in counted.flatten()), strict=True)))
        frequent = [token for token, times in counts.items() if times >= min_count]
        return cls(counts, pa.array(frequent, columns.TEXT))

    def oov_share(self, values: pa.Array) -> float | None:
        """Returns the share of values that are out of vocabulary; None without values."""
        return 1 - pc.mean(pc.is_in(values, value_set=self.tokens)).as_py() if len(values) else None


def _profile_numbers(name: str, sample: CheckedSample) -> FieldProfile:
    values = sample.column(name)
    present = np.asarray(values.drop_null())
    numbers = {"smallest": np.nan, "median": np.nan, "largest": np.nan}
    if len(present):
        low, middle, high = np.percentile(present, [0, 50, 100]).tolist()
        numbers = {"smallest": low, "median": middle, "largest": high}
        numbers |= {"mean": float(present.mean()), "standard deviation": float(present.std())}
    return FieldProfile(name, "numeric", missing=1 - len(present) / len(values), numbers=numbers)


def _profile_tokens(name: str, spec: Spec, sample: CheckedSample, vocabulary: _SampledVocabulary) -> FieldProfile:
    values = sample.column(name)
    counts = np.asarray(pc.value_counts(sample.seen_tokens(spec, name, "train")).field("counts"))
    most_frequent = [token for token, _ in vocabulary.counts.most_common(_SAMPLE_VALUES)]
    is_shared = len(spec.vocabulary_fields()[spec.vocabulary_of(name)]) > 1
    profile = FieldProfile(
        name,
        spec.fields[name].type,
        missing=values.null_count / len(values),
        distinct=len(vocabulary.counts),
        tokens=len(vocabulary.tokens),
        oov_eval=vocabulary.oov_share(sample.seen_tokens(spec, name, "eval")),
        oov_test=vocabulary.oov_share(sample.seen_tokens(spec, name, "test")),
        counts=np.sort(counts)[::-1],
        shared=spec.vocabulary_of(name) if is_shared else None,
        sample_values=[token.decode("utf-8", "backslashreplace") for token in most_frequent],
    )
    buckets = spec.vocabulary_settings_of(name).hash_buckets
    return profile if buckets is None else _hashed(profile, spec, name, vocabulary, buckets)


def _hashed(profile: FieldProfile, spec: Spec, name: str, vocabulary: _SampledVocabulary, buckets: int) -> FieldProfile:
    """Returns the profile of a field whose tokens are hashed: different ones may share an id."""
    return replace(
        profile,
        tokens=None,
        hash_buckets=buckets,
        collisions=measured_share(vocabulary.tokens, spec.vocabulary_of(name), buckets),
        expected_collisions=expected_share(len(vocabulary.tokens), buckets),
    )


def _with_lengths(profile: FieldProfile, field: MultivaluedField, sample: CheckedSample) -> FieldProfile:
    """Returns the profile of a multivalued field with its list lengths; empty lists count as missing."""
    lengths = columns.bag_lengths(sample.column(profile.name))
    of_train = Counter(lengths[sample.is_in("train")].tolist())
    max_len = sample.max_len(profile.name, field)
    return replace(profile, missing=float((lengths == 0).mean()), lengths=of_train, max_len=max_len)
