"""What the sections of a spec have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Strict(BaseModel):
    """Refuses unknown keys, and never changes once made."""

    model_config = ConfigDict(extra="forbid", frozen=True)
