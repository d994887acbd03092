"""What the sections of a spec share: strictness, names and shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

# A name becomes a feature name, a TensorFlow scope and the name of an asset file.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class NamedEntries(BaseModel):
    """Base of what is read from files: an entry under an old name is refused, and the error gives the new name."""

    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_names(cls, data: Any) -> Any:
        for old, new in cls.renamed.items():
            if isinstance(data, dict) and old in data:
                raise ValueError(f"`{old}` is now called `{new}`; rename it")
        return data


class Strict(NamedEntries):
    """Base of all sections: refuses unknown keys and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
