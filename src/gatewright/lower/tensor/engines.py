"""A convolution and the cycles that a frame may take in; how its products are computed out: at once, or in a sweep.

At once means one pipelined circuit of constants that takes a window in every cycle; a sweep shares multipliers over as
many cycles as there are for a window. Both are weighed by rough costs, in LUTs, before anything is built: a few dozen
candidates of a layer, in microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.ops import Conv, Dense
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.cells import Cost
from gatewright.lower.folded.plan import DIGIT_BITS, PAIR_SHIFT, FoldedLayer
from gatewright.lower.folded.planned import rom_cost
from gatewright.lower.folded.tree import check_tree, product_sums
from gatewright.lower.rewrites.table import run_rewrites
from gatewright.lower.stream import Lane
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.sweep import Sweep, all_sides
from gatewright.lower.streaming.window import Window
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.beats import ungrouped

PAIRING = frozenset({"xc7", "xcup"})
"""Families whose DSP blocks multiply 25 bits by 18: two products of 8 bits."""

_DSP_LUTS, _BLOCK_LUTS = 60, 150  # what a DSP block and a block RAM are worth
_LUTS_PER_DIGIT = 3  # of a window's constants, signed digits that are not zero; measured on 9 to 144 inputs
_FF_LUTS = 0.25
_BEHIND_LUTS = 40  # for each result that is rounded and cut at a time

Aligned = tuple[Ints, Ints, int]
"""Weights and biases as integers of one scale, and by how much results are shifted up."""


def aligned(op: Conv | Dense, facts: Facts, lanes: Sequence[Lane]) -> Aligned:
    """Return a layer's matrix, (..., lanes, results), for the numbers on the lanes of a pixel."""
    weight, bias = (facts.program.constants[key] for key in (op.weight, op.bias))
    frac = facts.ranges[op.name].frac_bits
    full = ungrouped(weight.q, op.groups) if isinstance(op, Conv) else weight.q
    scale = frac - facts.ranges[op.source].frac_bits - weight.frac_bits
    matrix = full << np.array([[lane.shift + scale] for lane in lanes])
    offsets = bias.q << (frac - bias.frac_bits)
    common = int(np.bitwise_or.reduce(np.concatenate([matrix.ravel(), offsets])))
    up = max((common & -common).bit_length() - 1, 0)
    return matrix >> up, offsets >> up, up


def sweep_of(
    op: Conv | Dense,
    matrix: Ints,
    window: Window,
    lanes: Sequence[Lane],
    interval: int,
    target: Target,
    choices: Choices,
) -> Sweep | None:
    """Return the cheapest sweep of which a frame takes no more than `interval` cycles; None: all at once is cheaper.

    matrix: (row of taps, column of taps, lanes, results). With engine "folded" it is a sweep in any case: with
    choices.interval 0 the fastest one, where none is fast enough. Raises LowerError naming the layer and the least
    interval of its sweeps, where its engine is "folded".
    """
    engine = choices.engine_of(op.layer)
    if engine == "parallel":
        return None
    groups = op.groups if isinstance(op, Conv) else 1
    found = _able(
        [Sweep(window=window, sides=sides) for sides in all_sides(len(lanes), matrix.shape[-1], groups)], matrix
    )
    best, luts = _best(found, matrix, lanes, interval, target, choices)
    if best is not None:
        return best if engine == "folded" or luts < at_once(matrix, window, lanes) else None
    if engine == "auto":
        return None
    least = min(found, key=frame_cycles)
    if choices.interval:
        raise LowerError(
            f"layer {op.layer!r} takes {frame_cycles(least)} cycles a frame at the least with hardware.engine "
            f'"folded", hardware.interval allows {interval}; raise it, or set hardware.engine = "auto"'
        )
    return least


