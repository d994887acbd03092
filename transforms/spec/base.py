"""Base classes and common types of all sections of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

FLOAT32_MAX = 3.4028234663852886e38
# A number that is finite in float32, too.
Float32 = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]

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
    """Base of all sections: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
