"""One node of a circuit in, the netlist items that compute it out: wires, slices, adders, multiplexers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from gatewright.chips.luts import LUT6
from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Join,
    Node,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    is_sign_test,
    width,
)
from gatewright.lower.cost.luts import packed
from gatewright.lower.cost.ternary_luts import chain_bits, pair_span
from gatewright.rtl.netlist import (
    AnyBit,
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Instance,
    Item,
    Literal,
    Name,
    Not,
    Signed,
    Slice,
    TruthTable,
    Wire,
)

Read = Callable[[int], Name | Literal]

_CLIP = ("a", "over", "under")  # inputs of gw_clip
_LARGEST_SETTING = 31  # bits of a module's parameter, which is written as a plain number


def node_items(circuit: Circuit, node: Node, target: Name, read: Read, *, cells: bool) -> list[Item]:
    """Return the wires and instances that compute `target`. read: the value of an operand, by its node's number.

    cells: whether the family has LUTs of two outputs, which carry two bits of a saturation or a multiplexer.
    """
    span = f"{node.lo}..{node.hi}"
    match node:
        case Source() | Const():
            return []
        case Add():
            return _add(node, target, read)
        case Add3():
            return _add3(circuit, node, target, read)
        case Floor():
            a = _named(read(node.a))
            return [Assign(target, bits(a, node.drop + target.width - 1, node.drop, target.signed), span)]
        case Shift():
            a = _named(read(node.a))
            return [Assign(target, widened(a, node.up), span)]
        case Wrap():
            a = _named(read(node.a))
            if a.width >= target.width:
                return [Assign(target, bits(a, target.width - 1, 0, target.signed), span)]
            wide = Name(f"{target.name}_w", target.width, a.signed)  # the sign fills the bits above a
            return [Assign(wide, a), Assign(target, bits(wide, target.width - 1, 0, target.signed), span)]
        case Clamp():
            return _clamp(circuit, node, target, read, cells=cells)
        case GreaterEqual() if is_sign_test(circuit, node):
            a = _named(read(node.a))
            return [Assign(target, Not(Slice(a, a.width - 1, a.width - 1)))]
        case GreaterEqual():
            # the sign of the difference: a bare >= costs extra hops out of the carry chain on ECP5
            a, b = _same_sign(read(node.a), read(node.b))
            low, high = (circuit.nodes[i] for i in (node.a, node.b))
            size = Fixed.holding(min(low.lo - high.hi, -1), max(low.hi - high.lo, 0), 0).width_bits
            difference = Name(f"{target.name}_d", size, True)
            sign = Slice(difference, size - 1, size - 1)
            return [Assign(difference, Binary("-", a, b)), Assign(target, Not(sign))]
        case Table():
            index = Name(f"{target.name}_i", sum(node.widths), False)
            joined = Assign(index, _side_by_side(node, read))
            if cells and index.width <= LUT6.inputs + LUT6.free_levels:
                return [joined, *_luts(node, index, target, span)]
            return [joined, TruthTable(target, index, node.values, span)]
        case Join():
            joined = _side_by_side(node, read)
            return [Assign(target, Signed(joined) if target.signed else joined, span)]
        case Select():
            condition, left, right = read(node.condition), read(node.a), read(node.b)
            if cells and target.width > 1 and isinstance(left, Name) and isinstance(right, Name):
                return _paired_choice(condition, left, right, target, span)
            return [Assign(target, Choose(condition, *_same_sign(left, right)), span)]
        case _:
            assert_never(node)


def _side_by_side(node: Table | Join, read: Read) -> Expr:
    """Return the operands' low bits joined, the first lowest; a constant operand is its bits."""
    parts: list[Expr] = []
    for operand, size in zip(node.reads, node.widths, strict=True):
        value = read(operand)
        if isinstance(value, Literal):
            parts.append(Literal(value.value & ((1 << size) - 1), size, False))
        else:
            parts.append(bits(value, size - 1, 0, False))
    return parts[0] if len(parts) == 1 else Concat(tuple(reversed(parts)))


