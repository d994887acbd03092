"""`Spec`: the description of a click log and its model, in YAML or Python.

It names the key, the label, the split, the fields with their vocabularies, and the settings of model and training.
Pydantic validates it; unknown keys are errors. docs/spec.md explains every entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from .base import Name, NonNegativeFloat32, Strict
from .fields import CategoricalField, FieldSpec, FieldType, MultivaluedField, NumericField, VocabularyField
from .fields.sides import check_sides
from .inputs import TimeColumn, check_derivations, check_exploded, source_inputs
from .label import Label
from .limits import Check, Limits
from .roles import Carry, Key, check_names, key_features
from .source import Source
from .split import Sample, Split
from .train_only import TrainOnly, check_train_only
from .training import RANKING_METRICS, Evaluation, Model, Train
from .vocabularies import Vocabulary


def _long_form(source: Any) -> Any:
    """Returns the section `source` for its short form."""
    return {"format": "detect"} if source == "auto" else source


class Spec(Strict):
    """Describes a click log: its raw columns, the features made from them, and the model to train.

    Example:
        >>> spec = Spec.model_validate({
        ...     "label": {"field": "click"},
        ...     "split": {"hash": "user"},
        ...     "fields": {"user": {"type": "categorical"}, "genres": {"type": "multivalued", "separator": "|"}},
        ... })
        >>> spec.vocabulary_fields()
        {'user': ['user'], 'genres': ['genres']}
    """

    key: Key | None = Field(
        None, description="The column, or columns, that identify the row; copied to examples and predictions."
    )
    carry: Carry = Field(
        default={},
        description="Other columns that are copied to examples and predictions, and that the model does not read: a "
        "list, or a mapping from their names there to the columns.",
    )
    label: Label
    split: Split
    sample: Sample | None = Field(None, description="Which negative rows of train are kept. Default: all.")
    source: Annotated[Source, BeforeValidator(_long_form, json_schema_input_type=Source | Literal["auto"])] = Source()
    vocabularies: dict[Name, Vocabulary] = Field(default={}, description="Shared vocabularies by name.")
    fields: dict[Name, FieldSpec] = Field(min_length=1, description="The columns that the model uses, by name.")
    train_only: TrainOnly = Field(default={})
    times: dict[str, TimeColumn] = Field(
        default={}, description="How columns of times are read, for fields that are derived from them; by column."
    )
    max_rejected: NonNegativeFloat32 = Field(
        0, description="Maximum number of rejected rows: a count, or a share of the rows (below 1)."
    )
    limits: Limits = Limits()
    check: Check = Check()
    model: Model = Model()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _most_rejected_is_a_count_or_a_share(self) -> Spec:
        if self.max_rejected > 1 and self.max_rejected != int(self.max_rejected):
            raise ValueError(f"max_rejected: expected a count, or a share below 1; found {self.max_rejected:g}")
        return self

    @model_validator(mode="after")
    def _vocabularies_agree(self) -> Spec:
        settings: dict[str, dict[str, dict[str, Any]]] = {}  # By vocabulary and field.
        for name, field in self.fields.items():
            if isinstance(field, VocabularyField) and field.vocabulary_settings():
                settings.setdefault(field.vocabulary or name, {})[name] = field.vocabulary_settings()
        for vocabulary, by_field in settings.items():
            if vocabulary in self.vocabularies:
                field_name = next(iter(by_field))
                raise ValueError(
                    f"fields.{field_name} sets {', '.join(by_field[field_name])}, but vocabularies.{vocabulary} "
                    f"already has the settings of `{vocabulary}`; set all of them there"
                )
            first, *others = by_field
            for other in others:
                if by_field[other] != by_field[first]:
                    raise ValueError(
                        f"fields.{first} and fields.{other} share the vocabulary `{vocabulary}` but have different "
                        f"settings for it ({by_field[first]} and {by_field[other]}); set them once, under "
                        f"`vocabularies:`, and remove them from the fields"
                    )
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Spec:
        check_derivations(self)
        check_sides(self)
        check_names(self.fields, self.key, self.carry, [*self.label.features, *source_inputs(self)])
        for name in self.vocabularies:
            if name not in self.vocabulary_fields():
                raise ValueError(
                    f"no field uses vocabularies.{name}; remove it, or add `vocabulary: {name}` to a field"
                )
        return self

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Spec:
        label = self.label.field
        for name, field in self.fields.items():
            weights = field.weights if isinstance(field, MultivaluedField) else None
            if label in (self.column_of(name), weights):
                raise ValueError(
                    f"fields.{name}: reads the label's column {label!r}, so the model would predict the label from "
                    "itself; remove the field, or correct the column"
                )
            if weights == self.column_of(name):
                raise ValueError(
                    f"fields.{name}.weights: is the column of the values, {weights!r}; name the column of the weights"
                )
        if self.sample:
            self.sample.check_by(label, {name: self.column_of(name) for name in self.fields})
        for kind in ("hash", "time"):
            column = getattr(self.split, kind, None)
            if label in (column if isinstance(column, list) else [column]):
                raise ValueError(
                    f"split.{kind}: {label!r} is the label, so all rows with one label would be in one split; use "
                    "another column"
                )
        return self

    @model_validator(mode="after")
    def _exploded_column_is_gone(self) -> Spec:
        check_exploded(self)
        return self

    @model_validator(mode="after")
    def _exact_fm_needs_sums(self) -> Spec:
        for name, field in self.fields.items():
            if self.model.exact_fm and field.combiner == "max":
                raise ValueError(
                    "model.exact_fm needs pooling mean, sum or sqrtn in all multivalued fields; found `pooling: max` "
                    f"in fields.{name}. Change it, or remove exact_fm"
                )
        return self

    @model_validator(mode="after")
    def _sections_name_fields(self) -> Spec:
        check_train_only(self)
        gauc_by, stopping, ranking = self.evaluation.gauc_by, self.train.early_stopping, self.evaluation.ranking
        groups = [*self.fields_of(CategoricalField), *self.carry]
        for entry, by in (("gauc_by", gauc_by), ("ranking.by", ranking and ranking.by)):
            if by is not None and by not in groups:
                allowed = ", ".join(groups) or "the spec has none"
                raise ValueError(
                    f"evaluation.{entry}: expected a categorical field or carried column ({allowed}), found {by!r}"
                )
        slices = self.evaluation.slices
        for name in slices:
            if name not in self.carry and not (name in self.fields and self.fields[name].has_vocabulary):
                raise ValueError(
                    "evaluation.slices: expected names of categorical or multivalued fields, or of carried columns, "
                    f"found {name!r}"
                )
        twice = next((name for name in slices if slices.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"evaluation.slices: contains {twice!r} twice; remove one")
        if stopping and stopping.metric == "gauc" and gauc_by is None:
            raise ValueError(
                "train.early_stopping.metric: `gauc` needs a field or carried column with the groups; add it, for "
                "example `evaluation: {gauc_by: user_id}`"
            )
        if stopping and stopping.metric in RANKING_METRICS and ranking is None:
            raise ValueError(
                f"train.early_stopping.metric: `{stopping.metric}` needs groups of rows; add them, for example "
                "`evaluation: {ranking: {by: impression_id}}`"
            )
        return self

    # Values derived from the entries. Defaults are resolved here and nowhere else.

    @property
    def stopping_metric(self) -> tuple[str, str | None]:
        """The metric that selects the best epoch, such as `auc` or `ndcg@5`, and what its groups are the values of."""
        metric = self.train.early_stopping.metric if self.train.early_stopping else "auc"
        ranking = self.evaluation.ranking
        if metric not in RANKING_METRICS or ranking is None:
            return metric, self.evaluation.gauc_by if metric == "gauc" else None
        return f"{metric}@{ranking.at[0]}" if metric in ("ndcg", "hit_rate") else metric, ranking.by

    @property
    def key_columns(self) -> dict[str, str]:
        """The raw columns of the key by feature; none without a key."""
        return key_features(self.key)

    @property
    def copied_columns(self) -> dict[str, str]:
        """The raw columns by feature that are copied and are no inputs of the model: first the key's, then `carry`."""
        return {**self.key_columns, **self.carry}

    def fields_of(self, kind: type[FieldType]) -> dict[str, FieldType]:
        """Returns the fields of one type, in the order of `fields`."""
        return {name: field for name, field in self.fields.items() if isinstance(field, kind)}

    def vocabulary_fields(self) -> dict[str, list[str]]:
        """Returns the names of the fields of each vocabulary, both in the order of `fields`."""
        names: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            if field.has_vocabulary:
                names.setdefault(self.vocabulary_of(name), []).append(name)
        return names

    def resolved_vocabularies(self) -> dict[str, Vocabulary]:
        """Returns the settings of every vocabulary, from `vocabularies` or from its fields."""
        result = {}
        for vocabulary, names in self.vocabulary_fields().items():
            if vocabulary in self.vocabularies:
                result[vocabulary] = self.vocabularies[vocabulary]
                continue
            settings: dict[str, Any] = {}
            for name in names:
                settings |= self._vocabulary_field(name).vocabulary_settings()
            result[vocabulary] = Vocabulary(**settings)
        return result

    def vocabulary_of(self, field: str) -> str:
        """Returns the name of the vocabulary of a categorical or multivalued field.

        Raises:
            ValueError: if it is another type of field.
        """
        return self._vocabulary_field(field).vocabulary or field

    def vocabulary_settings_of(self, field: str) -> Vocabulary:
        """Returns the settings of the vocabulary of a categorical or multivalued field.

        Raises:
            ValueError: if it is another type of field.
        """
        return self.resolved_vocabularies()[self.vocabulary_of(field)]

    def _vocabulary_field(self, name: str) -> VocabularyField:
        field = self.fields[name]
        if not isinstance(field, VocabularyField):
            raise ValueError(f"fields.{name}: a {field.type} field has no vocabulary")
        return field

    def table_of(self, field: str) -> str:
        """Returns the name of an embedded field's table: its vocabulary, or `FIELD:buckets` for quantile buckets."""
        # No vocabulary can have the latter name: names have no colon.
        return self.vocabulary_of(field) if self.fields[field].has_vocabulary else f"{field}:buckets"

    def embedding_tables(self, vocabulary_sizes: Mapping[str, int]) -> dict[str, EmbeddingTable]:
        """Returns the size of each embedding table: first those of vocabularies, then those of quantile buckets.

        Args:
            vocabulary_sizes: Rows of each vocabulary's table, including padding and OOV buckets; see
                `Run.vocabulary_sizes`.
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
        column = self.fields[field].column
        return field if column is None else column  # A column's name may be the empty text.

    def most_rejected(self, read: int | None) -> float:
        """Returns the maximum number of rejected rows; for a share it is not rounded.

        Args:
            read: Number of rows read. None: it is not known yet, so a share gives infinity.
        """
        if not 0 < self.max_rejected < 1:
            return self.max_rejected
        return math.inf if read is None else self.max_rejected * read


@dataclass(frozen=True)
class EmbeddingTable:
    """The size of an embedding table: `rows` rows of `dim` numbers; row 0 is for padding or a missing value."""

    rows: int
    dim: int
