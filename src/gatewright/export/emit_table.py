"""Functions given by their results, and by two slopes, in; the lookups and sums that compute them exactly out."""

from __future__ import annotations

import numpy as np

from gatewright import ir
from gatewright.export.builder import Code, ProgramBuilder, integers, refusal
from gatewright.fixedpoint import Ints
from gatewright.graph.exact import Lattice
from gatewright.graph.nodes import Floats, Table


def emit_table(builder: ProgramBuilder, node: Table, x: Code, lattice: Lattice | None) -> Code:
    """Emit a table, or say why it has no exact form; integers before it that are no entry never come: any will do."""
    if lattice is None:
        raise refusal(node, "its entries need more than 53 bits", "round them")
    finer = builder.frac(x.op) - node.frac_bits
    if not x.plain or finer > 0:
        kind = f"multiple of 2**{-node.frac_bits}" if node.frac_bits else "integer"
        raise refusal(node, f"its input is no {kind}", "put a quantizer of the table's format before it")
    known, last = builder.known[x.op], node.first + node.values.shape[1] - 1
    lo, hi = min(-(-node.first >> -finer), int(known.lo.min())), max(last >> -finer, int(known.hi.max()))
    codes: Ints = np.arange(lo, hi + 1, dtype=np.int64) << -finer
    at: Ints = codes.clip(node.first, last) - node.first
    name = builder.table("table", np.ldexp(node.values[:, at], lattice.frac_bits).astype(np.int64), lattice.frac_bits)
    op = ir.Lookup(name=builder.fresh(), layer=builder.layer, source=x.op, table=name, first=lo)
    return Code(builder.add(op), np.array(1.0), x.shape)


def two_slopes(builder: ProgramBuilder, slopes: Floats, x: Code) -> str:
    """Emit relu(x) + slope * min(x, 0), which any slope is, and return the sum's name."""
    name, layer = builder.fresh, builder.layer
    above = builder.add(ir.Relu(name=name("above"), layer=layer, source=x.op))
    zero = builder.const("zero", np.zeros(1, np.int64), 0)
    below = builder.add(ir.Min(name=name("below"), layer=layer, left=x.op, right=zero))
    below = builder.scaled(below, *integers(slopes), "slope")
    return builder.add(ir.Add(name=name(), layer=layer, left=above, right=below))
