"""A lowered program of either architecture in, its estimated cells and clock out, without synthesis.

Unrolled circuits and adder trees are estimated by estimate.py. Of a folded layer: one LUT per bit of a 1-bit digit's
product; per bit and some more of a 2-bit digit's, whose two rows need an adder; a third of a LUT per bit and entry of a
multiplexer; one LUT per 64 (ECP5: 16) words and bit of a ROM that is not in block RAM; the accumulators' adders.
"""

from __future__ import annotations

from typing import assert_never

from gatewright.fixedpoint import Fixed
from gatewright.lower.compile import Lowered
from gatewright.lower.cost.delays import delays
from gatewright.lower.estimate import Estimate, estimate
from gatewright.lower.folded.pieces import Folded, LoweredFolded, Segment
from gatewright.lower.folded.plan import BLOCK_DEPTH, FoldedLayer
from gatewright.lower.pipeline.schedule import period_ns


def estimate_lowered(lowered: Lowered | LoweredFolded) -> Estimate:
    """Return the estimate of a core of any architecture."""
    if isinstance(lowered, Lowered):
        return estimate(lowered.circuit, lowered.schedule)
    parts = [_part(piece, lowered.family) for piece in lowered.pieces]
    lut, ff, dsp, bram = (sum(part[kind] for part in parts) for kind in range(4))
    return Estimate(
        family=lowered.family,
        lut=lut,
        ff=ff,
        dsp=dsp,
        bram=bram,
        adders=lowered.adders,
        latency_cycles=lowered.latency_cycles,
        latency_ns=round(lowered.latency_cycles * 1000.0 / lowered.clock_mhz, 3),
        fmax_mhz=round(1000.0 / lowered_period_ns(lowered, lowered.family), 1),
        basis=delays(lowered.family).basis,
    )


def lowered_period_ns(lowered: Lowered | LoweredFolded, family: str) -> float:
    """Return the longest register-to-register delay on a family, by its delay model."""
    if isinstance(lowered, Lowered):
        return period_ns(lowered.circuit, list(lowered.schedule.stages), family)
    periods: list[float] = []
    for piece in lowered.pieces:
        circuit = piece.circuit if isinstance(piece, Segment) else piece.tree
        if circuit is not None and piece.schedule is not None:
            periods.append(period_ns(circuit, list(piece.schedule.stages), family))
        if isinstance(piece, Folded):
            periods.append(_stage_ns(piece.plan, family))
    return max(periods)


def _part(piece: Segment | Folded, family: str) -> tuple[int, int, int, int]:
    """Return LUT, FF, DSP and BRAM of a piece."""
    match piece:
        case Segment():
            found = estimate(piece.circuit, piece.schedule)
            return found.lut, found.ff + piece.latency_cycles, 0, 0
        case Folded():
            lut, ff, dsp, bram = _folded(piece, family)
            if piece.tree is None or piece.schedule is None:
                return lut, ff, dsp, bram
            found = estimate(piece.tree, piece.schedule)
            return lut + found.lut, ff + found.ff, dsp, bram
        case _:
            assert_never(piece)


def _bits(lo: int, hi: int) -> int:
    return Fixed.holding(lo, hi, 0).width_bits


def _folded(piece: Folded, family: str) -> tuple[int, int, int, int]:
    plan, small = piece.plan, not delays(family).ternary
    deep = 16 if small else 64
    groups = len(plan.groups)
    word = sum(lane.weight_bits for lane in plan.lanes) + 1 + (groups - 1).bit_length()
    block = plan.cycles >= BLOCK_DEPTH
    inputs = [_bits(*ends) for ends in plan.inputs]
    lut = 0 if block else word * -(-plan.cycles // deep)
    bram = -(-word // 36) * -(-plan.cycles // 512) if block else 0
    ff = 0 if block else word
    dsp = 0
    ff += sum(inputs)
    if not plan.gather and plan.groups[0] > 1:
        lut += sum(inputs)
    for lane in plan.lanes:
        width = max(inputs[i] for i in lane.reads if i >= 0)
        if plan.gather:
            entries = len({i for i in lane.reads if i >= 0})
            lut += width * -(-(entries - 1) * (2 if small else 1) // 3)
            ff += width
        for digit in lane.digits:
            lo, hi = plan.products(lane, digit)
            product = _bits(int(lo.min()), int(hi.max()))
            ff += 0 if plan.dsp else product
            dsp += plan.dsp
            if not plan.dsp:
                lut += product if digit.width == 1 else product * (2 if small else 1) + 3
    feedback = any(length > 1 for length in plan.groups)
    for lo, hi in plan.accumulators:
        width = _bits(min(lo, -1), hi)
        lut += width * (1 + (small and feedback))
        ff += width * groups
        if groups > 1:
            lut += width // 2
            ff += width // 2
    counter = 2 * plan.cycles.bit_length() + 2
    return lut + counter, ff + counter + 2 * piece.tree_cycles + 3, dsp, bram


def _stage_ns(plan: FoldedLayer, family: str) -> float:
    """Return the longest of a folded layer's own stages: multiplexer, product, accumulator."""
    model = delays(family)
    widest = max(_bits(min(lo, -1), hi) for lo, hi in plan.accumulators)
    accumulate = model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * widest
    levels = -(-(plan.cycles - 1).bit_length() // 2) if plan.gather else 0
    if plan.dsp:
        multiply = model.dsp_ns
    else:
        most = max(_bits(*ends) for ends in plan.inputs) + 2
        multiply = model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * most
    return round(model.register_ns + max(accumulate, multiply, levels * model.logic_ns), 4)