def _luts(node: Table, index: Name, target: Name, span: str) -> list[Item]:
    """Return the LUTs of a table with at most eight inputs, each an instance."""
    copies, luts = packed(node.values, LUT6, target.width)
    drivers: dict[int, Expr] = {bit: Slice(index, i, i) for bit, i in copies.items()}
    items: list[Item] = []
    for number, lut in enumerate(luts):
        made = Name(f"{target.name}_lut{number}", len(lut.tables), False)
        inputs = _joined([Slice(index, i, i) for i in reversed(lut.inputs)])
        tables = [Literal(table, 1 << len(lut.inputs), False) for table in lut.tables]
        names = ("TABLE",) if len(tables) == 1 else ("LOWER", "UPPER")
        settings = (("N", len(lut.inputs)), *zip(names, tables, strict=True))
        cell = "gw_lut" if len(tables) == 1 else "gw_lut2"
        items += [Wire(made), Instance(cell, f"u_{made.name}", (("i", inputs), ("y", made)), settings, leaf=True)]
        drivers |= {bit: Slice(made, k, k) for k, bits in enumerate(lut.bits) for bit in bits}
    constant = node.values[0]
    parts = [drivers.get(bit, Literal(constant >> bit & 1, 1, False)) for bit in reversed(range(target.width))]
    joined = _joined(parts)
    return [*items, Assign(target, Signed(joined) if target.signed else joined, span)]


def _joined(parts: Sequence[Expr]) -> Expr:
    """Return bits side by side, the highest first; neighbouring slices of one signal are one slice."""
    runs: list[Expr] = []
    for part in parts:
        last = runs[-1] if runs else None
        if isinstance(part, Slice) and isinstance(last, Slice) and last.of == part.of and last.low == part.high + 1:
            runs[-1] = Slice(part.of, last.high, part.low)
        else:
            runs.append(part)
    whole = [
        part.of if isinstance(part, Slice) and part.high - part.low + 1 == part.of.width else part for part in runs
    ]
    return whole[0] if len(whole) == 1 else Concat(tuple(whole))


def _named(value: Name | Literal) -> Name:
    assert isinstance(value, Name), "constants fold before they reach wires"
    return value


def _add(node: Add, target: Name, read: Read) -> list[Item]:
    a, b = read(node.a), read(node.b)
    shift_a, shift_b, span = node.shift_a, node.shift_b, f"{node.lo}..{node.hi}"
    if shift_a and not node.minus:
        a, b, shift_a, shift_b = b, a, shift_b, shift_a
    if not shift_b:
        left, right = _same_sign(widened(a, shift_a), b)
        return [Assign(target, Binary("-" if node.minus else "+", left, right), span)]
    # the low bits of a pass through; only the rest is added
    items: list[Item] = []
    if isinstance(a, Literal):
        rest = a.value >> shift_b
        high_a: Expr = Literal(rest, max(rest.bit_length(), 1) + (rest < 0), rest < 0)
        low_a: Expr = Literal(a.value & ((1 << shift_b) - 1), shift_b, False)
    else:
        if a.width <= shift_b:
            wide = Name(f"{target.name}_a", shift_b + 1, a.signed)
            items.append(Assign(wide, a))
            a = wide
        high_a, low_a = bits(a, a.width - 1, shift_b, a.signed), Slice(a, shift_b - 1, 0)
    if target.width <= shift_b:  # the exact range lies within the bits that pass through
        low = Slice(a, target.width - 1, 0) if isinstance(a, Name) else low_a
        return [*items, Assign(target, Signed(low) if target.signed else low, span)]
    high = Name(f"{target.name}_h", target.width - shift_b, target.signed)
    items.append(Assign(high, Binary("-" if node.minus else "+", *_same_sign(high_a, b))))
    joined = Concat((high, low_a))
    return [*items, Assign(target, Signed(joined) if target.signed else joined, span)]


