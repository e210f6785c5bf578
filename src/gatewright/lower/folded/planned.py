"""Planned: what all units have in common that follow a plan of products over time; their cells and delays."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.cells import Cost, block_rams
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.plan import BLOCK_DEPTH, FoldedLayer, Interval
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns


@dataclass(frozen=True, kw_only=True)
class Planned:
    """tree, schedule: the adders over each accumulator's products, one output per accumulator.

    None where no accumulator has two products.
    """

    plan: FoldedLayer
    tree: Circuit | None
    schedule: Schedule | None

    @property
    def tree_cycles(self) -> int:
        """Register stages of the adder tree."""
        return self.schedule.latency_cycles if self.schedule else 0

    @property
    def multipliers(self) -> int:
        """Multipliers that products share in time, a block for two of them counted once."""
        return len(self.plan.multipliers) - len(self.plan.pairs)

    @property
    def dsp(self) -> bool:
        """Whether products belong into DSP blocks."""
        return self.plan.dsp

    @property
    def start_cost(self) -> Cost:
        """The registers of a start; the unit's own timetable holds them."""
        return Cost()

    def tree_cost(self, family: str) -> Cost:
        """Return the cells of the adder tree."""
        return circuit_cost(self.tree, self.schedule, family) if self.tree and self.schedule else Cost()

    def tree_ns(self, family: str) -> float:
        """Return the longest register-to-register delay of the adder tree."""
        return period_ns(self.tree, list(self.schedule.stages), family) if self.tree and self.schedule else 0.0


def bits_of(ends: Interval) -> int:
    """Return the bits that hold an interval."""
    return Fixed.holding(*ends, 0).width_bits


def weights_cost(plan: FoldedLayer, marks: int, family: str) -> Cost:
    """Return the cells of the weights' memory, a word for each cycle. marks: bits of a word beside them."""
    return rom_cost(plan.cycles, sum(bits for _, bits in plan.words) + marks, family)


def rom_cost(words: int, bits: int, family: str) -> Cost:
    """Return the cells of a memory of constants that is read by a clock."""
    if words >= BLOCK_DEPTH:
        return Cost(bram=block_rams(words, bits, family))
    return Cost(ff=bits, lut=bits * -(-words // (64 if delays(family).ternary else 16)))


def products_cost(plan: FoldedLayer, family: str) -> Cost:
    """Return the cells of the multipliers and the registers behind them.

    In logic one LUT per bit of a 1-bit digit's product; per bit and some more of a 2-bit digit's, whose two rows need
    an adder.
    """
    if plan.dsp:
        return Cost(dsp=len(plan.pairs) or sum(len(multiplier.digits) for multiplier in plan.multipliers))
    rows, total = 1 if delays(family).ternary else 2, Cost()
    for multiplier in plan.multipliers:
        for digit in multiplier.digits:
            lo, hi = plan.products(multiplier, digit)
            product = bits_of((int(lo.min()), int(hi.max())))
            total += Cost(lut=product if digit.width == 1 else product * rows + 3, ff=product)
    return total


def accumulate_ns(plan: FoldedLayer, family: str) -> float:
    """Return the delay of the widest accumulator's sum, registers apart."""
    model = delays(family)
    widest = max((bits_of((min(lo, -1), hi)) for lo, hi in plan.totals), default=1)
    return model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * widest


def multiply_ns(plan: FoldedLayer, family: str) -> float:
    """Return the delay of a product, registers apart."""
    model = delays(family)
    if plan.dsp:
        return model.dsp_ns
    most = max(bits_of(ends) for ends in plan.inputs) + 2
    return model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * most
