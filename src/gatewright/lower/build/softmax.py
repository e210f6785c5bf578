"""Scores in, probabilities out: the circuit of the program's Softmax, pipelined like any other arithmetic."""

from __future__ import annotations

from gatewright.fixedpoint import Ints
from gatewright.ir.op_tables import Softmax, SoftmaxVariant
from gatewright.ir.ranges import exp_sum_ends
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.build.choose import maximum
from gatewright.lower.build.multiply import product
from gatewright.lower.circuit.nodes import Ref


def softmax(b: CircuitBuilder, op: Softmax, x: list[Ref], exp_table: Ints, reciprocal_table: Ints) -> list[Ref]:
    """Return one probability per score."""
    last = len(exp_table) - 1
    if op.variant is SoftmaxVariant.STABLE:
        nodes = [b.whole(ref) for ref in x]
        rounds = nodes
        while len(rounds) > 1:
            pairs = [maximum(b, rounds[i], rounds[i + 1]) for i in range(0, len(rounds) - 1, 2)]
            rounds = pairs + rounds[len(pairs) * 2 :]
        greatest, top = Ref(rounds[0]), b.range(rounds[0])[1]
        bounds = [(0, top - b.range(node)[0]) for node in nodes]
        behind = [b.add(greatest, Ref(node), True, ends) for node, ends in zip(nodes, bounds, strict=True)]
        behind = [Ref(b.const(0)) if node == rounds[0] else d for node, d in zip(nodes, behind, strict=True)]
        first, indices = 0, [b.clamp(b.floor(ref, op.drop), 0, last) for ref in behind]
    else:
        first, indices = op.first, [b.clamp(b.floor(ref, op.drop), op.first, op.first + last) for ref in x]
    e = [b.table(index, lambda k: int(exp_table[k - first])) for index in indices]
    total = b.total(e, exp_sum_ends(op, exp_table, len(x)))
    reciprocal = b.table(b.floor(total, op.sum_drop), lambda s: int(reciprocal_table[s - op.sum_first]))
    half = Ref(b.const(1), op.shift - 1) if op.shift else Ref(b.const(0))
    results: list[Ref] = []
    for ref in e:
        rounded = b.floor(b.add(product(b, reciprocal, ref), half, False), op.shift)
        results.append(b.clamp(rounded, 0, (1 << op.width_bits) - 1))
    return results
