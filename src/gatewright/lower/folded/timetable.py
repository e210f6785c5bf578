"""A dense layer's matrix and a reuse factor in, the cheapest plan of no more cycles out."""

from __future__ import annotations

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.lower.folded.plan import DIGIT_BITS, Accumulator, FoldedLayer, Interval, Multiplier, multiplier_of


def plan(
    layer: str,
    matrix: Ints,
    bias: Ints,
    inputs: tuple[Interval, ...],
    *,
    reuse: int,
    dsp: bool,
) -> FoldedLayer:
    """Return the cheapest plan of at most `reuse` cycles. matrix: (inputs, outputs); bias: (outputs,).

    A factor that does not divide the work leaves idle slots, filled with zero weights; where fewer cycles do the same
    with the same multipliers, fewer are taken.
    """
    live = [int(j) for j in np.flatnonzero(matrix.any(axis=0))]
    constants = {j: int(bias[j]) for j in range(len(bias)) if j not in set(live)}
    rows, bits = len(inputs), max(Fixed.holding(lo, hi, 0).width_bits for lo, hi in inputs)
    weight_bits = Fixed.holding(int(matrix.min()), int(matrix.max()), 0).width_bits
    each = 60 if dsp else -(-weight_bits // DIGIT_BITS) * (2 * bits + 9)
    options: list[tuple[float, int, bool, tuple[int, ...]]] = []
    for groups in range(1, min(reuse, len(live)) + 1):
        units = -(-len(live) // groups)
        multipliers = -(-rows // (reuse // groups))
        depth = -(-rows // multipliers)
        used = sum(
            bool(matrix[p * depth : (p + 1) * depth, live[u * groups : (u + 1) * groups]].any())
            for u in range(units)
            for p in range(-(-rows // depth))
        )
        options.append((used * each + rows * bits * (depth > 1), groups * depth, False, (depth,) * groups))
        if (timetable := _dense_timetable(matrix, live, groups, reuse)) is not None:
            lengths, multipliers = timetable
            multiplexer = bits * (sum(lengths) - 1) / 3 + bits
            options.append((multipliers * (each + multiplexer), sum(lengths), True, lengths))
    _, _, gather, lengths = min(options)
    accumulators = (
        _gathered(matrix, bias, live, lengths, dsp) if gather else _rotating(matrix, bias, live, lengths, dsp)
    )
    return FoldedLayer(
        layer=layer,
        inputs=inputs,
        outputs=len(bias),
        groups=lengths,
        accumulators=accumulators,
        constants=constants,
        gather=gather,
        dsp=dsp,
    )


def _by_weights(matrix: Ints, live: list[int], groups: int) -> list[list[int]]:
    """Return the outputs of each group, those with the most non-zero weights first."""
    order = sorted(live, key=lambda j: (-np.count_nonzero(matrix[:, j]), j))
    units = -(-len(live) // groups)
    return [order[g * units : (g + 1) * units] for g in range(groups) if order[g * units : (g + 1) * units]]


def _dense_timetable(matrix: Ints, live: list[int], groups: int, reuse: int) -> tuple[tuple[int, ...], int] | None:
    """Return each group's cycles and the number of multipliers, non-zero weights packed densely; None: not possible."""
    members = _by_weights(matrix, live, groups)
    counts = [[int(np.count_nonzero(matrix[:, j])) for j in group] for group in members]
    for multipliers in range(1, matrix.shape[0] + 1):
        lengths = tuple(-(-group[0] // multipliers) for group in counts)
        if sum(lengths) <= reuse:
            used = [-(-k // length) for group, length in zip(counts, lengths, strict=True) for k in group]
            units = len(members[0])
            return lengths, sum(max(used[u::units]) for u in range(units))
    return None


def _rotating(
    matrix: Ints, bias: Ints, live: list[int], lengths: tuple[int, ...], dsp: bool
) -> tuple[Accumulator, ...]:
    groups, depth, rows = len(lengths), lengths[0], matrix.shape[0]
    made: list[Accumulator] = []
    for first in range(0, len(live), groups):
        mine = live[first : first + groups] + [-1] * (groups - len(live[first : first + groups]))
        multipliers: list[Multiplier] = []
        for slot in range(-(-rows // depth)):
            reads = [i if i < rows else -1 for i in range(slot * depth, (slot + 1) * depth)] * groups
            outputs = [j for j in mine for _ in range(depth)]
            weights = [int(matrix[i, j]) if i >= 0 and j >= 0 else 0 for i, j in zip(reads, outputs, strict=True)]
            if any(weights):
                multipliers.append(multiplier_of(slot, reads, weights, dsp))
        made.append(_accumulator(mine, bias, multipliers))
    return tuple(made)


def _gathered(
    matrix: Ints, bias: Ints, live: list[int], lengths: tuple[int, ...], dsp: bool
) -> tuple[Accumulator, ...]:
    members = _by_weights(matrix, live, len(lengths))
    made: list[Accumulator] = []
    for u in range(len(members[0])):
        mine = [group[u] if u < len(group) else -1 for group in members]
        lists = [[int(i) for i in np.flatnonzero(matrix[:, j])] if j >= 0 else [] for j in mine]
        count = max(-(-len(found) // length) for found, length in zip(lists, lengths, strict=True))
        multipliers: list[Multiplier] = []
        for p in range(count):
            reads: list[int] = []
            weights: list[int] = []
            for j, found, length in zip(mine, lists, lengths, strict=True):
                part = found[p * length : (p + 1) * length]
                reads += part + [-1] * (length - len(part))
                weights += [int(matrix[i, j]) for i in part] + [0] * (length - len(part))
            multipliers.append(multiplier_of(-1, reads, weights, dsp))
        made.append(_accumulator(mine, bias, multipliers))
    return tuple(made)


def _accumulator(outputs: list[int], bias: Ints, multipliers: list[Multiplier]) -> Accumulator:
    biases = tuple(int(bias[j]) if j >= 0 else 0 for j in outputs)
    return Accumulator(outputs=tuple(outputs), biases=biases, multipliers=tuple(multipliers))
