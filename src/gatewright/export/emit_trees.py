"""Trees on fixed-point features in; the op that computes them exactly out, thresholds as integers of their grid."""

from __future__ import annotations

import numpy as np

from gatewright import ir
from gatewright.export.builder import Code, ProgramBuilder, integers, refusal
from gatewright.graph.exact import Lattice
from gatewright.graph.nodes import Trees


def emit_trees(builder: ProgramBuilder, node: Trees, x: Code, lattice: Lattice | None) -> Code:
    """Emit the sum of trees: x >= t exactly where its code is at least t in steps of its grid, rounded up."""
    if lattice is None:
        raise refusal(node, "sums of its leaves need more than 53 bits", "round them: `gatewright quantize`")
    if not x.plain:
        raise refusal(node, "its input is an integer times a real scale", "put a fixed-point quantizer before it")
    known, frac = builder.known[x.op], builder.frac(x.op)
    least, greatest = (end[node.feature].astype(np.float64) for end in (known.lo, known.hi))
    codes = np.ceil(np.ldexp(node.thresholds, frac)).clip(least, greatest + 1)  # beyond the ends nothing changes
    both, leaf_frac = integers(np.concatenate([node.leaves, node.bias[None]]))
    names = {
        "feature": builder.table("feature", node.feature, 0),
        "thresholds": builder.table("thresholds", codes.astype(np.int64), frac),
        "children": builder.table("children", node.children, 0),
        "roots": builder.table("roots", node.roots, 0),
        "leaves": builder.table("leaves", both[:-1], leaf_frac),
        "bias": builder.table("bias", both[-1], leaf_frac),
    }
    op = ir.Trees(name=builder.fresh(), layer=builder.layer, source=x.op, **names)
    return Code(builder.add(op), np.array(1.0), (node.leaves.shape[1],))
