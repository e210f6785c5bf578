"""Two numbers of a circuit in, their product out: additions of shifted copies."""

from __future__ import annotations

from gatewright.fixedpoint import signed_digits
from gatewright.lower.build.builder import CircuitBuilder, Interval
from gatewright.lower.circuit.nodes import Ref, width


def multiply(b: CircuitBuilder, x: Ref, y: Ref) -> Ref:
    """Return x * y; of two that vary the one of fewer bits selects multiples of the other."""
    for constant, other in ((x, y), (y, x)):
        lo, hi = b.span(constant)
        if lo == hi:
            return scaled(b, other, lo)
    a, factor = (y, x) if width(b.nodes[x.node]) < width(b.nodes[y.node]) else (x, y)
    return product(b, a, factor)


def scaled(b: CircuitBuilder, x: Ref, factor: int) -> Ref:
    """Return x * factor of a constant factor: one addition or subtraction for each signed digit but the first."""
    low, high = b.span(x)
    if low == high or not factor:
        return Ref(b.const(low * factor))
    (power, sign), *rest = sorted(signed_digits(factor), key=lambda digit: -digit[1])  # what is added leads
    total, coefficient = Ref(x.node, x.shift + power), sign << power
    if sign < 0:
        total = b.add(Ref(b.const(0)), total, True)
    for power, sign in rest:
        coefficient += sign << power
        ends = coefficient * low, coefficient * high
        total = b.add(total, Ref(x.node, x.shift + power), sign < 0, (min(ends), max(ends)))
    return total


def product(b: CircuitBuilder, a: Ref, factor: Ref) -> Ref:
    """Return a * factor: a sum of multiples 0..3 of `a`, one for each two bits of the factor.

    The multiple 3a is shared by all products of `a`. The highest bit of a signed factor counts negatively.
    """
    shift = a.shift + factor.shift
    a, factor = Ref(a.node), Ref(factor.node)
    (al, ah), (lo, hi) = b.span(a), b.span(factor)
    corners = [al * lo, al * hi, ah * lo, ah * hi]
    square = a == factor and lo < 0 < hi
    bounds = 0 if square else min(corners), max(corners)
    size = max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0)
    zero, one, two = b.const(0), a.node, b.whole(Ref(a.node, 1))
    three = b.whole(b.add(a, Ref(a.node, 1), False))

    def bit(at: int) -> Ref:
        return b.wrap(b.floor(factor, at), 1, False)

    def masked(condition: Ref, yes: int, no: int, bounds: Interval | None = None) -> int:
        ends = b.range(condition.node)
        return (yes if ends[0] else no) if ends[0] == ends[1] else b.select(condition.node, yes, no, bounds)

    terms: list[Ref] = []
    for at in range(0, size, 2):
        even = masked(bit(at), one, zero)
        if at + 1 < size:
            alone = bounds if size == 2 and lo >= 0 else None  # the one term is the product
            even = masked(bit(at + 1), masked(bit(at), three, two), even, alone)
        terms.append(Ref(even, at))
    terms = terms or [Ref(zero)]
    if lo < 0:
        total = b.add(b.total(terms), Ref(masked(bit(size), one, zero), size), True, bounds)
    else:
        total = b.total(terms, bounds)
    return Ref(total.node, total.shift + shift)
