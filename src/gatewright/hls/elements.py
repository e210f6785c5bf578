"""ReLU and element-wise operations in; the hls4ml layers that equal them, or the reason of a refusal, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from gatewright.fixedpoint import Fixed
from gatewright.hls.layers import HlsType, Io
from gatewright.hls.site import Found, Site, affine, layer_of, numbers, table_type
from gatewright.ir import Constant, Op
from gatewright.ir.ops import Add, Binary, Max, Min, Mul, Relu, Sub

MERGE: Mapping[type[Op], str] = {Add: "add", Sub: "subtract", Mul: "multiply", Max: "maximum", Min: "minimum"}


def relu(op: Op, site: Site) -> Found:
    """Return an activation."""
    assert isinstance(op, Relu)
    return (layer_of(op, site, "Activation", op.source, settings={"activation": "relu"}),)


def binary(op: Op, site: Site) -> Found:
    """Return a merge of two results, or where one is a constant a scale and an offset of the other."""
    pair = cast("Binary", op)
    tables = site.constant(pair.left), site.constant(pair.right)
    if tables[0] is not None and tables[1] is not None:
        return "both its sources are constants"
    left, right = site.shape(pair.left), site.shape(pair.right)
    for table, source in zip(tables, (pair.right, pair.left), strict=True):
        if table is not None:
            return _with_constant(pair, site, table, source)
    if left != right and site.io is Io.STREAM:
        return f"shapes {left} and {right}: streams of one shape alone are joined"
    if left != right and not site.xilinx:
        where = site.backend.value
        return f"shapes {left} and {right}: in {where} hls4ml repeats nothing and reads past the shorter's end"
    if not _repeats(left, right, site.shape(op.name)):
        return f"shapes {left} and {right}: hls4ml repeats the shorter along the leading axes only"
    return (layer_of(op, site, "Merge", pair.left, pair.right, settings={"op": MERGE[type(op)]}),)


def _repeats(left: tuple[int, ...], right: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Return whether hls4ml's way equals NumPy's: the operand of fewer elements over and over, to the other's shape."""
    shorter, longer = (left, right) if np.prod(right) > np.prod(left) else (right, left)
    ones = next((at for at, size in enumerate(shorter) if size > 1), len(shorter))
    return longer == result and longer[len(longer) - len(shorter) + ones :] == shorter[ones:]


def _with_constant(op: Binary, site: Site, table: Constant, source: str) -> Found:
    """Return x * scale + bias with a constant for one of them. source: x."""
    if isinstance(op, Max | Min):
        return f"{type(op).__name__.lower()} with a constant"
    shape = site.known[source].lo.shape
    if np.prod(table.q.shape) > np.prod(shape):
        return f"a constant of shape {table.q.shape} with a result of shape {shape}"
    values = np.broadcast_to(numbers(table), shape).ravel()
    ones, zeros = np.ones_like(values), np.zeros_like(values)
    one = HlsType(fixed=Fixed(width_bits=2, frac_bits=0))
    if isinstance(op, Mul):
        scale, bias, types = values, zeros, (table_type(table), one)
    elif isinstance(op, Sub) and op.left != source:  # constant - x
        scale, bias, types = -ones, values, (one, table_type(table))
    elif isinstance(op, Sub):
        negative = Constant(-table.q, table.frac_bits)
        scale, bias, types = ones, -values, (one, table_type(negative))
    else:
        scale, bias, types = ones, values, (one, table_type(table))
    return (layer_of(op, site, "ApplyAlpha", source, settings=affine(scale, bias), scale=types[0], bias=types[1]),)
