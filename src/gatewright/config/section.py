"""The base of every table of the configuration, and the kinds of number that several tables use.

Every number has a least and a greatest value: beyond these nothing was meant, and what reads it would fail obscurely
or never end. Texts, and the depth of tables, are bounded in `gatewright.config.plain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from gatewright.config.plain import shown

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

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would turn into a number or a truth value: "1" is a text, and true is no 1."""
        kinds = set(_leaves(cls.model_fields[str(info.field_name)].annotation))
        wanted = kinds & _WORDS.keys()
        if not wanted or kinds & {Any, object}:
            return value
        for given in _items(value):
            kind = cast("type[object]", type(given))
            turned = kind is str and not kinds - wanted - {type(None)} and _means(given)
            if turned or (kind is bool and bool not in kinds) or (kind in (int, float) and wanted == {bool}):
                right = " or ".join(word for kind, word in _WORDS.items() if kind in wanted)
                raise ValueError(f"input should be {right}, not {shown(given)}")
        return value


_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n"})  # texts that pydantic turns
_WORDS = {int: "an integer", float: "a number", bool: "true or false"}


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the types and the literals that an annotation is made of."""
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for part in inner[:1] if get_origin(annotation) is Annotated else (part for part in inner if part is not ...):
        yield from _leaves(part)


def _means(text: str) -> bool:
    """Tell whether a text reads as a number or a truth value; of others pydantic tells what is wrong."""
    try:
        float(text)
    except ValueError:
        return text.lower() in _TRUTHS
    return True


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in cast("Iterable[Any]", value):
            yield from _items(part)
    else:
        yield value
