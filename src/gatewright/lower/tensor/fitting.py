"""Designs of one program at many intervals in, what each takes out; and the shortest interval that fits a part.

A design is costed with FIFOs of which none is deeper than the deepest must be: most often no less than what it then
takes, and several times quicker than finding the least depth of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import prod

from gatewright.errors import LowerError
from gatewright.ir.ops import Conv, Dense
from gatewright.ir.program import Scan
from gatewright.ir.shapes import shapes
from gatewright.lower.build.facts import Facts
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Room
from gatewright.lower.tensor.depths import roughly_sized

_HALVINGS = 3  # of the ratio of the intervals between which the shortest one lies
_STEEPEST = 16  # by how much the interval falls at once, far from a full part
_LOOP = 100  # more cycles than any cell's step takes behind its last product
_NAMES = {"lut": "LUT", "ff": "flip-flops", "dsp": "multiplier blocks", "bram": "block RAMs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A design by its interval: cycles that were allowed for a frame, those that it takes, and its estimated cells."""

    allowed: int
    cycles: int
    lut: int
    ff: int
    dsp: int
    bram: int

    def lacks(self, room: Room) -> str:
        """Return what a part has too little of, with both numbers; nothing where the design fits."""
        needs = {name: (getattr(self, name), has) for name, has in asdict(room).items()}
        return ", ".join(f"{need:,} {_NAMES[name]} of {has:,}" for name, (need, has) in needs.items() if need > has)

    def share(self, room: Room) -> float:
        """Return the greatest share of a part's kind of cells that the design takes."""
        return max((getattr(self, name) / has for name, has in asdict(room).items() if has), default=0.0)


def point(made: Dataflow, allowed: int) -> Point:
    """Return what a design takes whose channels have no depths yet."""
    full = roughly_sized(made)
    cost = full.cost
    cells = {"lut": cost.lut, "ff": cost.ff, "dsp": cost.dsp, "bram": cost.bram}
    return Point(allowed=allowed, cycles=full.initiation_interval, **cells)


def bounds(facts: Facts, beats: int) -> tuple[int, int]:
    """Return the intervals between which designs differ: a frame's beats, and one multiplier for each layer."""
    cycles = [beats]
    for op in facts.program.ops:
        if isinstance(op, Conv | Dense):
            read, given = facts.shapes[op.source], facts.shapes[op.name]
            cycles.append(facts.program.constants[op.weight].q.size * prod(given[:-1]) + prod(read))
        if isinstance(op, Scan):
            steps, features = facts.shapes[op.source]
            units = op.emit[1] - op.emit[0]
            cycles.append(steps * (units * (features + shapes(op.body)[op.body.output][0]) + _LOOP))
    return beats, max(cycles)


def shortest(make: Callable[[int], Dataflow], ends: tuple[int, int], room: Room) -> int:
    """Return the shortest interval found whose design fits: from the longest down, as far as the part is from full.

    make: a design for the cycles that a frame may take. Raises LowerError where the longest does not fit, saying what
    the smallest design found takes.
    """
    least, most = ends
    found = point(make(most), most)
    if lacks := found.lacks(room):
        raise LowerError(
            f'no interval fits (hardware.interval = "fit"): the smallest design found, {found.cycles:,} cycles a '
            f"frame, is estimated to take {lacks}; choose a larger hardware.part, or a smaller network"
        )
    chosen, good, bad = max(found.cycles, most), max(found.cycles, least), least - 1
    while good > least and bad < least:
        tried = max(least, good // max(2, min(_STEEPEST, int(0.5 / max(found.share(room), 1e-9)))))
        fits = _try(make, tried, room)
        if fits is None:
            bad = tried
        else:
            found, good, chosen = fits, tried, tried
    for _ in range(_HALVINGS if bad >= least else 0):
        tried = int((good * bad) ** 0.5)
        if not bad < tried < good:
            break
        if _try(make, tried, room) is None:
            bad = tried
        else:
            good = chosen = tried
    return chosen


def _try(make: Callable[[int], Dataflow], allowed: int, room: Room) -> Point | None:
    """Return a design that keeps an interval and fits; None where there is none."""
    try:
        found = point(make(allowed), allowed)
    except LowerError:  # an engine that cannot be so fast
        return None
    return None if found.lacks(room) or found.cycles > allowed else found
