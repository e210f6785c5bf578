"""Program in, Circuit out: every element becomes wires, constants or adders, each with its exact range.

Ranges are affine inside a dense layer: a term's coefficients over the layer's inputs are known, so its interval is
attained, not estimated. Elements that nothing reads are not built; constants fold. `check_circuit` replays the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import numpy as np

from gatewright.chips.luts import LUT6, Luts
from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints, Overflow, Rounding, round_shift
from gatewright.ir.interp import Interpreter
from gatewright.ir.lookups import cuts
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, MatMul, Max, Min, Mul, Pool, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.rounding import spread
from gatewright.ir.shapes import Shape
from gatewright.ir.trees import Forest
from gatewright.lower.build.adders import adder_graph
from gatewright.lower.build.builder import CircuitBuilder, Interval
from gatewright.lower.build.choose import argmax, thresholds, top_k
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.graph import Form, Forms
from gatewright.lower.build.nudges import nudged
from gatewright.lower.build.part import Part, format_of, whole
from gatewright.lower.build.softmax import softmax
from gatewright.lower.build.support import check_supported, no_hardware
from gatewright.lower.build.trees import trees
from gatewright.lower.build.vectors import binary, joined, matmul, raised, rewired
from gatewright.lower.circuit.nodes import Circuit, GreaterEqual, Ref, Select, simulate


def build(
    program: Program, part: Part | None = None, *, extra_depth: int = 0, ternary: bool = False, luts: Luts = LUT6
) -> Circuit:
    """Return the circuit of a verified program, or of a part of it. extra_depth, ternary: see adders.adder_graph.

    luts: what tables are built of, where a table and comparators compete. Raises LowerError for ops without hardware.
    """
    options: dict[str, Any] = {"extra_depth": extra_depth, "ternary": ternary}
    if part is None:
        check_supported(program)
        part = whole(Facts(program=program))
    builder = CircuitBuilder()
    values: dict[str, list[Ref]] = {}
    elements = 0
    for name, wires in part.takes.items():
        builder.layer = program.op(name).layer
        values[name] = [builder.source(elements + i, wire) for i, wire in enumerate(wires)]
        elements += len(wires)
    ops, nudges = nudged(part)
    for op in ops:
        builder.layer = op.layer
        values[op.name] = _lower(op, program, builder, values, part, nudges.get(op.name), options, luts)
    last = {op.layer: op.name for op in part.ops}
    layer_values = tuple(
        (layer, tuple(ref if used else None for ref, used in zip(values[name], part.live[name], strict=True)))
        for layer, name in last.items()
    )
    outputs = tuple(ref for name in part.gives for ref in values[name])
    fracs = {part.fracs[name] for name in part.takes}, {part.fracs[name] for name in part.gives}
    taken, given = (found.pop() if len(found) == 1 else 0 for found in fracs)
    return Circuit(
        name=part.name,
        nodes=tuple(builder.nodes),
        input_format=format_of([wire for wires in part.takes.values() for wire in wires], taken),
        input_elements=elements,
        layer_values=layer_values,
        outputs=outputs,
        output_format=_holding(builder, outputs, given),
    )


def _lower(
    op: Op,
    program: Program,
    b: CircuitBuilder,
    values: dict[str, list[Ref]],
    part: Part,
    nudge: list[int] | None,
    options: dict[str, Any],
    luts: Luts,
) -> list[Ref]:
    live, fracs, shapes = part.live[op.name], part.fracs, part.shapes
    match op:
        case Input():
            raise AssertionError(f"{op.name!r} is an input: a part of a program takes it, and does not build it")
        case Dense():
            size = program.constants[op.bias].q.size
            x, starts = _rows(values[op.source], shapes[op.source]), range(0, len(live), size)
            nudge = nudge or [0] * len(live)
            parts = [
                _dense(op, program, b, row, live[at : at + size], fracs, nudge[at : at + size], options)
                for row, at in zip(x, starts, strict=True)
            ]
            return [ref for part in parts for ref in part]
        case Relu():
            tops = [b.span(ref)[1] for ref in values[op.source]]
            return [b.clamp(ref, 0, max(top, 0)) for ref, top in zip(values[op.source], tops, strict=True)]
        case Requant():
            return _requant(op, b, values[op.source], fracs[op.source])
        case Const():
            return [_constant(b, int(v)) for v in program.constants[op.value].q.flat]
        case Mul():
            return binary(b, op, values[op.left], values[op.right], (shapes[op.left], shapes[op.right]))
        case MatMul():
            pair = values[op.left], values[op.right]
            halves = [_constant(b, half) for half in nudge or [0] * len(live)]
            return matmul(b, *pair, live, (shapes[op.left], shapes[op.right]), halves)
        case Add() | Sub() | Max() | Min():
            left, right = (raised(values[name], fracs[op.name] - fracs[name]) for name in (op.left, op.right))
            return binary(b, op, left, right, (shapes[op.left], shapes[op.right]))
        case Concat():
            parts = [raised(values[name], fracs[op.name] - fracs[name]) for name in op.sources]
            return joined(parts, op.axis, [shapes[name] for name in op.sources])
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            return rewired(b, op, values[op.source], shapes[op.source])
        case ArgMax():
            return [argmax(b, row) for row in _rows(values[op.source], shapes[op.source])]
        case TopK():
            return [ref for row in _rows(values[op.source], shapes[op.source]) for ref in top_k(b, row, op.k)]
        case Thresholds():
            at = cuts(program.constants[op.thresholds], fracs[op.source]).tolist()
            x = enumerate(values[op.source])
            return [thresholds(b, ref, at[i % len(at)], op.start, op.step, luts=luts) for i, ref in x]
        case Trees():
            forest = Forest.of(op, program.constants, fracs[op.source])
            return trees(b, forest, values[op.source], live, luts=luts, ternary=options["ternary"])
        case Lookup():
            rows, first = program.constants[op.table].q, op.first
            last = rows.shape[1] - 1  # what a circuit may think possible, the program does not: any entry will do
            x = enumerate(values[op.source])
            return [
                b.table(ref, lambda v, i=i: int(rows[i % rows.shape[0], min(max(v - first, 0), last)])) for i, ref in x
            ]
        case Softmax():
            exp_table, reciprocal_table = (program.constants[key].q for key in (op.exp_table, op.reciprocal_table))
            scores = _rows(values[op.source], shapes[op.source])
            return [ref for row in scores for ref in softmax(b, op, row, exp_table, reciprocal_table)]
        case Conv() | Pool() | Scan():
            raise no_hardware(op)
        case _:
            assert_never(op)


def _rows(x: list[Ref], shape: Shape) -> list[list[Ref]]:
    """Return the elements of a value of a shape, those along its last axis together."""
    return [x[at : at + shape[-1]] for at in range(0, len(x), shape[-1])]


def _dense(
    op: Dense,
    program: Program,
    b: CircuitBuilder,
    x: list[Ref],
    live: Sequence[bool],
    fracs: Mapping[str, int],
    nudge: list[int],
    options: dict[str, Any],
) -> list[Ref]:
    weight, bias = program.constants[op.weight], program.constants[op.bias]
    frac = fracs[op.name]
    up = frac - fracs[op.source] - weight.frac_bits
    offsets = [(int(v) << (frac - bias.frac_bits)) + half for v, half in zip(bias.q, nudge, strict=True)]
    matrix = np.where(np.array(live), weight.q, 0)
    for i, ref in enumerate(x):  # constants go into the bias, shifts into the weights
        lo, hi = b.range(ref.node)
        if lo == hi:
            offsets = [o + ((int(w) * (lo << ref.shift)) << up) for o, w in zip(offsets, matrix[i], strict=True)]
            matrix[i] = 0
    # each column's constant is one more input, so that the tree adds it where it costs no level
    columns = [j for j, offset in enumerate(offsets) if live[j] and offset]
    sources = [*x, *(_constant(b, offsets[j]) for j in columns)]
    scaled = np.zeros((len(sources), len(offsets)), dtype=np.int64)
    scaled[: len(x)] = (matrix << np.array([[ref.shift] for ref in x], dtype=np.int64)) << up
    for row, j in enumerate(columns, start=len(x)):
        scaled[row, j] = 1 << sources[row].shift
    bits = [max(b.nodes[ref.node].hi.bit_length(), (-b.nodes[ref.node].lo).bit_length()) for ref in sources]
    graph = adder_graph(scaled, widths=bits, **options)

    spans = [b.range(ref.node) for ref in sources]
    forms = Forms.start(graph)
    terms = [Ref(ref.node) for ref in sources]
    for item, (two, three) in zip(graph.sums, forms, strict=True):
        total = b.add(
            _up(terms[item.a], item.shift_a), _up(terms[item.b], item.shift_b), item.minus, _interval(two, spans)
        )
        if item.c >= 0:  # two adders, which the ternary pass merges into the one that is meant
            total = b.add(total, _up(terms[item.c], item.shift_c), item.minus_c, _interval(three, spans))
        terms.append(total)
    results: list[Ref] = []
    for output in graph.outputs:
        if output.term < 0:
            results.append(Ref(b.const(0)))
            continue
        term = Ref(terms[output.term].node, terms[output.term].shift + output.shift)
        if output.sign < 0:
            results.append(b.add(Ref(b.const(0)), term, True, _interval(forms.output(output), spans)))
        else:
            results.append(term)
    return results


def _up(ref: Ref, shift: int) -> Ref:
    return Ref(ref.node, ref.shift + shift)


def _constant(b: CircuitBuilder, value: int) -> Ref:
    """Return a constant with its trailing zeros as a shift, so that the adder spans only the bits that matter."""
    shift = (value & -value).bit_length() - 1 if value else 0
    return Ref(b.const(value >> shift), shift)


def _requant(op: Requant, b: CircuitBuilder, x: list[Ref], frac: int) -> list[Ref]:
    results: list[Ref] = []
    spec = zip(*(spread(v, len(x)) for v in (op.width_bits, op.keep_frac_bits, op.signed)), strict=True)
    for ref, (width, keep, signed) in zip(x, spec, strict=True):
        if width == 0:
            results.append(Ref(b.const(0)))
            continue
        rounded = _round(b, ref, frac - keep, op.rounding)
        lo, hi = (-(1 << (width - 1)) if signed else 0), (1 << (width - signed)) - 1
        if op.overflow is Overflow.SATURATE_SYMMETRIC:
            lo = -hi if signed else 0
        inside = b.wrap(rounded, width, signed) if op.overflow is Overflow.WRAP else b.clamp(rounded, lo, hi)
        results.append(Ref(inside.node, inside.shift + op.frac_bits - keep))
    return results


def _round(b: CircuitBuilder, ref: Ref, drop: int, rounding: Rounding) -> Ref:
    if drop <= 0:
        return Ref(ref.node, ref.shift - drop)
    if ref.shift >= drop:
        return Ref(ref.node, ref.shift - drop)
    lo, hi = b.range(ref.node)
    if lo == hi:
        return Ref(b.const(round_shift(lo << ref.shift, drop, rounding)))
    half = 1 << (drop - 1)
    if lo >= 0 or hi <= 0:
        rounding = _ONE_SIGN.get(rounding, (rounding, rounding))[lo < 0]
    match rounding:
        case Rounding.TRUNCATE:
            return b.floor(ref, drop)
        case Rounding.CEIL:
            return b.floor(b.add(ref, _constant(b, (1 << drop) - 1), False), drop)
        case Rounding.HALF_UP:
            return b.floor(b.add(ref, _constant(b, half), False), drop)
        case Rounding.HALF_DOWN:
            return b.floor(b.add(ref, _constant(b, half - 1), False), drop)
        case Rounding.HALF_AWAY:
            low, high = b.span(ref)
            ends = (low + half - 1, high + half)
            nudged = b.add(ref, _constant(b, half - 1), False)
            return b.floor(b.add(nudged, _not_negative(b, ref), False, ends), drop)
        case Rounding.HALF_ZERO:
            low, high = b.span(ref)
            ends = (low + half, high + half - 1)
            nudged = b.add(ref, _constant(b, half), False)
            return b.floor(b.add(nudged, _not_negative(b, ref), True, ends), drop)
        case Rounding.ZERO:
            condition, top = _not_negative(b, ref).node, (1 << drop) - 1
            select = Select(layer=b.layer, lo=0, hi=top, condition=condition, a=b.const(0), b=b.const(top))
            low, high = b.span(ref)
            ends = (min(low + top, 0), max(high, top - 1))
            return b.floor(b.add(ref, Ref(b.put(select)), False, ends), drop)
        case Rounding.HALF_EVEN:
            odd = b.wrap(b.floor(ref, drop), 1, False)
            nudged = b.add(ref, _constant(b, half - 1), False)
            return b.floor(b.add(nudged, odd, False), drop)
        case _:
            assert_never(rounding)


# what a rounding that looks at the sign is for values >= 0, and for values <= 0
_ONE_SIGN = {
    Rounding.ZERO: (Rounding.TRUNCATE, Rounding.CEIL),
    Rounding.HALF_AWAY: (Rounding.HALF_UP, Rounding.HALF_DOWN),
    Rounding.HALF_ZERO: (Rounding.HALF_DOWN, Rounding.HALF_UP),
}


def _not_negative(b: CircuitBuilder, ref: Ref) -> Ref:
    """Return 1 where ref >= 0, else 0; ref's range has both signs."""
    return Ref(b.put(GreaterEqual(layer=b.layer, lo=0, hi=1, a=ref.node, b=b.const(0))))


