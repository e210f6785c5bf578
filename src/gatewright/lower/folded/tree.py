"""A folded layer's plan in, the circuit that adds each accumulator's products out."""

from __future__ import annotations

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.circuit.nodes import Circuit, Ref, Source, simulate
from gatewright.lower.folded.plan import FoldedLayer

_CHECKED_CYCLES = 128


def product_sums(folded: FoldedLayer, name: str) -> Circuit | None:
    """Return the circuit that adds up products: one input per term of the plan, one output per accumulator.

    None where every accumulator has a single product. Intervals are those that occur in some cycle, so sums are no
    wider than the timetable needs.
    """
    if all(len(terms) == 1 for terms in folded.terms):
        return None
    b = CircuitBuilder(layer=folded.layer)
    outputs: list[Ref] = []
    element = 0
    for mine in folded.terms:
        terms: list[tuple[int, int, Ref, Ints, Ints]] = []  # depth, number, value, its lo and hi in each cycle
        for term in mine:
            lo, hi = folded.bounds(term)
            node = Source(layer=folded.layer, lo=int(lo.min()), hi=int(hi.max()), element=element)
            terms.append((0, element, Ref(b.put(node), term.low), lo << term.low, hi << term.low))
            element += 1
        while len(terms) > 1:
            (depth, _, low, lo, hi), (other, number, high, lo2, hi2), *rest = sorted(terms, key=lambda t: t[:2])
            total = b.add(low, high, False, (int((lo + lo2).min()), int((hi + hi2).max())))
            terms = [*rest, (max(depth, other) + 1, number, total, lo + lo2, hi + hi2)]
        outputs.append(terms[0][2])
    sources = [node for node in b.nodes if isinstance(node, Source)]
    spans = [b.span(ref) for ref in outputs]
    return Circuit(
        name=name,
        nodes=tuple(b.nodes),
        input_format=Fixed.holding(min(n.lo for n in sources), max(n.hi for n in sources), 0),
        input_elements=element,
        layer_values=((folded.layer, tuple(outputs)),),
        outputs=tuple(outputs),
        output_format=Fixed.holding(min(lo for lo, _ in spans), max(hi for _, hi in spans), 0),
    )


def check_tree(folded: FoldedLayer, given: Ints, tree: Circuit) -> int:
    """Compare a tree's outputs with the sums of products, in every cycle or, of many, in some and the ends."""
    cycles = np.unique(np.linspace(0, folded.cycles - 1, min(folded.cycles, _CHECKED_CYCLES), dtype=np.int64))
    for t in map(int, cycles):
        terms: list[Ints] = []
        sums: list[Ints] = []
        for mine, accumulator in zip(folded.terms, folded.accumulators, strict=True):
            terms += [folded.term(term, given, t) for term in mine]
            total: Ints = np.zeros(len(given), dtype=np.int64)
            for multiplier in accumulator.multipliers:
                if multiplier.reads[t] >= 0:
                    total = total + given[:, multiplier.reads[t]] * multiplier.weights[t]
            sums.append(total)
        if not np.array_equal(simulate(tree, np.stack(terms, axis=1))["output"], np.stack(sums, axis=1)):
            raise LowerError(f"the adders of layer {folded.layer!r} differ in cycle {t}; this is a bug, report it")
    return len(cycles) * len(folded.accumulators) * len(given)
