"""`Spec`: what a user declares about a click log, in YAML or Python.

It names the key, the label, the split, the fields with their vocabularies, and the settings of model and training.
Pydantic validates it; unknown keys are refused. docs/spec.md explains every entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from .base import Name, Strict
from .fields import CategoricalField, FieldSpec, FieldType, NumericField, Vocabulary, VocabularyField
from .limits import Check, Limits
from .source import Source
from .split import Label, Split
from .training import Evaluation, Model, Train


class Spec(Strict):
    """The whole spec: raw columns in, features and a trained model out."""

    key: str | None = Field(None, description="A column that travels through to examples and predictions.")
    label: Label
    split: Split
    source: Source = Source()
    vocabularies: dict[Name, Vocabulary] = Field(default={}, description="Shared vocabularies by name.")
    fields: dict[Name, FieldSpec] = Field(min_length=1)
    max_rejected: float = Field(
        0, ge=0, description="Rows that may be rejected: a count (1 or more), or a share (below 1)."
    )
    limits: Limits = Limits()
    check: Check = Check()
    model: Model = Model()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _vocabularies_agree(self) -> Spec:
        claims: dict[str, dict[str, dict[str, Any]]] = {}
        for name, field in self.fields.items():
            if isinstance(field, VocabularyField) and field.vocabulary_settings():
                claims.setdefault(field.vocabulary or name, {})[name] = field.vocabulary_settings()
        for vocabulary, by_field in claims.items():
            if vocabulary in self.vocabularies:
                field_name = next(iter(by_field))
                raise ValueError(
                    f"fields.{field_name} sets {', '.join(by_field[field_name])}, but vocabularies.{vocabulary} "
                    f"already sets what `{vocabulary}` is; keep the settings in one place, under vocabularies"
                )
            first, *others = by_field
            for other in others:
                if by_field[other] != by_field[first]:
                    raise ValueError(
                        f"fields.{first} and fields.{other} share the vocabulary `{vocabulary}` but set it "
                        f"differently ({by_field[first]} and {by_field[other]}); declare it once under "
                        f"`vocabularies:` and leave the settings out of the fields"
                    )
        return self

    @model_validator(mode="after")
    def _names_are_apart(self) -> Spec:
        features = list(self.fields)
        for name, field in self.fields.items():
            if field.is_weighted:
                features.append(weights_feature(name))
        taken = {KEY_FEATURE, LABEL_FEATURE}
        for name in features:
            if name in taken:
                raise ValueError(
                    f"the name `{name}` is taken (by the key, the label or another field's weights); rename the "
                    f"field and name its raw column with `column: {name}`"
                )
            taken.add(name)
        for name in self.vocabularies:
            if name not in self.vocabulary_fields():
                raise ValueError(f"vocabularies.{name} is used by no field; remove it, or name it in a field")
        return self

    @model_validator(mode="after")
    def _exact_fm_needs_sums(self) -> Spec:
        for name, field in self.fields.items():
            if self.model.exact_fm and field.combiner == "max":
                raise ValueError(
                    f"model.exact_fm pairs the values of a list, which `pooling: max` of fields.{name} does not keep; "
                    "use mean, sum or sqrtn there, or leave exact_fm out"
                )
        return self

    @model_validator(mode="after")
    def _evaluation_names_fields(self) -> Spec:
        gauc_by, stopping = self.evaluation.gauc_by, self.train.early_stopping
        if gauc_by and not isinstance(self.fields.get(gauc_by), CategoricalField):
            able = ", ".join(self.fields_of(CategoricalField)) or "none here"
            raise ValueError(f"evaluation.gauc_by: expected a categorical field ({able}), found {gauc_by!r}")
        for name in self.evaluation.slices:
            if name not in self.fields or not self.fields[name].has_vocabulary:
                raise ValueError(
                    f"evaluation.slices: expected fields that are categorical or multivalued, found {name!r}"
                )
        if stopping and stopping.metric == "gauc" and not gauc_by:
            raise ValueError(
                "train.early_stopping.metric: `gauc` needs its groups: add `evaluation: {gauc_by: user_id}`"
            )
        return self

    # What follows from the entries: the one place where defaults are resolved.

    def fields_of(self, kind: type[FieldType]) -> dict[str, FieldType]:
        """Returns the fields of one type, in the order of `fields`."""
        return {name: field for name, field in self.fields.items() if isinstance(field, kind)}

    def vocabulary_fields(self) -> dict[str, list[str]]:
        """Returns the fields of each vocabulary, both in the order of `fields`."""
        users: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            if field.has_vocabulary:
                users.setdefault(self.vocabulary_of(name), []).append(name)
        return users

    def resolved_vocabularies(self) -> dict[str, Vocabulary]:
        """Returns every vocabulary with its settings, declared or given on a field."""
        result = {}
        for vocabulary, users in self.vocabulary_fields().items():
            if vocabulary in self.vocabularies:
                result[vocabulary] = self.vocabularies[vocabulary]
                continue
            settings: dict[str, Any] = {}
            for user in users:
                settings |= self._vocabulary_field(user).vocabulary_settings()
            result[vocabulary] = Vocabulary(**settings)
        return result

    def vocabulary_of(self, field: str) -> str:
        """Returns the name of the vocabulary of a categorical or multivalued field."""
        return self._vocabulary_field(field).vocabulary or field

    def vocabulary_settings_of(self, field: str) -> Vocabulary:
        """Returns the settings of the vocabulary of a categorical or multivalued field."""
        return self.resolved_vocabularies()[self.vocabulary_of(field)]

    def _vocabulary_field(self, name: str) -> VocabularyField:
        field = self.fields[name]
        if not isinstance(field, VocabularyField):
            raise ValueError(f"fields.{name}: a {field.type} field has no vocabulary")
        return field

    def table_of(self, field: str) -> str:
        """Returns the name of the embedding table of an embedded field: its vocabulary, or a table of its buckets."""
        # No vocabulary can be called that: names have no colon.
        return self.vocabulary_of(field) if self.fields[field].has_vocabulary else f"{field}:buckets"

    def embedding_tables(self, vocabulary_sizes: Mapping[str, int]) -> dict[str, EmbeddingTable]:
        """Returns the size of each embedding table: those of vocabularies first, then those of quantile buckets.

        Args:
            vocabulary_sizes: Rows of each vocabulary, padding and OOV buckets counted: `Run.vocabulary_sizes`.
        """
        dim = self.model.embedding_dim
        tables = {
            name: EmbeddingTable(vocabulary_sizes[name], settings.dim or dim)
            for name, settings in self.resolved_vocabularies().items()
        }
        for name, field in self.fields_of(NumericField).items():
            if field.buckets is not None:  # Row 0 is for a missing number.
                tables[self.table_of(name)] = EmbeddingTable(field.buckets + 1, field.dim or dim)
        return tables

    def column_of(self, field: str) -> str:
        """Returns the raw column of a field."""
        return self.fields[field].column or field

    def most_rejected(self, read: int | None) -> float:
        """Returns the largest number of rows that may be rejected; of a share it need not be whole.

        Args:
            read: Rows read; None while their number is unknown, when a share allows any number.
        """
        if not 0 < self.max_rejected < 1:
            return self.max_rejected
        return math.inf if read is None else self.max_rejected * read


@dataclass(frozen=True)
class EmbeddingTable:
    """The size of an embedding table: `rows` ids, 0 for padding or a missing value among them, `dim` numbers each."""

    rows: int
    dim: int


# The key and the label stand under these names in examples, whatever their raw columns are called.
KEY_FEATURE = "key"
LABEL_FEATURE = "label"


def weights_feature(field: str) -> str:
    """Returns the name of the feature with a multivalued field's weights."""
    return f"{field}_weights"
