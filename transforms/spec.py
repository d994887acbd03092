"""The spec: what a user declares about a click log, in YAML or Python.

A `Spec` names the key, the label, the split, the fields with their vocabularies, and the settings of
model and training. Pydantic validates it; unknown keys are refused. docs/spec.md explains every entry.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator

from .strict import Fraction, Strict
from .tolerance_spec import Check, Limits
from .training_spec import Evaluation, Model, Train

SPLITS = ("train", "eval", "test")

# A name becomes a feature name, a TensorFlow scope and the name of an asset file.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

_PERCENTILE = re.compile(r"^p(\d{1,2}(\.\d+)?|100)$")


# -- source ------------------------------------------------------------------------------------------


class Source(Strict):
    """How the raw files are read. Everything has a default that fits a plain CSV or Parquet file."""

    format: Literal["auto", "csv", "jsonl", "parquet", "tfrecord"] = Field(
        "auto",
        description="auto: by file extension (.csv .tsv .jsonl .json .parquet .tfrecord, each with .gz).",
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="CSV only. Default: tab for .tsv, comma otherwise."
    )
    header: bool = Field(True, description="CSV only: whether the first line names the columns.")
    columns: list[str] | None = Field(
        None, description="CSV only: the column names, in order; needed when there is no header."
    )
    null_values: list[str] = Field(
        default=[""], description="CSV only: texts that mean 'no value', besides the empty text."
    )

    @model_validator(mode="after")
    def _columns_without_header(self) -> Source:
        if not self.header and self.columns is None:
            raise ValueError("a file without a header needs its column names: add `columns: [first, second, …]`")
        if self.columns and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        return self


# -- label and split ---------------------------------------------------------------------------------


class Label(Strict):
    """The column to predict; its values must be 0 or 1."""

    field: str = Field(description="The label's column.")


class _Fractions(Strict):
    train: Fraction = Field(0.8, gt=0.0)
    eval: Fraction = 0.1
    test: Fraction = 0.1

    @model_validator(mode="after")
    def _sum_to_one(self) -> _Fractions:
        total = self.train + self.eval + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + eval + test must be 1, found {total:g}")
        return self


class ColumnSplit(Strict):
    """A column says which split a row belongs to."""

    column: str
    train: list[str] = Field(default=["train"], description="Values that mean the train split.")
    eval: list[str] = Field(default=["eval"], description="Values that mean the eval split.")
    test: list[str] = Field(default=["test"], description="Values that mean the test split.")


class FilePatterns(Strict):
    """Shell patterns (`*`, `?`), matched against the name of each input file."""

    train: str
    eval: str | None = None
    test: str | None = None


class FileSplit(Strict):
    """The file that a row comes from says its split: one file-name pattern a split."""

    files: FilePatterns


class HashSplit(_Fractions):
    """Rows with one value of `hash` (a user, say) all go to one split, by a stable hash of that value."""

    hash: str = Field(description="The column that is hashed.")
    salt: str = Field("", description="Change it for another split of the same data.")


class TimeSplit(_Fractions):
    """Oldest rows train, newest test. Rows of one instant stay together.

    The boundaries are given (`eval_from`, `test_from`), or found from the fractions by counting the
    distinct times: that count is held in memory, so a log with more than about 100 million distinct
    times wants given boundaries.
    """

    time: str = Field(description="The column with the time: a number, a timestamp or ISO 8601 text.")
    eval_from: float | str | None = Field(None, description="First time of the eval split.")
    test_from: float | str | None = Field(None, description="First time of the test split.")

    @model_validator(mode="before")
    @classmethod
    def _iso_times(cls, data: Any) -> Any:
        # YAML reads 2024-01-31 as a date; the spec keeps its text.
        if isinstance(data, dict):
            return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in data.items()}
        return data

    @model_validator(mode="after")
    def _both_or_none(self) -> TimeSplit:
        if (self.eval_from is None) != (self.test_from is None):
            raise ValueError("give both `eval_from` and `test_from`, or neither")
        return self


def _kind_of_split(split: Any) -> str | None:
    keys = split if isinstance(split, dict) else type(split).model_fields if isinstance(split, BaseModel) else ()
    return next((kind for kind in ("column", "files", "hash", "time") if kind in keys), None)


Split = Annotated[
    Annotated[ColumnSplit, Tag("column")]
    | Annotated[FileSplit, Tag("files")]
    | Annotated[HashSplit, Tag("hash")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(
        _kind_of_split,
        custom_error_type="split_kind",
        custom_error_message="expected one of `column:`, `files:`, `hash:` or `time:`, such as {column: split}",
    ),
]


# -- vocabularies and fields -------------------------------------------------------------------------


class Vocabulary(Strict):
    """Settings of one vocabulary. Id 0 is padding, 1..num_oov are OOV buckets, then the tokens."""

    min_count: int = Field(1, ge=1, description="Tokens seen less often in train become OOV.")
    top_k: int | None = Field(None, ge=1, description="Keep only this many of the most frequent tokens.")
    num_oov: int = Field(1, ge=1, description="OOV buckets; an unseen token goes to one by its hash.")
    dim: int | None = Field(None, ge=1, description="Embedding dimension; default: model.embedding_dim.")


class TokenPolicy(Strict):
    """Puts this token where a value is missing or a list is empty; it is counted like any other."""

    token: str = Field(min_length=1)


class _VocabularyField(Strict):
    column: str | None = Field(None, description="The raw column; default: the field's own name.")
    vocabulary: Name | None = Field(None, description="A vocabulary's name, to share it; default: one's own.")
    min_count: int | None = Field(None, ge=1, description="See vocabularies.")
    top_k: int | None = Field(None, ge=1, description="See vocabularies.")
    num_oov: int | None = Field(None, ge=1, description="See vocabularies.")
    dim: int | None = Field(None, ge=1, description="See vocabularies.")
    text: Literal["bytes", "utf8"] = Field(
        "bytes",
        description="bytes: any bytes are a token; utf8: a row with a value that is not valid UTF-8 is refused.",
    )

    def vocabulary_settings(self) -> dict[str, Any]:
        """Returns the vocabulary settings that were given on the field itself."""
        given = {k: getattr(self, k) for k in ("min_count", "top_k", "num_oov", "dim")}
        return {k: v for k, v in given.items() if v is not None}


class CategoricalField(_VocabularyField):
    """One value a row. Encoded as int64 `[batch]`."""

    type: Literal["categorical"]
    missing: Literal["pad", "oov", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: id 0, contributes nothing; oov: the first OOV bucket; {token: X}: a token of its "
        "own; reject: the row is refused.",
    )


class MultivaluedField(_VocabularyField):
    """A list of values a row. Encoded as int64 `[batch, max_len]`, padded with 0 at the end."""

    type: Literal["multivalued"]
    separator: str | None = Field(
        None, min_length=1, description="How lists are written in one text; real list columns ignore it."
    )
    max_len: int | str = Field(
        "auto", description="A length; auto: the longest list in train; p99: that percentile of the lengths."
    )
    keep: Literal["first", "last"] = Field("first", description="Which end of a longer list is kept.")
    empty: Literal["pad", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: all zeros, the pool gives zeros; {token: X}: a list of that one token; reject.",
    )
    weights: str | None = Field(
        None, description="A column with one number for each value (a parallel list); scales it in the pool."
    )
    pooling: Literal["mean", "sum", "sqrtn", "max"] = Field("mean", description="How a bag becomes one vector.")

    @field_validator("max_len")
    @classmethod
    def _max_len(cls, value: int | str) -> int | str:
        if isinstance(value, int):
            if not 1 <= value <= 100_000:
                raise ValueError(f"expected a length from 1 to 100000, found {value}")
        elif value != "auto" and not _PERCENTILE.match(value):
            raise ValueError(f"expected a length, `auto`, or a percentile such as `p99`; found {value!r}")
        return value

    @model_validator(mode="after")
    def _weights_need_a_sum(self) -> MultivaluedField:
        if self.weights and self.pooling == "max":
            raise ValueError("`weights` has no meaning for `pooling: max`; use mean, sum or sqrtn")
        return self


class Quantiles(Strict):
    """Buckets of equal frequency in train; the field is then embedded by its bucket."""

    quantiles: int = Field(ge=2, le=10_000)


class NumericField(Strict):
    """One number a row. Encoded as float32 `[batch]`, or, in quantile buckets, as int64 `[batch]`.

    zscore: (x − mean) / standard deviation; minmax: to [0, 1]; log1p: sign(x)·ln(1 + |x|). Statistics
    come from the present values of the train split.
    """

    type: Literal["numeric"]
    column: str | None = Field(None, description="The raw column; default: the field's own name.")
    scale: Literal["zscore", "minmax", "log1p", "none"] | Quantiles = "zscore"
    missing: Literal["mean", "reject"] | float = Field(
        "mean",
        description="mean: the train mean; a number: that number (before scaling); reject. In "
        "quantile buckets a missing number has id 0, whatever stands here but reject.",
    )
    dim: int | None = Field(None, ge=1, description="Quantile buckets only: embedding dimension.")


FieldType = TypeVar("FieldType", CategoricalField, MultivaluedField, NumericField)
FieldSpec = Annotated[CategoricalField | MultivaluedField | NumericField, Field(discriminator="type")]


# -- the whole ---------------------------------------------------------------------------------------


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
            if isinstance(field, _VocabularyField) and field.vocabulary_settings():
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
            if isinstance(field, MultivaluedField) and field.weights:
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
            if self.model.exact_fm and isinstance(field, MultivaluedField) and field.pooling == "max":
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
            if not isinstance(self.fields.get(name), _VocabularyField):
                raise ValueError(
                    f"evaluation.slices: expected fields that are categorical or multivalued, found {name!r}"
                )
        if stopping and stopping.metric == "gauc" and not gauc_by:
            raise ValueError(
                "train.early_stopping.metric: `gauc` needs its groups: add `evaluation: {gauc_by: user_id}`"
            )
        return self

    # -- derived: one place where defaults are worked out --

    def fields_of(self, kind: type[FieldType]) -> dict[str, FieldType]:
        """Returns the fields of one type, in the order of `fields`."""
        return {name: field for name, field in self.fields.items() if isinstance(field, kind)}

    def vocabulary_fields(self) -> dict[str, list[str]]:
        """Returns the fields of each vocabulary, both in the order of `fields`."""
        users: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            if isinstance(field, _VocabularyField):
                users.setdefault(field.vocabulary or name, []).append(name)
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
                field = self.fields[user]
                assert isinstance(field, _VocabularyField)
                settings |= field.vocabulary_settings()
            result[vocabulary] = Vocabulary(**settings)
        return result

    def vocabulary_of(self, field: str) -> str:
        """Returns the name of the vocabulary of a categorical or multivalued field."""
        spec = self.fields[field]
        assert isinstance(spec, _VocabularyField)
        return spec.vocabulary or field

    def column_of(self, field: str) -> str:
        """Returns the raw column of a field."""
        return self.fields[field].column or field


# The key and the label stand under these names in examples, whatever their raw columns are called.
KEY_FEATURE = "key"
LABEL_FEATURE = "label"


def weights_feature(field: str) -> str:
    """Returns the name of the feature with a multivalued field's weights."""
    return f"{field}_weights"
