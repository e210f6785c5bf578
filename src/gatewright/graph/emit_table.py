"""Functions given by their results, and by two slopes, in; lookups and dense layers that compute them exactly out."""

from __future__ import annotations

import numpy as np

from gatewright import ir
from gatewright.graph.builder import Builder, Code
from gatewright.graph.chain import Chain
from gatewright.graph.exact import frac_bits
from gatewright.graph.nodes import Floats, Table
from gatewright.graph.shapes import Shape
from gatewright.ir import Ints


def emit_table(builder: Builder, node: Table, source: Code | Chain, shape: Shape) -> Code | str:
    """Emit a table, or say why it has no exact form; entries are repeated where the integers before it are finer."""
    if not isinstance(source, Code) or not source.plain:
        return "its input is no fixed-point number"
    finer = builder.frac(source.op) - node.frac_bits
    if finer < 0:
        return "its input is coarser than its entries"
    frac = frac_bits(node.values)
    values = np.ldexp(node.values, frac).astype(np.int64)
    values, first, known = np.repeat(values, 1 << finer, axis=1), node.first << finer, builder.known[source.op]
    below = max(first - int(known.lo.min()), 0)  # integers of the format before it that no code is: never read
    above = max(int(known.hi.max()) - first - values.shape[1] + 1, 0)
    padded: Ints = np.pad(values, ((0, 0), (below, above)), mode="edge")
    name = builder.table("table", padded, frac)
    op = ir.Lookup(name=builder.fresh(), layer=builder.layer, source=source.op, table=name, first=first - below)
    return Code(builder.add(op), np.array(1.0), shape)


def two_slopes(builder: Builder, slopes: Floats, x: Code) -> str:
    """Emit relu(x) - slope * relu(-x), which any slope is, as dense layers: hardware needs nothing else for it."""
    size, frac = x.shape[0], max(frac_bits(slopes), 0)
    below: Ints = np.ldexp(-slopes, frac).astype(np.int64)
    one: Ints = np.eye(size, dtype=np.int64)
    both: Ints = np.hstack([one, -one])
    joined: Ints = np.vstack([one * (1 << frac), one * below])
    name = x.op
    steps: tuple[tuple[str, Ints, int], ...] = (("both", both, 0), ("joined", joined, frac))
    for suffix, weight, bits in steps:
        bias: Ints = np.zeros_like(weight[0])
        tables = {
            "weight": builder.table(f"{suffix}.weight", weight, bits),
            "bias": builder.table(f"{suffix}.bias", bias, bits),
        }
        last = suffix == "joined"
        op = ir.Dense(name=builder.fresh("" if last else suffix), layer=builder.layer, source=name, **tables)
        name = builder.add(op)
        if not last:
            name = builder.add(ir.Relu(name=builder.fresh("sides"), layer=builder.layer, source=name))
    return name


def copies(builder: Builder, x: Code, count: int, scale: Floats) -> Code:
    """Emit copies of a vector, one behind the other: wires, written as a dense layer."""
    width = x.shape[0] * count
    weight: Ints = np.tile(np.eye(x.shape[0], dtype=np.int64), count)
    tables = {
        "weight": builder.table("weight", weight, 0),
        "bias": builder.table("bias", np.zeros(width, np.int64), 0),
    }
    dense = ir.Dense(name=builder.fresh(), layer=builder.layer, source=x.op, **tables)
    return Code(builder.add(dense), scale, (width,))
