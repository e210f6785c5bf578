"""Folded: a unit that computes one dense layer on few multipliers; a beat takes as many cycles as its plan has.

Its cost, beside the adder tree's: one LUT per bit of a 1-bit digit's product; per bit and some more of a 2-bit
digit's, whose two rows need an adder; a third of a LUT per bit and entry of a multiplexer; one LUT per 64 (ECP5: 16)
words and bit of a ROM that is not in block RAM; the accumulators' adders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.plan import BLOCK_DEPTH, FoldedLayer, simulate
from gatewright.lower.folded.planned import (
    Planned,
    accumulate_ns,
    bits_of,
    multiply_ns,
    products_cost,
    weights_cost,
)
from gatewright.lower.stream import Port, Rigid


@dataclass(frozen=True, kw_only=True)
class Folded(Planned):
    """takes, gives: one port each; reads: which lanes of the one in `takes` are the plan's inputs.

    rom_register: whether a register stands behind the weights' block RAM. A result of the program is an output of the
    plan << up. ends_layer: whether the dense result is its layer's result.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    reads: tuple[int, ...]
    up: int
    ends_layer: bool
    rom_register: bool = False

    @property
    def timing(self) -> Rigid:
        """Input and product registers, that behind the weights, tree, one cycle per step."""
        latency = 2 + self.plan.gather + self.rom_register + self.tree_cycles + self.plan.cycles
        return Rigid(latency_cycles=latency, initiation_interval=self.plan.cycles)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        found = simulate(self.plan, given[:, :, list(self.reads)].reshape(-1, len(self.reads)))
        return (found.reshape(*given.shape[:2], -1),)

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that the plan reads."""
        return (self.reads,)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: multipliers, weights, input and result registers, adder tree."""
        return _own_cost(self, family) + self.tree_cost(family)

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        return max(stage_ns(self.plan, family, rom_register=self.rom_register), self.tree_ns(family))


def _own_cost(unit: Folded, family: str) -> Cost:
    """Return the cells of all but the adder tree."""
    plan, small = unit.plan, not delays(family).ternary
    groups = len(plan.groups)
    marks = 1 + (groups - 1).bit_length()
    total = weights_cost(plan, marks, family) + products_cost(plan, family)
    word = sum(multiplier.weight_bits for multiplier in plan.multipliers) + marks
    inputs = [bits_of(ends) for ends in plan.inputs]
    ff = sum(inputs) + unit.rom_register * (word + sum(_heads(plan)))
    lut = sum(inputs) if not plan.gather and plan.groups[0] > 1 else 0
    for multiplier in plan.multipliers if plan.gather else ():
        width = max(inputs[i] for i in multiplier.reads if i >= 0)
        entries = len({i for i in multiplier.reads if i >= 0})
        lut += width * -(-(entries - 1) * (2 if small else 1) // 3)
        ff += width
    feedback = any(length > 1 for length in plan.groups)
    for lo, hi in plan.totals:
        width = bits_of((min(lo, -1), hi))
        lut += width * (1 + (small and feedback))
        ff += width * groups
        if groups > 1:
            lut += width // 2
            ff += width // 2
    counter = 2 * plan.cycles.bit_length() + 2
    ff += counter + 2 * unit.tree_cycles + 3
    return total + Cost(lut=lut + counter, ff=ff, adders=len(plan.accumulators))


def _heads(plan: FoldedLayer) -> list[int]:
    """Return the bits of each value that multipliers read: one each, or one for all that share a slot."""
    found = {
        number if plan.gather else multiplier.slot: max(bits_of(plan.inputs[i]) for i in multiplier.reads if i >= 0)
        for number, multiplier in enumerate(plan.multipliers)
    }
    return list(found.values())


def needs_rom_register(plan: FoldedLayer, family: str, clock_mhz: float) -> bool:
    """Whether a layer whose weights are in block RAM misses its clock without a register behind them."""
    return plan.cycles >= BLOCK_DEPTH and stage_ns(plan, family, rom_register=False) > 1e3 / clock_mhz


def stage_ns(plan: FoldedLayer, family: str, *, rom_register: bool) -> float:
    """Return the longest of a folded layer's own stages: start, multiplexer, weights, product, accumulator."""
    model = delays(family)
    levels = -(-(plan.cycles - 1).bit_length() // 2) if plan.gather else 0
    multiply = multiply_ns(plan, family)
    weights = model.block_ns if plan.cycles >= BLOCK_DEPTH else 0.0
    read = max(weights, multiply) if rom_register else weights + multiply
    longest = max(model.start_ns, accumulate_ns(plan, family), read, levels * model.logic_ns)
    return round(model.register_ns + longest, 4)