def _add3(circuit: Circuit, node: Add3, target: Name, read: Read) -> list[Item]:
    terms = [
        (node.shift_a, False, read(node.a)),
        (node.shift_b, node.minus_b, read(node.b)),
        (node.shift_c, node.minus_c, read(node.c)),
    ]
    passing, size = chain_bits(node)
    first = min(range(3), key=lambda k: terms[k][:2])  # the operand whose low bits pass through
    items: list[Item] = []
    ports: list[tuple[str, Expr]] = []
    for k, (port, (shift, _, value)) in enumerate(zip("abc", terms, strict=True)):
        wide = Name(f"{target.name}_{port}", size, True)
        if k == first and passing:
            items.append(Assign(wide, _above(value, passing)))
        else:
            items.append(Assign(wide, widened(value, shift - passing)))
        ports.append((port, wide))
    high = Name(f"{target.name}_h", size, False) if passing else target
    ports.append(("y", high))
    items.append(Wire(high))
    first_pair, last_pair = pair_span(circuit, node)
    settings = (
        ("W", size),
        ("MINUS_B", int(node.minus_b)),
        ("MINUS_C", int(node.minus_c)),
        ("FIRST", first_pair),
        ("LAST", last_pair),
    )
    span = f"{node.lo}..{node.hi}"
    items.append(
        Instance("gw_add3", f"u_{target.name}", tuple(ports), settings, leaf=True, comment="" if passing else span)
    )
    if passing:
        value = terms[first][2]
        low = (
            Literal(value.value & ((1 << passing) - 1), passing, False)
            if isinstance(value, Literal)
            else _low(items, target, value, passing)
        )
        joined = Concat((high, low))
        items.append(Assign(target, Signed(joined) if target.signed else joined, span))
    return items


def _above(value: Name | Literal, passing: int) -> Expr:
    """Bits `passing` and above, with the value's sign."""
    if isinstance(value, Literal):
        rest = value.value >> passing
        return Literal(rest, max(rest.bit_length(), 1) + (rest < 0), rest < 0)
    if value.width <= passing:
        sign = Slice(value, value.width - 1, value.width - 1)
        return Signed(sign) if value.signed else Literal(0, 1, False)
    return bits(value, value.width - 1, passing, value.signed)


def _low(items: list[Item], target: Name, value: Name, passing: int) -> Expr:
    """The lowest `passing` bits; a narrower value is extended first."""
    if value.width < passing:
        wide = Name(f"{target.name}_low", passing, value.signed)
        items.append(Assign(wide, value))
        value = wide
    return Slice(value, passing - 1, 0)


def _clamp(circuit: Circuit, node: Clamp, target: Name, read: Read, *, cells: bool) -> list[Item]:
    a, source, span = _named(read(node.a)), circuit.nodes[node.a], f"{node.lo}..{node.hi}"
    same = a.width == target.width and a.signed == target.signed
    value: Expr = a if same else bits(a, target.width - 1, 0, target.signed)
    lowest, highest = (Literal(end, target.width, target.signed) for end in (node.lo, node.hi))
    over = _over(node, a) if source.hi > node.hi else None
    under = _under(node, a) if source.lo < node.lo else None
    if cells and over and under and 1 < target.width <= _LARGEST_SETTING:
        return _paired_clamp(node, target, value, over, under)
    if over:
        value = Choose(over, highest, value)
    if under:
        value = Choose(under, lowest, value)
    return [Assign(target, value, span)]


def _over(node: Clamp, a: Name) -> Expr:
    """1 where a > node.hi; where a < node.lo it may be anything if that is not negative, else it is 0."""
    top = (node.hi + 1).bit_length() - 1
    if node.hi + 1 == 1 << top:  # the bits above tell, a comparison would read them all
        above = AnyBit(Slice(a, a.width - 1 - a.signed, top))
        over = above.of if above.of.high == top else above
        return Binary("&", Not(_sign(a)), over) if a.signed and node.lo < 0 else over
    return Binary(">=", *_same_sign(a, Literal(node.hi, node.hi.bit_length() or 1, False)))


