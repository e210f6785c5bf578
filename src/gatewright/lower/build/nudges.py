"""Ops of a part in; the halves that join their sums before a rounding drops bits, and the ops that round no more, out.

Round half up is to add half an LSB and truncate; floor(relu(x) + h) == relu(floor(x + h)) for 0 <= h < 1 LSB. The pass
fold_rounding puts one half for each column into the bias; here they may differ from element to element.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from gatewright.fixedpoint import Rounding
from gatewright.ir.ops import Dense, MatMul, Relu, Requant
from gatewright.ir.program import Op, sources
from gatewright.ir.rounding import spread
from gatewright.lower.build.part import Part


def nudged(part: Part) -> tuple[tuple[Op, ...], Mapping[str, list[int]]]:
    """Return the ops, and for each sum that a rounding alone reads a number to add to each of its elements.

    A sum that is its layer's result, or leaves the part, stays as it is.
    """
    by_name = {op.name: op for op in part.ops}
    readers = Counter(name for op in part.ops for name in sources(op)) + Counter(part.gives)
    last = {op.layer: op.name for op in part.ops}
    found: dict[str, list[int]] = {}
    ops: list[Op] = []
    for op in part.ops:
        ops.append(op)
        if not isinstance(op, Requant) or op.rounding is not Rounding.HALF_UP:
            continue
        between = by_name.get(op.source)
        total = by_name.get(between.source) if isinstance(between, Relu) else between
        if not isinstance(total, Dense | MatMul) or any(
            readers[one.name] != 1 or last[one.layer] == one.name for one in (between, total) if one is not None
        ):
            continue
        size = len(part.live[total.name])
        drops = [part.fracs[total.name] - keep for keep in spread(op.keep_frac_bits, size)]
        found[total.name] = [1 << (drop - 1) if drop > 0 else 0 for drop in drops]
        ops[-1] = dataclasses.replace(op, rounding=Rounding.TRUNCATE)
    return tuple(ops), found
