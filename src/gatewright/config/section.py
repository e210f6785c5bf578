"""The base of every table of the configuration, and the kinds of number that several tables use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """Base of every table of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
