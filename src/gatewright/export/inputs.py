"""A Graph in, its boundary out: the quantizer of the input's codes, put there, found, or made for what reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ExportError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.graph.exact import Lattice
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Graph,
    Quantize,
    Thresholds,
)
from gatewright.graph.structure import is_structure

GIVE = 'input_format (on the command line --input-format "fixed<16,6>", in Python Fixed.parse("fixed<16,6>"))'


def quantize_input(graph: Graph, fixed: Fixed) -> Graph:
    """Put a quantizer of this format right behind the input."""
    return _quantized(graph, fixed, Rounding.HALF_UP, Overflow.SATURATE)


def quantize_copies(graph: Graph) -> Graph:
    """Put a quantizer behind an input whose elements go several ways into the first one, each to a format of its own.

    So that the chip reads each element once. It holds all the formats and overflows as they do; where they end at
    different bits it also has the bit below the last, rounded down, which never moves a later rounding half up.
    """
    readers, joined = _readers(graph)
    first = readers[0] if len(readers) == 1 and joined else None
    if not isinstance(first, Quantize) or first.rounding not in (Rounding.HALF_UP, Rounding.TRUNCATE):
        return graph
    fixed = format_of(first)
    if fixed is None or (first.zero_point != 0).any():
        return graph
    several = first.rounding is Rounding.HALF_UP and len(set(_steps(first).tolist())) > 1
    if several:
        fixed = replace(fixed, width_bits=fixed.width_bits + 1, frac_bits=fixed.frac_bits + 1)
    return _quantized(graph, fixed, Rounding.TRUNCATE if several else first.rounding, first.overflow)


def own_input_format(graph: Graph) -> Fixed | None:
    """Return the fixed-point format that holds all values of the model's own input quantizer; None without one."""
    readers, _ = _readers(graph)
    return format_of(readers[0]) if readers and isinstance(readers[0], Quantize) else None


def format_of(node: Quantize) -> Fixed | None:
    """Return the fixed-point format that holds all values of a quantizer; None where its steps are no powers of two."""
    if not (np.abs(np.frexp(node.scale)[0]) == 0.5).all():
        return None
    steps = _steps(node)
    frac = int(steps.max()) if steps.size else 0
    ends = np.stack(np.broadcast_arrays(node.lo - node.zero_point, node.hi - node.zero_point))
    lsb = 1 - np.frexp(node.scale)[1]
    integers = np.ldexp(ends, np.broadcast_to(frac - lsb, np.broadcast_shapes(ends.shape, lsb.shape)))
    return Fixed.holding(int(integers.min()), int(integers.max()), frac)


def _steps(node: Quantize) -> NDArray[np.int64]:
    """Return the frac_bits of the elements that are not always 0."""
    scale, live = np.broadcast_arrays(node.scale, (node.lo != 0) | (node.hi != 0))
    return (1 - np.frexp(scale[live])[1]).astype(np.int64)


def _readers(graph: Graph) -> tuple[list[AnyNode], bool]:
    """Return what reads the input as it is, or moved, in order, and whether parts of it are joined before."""
    moved, readers, joined = {graph.nodes[0].name}, list[AnyNode](), False
    for node in graph.nodes[1:]:
        if moved.isdisjoint(node.sources):
            continue
        if is_structure(node) and moved.issuperset(node.sources):
            moved.add(node.name)
            joined |= isinstance(node, Concat)
        else:
            readers.append(node)
    return readers, joined


def _quantized(graph: Graph, fixed: Fixed, rounding: Rounding, overflow: Overflow) -> Graph:
    source = graph.nodes[0]
    name, names = f"{source.name}.codes", {node.name for node in graph.nodes}
    while name in names:  # the graph was quantized with an input format before
        name += "_"
    codes = Quantize(
        name=name,
        sources=(source.name,),
        scale=np.array(2.0**-fixed.frac_bits),
        lo=np.array(fixed.lo),
        hi=np.array(fixed.hi),
        zero_point=np.array(0),
        rounding=rounding,
        overflow=overflow,
    )
    rest = [
        replace(node, sources=tuple(codes.name if s == source.name else s for s in node.sources))
        for node in graph.nodes[1:]
    ]
    return replace(
        graph, nodes=(source, codes, *rest), output=codes.name if graph.output == source.name else graph.output
    )


def boundary(graph: Graph, known: dict[str, Lattice | None]) -> AnyNode:
    """Return the one quantizer behind the input; what is before it is computed by the host."""
    host = {graph.nodes[0].name}
    found: list[AnyNode] = []
    by_name = {node.name: node for node in graph.nodes}
    for node in graph.nodes[1:]:
        if not any(source in host for source in node.sources):
            continue
        if isinstance(node, Quantize | Thresholds) and known[node.name] is not None:
            found.append(node)
        elif _hosted(node, by_name, host):
            host.add(node.name)
        else:
            raise ExportError(
                f"node {node.name!r} ({type(node).__name__}) reads the model's input, which is not quantized; give "
                f"{GIVE}, or put a quantizer behind the input; `gatewright quantize` does both for a float model"
            )
    if len(found) != 1:
        names = ", ".join(repr(node.name) for node in found) or "none"
        raise ExportError(
            f"model {graph.name!r} needs one quantizer behind its input, it has {names}; give {GIVE}, so "
            "that all of them run on the chip"
        )
    return found[0]


def _hosted(node: AnyNode, by_name: dict[str, AnyNode], host: set[str]) -> bool:
    """Whether the host computes a node: it moves, scales or shifts the input's elements."""
    if isinstance(node, Combine):
        return all(s in host or isinstance(by_name[s], Constant) for s in node.sources)
    return isinstance(node, Affine | Activation) or is_structure(node)
