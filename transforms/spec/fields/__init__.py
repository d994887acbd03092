"""The section `fields`: each type of field overrides the properties of `AnyField` in which it differs.

Code that needs TensorFlow or Arrow is in `transforms.preprocessing` and `pipeline.rows.checks`.
"""

from typing import Annotated, TypeVar

from pydantic import Field

from .any_field import AnyField, RawForm
from .numeric_field import NumericField, Quantiles
from .vocabulary_fields import CategoricalField, ListForm, MultivaluedField, TokenPolicy, VocabularyField

FieldType = TypeVar("FieldType", CategoricalField, MultivaluedField, NumericField)
FieldSpec = Annotated[CategoricalField | MultivaluedField | NumericField, Field(discriminator="type")]

__all__ = [
    "AnyField",
    "CategoricalField",
    "FieldSpec",
    "FieldType",
    "ListForm",
    "MultivaluedField",
    "NumericField",
    "Quantiles",
    "RawForm",
    "TokenPolicy",
    "VocabularyField",
]
