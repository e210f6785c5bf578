"""A plan's products over time, as netlist items: the memory of its weights, multipliers, adder tree, accumulators.

A weight that is read in cycle t meets its input in t + 1 (t + 2 with a register behind the memory), the product leaves
its register a cycle later, the sum `tree_cycles` after that, and the accumulator holds it one more cycle later.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.folded.plan import BLOCK_DEPTH, PAIR_SHIFT, FoldedLayer, Interval, Term
from gatewright.lower.pipeline.schedule import Schedule
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Instance,
    Item,
    Literal,
    Module,
    Name,
    Register,
    Rom,
    Signed,
    Slice,
    Wire,
)
from gatewright.rtl.nodes import as_signed, bits, widened
from gatewright.rtl.signals import CLK, signal
from gatewright.rtl.unrolled import compile_circuit


def union(intervals: Sequence[Interval]) -> Interval:
    """Return the interval that holds all."""
    return min(lo for lo, _ in intervals), max(hi for _, hi in intervals)


def delayed(items: list[Item], value: Name, cycles: int) -> Name:
    """Return a value as of some cycles ago."""
    stem = value.name.split("_d")[0]
    for number in range(cycles):
        late = Name(f"{stem}_d{number + 1}", value.width, value.signed)
        items.append(Register(late, value))
        value = late
    return value


def weight_rom(
    items: list[Item], plan: FoldedLayer, step: Name, *, rom_register: bool
) -> tuple[list[tuple[Name, int]], Name, Name | None]:
    """Return where each weight starts in a step's word, the mark of a group's first step, the group's number.

    step: 0 .. plan.cycles - 1. rom_register: whether a register stands behind the memory.
    """
    lows: list[int] = []
    size = 0
    for _, width in plan.words:
        lows.append(size)
        size += width
    groups = (len(plan.groups) - 1).bit_length()
    starts = {start: number for number, start in enumerate(plan.starts)}
    words: list[int] = []
    number = 0
    for t in range(plan.cycles):
        number = starts.get(t, number)
        word = sum(
            (numbers[t] & ((1 << width) - 1)) << low for (numbers, width), low in zip(plan.words, lows, strict=True)
        )
        words.append(word | (t in starts) << size | number << (size + 1))
    word = Name("word", size + 1 + groups, False)
    padded = tuple(words) + (0,) * (len(words) == 1)
    items.append(Rom(word, padded, step, block=len(padded) >= BLOCK_DEPTH))
    if rom_register:
        word = delayed(items, word, 1)
    first, group = Name("first", 1, False), Name("group", groups, False)
    items.append(Assign(first, Slice(word, size, size)))
    if groups:
        items.append(Assign(group, Slice(word, size + groups, size + 1)))
    return [(word, low) for low in lows], first, group if groups else None


def sums_of_products(
    plan: FoldedLayer,
    tree: Circuit | None,
    schedule: Schedule | None,
    weights: Sequence[tuple[Name, int]],
    values: Sequence[Name],
    *,
    names: Names,
    program_hash: str,
) -> tuple[list[Item], tuple[Module, ...], list[Expr]]:
    """Return the items of a plan's products and their adder tree, its modules, and each accumulator's sum.

    weights: the word that holds each multiplier's weight, and its lowest bit there; values: each multiplier's input.
    """
    items: list[Item] = [Heading("products")]
    blocks = _blocks(items, plan, weights, values)
    products: list[tuple[Name, int]] = []
    for term in (term for mine in plan.terms for term in mine):
        lo, hi = plan.bounds(term)
        number, digit = term.number, term.digit
        alone = len(plan.multipliers[number].digits) == 1
        name = f"p{number}_{term.part}" if blocks else f"p{number}" if alone else f"p{number}_{digit.low}"
        target = signal(name, (int(lo.min()), int(hi.max())))
        products.append((target, term.low))
        if blocks:
            items.append(Assign(target, _part(blocks[term.beside if term.beside >= 0 else number], term, target)))
            continue
        (word, low), value = weights[number], values[number]
        part = Slice(word, low + digit.low + digit.width - 1, low + digit.low)
        a, b = (as_signed(value), Signed(part)) if digit.signed else (value, part)
        if value.signed and not digit.signed:
            b = as_signed(part)
        items.append(Register(target, Binary("*", a, b)))
    if tree is None:
        return items, (), [widened(product, low) for product, low in products]
    assert schedule is not None, "a tree has a schedule"
    design = compile_circuit(tree, schedule, names=names, program_hash=program_hash)
    inputs, outputs = tree.input_format, tree.output_format
    wide: list[Expr] = []
    for product, _ in products:
        own = Name(f"{product.name}_w", inputs.width_bits, product.signed)
        if product.width < own.width:
            items.append(Assign(own, product))
        wide.append(own if product.width < own.width else product)
    y = Name("sums", outputs.width_bits * len(tree.outputs), False)
    items += [Heading("the sum of each unit's products"), Wire(y)]
    ports = (("clk", CLK), ("x", Concat(tuple(reversed(wide)))), ("y", y))
    items.append(Instance(design.core.name, "u_tree", ports))
    found: list[Expr] = []
    for number, ref in enumerate(tree.outputs):
        node = tree.nodes[ref.node]
        own = signal(f"s{number}", (node.lo << ref.shift, node.hi << ref.shift))
        low = number * outputs.width_bits
        items.append(Assign(own, bits(y, low + own.width - 1, low, own.signed)))
        found.append(own)
    return items, design.modules, found


def _blocks(
    items: list[Item], plan: FoldedLayer, weights: Sequence[tuple[Name, int]], values: Sequence[Name]
) -> dict[int, Name]:
    """Return the register behind each block for two products, by the number of the low one."""
    found: dict[int, Name] = {}
    for low, high in plan.pairs:
        parts: list[Expr] = []
        for number in (high, low):
            (word, at), (numbers, width) = weights[number], plan.words[number]
            part, negative = Slice(word, at + width - 1, at), min(numbers) < 0
            own = Name(f"k{number}", PAIR_SHIFT if number == low else width + (not negative), True)
            items.append(Assign(own, Signed(part) if negative else part))
            parts.append(own)
        lower, upper = (plan.products(each, each.whole) for each in (plan.multipliers[low], plan.multipliers[high]))
        least = (int(upper[0].min()) << PAIR_SHIFT) + int(lower[0].min())
        most = (int(upper[1].max()) << PAIR_SHIFT) + int(lower[1].max())
        found[low] = signal(f"p{low}", (min(least, -1), most))
        items.append(Register(found[low], Binary("*", as_signed(values[low]), Signed(Concat(tuple(parts))))))
    return found


def _part(block: Name, term: Term, target: Name) -> Expr:
    """Return what a term is of its block's register."""
    if term.part == "borrow":
        return Slice(block, PAIR_SHIFT - 1, PAIR_SHIFT - 1)
    low = PAIR_SHIFT if term.part == "high" else 0
    return bits(block, low + target.width - 1, low, target.signed)


