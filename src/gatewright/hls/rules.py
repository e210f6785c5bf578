"""An op of the program in; the hls4ml layers that equal it, or the reason of a refusal, out: one rule for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.hls.layers import AP_OVERFLOW, AP_ROUNDING, Backend, HlsLayer, HlsType
from gatewright.ir import Constant, Op, Program, Range
from gatewright.ir.op_moves import Concat, Reshape
from gatewright.ir.ops import Add, Binary, Const, Dense, Input, Max, Min, Mul, Relu, Requant, Sub
from gatewright.ir.rounding import spread

MOST_BITS = 53  # a double holds them: hls4ml's bridge hands inputs, outputs and traced layers over as doubles

_MERGE: Mapping[type[Op], str] = {Add: "add", Sub: "subtract", Mul: "multiply", Max: "maximum", Min: "minimum"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a rule stands. known: every result's exact range; words: hls4ml's name of every result."""

    program: Program
    known: Mapping[str, Range]
    words: Mapping[str, str]
    backend: Backend

    def constant(self, name: str) -> Constant | None:
        """Return the table of a result that is a constant, None for any other."""
        op = self.program.op(name)
        return self.program.constants[op.value] if isinstance(op, Const) else None


Found = tuple[HlsLayer, ...] | str


def exact(values: Range) -> str:
    """Return why a result's integers cannot be compared exactly, "" where they can."""
    if values.width_bits > MOST_BITS:
        return f"its result has {values.width_bits} bits, and hls4ml's emulation hands over {MOST_BITS} as a double"
    return ""


def holding(values: Range) -> HlsType:
    """Return the narrowest type of a result's exact range."""
    return HlsType(fixed=Fixed.holding(*values.ends, values.frac_bits))


def table_type(table: Constant) -> HlsType:
    """Return the narrowest type of a table's integers, all of which it keeps."""
    return HlsType(fixed=Fixed.holding(int(table.q.min()), int(table.q.max()), table.frac_bits))


def numbers(table: Constant) -> NDArray[np.float64]:
    """Return what a table's integers mean, as the doubles that hls4ml writes down in full."""
    return table.q.astype(np.float64) * 2.0**-table.frac_bits


def _layer(op: Op, site: Site, kind: str, *sources: str, settings: Mapping[str, Any], **types: HlsType) -> HlsLayer:
    """Return the one layer that computes op's result; its type, where none is given, holds the exact range."""
    return HlsLayer(
        name=site.words[op.name],
        layer=op.layer,
        op=op.name,
        kind=kind,
        inputs=tuple(site.words[source] for source in sources),
        types={"result": holding(site.known[op.name]), **types},
        settings=settings,
    )


def _input(op: Op, site: Site) -> Found:
    assert isinstance(op, Input)
    return (_layer(op, site, "InputLayer", settings={"input_shape": list(op.shape)}, result=HlsType(fixed=op.format)),)


def _dense(op: Op, site: Site) -> Found:
    assert isinstance(op, Dense)
    if (rank := site.known[op.source].lo.ndim) != 1:
        return f"a dense layer over a tensor of {rank} axes; only vectors are handed over"
    weight, bias = site.program.constants[op.weight], site.program.constants[op.bias]
    n_in, n_out = weight.q.shape
    settings = {"n_in": n_in, "n_out": n_out, "weight_data": numbers(weight), "bias_data": numbers(bias)}
    types = {"accum": holding(site.known[op.name]), "weight": table_type(weight), "bias": table_type(bias)}
    return (_layer(op, site, "Dense", op.source, settings=settings, **types),)


def _relu(op: Op, site: Site) -> Found:
    assert isinstance(op, Relu)
    return (_layer(op, site, "Activation", op.source, settings={"activation": "relu"}),)