def _interval(form: Form, spans: Sequence[Interval]) -> Interval:
    """Return the least and the greatest value of a combination of inputs with such ends: both are attained."""
    low = high = 0
    for i, v in form.items():
        lo, hi = spans[i]
        low += v * (lo if v > 0 else hi)
        high += v * (hi if v > 0 else lo)
    return low, high


def _holding(b: CircuitBuilder, refs: tuple[Ref, ...], frac: int) -> Fixed:
    bounds = [b.span(ref) for ref in refs]
    return Fixed.holding(min(lo for lo, _ in bounds), max(hi for _, hi in bounds), frac)


def check_circuit(program: Program, circuit: Circuit, x: Ints) -> int:
    """Compare every layer's result with the program's, element by element, for input codes x: (n, *shape).

    Elements that cannot reach the output are skipped, the output itself never. Returns the number of values compared;
    raises LowerError naming layer, element and sample.
    """
    trace = Interpreter(program).trace(x)
    want = {op.layer: flat(trace[op.name]) for op in program.ops if not isinstance(op, Input)}
    return compare(flat(x), want | {"output": flat(trace[program.output])}, [True] * len(circuit.outputs), circuit)


def flat(values: Ints) -> Ints:
    """Return values (n, *shape) as the circuit has them: (n, elements), row-major."""
    return values.reshape(len(values), -1)


def compare(x: Ints, want: Mapping[str, Ints], live: Sequence[bool], circuit: Circuit) -> int:
    """Compare what a circuit makes of x, (n, elements), with each layer's result and "output" in `want`.

    live: which outputs matter. Returns and raises as check_circuit.
    """
    got = simulate(circuit, x)
    kept = [(layer, [ref is not None for ref in refs]) for layer, refs in circuit.layer_values]
    compared = 0
    for layer, alive in (*kept, ("output", list(live))):
        wrong = np.argwhere((want[layer] != got[layer]) & np.array(alive))
        if len(wrong):
            sample, element = (int(v) for v in wrong[0])
            raise LowerError(
                f"lowered program != program: layer {layer!r}, element {element}, sample {sample}: expected "
                f"{want[layer][sample, element]}, got {got[layer][sample, element]} ({len(wrong)} values differ)"
            )
        compared += sum(alive) * len(x)
    return compared