def frame_sweep(
    op: Dense, matrix: Ints, lanes: Sequence[Lane], interval: int, target: Target, choices: Choices
) -> Sweep | None:
    """Return the cheapest sweep over whole frames, for a dense layer; None: a sum over the beats is cheaper.

    matrix: (1, beats, lanes, results).
    """
    beats, results = matrix.shape[1], matrix.shape[-1]
    if choices.engine_of(op.layer) == "parallel":
        return None
    one, none = (1, 1), ((0, 0), (0, 0))
    window = Window(grid=(1, beats), size=(1, beats), strides=one, dilation=one, pads=none)
    found = _able([Sweep(window=window, sides=sides) for sides in all_sides(len(lanes), results, 1)], matrix)
    best, luts = _best(found, matrix, lanes, interval, target, choices)
    together = -(-len(lanes) // min(max(interval // beats, 1), len(lanes)))
    return best if luts < _sum_over_beats(matrix, lanes, together, target, choices) else None


def _able(sweeps: Sequence[Sweep], matrix: Ints) -> Sequence[Sweep]:
    """Return the sweeps of which every sum has a weight in some block: results without any stand beside others."""
    live = matrix.reshape(-1, matrix.shape[-1]).any(axis=0)
    blocks = (live.reshape(sweep.sides.blocks, sweep.sides.outputs) for sweep in sweeps)
    return [sweep for sweep, block in zip(sweeps, blocks, strict=True) if block.any(axis=0).all()] or sweeps


def _best(
    sweeps: Sequence[Sweep], matrix: Ints, lanes: Sequence[Lane], interval: int, target: Target, choices: Choices
) -> tuple[Sweep | None, float]:
    """Return the cheapest sweep that keeps an interval, and what it takes, in LUTs, about."""
    weigh = partial(rough, matrix=matrix, lanes=lanes, target=target, dsp=choices.multiplier != "lut")
    fit = [(weigh(sweep), number) for number, sweep in enumerate(sweeps) if frame_cycles(sweep) <= interval]
    if not fit:
        return None, inf
    luts, number = min(fit)
    return sweeps[number], luts


def frame_cycles(sweep: Sweep) -> int:
    """Return the cycles that a frame takes at the least."""
    window, words = sweep.window, sweep.sides.words
    counts = window.counts[0] * window.counts[1]
    return counts * max(sweep.cycles, words) + (window.beats - counts) * words


def sums_tree(plan: FoldedLayer, name: str, given: Ints, family: str) -> Circuit | None:
    """Return the adder tree over each accumulator's products, checked on given inputs of the plan, (n, inputs)."""
    tree = product_sums(plan, name)
    if tree is None:
        return None
    tree, _ = run_rewrites(tree, family=family, check=partial(check_tree, plan, given), truth_tables=False)
    return tree


def rough(sweep: Sweep, *, matrix: Ints, lanes: Sequence[Lane], target: Target, dsp: bool) -> float:
    """Return what a sweep takes, in LUTs, about."""
    sides, family = sweep.sides, target.family
    lane_bits, weight_bits, each = _widths(matrix, lanes, dsp=dsp)
    product = lane_bits + weight_bits
    memory = memory_cost(sweep.depth, sides.word * lane_bits, family)
    rom = rom_cost(sweep.cycles, sides.multipliers * weight_bits, family)
    intake = 1.25 * sides.lanes * lane_bits if sides.words > 1 else 0.0
    kept = _FF_LUTS * (sides.results - sides.outputs) * lane_bits
    if dsp and family in PAIRING and sides.paired and product <= PAIR_SHIFT:
        each /= 2
    sums = sides.multipliers * product + sides.outputs * (product + 8 + _BEHIND_LUTS)
    return sides.multipliers * each + sums + intake + kept + _luts(memory) + _luts(rom)


def _sum_over_beats(matrix: Ints, lanes: Sequence[Lane], together: int, target: Target, choices: Choices) -> float:
    """Return what a sum over beats takes that multiplies so many lanes at once, in LUTs, about."""
    lane_bits, weight_bits, each = _widths(matrix, lanes, dsp=choices.multiplier != "lut")
    results = matrix.shape[-1]
    multipliers, product = together * results, lane_bits + weight_bits
    rom = rom_cost(matrix.shape[1] * -(-len(lanes) // together), multipliers * weight_bits, target.family)
    held = 1.25 * len(lanes) * lane_bits if together < len(lanes) else 0.0
    return multipliers * (each + product) + results * (product + 8) * (1 + _FF_LUTS) + held + _luts(rom)


def _widths(matrix: Ints, lanes: Sequence[Lane], *, dsp: bool) -> tuple[int, int, float]:
    """Return the bits of lanes and of weights, and what a multiplier takes, in LUTs, about."""
    lane_bits = max(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in lanes)
    weight_bits = Fixed.holding(int(matrix.min()), int(matrix.max()), 0).width_bits
    return lane_bits, weight_bits, _DSP_LUTS if dsp else -(-weight_bits // DIGIT_BITS) * (2 * lane_bits + 9)


def _luts(cost: Cost) -> float:
    return cost.lut + _FF_LUTS * cost.ff + _BLOCK_LUTS * cost.bram


def at_once(matrix: Ints, window: Window, lanes: Sequence[Lane]) -> float:
    """Return what one circuit for a window takes, its registers included, in LUTs, about."""
    magnitude = np.abs(matrix.ravel())
    digits = sum(int(value).bit_count() for value in (3 * magnitude ^ magnitude))
    held = sum(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in lanes) * window.size[0] * window.columns
    return _LUTS_PER_DIGIT * digits + _FF_LUTS * held + _BEHIND_LUTS * matrix.shape[-1]
