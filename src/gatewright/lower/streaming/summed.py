"""Summed: a unit that computes a dense layer of values that come in beats, with weights from a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.plan import (
    BLOCK_DEPTH,
    Accumulator,
    FoldedLayer,
    Interval,
    Multiplier,
    multiplier_of,
    simulate,
)
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Port, Rigid
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Summed:
    """takes: a stream of beats; gives: one beat of all outputs, after a frame's last.

    A beat takes `steps` cycles: its lanes stand in shift registers of that many, of which each shows one to the
    multipliers of its slot. plan: all of a frame's steps as one group, slots without number, inputs in the order of
    the stream. A result of the program is an output of the plan << up.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    plan: FoldedLayer
    steps: int
    up: int
    tree: Circuit | None
    schedule: Schedule | None

    @property
    def tree_cycles(self) -> int:
        """Register stages of the adder tree."""
        return self.schedule.latency_cycles if self.schedule else 0

    @property
    def rule(self) -> Rule:
        """The step with a frame's last beat starts the result."""
        beats = self.takes[0].stream.beats
        emits = (False,) * (beats - 1) + (True,)
        return Rule(steps=beats, emits=emits, latency_cycles=2 + self.tree_cycles + self.steps, rest=self.steps)

    @property
    def timing(self) -> Rigid:
        """Cycles from a frame's last beat to the result, and of a whole frame."""
        return Rigid(latency_cycles=self.rule.latency_cycles, initiation_interval=self.rule.interval)

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

    @property
    def multipliers(self) -> int:
        """Multipliers that products share in time."""
        return len(self.plan.multipliers)

    @property
    def dsp(self) -> bool:
        """Whether products belong into DSP blocks."""
        return self.plan.dsp

    @property
    def start_cost(self) -> Cost:
        """The registers of a start; its own timetable holds them."""
        return Cost()

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: shift registers, weights, products, adder tree, accumulators."""
        plan, small = self.plan, not delays(family).ternary
        word = sum(multiplier.weight_bits for multiplier in plan.multipliers) + 1
        block = plan.cycles >= BLOCK_DEPTH
        total = Cost(bram=-(-word // 36) * -(-plan.cycles // 512)) if block else Cost(ff=word)
        total += Cost(lut=0 if block else word * -(-plan.cycles // (16 if small else 64)))
        lanes = self.takes[0].lanes
        held = sum(_bits((lanes[i].lo, lanes[i].hi)) for places in self.slots.values() for i in places)
        total += Cost(ff=held, lut=held if self.steps > 1 else 0)
        for multiplier in plan.multipliers:
            total += Cost(dsp=1) if plan.dsp else Cost()
            for digit in () if plan.dsp else multiplier.digits:
                lo, hi = plan.products(multiplier, digit)
                product = _bits((int(lo.min()), int(hi.max())))
                sites = product if digit.width == 1 else product * (2 if small else 1) + 3
                total += Cost(lut=sites, ff=product)
        widths = sum(_bits((min(lo, -1), hi)) for lo, hi in plan.totals)
        counter = 2 * plan.cycles.bit_length() + 4
        total += Cost(lut=widths * (2 if small else 1) + counter, ff=widths + counter + self.tree_cycles + 4)
        total += Cost(adders=len(plan.accumulators))
        if self.tree and self.schedule:
            total += circuit_cost(self.tree, self.schedule, family)
        return total

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        model, plan = delays(family), self.plan
        widest = max((_bits((min(lo, -1), hi)) for lo, hi in plan.totals), default=1)
        chain = model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * widest
        most = max(_bits(ends) for ends in plan.inputs) + 2
        digit = model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * most
        own = round(model.register_ns + max(chain, model.dsp_ns if plan.dsp else digit), 4)
        if not (self.tree and self.schedule):
            return own
        return max(own, period_ns(self.tree, list(self.schedule.stages), family))


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


def _bits(ends: Interval) -> int:
    return Fixed.holding(*ends, 0).width_bits
