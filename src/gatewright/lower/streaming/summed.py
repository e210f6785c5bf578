"""Summed: a unit that computes a dense layer of values that come in beats, with weights from a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.plan import Accumulator, FoldedLayer, Interval, Multiplier, multiplier_of, simulate
from gatewright.lower.folded.planned import (
    Planned,
    accumulate_ns,
    bits_of,
    multiply_ns,
    products_cost,
    weights_cost,
)
from gatewright.lower.stream import Port
from gatewright.lower.streaming.rule import Counted, Rule


@dataclass(frozen=True, kw_only=True)
class Summed(Planned, Counted):
    """takes: a stream of beats; gives: one beat of all outputs, after a frame's last.

    A beat takes `steps` cycles: its lanes stand in shift registers of that many, of which each shows one to the
    multipliers of its slot. plan: all of a frame's steps as one group, slots without number, inputs in the order of
    the stream. A result of the program is an output of the plan << up.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    steps: int
    up: int

    def counted(self) -> Rule:
        """Return the rule. The step with a frame's last beat starts the result."""
        beats = self.takes[0].stream.beats
        emits = (False,) * (beats - 1) + (True,)
        return Rule(steps=beats, emits=emits, latency_cycles=2 + self.tree_cycles + self.steps, rest=self.steps)

    @property
    def slots(self) -> dict[int, tuple[int, ...]]:
        """For each shift register the lanes that it holds, the first one shown first."""
        lanes = len(self.takes[0].lanes)
        used = {multiplier.slot for multiplier in self.plan.multipliers}
        return {slot: tuple(range(slot * self.steps, min((slot + 1) * self.steps, lanes))) for slot in sorted(used)}

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        return (simulate(self.plan, given.reshape(len(given), -1))[:, None],)

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that a weight reads in some beat."""
        read = {
            i
            for multiplier in self.plan.multipliers
            for i, w in zip(multiplier.reads, multiplier.weights, strict=True)
            if w
        }
        lanes = len(self.takes[0].lanes)
        return (tuple(sorted({i % lanes for i in read})),)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: shift registers, weights, products, adder tree, accumulators."""
        plan, small = self.plan, not delays(family).ternary
        total = weights_cost(plan, 1, family) + products_cost(plan, family) + self.tree_cost(family)
        lanes = self.takes[0].lanes
        held = sum(bits_of((lanes[i].lo, lanes[i].hi)) for places in self.slots.values() for i in places)
        total += Cost(ff=held, lut=held if self.steps > 1 else 0)
        widths = sum(bits_of((min(lo, -1), hi)) for lo, hi in plan.totals)
        counter = 2 * plan.cycles.bit_length() + 4
        total += Cost(lut=widths * (2 if small else 1) + counter, ff=widths + counter + self.tree_cycles + 4)
        return total + Cost(adders=len(plan.accumulators))

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        longest = max(accumulate_ns(self.plan, family), multiply_ns(self.plan, family))
        return max(round(delays(family).register_ns + longest, 4), self.tree_ns(family))


def steps_of(lanes: int, cycles: int) -> int:
    """Return in how many steps a beat is taken where there are so many cycles for it: the fewest multipliers."""
    at_once = -(-lanes // min(max(cycles, 1), lanes))
    return -(-lanes // at_once)


def summed_plan(
    layer: str, matrix: Ints, bias: Ints, inputs: tuple[Interval, ...], *, lanes: int, steps: int, dsp: bool
) -> FoldedLayer:
    """Return the timetable of a dense layer whose inputs come `lanes` at a time, each taken in `steps` steps.

    matrix: (inputs, outputs), inputs in the order of the stream; bias: (outputs,).
    """
    live = [int(j) for j in np.flatnonzero(matrix.any(axis=0))]
    count = len(inputs) // lanes
    accumulators: list[Accumulator] = []
    for j in live:
        multipliers: list[Multiplier] = []
        for slot in range(-(-lanes // steps)):
            places = [slot * steps + s if slot * steps + s < lanes else -1 for s in range(steps)]
            reads = [beat * lanes + place if place >= 0 else -1 for beat in range(count) for place in places]
            weights = [int(matrix[i, j]) if i >= 0 else 0 for i in reads]
            if any(weights):
                multipliers.append(multiplier_of(slot, reads, weights, dsp))
        accumulators.append(Accumulator(outputs=(j,), biases=(int(bias[j]),), multipliers=tuple(multipliers)))
    return FoldedLayer(
        layer=layer,
        inputs=inputs,
        outputs=len(bias),
        groups=(count * steps,),
        accumulators=tuple(accumulators),
        constants={j: int(bias[j]) for j in range(len(bias)) if j not in set(live)},
        gather=False,
        dsp=dsp,
    )
