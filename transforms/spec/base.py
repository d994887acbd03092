"""What the sections of a spec share: strictness, names and shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

# A name becomes a feature name, a TensorFlow scope and the name of an asset file.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Strict(BaseModel):
    """Base of all sections: refuses unknown keys and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
