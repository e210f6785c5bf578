"""An adder graph in, what it takes out: adders, their bits and levels, on families with and without ternary adders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.lower.build.graph import AdderGraph, Sum
from gatewright.lower.build.sharing import TERNARY_DEPTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Adders of a graph, the sum of their bits, and the most levels to an output."""

    adders: int
    bits: int
    levels: float

    def below(self, other: Price) -> bool:
        """Whether this takes fewer adders, and no more of anything else."""
        return self.adders < other.adders and self.bits <= other.bits and self.levels <= other.levels


def price(graph: AdderGraph, widths: Sequence[int], *, ternary: bool) -> Price:
    """Return what a graph takes on inputs of such widths; an output of negative sign is one adder more, to be turned.

    ternary: an adder whose only reader is another one is merged into it, as `rewrites/ternary.py` will.
    """
    merged = _merged(graph) if ternary else set[int]()
    bits, levels = list(widths), [0.0] * graph.inputs
    for item in graph.sums:
        terms = _terms(item)
        bits.append(max(bits[term] + shift for term, shift in terms) + len(terms) - 1)
        ended = max(levels[term] - (1.0 if term in merged else 0.0) for term, _ in terms)
        levels.append(ended + (TERNARY_DEPTH if len(terms) > 2 or merged & {term for term, _ in terms} else 1.0))
    made = [output for output in graph.outputs if output.term >= 0]
    turned = [bits[output.term] for output in made if output.sign < 0]
    kept = [bits[number] for number in range(graph.inputs, len(bits)) if number not in merged]
    return Price(
        adders=len(kept) + len(turned),
        bits=sum(kept) + sum(turned),
        levels=max((levels[output.term] + (output.sign < 0) for output in made), default=0.0),
    )


def _merged(graph: AdderGraph) -> set[int]:
    """Return the sums that are merged into their only reader, as many as can be: a matching in a forest."""
    reads = Counter(term for item in graph.sums for term, _ in _terms(item))
    reads.update(output.term for output in graph.outputs for _ in range(2))  # an output stays
    free: set[int] = set()  # sums that are in no merge yet, and have one reader
    merged: set[int] = set()
    for number, item in enumerate(graph.sums, graph.inputs):
        inner = [term for term, _ in _terms(item) if term in free] if item.c < 0 else []
        if inner:
            merged.add(inner[0])
        elif item.c < 0 and reads[number] == 1:
            free.add(number)
        free.difference_update(inner[:1])
    return merged


def _terms(item: Sum) -> list[tuple[int, int]]:
    pairs = [(item.a, item.shift_a), (item.b, item.shift_b)]
    return [*pairs, (item.c, item.shift_c)] if item.c >= 0 else pairs
