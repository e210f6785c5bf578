"""A Scan node and its source in, the `scan` op out: its body graph becomes the body program, by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Protocol

import numpy as np

from gatewright import ir
from gatewright.export.builder import Code, ProgramBuilder
from gatewright.export.pending import Chain
from gatewright.fixedpoint import Fixed, Ints, Overflow, Rounding, frac_bits
from gatewright.graph.exact import ONE, Lattice, scan_lattices
from gatewright.graph.nodes import AnyNode, Graph, Scan, Slice
from gatewright.graph.shapes import Shape, shapes

Known = Mapping[str, Lattice | None]


class Emit(Protocol):
    """`gatewright.export.emit.emit`."""

    def __call__(
        self,
        builder: ProgramBuilder,
        node: AnyNode,
        sources: list[Code | Chain],
        known: Known,
        shape: Shape,
        *,
        single: bool,
    ) -> Code | Chain:
        """Return a node's result."""
        ...


def emit_scan(
    builder: ProgramBuilder, node: Scan, x: Code, known: Known, shape: Shape, *, single: bool, emit: Emit
) -> Code | str:
    """Return the result, or the name of the state that is not rounded to a format at each step."""
    inside = scan_lattices(node, known[node.sources[0]])
    source = inside[node.body.nodes[0].name]
    if source is None:
        return next((name for name in node.states if inside[name] is None), node.states[0])
    body, results = _body(node.body, inside, source, builder.fresh(), emit, single=single)
    parts = [results[name] for name in node.states]
    if node.body.output not in node.states:
        parts.append(results[node.body.output])
    codes = [part for part in parts if isinstance(part, Code) and part.plain]
    if len(codes) < len(parts):
        return node.body.output
    names = [*node.states, node.body.output]
    first = sum(code.shape[0] for code in codes[: names.index(node.body.output)])
    output = codes[0].op
    if len(codes) > 1:
        body.enter(node)
        joined = ir.Concat(name=body.fresh("next"), layer=body.layer, sources=tuple(c.op for c in codes), axis=0)
        output = body.add(joined)
    frac = frac_bits(node.initial)
    initial: Ints = np.ldexp(node.initial, frac).astype(np.int64)
    op = ir.Scan(
        name=builder.fresh(),
        layer=builder.layer,
        source=x.op,
        body=body.program(output),
        initial=builder.table("initial", initial, frac),
        emit=(first, first + shape[-1]),
        reverse=node.backwards,
        sequences=node.sequences,
    )
    return Code(builder.add(op), ONE, shape)


def _body(
    graph: Graph, known: Known, source: Lattice, name: str, emit: Emit, *, single: bool
) -> tuple[ProgramBuilder, dict[str, Code | Chain]]:
    """Emit every node of the body; its input's format holds x and every state, and has the bits of its result."""
    builder, sizes = ProgramBuilder(name=name), shapes(graph)
    result = known[graph.output]
    frac = max(source.frac_bits, result.frac_bits) if result else source.frac_bits
    peak = ceil(np.ldexp(source.peak, frac))
    first = graph.nodes[0].name
    fixed = Fixed.holding(-peak, peak, frac)
    op = builder.add(ir.Input(name="x", layer="input", shape=sizes[first], format=fixed))
    results: dict[str, Code | Chain] = {first: Code(op, ONE, sizes[first])}
    for node in graph.nodes[1:]:
        builder.enter(node)
        sources = [results[s] for s in node.sources]
        made = emit(builder, node, sources, known, sizes[node.name], single=single)
        if isinstance(node, Slice) and node.sources == (first,) and isinstance(made, Code) and frac > source.frac_bits:
            made = replace(made, op=_without_zeros(builder, made.op, source))
        results[node.name] = made
    return builder, results


def _without_zeros(builder: ProgramBuilder, op: str, held: Lattice) -> str:
    """Drop the low bits of a part of the input that are always 0, so that products do not grow by them each step."""
    peak = ceil(np.ldexp(held.peak, held.frac_bits))
    fixed = Fixed.holding(-peak, peak, held.frac_bits)
    requant = ir.Requant(
        name=builder.fresh("codes"),
        layer=builder.layer,
        source=op,
        frac_bits=fixed.frac_bits,
        width_bits=(fixed.width_bits,),
        keep_frac_bits=(fixed.frac_bits,),
        signed=(True,),
        rounding=Rounding.TRUNCATE,
        overflow=Overflow.SATURATE,
    )
    return builder.add(requant)
