"""Lookups in; the hls4ml layers that read the same tables, or the reason of a refusal, out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatewright.fixedpoint import Fixed
from gatewright.hls.layers import Backend, HlsLayer, HlsType, Io
from gatewright.hls.site import MOST_INDEX_BITS, Found, Site, affine, holding, layer_of, numbers, step, table_type
from gatewright.ir import Constant, Op
from gatewright.ir.op_tables import Lookup


def lookup(op: Op, site: Site) -> Found:
    """Return the index of each element's entry, x scaled and moved to 0 and up, and the table that is read there.

    Rows of channels lie one behind the other in one table.
    """
    assert isinstance(op, Lookup)
    if site.backend is Backend.CATAPULT or (site.io is Io.STREAM and not site.xilinx):
        return f"hls4ml's {site.backend.value} back end has no table of given numbers that compiles here"
    table = site.program.constants[op.table]
    rows, entries = table.q.shape
    bits = max(1, (rows * entries - 1).bit_length())
    if bits > MOST_INDEX_BITS:
        return f"a table of {rows * entries:,} entries; hls4ml is given at most {1 << MOST_INDEX_BITS:,}"
    shape = site.shape(op.source)
    row = np.arange(int(np.prod(shape))) % shape[-1] if rows > 1 else np.zeros(int(np.prod(shape)), dtype=np.int64)
    scale = Constant(np.ones(len(row), dtype=np.int64), -site.known[op.source].frac_bits)
    offset = Constant(row * entries - op.first, 0)
    index = step(
        op,
        site,
        "index",
        "ApplyAlpha",
        site.words[op.source],
        settings=affine(numbers(scale), numbers(offset)),
        scale=table_type(scale),
        bias=table_type(offset),
        result=HlsType(fixed=Fixed(width_bits=bits, frac_bits=0, signed=False)),
    )
    flat = Constant(np.resize(table.q, 1 << bits), table.frac_bits)  # what lies behind the rows is never read
    if site.xilinx:
        settings: dict[str, Any] = {"activation": "unary_lut", "table_data": numbers(flat)}
        read = layer_of(op, site, "UnaryLUT", op.source, settings=settings, table=table_type(flat))
        return index, replace(read, inputs=(index.name,))
    return index, *_embedded(op, site, index.name, flat, shape)


def _embedded(op: Lookup, site: Site, index: str, table: Constant, shape: tuple[int, ...]) -> tuple[HlsLayer, ...]:
    """Return an embedding of one number for each index, which hls4ml puts on an axis of its own, and its reshape."""
    settings = {
        "n_in": int(np.prod(shape)),
        "n_out": 1,
        "vocab_size": table.q.size,
        "embeddings_data": numbers(table).reshape(-1, 1),
    }
    result = holding(site.known[op.name])
    read = step(op, site, "read", "Embedding", index, settings=settings, result=result, embeddings=table_type(table))
    back = replace(
        step(op, site, "shape", "Reshape", read.name, settings={"target_shape": list(shape)}, result=result),
        name=site.words[op.name],
    )
    return replace(read, op=op.name), back
