"""An integer result, elementwise float functions and a quantizer in; exact integer ops out.

`y = quantizer(f(x))` of an integer x is itself an integer function: a table or thresholds (export/levels.py). A
quantizer alone, on fixed point, is a Requant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.export.builder import Code, ProgramBuilder
from gatewright.export.levels import tabulate
from gatewright.export.pending import Chain, Terminal, flattened, rows_of, size_of, spread
from gatewright.fixedpoint import Ints, Overflow, frac_bits
from gatewright.graph.exact import Lattice, is_power_of_two
from gatewright.graph.nodes import Floats, Quantize, Thresholds
from gatewright.graph.shapes import Shape
from gatewright.ir import Max, Min, Requant, Reshape
from gatewright.ir import Thresholds as ThresholdsOp


def absorb(builder: ProgramBuilder, node: Terminal, chain: Chain, lattice: Lattice, *, single: bool) -> Code:
    """Emit the ops of quantizer `node` behind `chain`; ExportError names the node where no exact form exists."""
    base = chain.base
    if isinstance(node, Thresholds) and node.comparisons and not chain.steps and base.plain:
        return _comparisons(builder, node, base, lattice)
    if isinstance(node, Quantize) and not chain.steps and base.plain and is_power_of_two(_live_scale(node)):
        done = _requant(builder, node, base, lattice)
        if done is not None:
            return done
    rows = rows_of(chain, node)
    if rows not in (1, base.shape[-1]):  # one function per element: flatten, so that elements are channels
        flat = Reshape(name=builder.fresh("flat"), layer=builder.layer, source=base.op, shape=(rows,))
        spread = np.broadcast_to(base.scale, base.shape).reshape(-1)
        steps = tuple(flattened(s, base.shape) for s in chain.steps)
        inner = Chain(Code(builder.add(flat), spread, (rows,)), steps, chain.exact)
        done = tabulate(builder, flattened(node, base.shape), inner, lattice, rows, single)
        back = Reshape(name=builder.fresh("shaped"), layer=builder.layer, source=done, shape=base.shape)
        return Code(builder.add(back), lattice.scale, base.shape)
    return Code(tabulate(builder, node, chain, lattice, rows, single), lattice.scale, base.shape)


def _live_scale(node: Quantize) -> Floats:
    return np.where((node.lo == 0) & (node.hi == 0), 1.0, node.scale)


def _requant(builder: ProgramBuilder, node: Quantize, base: Code, lattice: Lattice) -> Code | None:
    shape = base.shape
    scale, lo, hi, zero = _common(node, shape)
    live = ~((lo == 0) & (hi == 0))
    overflow = node.overflow
    if overflow is Overflow.SATURATE_SYMMETRIC:
        overflow, lo = Overflow.SATURATE, np.maximum(lo, -hi)
    lo, hi = np.where(live, lo - zero, 0), np.where(live, hi - zero, 0)
    frac = -(np.frexp(np.where(live, scale, 1.0))[1] - 1)
    signed = lo < 0
    width = np.array([int(h).bit_length() for h in hi.flat]).reshape(hi.shape) + signed
    top, bottom = (1 << np.maximum(width - signed, 0)) - 1, -(signed.astype(np.int64) << np.maximum(width - 1, 0))
    whole = bool((hi == top).all() and (lo == bottom).all())
    symmetric = bool((hi == top).all() and (lo == np.where(signed, -top, 0)).all())
    if overflow is Overflow.SATURATE and not whole and symmetric:
        overflow = Overflow.SATURATE_SYMMETRIC
    elif overflow is Overflow.SATURATE and not whole:
        return _clipped(builder, node, base, (frac, lo, hi), lattice)
    elif not whole or ((node.zero_point != 0).any() and overflow is Overflow.WRAP):
        return None
    op = Requant(
        name=builder.fresh(),
        layer=builder.layer,
        source=base.op,
        frac_bits=lattice.frac_bits,
        width_bits=_tuple(width),
        keep_frac_bits=_tuple(np.where(live, frac, lattice.frac_bits)),
        signed=tuple(map(bool, _tuple(signed))),
        rounding=node.rounding,
        overflow=overflow,
    )
    return Code(builder.add(op if node.frac_bits is None else _configured(op, node, shape)), lattice.scale, shape)


def _configured(op: Requant, node: Quantize, shape: Shape) -> Requant:
    """Return the op with the configured format of every element, of those that are always 0 too."""
    hi, scale, lo = node.hi, node.scale, node.lo
    each = max(hi.size, scale.size) > 1
    width = np.array([int(h).bit_length() for h in hi.flat]).reshape(hi.shape) + (lo < 0)
    keep = 1 - np.frexp(scale)[1]
    parts = [np.broadcast_to(v, shape) if each else v for v in (width, keep)]
    width_bits, keep_frac_bits = (tuple(int(v) for v in part.flat) for part in parts)
    signed = (any(op.signed),) if len(set(np.sign(lo[lo < hi]).tolist())) < 2 else op.signed
    return replace(op, width_bits=width_bits, keep_frac_bits=keep_frac_bits, signed=signed)


def _comparisons(builder: ProgramBuilder, node: Thresholds, base: Code, lattice: Lattice) -> Code:
    """Emit comparisons with the thresholds as they are."""
    frac = frac_bits(node.thresholds)
    start, step = (int(np.ldexp(v.flat[0], lattice.frac_bits)) for v in (node.start, node.step))
    op = ThresholdsOp(
        name=builder.fresh(),
        layer=builder.layer,
        source=base.op,
        thresholds=builder.table("thresholds", np.ldexp(node.thresholds, frac).astype(np.int64), frac),
        start=start,
        step=step,
        frac_bits=lattice.frac_bits,
    )
    return Code(builder.add(op), lattice.scale, base.shape)


def _clipped(
    builder: ProgramBuilder, node: Quantize, base: Code, parts: tuple[Ints, Ints, Ints], lattice: Lattice
) -> Code | None:
    """Round without overflow, then clip to ends that are no format's."""
    frac, lo, hi = parts
    known = builder.known[base.op]
    wide = known.width_bits + max(int(frac.max()) - known.frac_bits, 0) + 2
    op = Requant(
        name=builder.fresh("rounded"),
        layer=builder.layer,
        source=base.op,
        frac_bits=lattice.frac_bits,
        width_bits=(wide,),
        keep_frac_bits=_tuple(frac),
        signed=(True,),
        rounding=node.rounding,
        overflow=Overflow.SATURATE,
    )
    rounded = builder.add(op)
    ends = [_narrowed(end << (lattice.frac_bits - frac), base.shape) for end in (lo, hi)]
    left = builder.const("lo", ends[0], lattice.frac_bits)
    above = builder.add(Max(name=builder.fresh("above"), layer=builder.layer, left=rounded, right=left))
    right = builder.const("hi", ends[1], lattice.frac_bits)
    return Code(
        builder.add(Min(name=builder.fresh(), layer=builder.layer, left=above, right=right)), lattice.scale, base.shape
    )


def _narrowed(values: Ints, shape: Shape) -> Ints:
    return np.atleast_1d(values) if values.size in (1, shape[-1]) else values.reshape(shape)


def _common(node: Quantize, shape: Shape) -> tuple[Floats, Ints, Ints, Ints]:
    """Return scale, lo, hi, zero point with one entry, one per channel or one per element, whichever suffices."""
    rows = size_of((node.scale, node.lo, node.hi, node.zero_point), shape)
    parts = [spread(v, shape, rows) for v in (node.scale, node.lo, node.hi, node.zero_point)]
    return parts[0], parts[1], parts[2], parts[3]


def _tuple(values: NDArray[Any]) -> tuple[int, ...]:
    flat = [int(v) for v in values.flat]
    return (flat[0],) if len(set(flat)) == 1 else tuple(flat)
