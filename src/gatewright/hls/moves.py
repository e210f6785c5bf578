"""Ops that move elements in; the hls4ml layers that equal them, or the reason of a refusal, out."""

from __future__ import annotations

from gatewright.hls.layers import HlsType, Io
from gatewright.hls.site import Found, Site, layer_of
from gatewright.ir import Op
from gatewright.ir.op_moves import Concat, Reshape
from gatewright.ir.ops import Dense, Input
from gatewright.ir.program import sources


def given(op: Op, site: Site) -> Found:
    """Return the input layer."""
    assert isinstance(op, Input)
    return (
        layer_of(op, site, "InputLayer", settings={"input_shape": list(op.shape)}, result=HlsType(fixed=op.format)),
    )


def reshape(op: Op, site: Site) -> Found:
    """Return a reshape, which keeps the type of what it reads.

    On streams a flattened tensor is a vector to dense layers alone, which gather the pixels themselves.
    """
    assert isinstance(op, Reshape)
    readers = [reader for reader in site.program.ops if op.name in sources(reader)]
    gathered = len(readers) == 1 and isinstance(readers[0], Dense)
    flat = len(op.shape) == 1 < len(site.shape(op.source))
    if site.io is Io.STREAM and flat and readers and not gathered:
        return "on streams hls4ml leaves a flattened tensor as it was, which dense layers alone take"
    return (
        layer_of(
            op,
            site,
            "Reshape",
            op.source,
            settings={"target_shape": list(op.shape)},
            result=site.types[op.source],
        ),
    )


def concat(op: Op, site: Site) -> Found:
    """Return a chain of concatenations of two."""
    assert isinstance(op, Concat)
    if any(site.constant(source) for source in op.sources):
        return "a constant among its sources"
    rank = site.known[op.name].lo.ndim
    if rank > 3:
        return f"tensors of {rank} axes; hls4ml joins up to 3"
    if len(op.sources) != 2:
        return f"{len(op.sources)} sources; hls4ml joins 2"
    axis = op.axis % rank
    settings = {"op": f"concatenate{rank}d", "axis": axis + 1}
    return (layer_of(op, site, "Concatenate", *op.sources, settings=settings),)