def accumulators(
    items: list[Item],
    plan: FoldedLayer,
    sums: Sequence[Expr],
    first: Name,
    group: Name | None,
    *,
    late: int,
    enable: Expr | None = None,
) -> list[tuple[Name, Name]]:
    """Return each accumulator, and the mark of the cycle in which it starts anew.

    first, group: as weight_rom gives them; late: register stages of the adder tree; enable: of cycles that add.
    """
    mark = delayed(items, first, late + 1)
    widths = [signal("", (min(lo, -1), hi)) for lo, hi in plan.totals]
    if group is not None:
        at = delayed(items, group, late)
        rows = [[accumulator.biases[g] for accumulator in plan.accumulators] for g in range(len(plan.groups))]
        spans = [signal(f"b{u}", union([(row[u], row[u]) for row in rows])) for u in range(len(plan.accumulators))]
        lows = [sum(span.width for span in spans[:u]) for u in range(len(spans))]
        words = tuple(
            sum((value & ((1 << s.width) - 1)) << low for value, s, low in zip(row, spans, lows, strict=True))
            for row in rows
        )
        word = Name("bias", sum(span.width for span in spans), False)
        items.append(Rom(word, words, at, block=False))
        items += [
            Assign(span, bits(word, low + span.width - 1, low, span.signed))
            for span, low in zip(spans, lows, strict=True)
        ]
        biases: list[Expr] = [as_signed(span) for span in spans]
    else:
        fixed = [accumulator.biases[0] for accumulator in plan.accumulators]
        biases = [Literal(v, Fixed.holding(min(v, -1), max(v, 0), 0).width_bits, True) for v in fixed]
    found: list[tuple[Name, Name]] = []
    alone = all(length == 1 for length in plan.groups)
    for number, (width, bias, value) in enumerate(zip(widths, biases, sums, strict=True)):
        own = Name(f"a{number}", width.width, True)
        start = bias if alone else Choose(mark, bias, own)
        items.append(Register(own, Binary("+", as_signed(value), start), enable))
        found.append((own, mark))
    return found
