"""Nodes of a circuit out, one at a time: constants fold, what changes nothing is not built, equals are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import (
    Add,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Node,
    Ref,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    width,
)
from gatewright.lower.cost.luts import raw_values

Interval = tuple[int, int]

MAX_TABLE_BITS = 14  # a table of 2**14 entries and 16 bits is some 4000 LUTs


@dataclass(frozen=True, slots=True)
class Wire:
    """What carries an input element: its value is a number lo..hi, shifted up."""

    lo: int
    hi: int
    shift: int

    @property
    def width_bits(self) -> int:
        """Bits that hold lo..hi, two's complement where lo < 0."""
        return Fixed.holding(self.lo, self.hi, 0).width_bits


@dataclass(slots=True)
class CircuitBuilder:
    """Appends nodes, folding constants and what cannot change a value; equal nodes of one layer are shared."""

    layer: str = ""
    nodes: list[Node] = field(default_factory=list[Node])
    known: dict[Node, int] = field(default_factory=dict[Node, int])

    def put(self, node: Node) -> int:
        """Return the index of a node equal to this one, appending it where there is none."""
        index = self.known.get(node)
        if index is None:
            index = self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return index

    def range(self, index: int) -> Interval:
        """Return lo and hi of a node."""
        return self.nodes[index].lo, self.nodes[index].hi

    def source(self, element: int, wire: Wire) -> Ref:
        """Return an input element, or the number that it always is."""
        if wire.lo == wire.hi:
            return Ref(self.const(wire.lo), wire.shift)
        return Ref(self.put(Source(layer=self.layer, lo=wire.lo, hi=wire.hi, element=element)), wire.shift)

    def const(self, value: int) -> int:
        """Return a constant."""
        return self.put(Const(layer=self.layer, lo=value, hi=value))

    def add(self, a: Ref, b: Ref, minus: bool, bounds: Interval | None = None) -> Ref:
        """Return a + b or a - b; bounds: a proven interval of the result, where tighter than the operands' sum."""
        (al, ah), (bl, bh) = self.span(a), self.span(b)
        lo, hi = (al - bh, ah - bl) if minus else (al + bl, ah + bh)
        if bounds is not None:
            lo, hi = max(lo, bounds[0]), min(hi, bounds[1])
        if lo == hi:
            return Ref(self.const(lo))
        if (bl, bh) == (0, 0):
            return a
        if (al, ah) == (0, 0) and not minus:
            return b
        base = min(a.shift, b.shift)
        if lo % (1 << base) or hi % (1 << base):
            lo, hi = -(-lo >> base), hi >> base
        else:
            lo, hi = lo >> base, hi >> base
        node = Add(
            layer=self.layer,
            lo=lo,
            hi=hi,
            a=a.node,
            b=b.node,
            shift_a=a.shift - base,
            shift_b=b.shift - base,
            minus=minus,
        )
        return Ref(self.put(node), base)

    def span(self, ref: Ref) -> Interval:
        """Return lo and hi of a reference, its shift applied."""
        lo, hi = self.range(ref.node)
        return lo << ref.shift, hi << ref.shift

    def whole(self, ref: Ref) -> int:
        """Return a node that carries the ref's value with its shift applied (wires only)."""
        lo, hi = self.span(ref)
        if ref.shift == 0:
            return ref.node
        if lo == hi:
            return self.const(lo)
        return self.put(Shift(layer=self.layer, lo=lo, hi=hi, a=ref.node, up=ref.shift))

    def floor(self, ref: Ref, drop: int) -> Ref:
        """Return floor(ref * 2**-drop)."""
        if drop <= ref.shift:
            return Ref(ref.node, ref.shift - drop)
        drop -= ref.shift
        lo, hi = self.range(ref.node)
        node = self.nodes[ref.node]
        if isinstance(node, Clamp):  # both are monotonic, so they commute: clamp the fewer bits
            return self.clamp(self.floor(Ref(node.a), drop), lo >> drop, hi >> drop)
        if lo >> drop == hi >> drop:
            return Ref(self.const(lo >> drop))
        return Ref(self.put(Floor(layer=self.layer, lo=lo >> drop, hi=hi >> drop, a=ref.node, drop=drop)))

    def clamp(self, ref: Ref, lo: int, hi: int) -> Ref:
        """Return min(max(ref, lo), hi); nothing where neither end is reachable."""
        low, high = self.span(ref)
        if lo <= low and high <= hi:
            return ref
        node = self.whole(ref)
        lo, hi = max(lo, low) if low <= hi else hi, min(hi, high) if high >= lo else lo
        return Ref(self.const(lo)) if lo == hi else Ref(self.put(Clamp(layer=self.layer, lo=lo, hi=hi, a=node)))

    def table(self, ref: Ref, function: Callable[[int], int]) -> Ref:
        """Return function(ref), as a table over every possible ref."""
        lo, hi = self.range(ref.node)
        if hi - lo >= 1 << MAX_TABLE_BITS:
            raise LowerError(
                f"layer {self.layer!r}: a table of {hi - lo + 1} entries is too large for LUTs, at most "
                f"{1 << MAX_TABLE_BITS} are built; requantise its input to fewer bits"
            )
        bits = (hi - lo).bit_length()  # the low bits tell the numbers lo..hi apart
        source = self.nodes[ref.node]
        numbers = [min(lo + ((low - lo) & ((1 << bits) - 1)), hi) for low in range(1 << bits)]
        numbers = raw_values(source) if bits == width(source) else numbers
        values = tuple(function(number << ref.shift) for number in numbers)
        ends = min(values), max(values)
        if ends[0] == ends[1]:
            return Ref(self.const(ends[0]))
        node = self.wrap(Ref(ref.node), bits, False).node if bits < width(source) else ref.node
        table = Table(layer=self.layer, lo=ends[0], hi=ends[1], reads=(node,), widths=(bits,), values=values)
        return Ref(self.put(table))

    def at_least(self, a: int, b: int) -> Ref:
        """Return 1 where node a >= node b, else 0."""
        (al, ah), (bl, bh) = self.range(a), self.range(b)
        if al >= bh or ah < bl:
            return Ref(self.const(int(al >= bh)))
        return Ref(self.put(GreaterEqual(layer=self.layer, lo=0, hi=1, a=a, b=b)))

    def select(self, condition: int, a: int, b: int, bounds: Interval | None = None) -> int:
        """Return node a where the condition is 1, else node b; bounds: a proven interval, where tighter than both."""
        (al, ah), (bl, bh) = self.range(a), self.range(b)
        lo, hi = bounds or (min(al, bl), max(ah, bh))
        if a == b:
            return a
        return self.put(Select(layer=self.layer, lo=lo, hi=hi, condition=condition, a=a, b=b))

    def total(self, refs: list[Ref], bounds: Interval | None = None) -> Ref:
        """Return the sum as a balanced tree; bounds: a proven interval of it, where tighter than the terms'."""
        while len(refs) > 1:
            last = bounds if len(refs) == 2 else None
            pairs = [self.add(refs[i], refs[i + 1], False, last) for i in range(0, len(refs) - 1, 2)]
            refs = pairs + refs[len(pairs) * 2 :]
        return refs[0]

    def wrap(self, ref: Ref, width: int, signed: bool) -> Ref:
        """Return the low `width` bits; nothing where the range fits."""
        low, high = self.span(ref)
        bottom, top = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
        if bottom <= low and high <= top:
            return ref
        if low == high:
            return Ref(self.const(((low - bottom) & ((1 << width) - 1)) + bottom))
        source = self.whole(ref)
        clamped = self.nodes[source]
        if not signed and isinstance(clamped, Clamp) and clamped.lo == 0 and clamped.hi == self.range(clamped.a)[1]:
            # of a ReLU only the bits that stay need a multiplexer
            zero = self.const(0)
            positive = self.put(GreaterEqual(layer=self.layer, lo=0, hi=1, a=clamped.a, b=zero))
            kept = self.wrap(Ref(clamped.a), width, False)
            node = Select(layer=self.layer, lo=bottom, hi=top, condition=positive, a=kept.node, b=zero)
            return Ref(self.put(node))
        node = Wrap(layer=self.layer, lo=bottom, hi=top, a=source, width_bits=width, signed=signed)
        return Ref(self.put(node))