def _requant(op: Op, site: Site) -> Found:
    """Return a cast to one type, or where the elements' formats differ a quantizer with a type for each."""
    assert isinstance(op, Requant)
    if op.rounding not in AP_ROUNDING:
        return f"rounding {op.rounding.value} is no mode of ap_fixed or ac_fixed; choose another"
    drop, width = site.known[op.source].frac_bits - min(op.keep_frac_bits), site.known[op.source].width_bits
    xilinx = site.backend in (Backend.VITIS, Backend.VIVADO)
    if xilinx and op.rounding is not Rounding.TRUNCATE and drop > width:
        return f"it rounds {drop} bits away of a value of {width}, at which AMD's ap_fixed reads past the value's end"
    whole = {len(set(values)) for values in (op.width_bits, op.keep_frac_bits, op.signed)} == {1}
    if whole and not _is_zero(op, op.width_bits[0], op.signed[0]):
        fixed = Fixed(width_bits=op.width_bits[0], frac_bits=op.keep_frac_bits[0], signed=op.signed[0])
        overflow = op.overflow if fixed.signed else _unsigned(op.overflow)
        result = HlsType(fixed=fixed, rounding=op.rounding, overflow=overflow)
        return (_layer(op, site, "Activation", op.source, settings={"activation": "linear"}, result=result),)
    if not xilinx:  # in Quartus hls4ml calls the quantizer and does not write it
        return f"its elements have formats of their own, for which hls4ml has no quantizer in {site.backend.value}"
    shape = site.known[op.name].lo.shape
    size = int(np.prod(shape))
    widths, keeps, signs = (_spread(values, size) for values in (op.width_bits, op.keep_frac_bits, op.signed))
    widths = np.where(
        [_is_zero(op, width, sign) for width, sign in zip(widths, signs, strict=True)], 0, widths
    )  # which hls4ml's quantizer writes as 0
    masks = tuple(part.reshape(1, *shape) for part in (signs, widths, widths - keeps))
    settings: dict[str, Any] = {
        "mask_kbi": masks,
        "RND": AP_ROUNDING[op.rounding],
        "SAT": AP_OVERFLOW[op.overflow],
        "overrides": {},
        "fusible": False,
    }
    return (_layer(op, site, "FixedPointQuantizer", op.source, settings=settings),)


def _is_zero(op: Requant, width: int, signed: bool) -> bool:
    return width == 0 or (width == 1 and signed and op.overflow is Overflow.SATURATE_SYMMETRIC)


def _unsigned(overflow: Overflow) -> Overflow:
    """Return the same for numbers without a sign, among which the symmetric range is the whole one."""
    return Overflow.SATURATE if overflow is Overflow.SATURATE_SYMMETRIC else overflow


def _spread(values: tuple[int, ...], size: int) -> NDArray[np.int64]:
    return np.array(spread(values, size), dtype=np.int64)


def _reshape(op: Op, site: Site) -> Found:
    assert isinstance(op, Reshape)
    source = site.known[op.source]
    return (_layer(op, site, "Reshape", op.source, settings={"target_shape": list(op.shape)}, result=holding(source)),)


def _binary(op: Op, site: Site) -> Found:
    """Return a merge of two results, or where one is a constant a scale and an offset of the other."""
    pair = cast("Binary", op)
    tables = site.constant(pair.left), site.constant(pair.right)
    if tables[0] is not None and tables[1] is not None:
        return "both its sources are constants"
    shapes = [site.known[name].lo.shape for name in (pair.left, pair.right)]
    longer, shorter = sorted(shapes, key=lambda shape: (len(shape), np.prod(shape)), reverse=True)
    if longer != site.known[op.name].lo.shape or longer[len(longer) - len(shorter) :] != shorter:
        return f"shapes {shapes[0]} and {shapes[1]}: hls4ml repeats the shorter along the leading axes only"
    for table, source in zip(tables, (pair.right, pair.left), strict=True):
        if table is not None:
            return _affine(pair, site, table, source)
    return (_layer(op, site, "Merge", pair.left, pair.right, settings={"op": _MERGE[type(op)]}),)


def _affine(op: Binary, site: Site, table: Constant, source: str) -> Found:
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
    settings = {
        "scale_data": scale,
        "bias_data": bias,
        "scale_precision": str(types[0]),
        "bias_precision": str(types[1]),
        "n_in": values.size,
    }
    return (_layer(op, site, "ApplyAlpha", source, settings=settings, scale=types[0], bias=types[1]),)


def _concat(op: Op, site: Site) -> Found:
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
    return (_layer(op, site, "Concatenate", *op.sources, settings=settings),)


Rule = Callable[[Op, Site], Found]
RULES: Mapping[type[Op], Rule] = {
    Input: _input,
    Dense: _dense,
    Relu: _relu,
    Requant: _requant,
    Reshape: _reshape,
    Concat: _concat,
    **dict.fromkeys(_MERGE, _binary),
}
"""An operation that is not named here is refused."""
