"""What a spec reads: columns of fields, and what derived fields read, other fields or columns for them alone.

The functions take the `Spec`; they are not methods because few callers need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from .base import Strict
from .fields import AnyField, Cross, Match, RawForm, VocabularyField
from .split import ColumnSplit, HashSplit, TimeSplit
from .times import TimeUnit, check_format

if TYPE_CHECKING:
    from .spec import Spec

# A missing time, in microseconds since 1970: the smallest int64.
MISSING_TIME = -(2**63)


class TimeColumn(Strict):
    """How a column of times is read; without an entry, numbers have the unit that their size shows."""

    unit: TimeUnit = Field(
        "auto", description="The unit of numbers: `s`, `ms`, `us` or `ns` since 1970, or `date` (YYYYMMDD)."
    )
    format: str | None = Field(
        None, description='The format of texts, in the words of Python\'s strptime: "%d.%m.%Y %H:%M".'
    )

    @field_validator("unit")
    @classmethod
    def _is_time(cls, unit: TimeUnit) -> TimeUnit:
        if unit == "number":
            raise ValueError("expected a unit of times (s, ms, us, ns or date), found 'number'")
        return unit

    @field_validator("format")
    @classmethod
    def _is_format(cls, time_format: str | None) -> str | None:
        if time_format is not None:
            check_format(time_format)
        return time_format


@dataclass(frozen=True)
class SourceInput:
    """A column that is read only for derived fields.

    Attributes:
        column: The column, or path.
        form: One token, one number, or one time, as microseconds since 1970, in UTC.
    """

    column: str
    form: RawForm | Literal["time"]


def time_feature(column: str) -> str:
    """Returns the name of the input with the times of a column: int64, microseconds since 1970, in UTC."""
    return f"{column}_us"


def source_inputs(spec: Spec) -> dict[str, SourceInput]:
    """Returns the inputs of derived fields that are not fields, by name, each once."""
    found: dict[str, SourceInput] = {}
    for field in spec.fields.values():
        if field.derivation is None:
            continue
        form: RawForm = "number" if field.raw == "number" else "token"
        columns = [name for name in field.derivation.fields_or_columns() if name not in spec.fields]
        found |= {column: SourceInput(column, form) for column in columns}
        found |= {time_feature(column): SourceInput(column, "time") for column in field.derivation.times()}
    return found


def read_fields(spec: Spec, *, requests: bool = False) -> Mapping[str, AnyField]:
    """Returns the fields that are read from a column, of all rows or of `requests`; the others are derived.

    Requests do not have the fields in `train_only`.
    """
    without = spec.train_only if requests else ()
    return {name: field for name, field in spec.fields.items() if field.derivation is None and name not in without}


def raw_columns(spec: Spec, *, label: bool = True, split: bool = True) -> list[str]:
    """Returns the columns that the spec reads, each once; with or without those of the label and the split.

    Without the split, rows are those of requests: the fields in `train_only` are not read.
    """
    of_label, of_split = spec.label.columns if label else [], split_columns(spec) if split else []
    of_sample = sample_columns(spec) if label and split else []
    of_fields = [*_field_columns(spec, requests=not split), *spec.carry.values()]
    return _each_once([*spec.key_columns.values(), *of_label, *of_split, *of_sample, *of_fields])


def feature_columns(spec: Spec) -> list[str]:
    """Returns the columns that a prediction reads, each once: not those of label, split, sample and `train_only`."""
    return _each_once([*spec.key_columns.values(), *_field_columns(spec, requests=True), *spec.carry.values()])


def split_columns(spec: Spec) -> list[str]:
    """Returns the columns that the split reads."""
    split = spec.split
    if isinstance(split, ColumnSplit):
        return [split.column]
    if isinstance(split, HashSplit):
        return split.columns
    return [split.time] if isinstance(split, TimeSplit) else []


def sample_columns(spec: Spec) -> list[str]:
    """Returns the columns that the sample reads."""
    return [] if spec.sample is None or spec.sample.by is None else [spec.sample.by]


def vector_files(spec: Spec) -> dict[str, str]:
    """Returns the file of pretrained vectors of each vocabulary that has one."""
    settings = spec.resolved_vocabularies()
    return {name: of_name.vectors for name, of_name in settings.items() if of_name.vectors is not None}


def with_vectors(spec: Spec, settings: Mapping[str, Mapping[str, Any]]) -> Spec:
    """Returns a spec with other settings of vocabularies that have `vectors`; they may be set on fields."""
    sections: dict[str, dict[str, Any]] = {"vocabularies": dict(spec.vocabularies), "fields": dict(spec.fields)}
    for section in sections.values():
        for name, entry in section.items():
            if getattr(entry, "vectors", None) is not None:
                own = entry.vocabulary or name if isinstance(entry, VocabularyField) else name
                section[name] = entry.model_copy(update=settings.get(own, {}))
    return spec.model_copy(update={name: section for name, section in sections.items() if section})


def _field_columns(spec: Spec, *, requests: bool) -> list[str | None]:
    fields = read_fields(spec, requests=requests)
    found = [column for name, of in fields.items() for column in (spec.column_of(name), getattr(of, "weights", None))]
    return [*found, *(source.column for source in source_inputs(spec).values())]


def _each_once(columns: Iterable[str | None]) -> list[str]:
    return [column for column in dict.fromkeys(columns) if column is not None]


def changes_values(spec: Spec) -> bool:
    """Returns whether a field has values that are computed in the graph: a derived, normalized or limited one."""
    return any(field.changes_values for field in spec.fields.values())


def of_changed_values(spec: Spec) -> Spec:
    """Returns a spec with only the fields whose values are computed in the graph, and those that they read."""
    wanted = {name for name, field in spec.fields.items() if field.changes_values}
    for name in reversed(in_order(spec)):
        derivation = spec.fields[name].derivation
        if name in wanted and derivation is not None:
            wanted |= {*derivation.fields(), *derivation.fields_or_columns()}
    fields = {name: field for name, field in spec.fields.items() if name in wanted}
    return spec.model_copy(update={"fields": fields, "key": None, "carry": {}, "train_only": {}})


def is_hashed_cross(spec: Spec, name: str) -> bool:
    """Returns whether a field is a cross with `hash_buckets`, whose values have ids but no tokens."""
    return isinstance(spec.fields[name].derivation, Cross) and (
        spec.vocabulary_settings_of(name).hash_buckets is not None
    )


def time_column(spec: Spec, column: str) -> TimeColumn:
    """Returns how a column of times is read: as `times` says, or else as the split reads it."""
    if column in spec.times:
        return spec.times[column]
    split = spec.split
    if isinstance(split, TimeSplit) and split.time == column and split.time_unit != "number":
        return TimeColumn(unit=split.time_unit, format=split.time_format)
    return TimeColumn()


def in_order(spec: Spec) -> list[str]:
    """Returns the names of the derived fields, each one behind those that it reads.

    Raises:
        ValueError: a field needs its own values.
    """
    ordered: list[str] = []

    def add(name: str, path: tuple[str, ...]) -> None:
        derivation = spec.fields[name].derivation if name in spec.fields else None
        if derivation is None or name in ordered:
            return
        if name in path:
            raise ValueError(f"fields.{name}.from: needs its own values ({' ← '.join([*path, name])})")
        for source in [*derivation.fields(), *derivation.fields_or_columns()]:
            add(source, (*path, name))
        ordered.append(name)

    for name in spec.fields:
        add(name, ())
    return ordered


def check_derivations(spec: Spec) -> None:
    """Checks that derived fields read fields and columns of the right kind.

    Raises:
        ValueError: one of them does not, or an entry of `times` is not used.
    """
    for name, field in spec.fields.items():
        if field.derivation is not None:
            _check(name, field, spec)
    in_order(spec)
    forms: dict[str, str] = {}
    for field in spec.fields.values():
        for column in [] if field.derivation is None else field.derivation.fields_or_columns():
            if column not in spec.fields and forms.setdefault(column, field.raw) != field.raw:
                raise ValueError(f"fields: {column!r} is read as a text and as a number; make one of them a field")
    used = {source.column for source in source_inputs(spec).values() if source.form == "time"}
    for column in spec.times:
        if column not in used:
            raise ValueError(
                f"times.{column}: no field is derived from this time; remove it, or add a field such as "
                f"`hour: {{type: categorical, from: {{time: {column}, part: hour}}}}`"
            )


def _check(name: str, field: AnyField, spec: Spec) -> None:
    """Raises ValueError if a derived field reads the wrong fields or columns."""
    derivation, entry = field.derivation, f"fields.{name}.from"
    assert derivation is not None
    for source in derivation.fields():
        if source not in spec.fields:
            raise ValueError(f"{entry}: expected the name of a field ({', '.join(spec.fields)}), found {source!r}")
    tokens = derivation.fields() if isinstance(derivation, Cross | Match) else []
    for source in tokens:
        if not spec.fields[source].has_vocabulary:
            kind = spec.fields[source].type
            raise ValueError(f"{entry}: expected categorical or multivalued fields, found {source!r}, which is {kind}")
        if is_hashed_cross(spec, source):
            raise ValueError(f"{entry}: expected fields with tokens, found {source!r}, a cross with `hash_buckets`")
    if isinstance(derivation, Cross):
        has_lists = any(spec.fields[source].is_list for source in tokens)
        if has_lists != field.is_list:
            expected = "multivalued, because one of the crossed fields is" if has_lists else "categorical"
            raise ValueError(f"{entry}: the values are {expected}; change `type`")
    if isinstance(derivation, Match) and not spec.fields[tokens[1]].is_list:
        raise ValueError(f"{entry}.match: expected a multivalued field to look in, found {tokens[1]!r}")
    form = "number" if field.raw == "number" else "token"
    for source in derivation.fields_or_columns():
        if source in spec.fields and spec.fields[source].raw != form:
            expected = "numeric" if form == "number" else "categorical"
            raise ValueError(f"{entry}: expected a {expected} field or a column, found the field {source!r}")
    columns = [*derivation.times(), *(c for c in derivation.fields_or_columns() if c not in spec.fields)]
    if spec.label.field in columns:
        raise ValueError(
            f"{entry}: reads the label's column {spec.label.field!r}, so the model would predict the label from itself"
        )


def check_exploded(spec: Spec) -> None:
    """Raises ValueError if the spec reads the column that exploded rows do not have."""
    explode = spec.source.explode
    if explode is None or explode.column in explode.groups:
        return
    read: dict[str, str | list[str] | None] = {
        "key": spec.key,
        "carry": list(spec.carry.values()),
        "label.field": spec.label.field,
        "sample.by": spec.sample.by if spec.sample else None,
        "label.weight": spec.label.weight,
    }
    read |= {f"split.{kind}": getattr(spec.split, kind, None) for kind in ("column", "hash", "time")}
    for name, field in read_fields(spec).items():
        weights = getattr(field, "weights", None)
        read |= {f"fields.{name}": spec.column_of(name), f"fields.{name}.weights": weights}
    for entry, columns in read.items():
        if explode.column in (columns if isinstance(columns, list) else [columns]):
            raise ValueError(
                f"{entry}: expected a column of exploded rows, which have {', '.join(explode.groups)} in place of "
                f"{explode.column!r} (source.explode), found {explode.column!r}"
            )
