"""Samples of a stream and a rule in, where windows begin out: at each edge, or every so many samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FormatError
from gatewright.fixedpoint import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A window around each edge of a discriminator with hysteresis.

    The trigger is armed by a sample below threshold - hysteresis, and every sample of threshold or more disarms it; one
    that finds it armed is an edge. falling: above threshold + hysteresis, and threshold or less. After reset it is not
    armed. pretrigger: samples of the window before the edge; holdoff: samples behind a window in which no edge counts,
    as none does while the window lasts, nor before `pretrigger` samples have come.
    Raises FormatError for numbers below 0.
    """

    threshold: int
    hysteresis: int = 0
    pretrigger: int = 0
    holdoff: int = 0
    falling: bool = False

    def __post_init__(self) -> None:
        for name in ("hysteresis", "pretrigger", "holdoff"):
            if getattr(self, name) < 0:
                raise FormatError(f"a trigger's {name} must be 0 or more, not {getattr(self, name)}")

    @property
    def rearm(self) -> int:
        """The last code that does not arm: beyond it, on the quiet side, the trigger is armed."""
        return self.threshold + self.hysteresis if self.falling else self.threshold - self.hysteresis


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A window every `stride` samples, the first one from sample `first` on. Raises FormatError for others."""

    stride: int
    first: int = 0

    def __post_init__(self) -> None:
        if self.stride < 1 or self.first < 0:
            raise FormatError(f"windows need a stride of 1 or more and a first sample, not {self.stride}, {self.first}")


Starts = Edge | Every


def edges(samples: NDArray[Any], edge: Edge) -> NDArray[np.bool_]:
    """Return which samples are edges, each row a stream from its reset on: (..., samples) -> the same shape."""
    if edge.falling:
        over, quiet = samples <= edge.threshold, samples > edge.rearm
    else:
        over, quiet = samples >= edge.threshold, samples < edge.rearm
    place = np.arange(1, samples.shape[-1] + 1)
    armed_at, disarmed_at = (np.maximum.accumulate(np.where(those, place, 0), axis=-1) for those in (quiet, over))
    armed = armed_at > disarmed_at
    found = np.zeros(samples.shape, dtype=np.bool_)
    found[..., 1:] = over[..., 1:] & armed[..., :-1]
    return found


def starts(samples: Ints, rule: Starts, length: int, read: int = 0) -> Ints:
    """Return where windows of `length` samples begin in a stream: (samples,) -> (windows,).

    read: samples of each that must have come, the first ones; 0: all.
    """
    read = read or length
    match rule:
        case Every():
            return np.arange(rule.first, len(samples) - read + 1, rule.stride, dtype=np.int64)
        case Edge():
            found: list[int] = []
            free = rule.pretrigger
            for place in np.flatnonzero(edges(samples, rule)).tolist():
                if place >= free:
                    found.append(place - rule.pretrigger)
                    free = place - rule.pretrigger + length + rule.holdoff
            whole = [start for start in found if start + read <= len(samples)]
            return np.array(whole, dtype=np.int64)
        case _:
            assert_never(rule)


def first_windows(records: NDArray[Any], edge: Edge, length: int) -> Ints:
    """Return where the first window of each record begins, -1 where there is no whole one: (n, samples) -> (n,)."""
    found = edges(records, edge)
    found[:, : edge.pretrigger] = False
    first = found.argmax(axis=1).astype(np.int64) - edge.pretrigger
    missing = ~found.any(axis=1) | (first + length > records.shape[1])
    return np.where(missing, -1, first)
