"""A number of a circuit and a constant in, one bit out: whether the number reaches it, in as few LUTs as can be.

Low bits in which the constant is 0 do not matter. The rest is compared in LUTs, not on a carry chain: the lowest bits
in one, then as many more in each as leave an input for the one before.
"""

from __future__ import annotations

from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.circuit.nodes import Ref, Table, width


def reaches(b: CircuitBuilder, x: Ref, cut: int, inputs: int) -> Ref:
    """Return 1 where x >= cut, else 0. inputs: of a LUT."""
    low, high = b.span(x)
    if cut <= low or cut > high:
        return Ref(b.const(int(cut <= low)))
    cut = -(-cut >> x.shift)
    if cut == 0:
        return b.at_least(x.node, b.const(0))  # the sign bit
    zeros = (cut & -cut).bit_length() - 1
    rest = b.floor(Ref(x.node), zeros)
    cut >>= zeros
    if b.range(rest.node) == (0, 1):
        return rest
    size, signed = width(b.nodes[rest.node]), b.range(rest.node)[0] < 0
    below: list[int] = []  # what the bits below say, if there are any
    done = 0
    while done < size:
        bits = min(inputs - len(below), size - done)
        part = b.wrap(b.floor(rest, done), bits, False)
        last = signed and done + bits == size
        wanted = cut >> done if done + bits == size else cut >> done & ((1 << bits) - 1)
        numbers = [n - (1 << bits) if last and n >> (bits - 1) else n for n in range(1 << bits)]
        equal = [0, 1] if below else [1]
        values = tuple(int(n > wanted) if n != wanted else answer for answer in equal for n in numbers)
        ends = min(values), max(values)
        table = Table(
            layer=b.layer,
            lo=ends[0],
            hi=ends[1],
            reads=(part.node, *below),
            widths=(bits, *(1 for _ in below)),
            values=values,
        )
        below = [b.put(table)]
        done += bits
    return Ref(below[0])
