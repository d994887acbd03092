"""The section `fields`: each type of field overrides the properties of `AnyField` in which it differs.

Code that needs TensorFlow or Arrow is in `transforms.preprocessing` and `pipeline.rows.checks`.
"""

from typing import Annotated, TypeVar

from pydantic import Field

from .any_field import AnyField
from .derivations import Age, Cross, Derivation, Match, MissingIndicator, Ratio, RawForm, TimePart, Words
from .numeric_field import Boundaries, NumericField, Quantiles
from .vector_field import VectorField
from .vocabulary_fields import CategoricalField, ListForm, MultivaluedField, TokenPolicy, VocabularyField

FieldType = TypeVar("FieldType", CategoricalField, MultivaluedField, NumericField, VectorField)
FieldSpec = Annotated[CategoricalField | MultivaluedField | NumericField | VectorField, Field(discriminator="type")]

__all__ = [
    "Age",
    "AnyField",
    "Boundaries",
    "CategoricalField",
    "Cross",
    "Derivation",
    "FieldSpec",
    "FieldType",
    "ListForm",
    "Match",
    "MissingIndicator",
    "MultivaluedField",
    "NumericField",
    "Quantiles",
    "Ratio",
    "RawForm",
    "TimePart",
    "TokenPolicy",
    "VectorField",
    "VocabularyField",
    "Words",
]