def _under(node: Clamp, a: Name) -> Expr:
    """1 where a < node.lo."""
    top = (-node.lo).bit_length() - 1
    if node.lo == 0:
        return _sign(a)
    if node.lo == -(1 << top):  # of a negative number the bits above are all 1, unless it is less
        above = Slice(a, a.width - 2, top)
        if above.high == top:
            return Binary("&", _sign(a), Not(above))
        size = a.width - 1 - top
        full = Binary("==", above, Literal((1 << size) - 1, size, False))
        return Binary("&", _sign(a), Choose(full, Literal(0, 1, False), Literal(1, 1, False)))
    return Binary("<", *_same_sign(a, Literal(node.lo, max(width(node), 1), node.lo < 0)))


def _sign(a: Name) -> Slice:
    return Slice(a, a.width - 1, a.width - 1)


def _paired_clamp(node: Clamp, target: Name, value: Expr, over: Expr, under: Expr) -> list[Item]:
    size = target.width
    wires = [Name(f"{target.name}_{port}", size if port == "a" else 1, False) for port in _CLIP]
    mask = (1 << size) - 1
    settings = (("W", size), ("LO", node.lo & mask), ("HI", node.hi & mask))
    ports = (*zip(_CLIP, wires, strict=True), ("y", target))
    inputs = [Assign(wire, driver) for wire, driver in zip(wires, (value, over, under), strict=True)]
    return [
        *inputs,
        Wire(target),
        Instance("gw_clip", f"u_{target.name}", ports, settings, leaf=True, comment=f"{node.lo}..{node.hi}"),
    ]


def _paired_choice(condition: Expr, left: Name, right: Name, target: Name, span: str) -> list[Item]:
    a, b = (Name(f"{target.name}_{port}", target.width, target.signed) for port in "ab")
    ports = (("s", condition), ("a", a), ("b", b), ("y", target))
    made: list[Item] = [Assign(a, left), Assign(b, right), Wire(target)]
    cell = Instance("gw_choose", f"u_{target.name}", ports, (("W", target.width),), leaf=True, comment=span)
    return [*made, cell]


def bits(of: Name, high: int, low: int, signed: bool) -> Expr:
    """Bits high..low, read as signed or unsigned; the signal itself where that is the same.

    Above the highest bit of a signed signal there is only its sign.
    """
    low = min(low, of.width - 1)
    if low == 0 and high == of.width - 1 and signed == of.signed:
        return of
    high = min(high, of.width - 1)
    return Signed(Slice(of, high, low)) if signed else Slice(of, high, low)


def _shifted(value: Name | Literal, shift: int) -> Expr:
    if isinstance(value, Literal):
        return Literal(value.value << shift, value.width + shift, value.signed)
    return Concat((value, Literal(0, shift, False))) if shift else value


def widened(value: Name | Literal, shift: int) -> Expr:
    """value << shift without losing bits, with the value's own signedness."""
    if not shift:
        return value
    joined = _shifted(value, shift)
    return Signed(joined) if value.signed and isinstance(joined, Concat) else joined


def _is_signed(value: Expr) -> bool:
    return isinstance(value, Signed) or (isinstance(value, (Name, Literal)) and value.signed)


def _same_sign(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Return both operands unsigned, or both signed with the unsigned one extended by a zero."""
    if _is_signed(a) == _is_signed(b):
        return a, b
    return as_signed(a), as_signed(b)


def joined(parts: Sequence[Expr]) -> Expr:
    """Return what connects parts to a port, the first lowest: yosys 0.70 takes no signed wire alone in braces there."""
    if len(parts) == 1 and _is_signed(parts[0]):
        return parts[0]
    return Concat(tuple(reversed(parts)))


def as_signed(value: Expr) -> Expr:
    """The same number in two's complement: an unsigned one gets a zero in front."""
    if _is_signed(value):
        return value
    if isinstance(value, Literal):
        return Literal(value.value, value.width + 1, True)
    return Signed(Concat((Literal(0, 1, False), value)))
