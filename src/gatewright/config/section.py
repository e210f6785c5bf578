"""The base of every table of the configuration, and the kinds of number that several tables use.

Every number has a least and a greatest value: beyond these nothing was meant, and what reads it would fail obscurely
or never end. Texts, and the depth of tables, are bounded in `gatewright.config.plain`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
"""A threshold, a scale: any value that a real quantity has."""
Weight = Annotated[float, Field(ge=0.0, le=1e6)]
"""What a term of a loss, or a noise, is multiplied by."""
Cost = Annotated[float, Field(ge=0.0, le=1e12)]
"""LUTs, or nanoseconds."""
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""What all generators of random numbers take: NumPy's, torch's, scikit-learn's, nextpnr's."""
Size = Annotated[int, Field(ge=1, le=65_536)]
"""Neurons of a layer, or weights of a block."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""How many of something, 0 included."""
Most = Annotated[int, Field(ge=1, le=1_000_000)]
"""How many of what takes time each: epochs, trials."""
LAYERS = 64  # of a network, at most


class Section(BaseModel):
    """Base of every table of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
