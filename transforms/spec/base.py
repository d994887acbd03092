"""Base classes and common types of all sections of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

FLOAT32_MAX = 3.4028234663852886e38
INT32_MAX = 2**31 - 1


def _refuse_boolean(value: Any) -> Any:
    """Refuses a boolean, which pydantic would take as 0 or 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("boolean_as_number", "expected a number")
    return value


NotBoolean = BeforeValidator(_refuse_boolean)

# The types of all numbers. Sizes and steps fit in an int32, other numbers in a float32.
PositiveInt = Annotated[int, Field(ge=1, le=INT32_MAX), NotBoolean]
NonNegativeInt = Annotated[int, Field(ge=0, le=INT32_MAX), NotBoolean]
Fraction = Annotated[float, Field(ge=0.0, le=1.0), NotBoolean]
Float32 = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX), NotBoolean]
PositiveFloat32 = Annotated[float, Field(gt=0, le=FLOAT32_MAX), NotBoolean]
NonNegativeFloat32 = Annotated[float, Field(ge=0, le=FLOAT32_MAX), NotBoolean]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), NotBoolean]
Boundary = Annotated[float, Field(allow_inf_nan=True), NotBoolean]

# Names are used as feature names, TensorFlow scopes and names of asset files.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class NamedEntries(BaseModel):
    """Base of models that are read from files: rejects entries under an old name, with an error that gives the new one.

    A subclass maps its old names to the new ones in `renamed`.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_names(cls, data: Any) -> Any:
        for old, new in cls.renamed.items():
            if isinstance(data, dict) and old in data:
                raise ValueError(f"`{old}` is now called `{new}`; rename it")
        return data


class Strict(NamedEntries):
    """Base of all sections: immutable; unknown keys, infinite numbers and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)
