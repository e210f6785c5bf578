"""QONNX and ONNX quantizers: on weights they are applied at import, on data they become Quantize or Thresholds.

Semantics: QONNX operator documents (Quant, BipolarQuant, Trunc, MultiThreshold) and ONNX QuantizeLinear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from re import fullmatch

import numpy as np

from gatewright.fixedpoint import MAX_BITS, Rounding
from gatewright.importers import elementwise
from gatewright.importers.builder import Builder, Const, Tensor, Value
from gatewright.importers.onnx import arithmetic
from gatewright.importers.onnx.arithmetic import Handler, Results
from gatewright.importers.onnx.constants import Array, folded
from gatewright.importers.onnx.op import Op

_ROUND: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda y: np.sign(y) * np.ceil(np.abs(y)),
    "DOWN": np.fix,
    "HALF_UP": lambda y: np.sign(y) * np.floor(np.abs(y) + 0.5),
    "HALF_DOWN": lambda y: np.sign(y) * np.ceil(np.abs(y) - 0.5),
}
# QONNX' words on data: its halves, UP and DOWN look at zero. Where no result is negative, simpler roundings are equal.
_SIGNED = {
    "FLOOR": Rounding.TRUNCATE,
    "CEIL": Rounding.CEIL,
    "DOWN": Rounding.ZERO,
    "HALF_UP": Rounding.HALF_AWAY,
    "HALF_DOWN": Rounding.HALF_ZERO,
}
_UNSIGNED = {
    "UP": Rounding.CEIL,
    "DOWN": Rounding.TRUNCATE,
    "HALF_UP": Rounding.HALF_UP,
    "HALF_DOWN": Rounding.HALF_DOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What QuantizeLinear gives: integers, kept as the numbers that they stand for."""

    decoded: Tensor
    scale: Array
    zero_point: Array
    lo: int
    hi: int
    what: str = (
        "a quantized integer; only Clip and DequantizeLinear may follow QuantizeLinear (export in the QDQ format)"
    )


def _limits(op: Op, bits: Array, signed: bool, narrow: bool) -> tuple[Array, Array]:
    whole = np.asarray(np.round(bits), dtype=np.int64)
    if (whole != bits).any() or (whole < 1).any() or (whole > MAX_BITS).any():
        op.fail(f"has a width of {np.asarray(bits).tolist()!r} bits; whole numbers from 1 to {MAX_BITS} are supported")
    one = np.int64(1)
    if signed:
        hi = (one << (whole - 1)) - 1
        return -hi - (0 if narrow else 1), hi
    return np.zeros_like(whole), (one << whole) - 1 - int(narrow)


def _rounding(op: Op, mode: str, lo: Array) -> Rounding:
    """The node's rounding, where it has one that is equal on every value between the limits."""
    if mode in ("ROUND", "HALF_EVEN"):
        return Rounding.HALF_EVEN
    if mode in _UNSIGNED and (lo >= 0).all():
        return _UNSIGNED[mode]
    if mode in _SIGNED:
        return _SIGNED[mode]
    return op.fail(f"attribute rounding_mode = {mode!r} is not supported on signed data; use ROUND or FLOOR")


def _mode(op: Op, default: str) -> str:
    mode = op.get("rounding_mode", default).upper()
    if mode not in _ROUND:
        op.fail(f"attribute rounding_mode = {mode!r}; known: {', '.join(_ROUND)}")
    return mode


def _quant(b: Builder, op: Op) -> Results:
    x, scale, zero, bits = op.value(0), op.array(1), op.array(2), op.array(3)
    signed, narrow, mode = op.flag("signed", True), op.flag("narrow", True), _mode(op, "ROUND")
    lo, hi = _limits(op, bits, signed, narrow)
    elementwise.finite(b, scale, "scale")
    if signed and (bits == 1).any():  # QONNX defines one signed bit as -1 and +1
        if bits.size != 1 or np.any(zero):
            op.fail("mixes one-bit signed values with other widths or a zero point")
        return [_bipolar_value(b, x, scale)]
    if isinstance(x, Const):
        return [_quantized_const(b, x.value, scale, zero, lo, hi, mode)]
    x = b.lifted(x, max(scale.ndim, zero.ndim, bits.ndim))
    rounding = _rounding(op, mode, lo)
    point = np.asarray(np.round(zero), dtype=np.int64)
    if (point != zero).any():
        op.fail(f"has a zero point of {np.asarray(zero).tolist()!r}; whole numbers are supported")
    scale64 = np.asarray(scale, dtype=np.float64)
    about_zero = rounding in (Rounding.ZERO, Rounding.HALF_AWAY, Rounding.HALF_ZERO)
    shifted = bool((point % 2 != 0).any() if rounding is Rounding.HALF_EVEN else about_zero and point.any())
    if shifted:  # round(x / s + z) is not round(x / s) + z for an odd z and ties to even, or ties by their sign
        x = elementwise.affine(b, x, np.ones(()), point * scale64)
    none = np.zeros((), dtype=np.int64)
    y = elementwise.quantize(
        b, x, scale=scale64, lo=lo, hi=hi, zero_point=none if shifted else point, rounding=rounding
    )
    return [elementwise.affine(b, y, np.ones(()), -point * scale64) if shifted else y]


def _quantized_const(b: Builder, value: Array, scale: Array, zero: Array, lo: Array, hi: Array, mode: str) -> Const:
    """Quantize weights in the file's own type, as its training did; the product with the scale is exact."""

    def integers() -> Array:
        return _ROUND[mode](np.clip(value / scale + zero, lo.astype(value.dtype), hi.astype(value.dtype))) - zero

    return _scaled(b, folded(b, integers).value, scale)


def _scaled(b: Builder, integers: Array, scale: Array) -> Const:
    scale = np.asarray(scale, dtype=np.float64)
    if scale.size == 1:
        scale = scale.reshape((1,) * integers.ndim)
    scale = scale.reshape((1,) * (integers.ndim - scale.ndim) + scale.shape)
    return replace(folded(b, lambda: np.asarray(integers, dtype=np.float64) * scale), scale=scale)


def _bipolar_value(b: Builder, x: Value, scale: Array) -> Value:
    if isinstance(x, Const):
        return _scaled(b, np.where(x.value >= 0, 1.0, -1.0), scale)
    scale64 = np.asarray(scale, dtype=np.float64)
    x = b.lifted(x, scale64.ndim)
    b.check_fits(scale64, x, "scale")
    spread = scale64.reshape((1,) * (x.rank - scale64.ndim) + scale64.shape) if scale64.size > 1 else scale64
    varying = [axis for axis, size in enumerate(spread.shape) if size > 1]
    if len(varying) > 1 or varying == [x.sample_axis]:
        b.fail(f"has a scale of the shape {scale.shape}; one scale, or one per channel, is supported")
    axis = varying[0] if varying else x.rank - 1
    flat = scale64.reshape(-1)
    return elementwise.thresholds(b, x, axis, np.zeros((1, 1)), -flat, 2 * flat)


def _bipolar(b: Builder, op: Op) -> Results:
    scale = elementwise.finite(b, op.array(1), "scale")
    return [_bipolar_value(b, op.value(0), scale)]


def _trunc(b: Builder, op: Op) -> Results:
    """Trunc: drop low bits of integers times scale. Five operands: QONNX version 1; six: version 2."""
    x, scale, zero, bits_in = op.tensor(), op.array(1), op.array(2), op.array(3)
    mode = _mode(op, "FLOOR")
    if np.any(zero) or scale.size != 1 or bits_in.size != 1:
        op.fail("has a zero point or several scales or widths; one scale and zero point 0 are supported")
    x = b.lifted(x, max(scale.ndim, bits_in.ndim))
    step = float(scale.reshape(()))
    wide, _ = _limits(op, bits_in.reshape(()) + 1, True, False)
    if len(op.operands) > 5:
        out_step, bits_out = (float(op.array(i).reshape(())) for i in (4, 5))
        lo, hi = _limits(op, np.array(bits_out), op.flag("signed", True), op.flag("narrow", False))
        ratio = 2.0 ** np.round(np.log2(out_step / step)) if out_step > 0 and step > 0 else np.nan
        gain = out_step / (step * ratio)
    else:
        dropped = float(bits_in.reshape(()) - op.array(4).reshape(()))
        ratio, gain = 2.0**dropped, 2.0**-dropped  # version 1 keeps the scale of its input
        lo, hi = wide, -wide
    none = np.zeros((), dtype=np.int64)
    fields = {"scale": np.array(step), "lo": wide, "hi": -wide, "zero_point": none, "rounding": Rounding.HALF_EVEN}
    x = elementwise.quantize(b, x, **fields)
    fields |= {"scale": np.array(step * ratio), "lo": lo, "hi": hi, "rounding": _rounding(op, mode, lo)}
    y = elementwise.quantize(b, x, **fields)
    return [y if gain == 1 else elementwise.affine(b, y, np.array(gain), np.zeros(()))]


def _multi_threshold(b: Builder, op: Op) -> Results:
    x, rows = op.tensor(), op.array(1)
    op.ignore("out_dtype")  # tells the type of the result, which out_scale and out_bias determine
    scale, bias = op.get("out_scale", 1.0), op.get("out_bias", 0.0)
    layout = op.get("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(x.rank, "")
    if len(layout) != x.rank or layout.count("C") != 1:
        op.fail(f"attribute data_layout = {layout!r} does not fit a value of {x.rank} axes")
    if rows.ndim != 2:
        op.fail(f"has thresholds of the shape {rows.shape}; (channels, count) is expected")
    return [elementwise.thresholds(b, x, layout.index("C"), rows, np.array(bias), np.array(scale))]


def _integer_type(op: Op, index: int) -> tuple[np.dtype[np.integer], int, int]:
    """The type that the zero point gives the integers, uint8 where it is absent, and the least and greatest of them."""
    zero = None if op.operand(index) is None else op.const(index)
    name = "uint8"
    if zero is not None:
        name = f"{'u' * (zero.value.dtype.kind == 'u')}int{zero.bits}" if zero.bits else zero.value.dtype.name
    declared = op.raw("output_dtype") if op.has("output_dtype") else 0
    if declared:
        from onnx import helper

        asked = helper.tensor_dtype_to_np_dtype(declared).name
        if zero is not None and asked != name:
            op.fail(f"attribute output_dtype asks for {asked} but its zero point is {name}")
        name = asked
    form = fullmatch(r"(u?int)(2|4|8|16|32)", name)
    if form is None:
        op.fail(f"quantizes to {name}; integers of 2 to 32 bits are supported")
    bits, unsigned = int(form[2]), form[1] == "uint"
    lo, hi = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return np.dtype(f"{form[1]}{max(bits, 8)}"), lo, hi


def _along(op: Op, array: Array, x: Value, axis: int) -> Array:
    """A scale or zero point, per tensor, per element or per block of `axis`, with as many axes as the value."""
    shape, block = x.shape if isinstance(x, Tensor) else x.value.shape, op.get("block_size", 0)
    rank = len(shape)
    if block < 0 or (block and isinstance(x, Tensor)):
        op.fail(f"attribute block_size = {block} is not supported; blocks of 1 or more elements of constants are")
    if array.ndim == 0 or array.size == 1:
        return array.reshape((1,) * rank)
    if block:
        count = -(-shape[axis] // block)  # the last one may be incomplete
        blocks = tuple(count if a == axis else size for a, size in enumerate(shape))
        if array.shape != blocks:
            op.fail(f"has scales of the shape {array.shape} for blocks of {block} along axis {axis} of {shape}")
        return array if count == 1 else array.repeat(block, axis).take(range(shape[axis]), axis)
    if array.ndim != 1:
        op.fail(f"has scales of the shape {array.shape}; one per tensor or per channel is supported")
    return array.reshape(tuple(-1 if a == axis else 1 for a in range(rank)))


def _quantize_linear(b: Builder, op: Op) -> Results:
    op.only("precision", 0, 1)
    op.ignore("saturate")  # of float8 only
    x, (dtype, lo, hi) = op.value(0), _integer_type(op, 2)
    rank = x.rank if isinstance(x, Tensor) else x.value.ndim
    axis = b.axis(op.get("axis", 1), rank) if op.has("axis") else min(1, rank - 1)
    scale = _along(op, elementwise.finite(b, op.array(1), "scale"), x, axis)
    zero = _along(op, np.zeros((), dtype) if (z := op.maybe_array(2)) is None else z, x, axis).astype(np.int64)
    if isinstance(x, Const):
        steps = folded(b, lambda: np.round(x.value / scale.astype(x.value.dtype)) + zero).value
        return [Const(value=np.clip(steps, lo, hi).astype(dtype))]
    y = elementwise.quantize(
        b, x, scale=scale, lo=np.array(lo), hi=np.array(hi), zero_point=zero, rounding=Rounding.HALF_EVEN
    )
    return [Coded(decoded=y, scale=scale, zero_point=zero, lo=lo, hi=hi)]


def _dequantize_linear(b: Builder, op: Op) -> Results:
    x = op.any_operand(0)
    op.only("output_dtype", 0, 1)
    codes = x.decoded if isinstance(x, Coded) else op.const(0)
    rank = codes.rank if isinstance(codes, Tensor) else codes.value.ndim
    axis = b.axis(op.get("axis", 1), rank) if op.has("axis") else min(1, rank - 1)
    scale = _along(op, elementwise.finite(b, op.array(1), "scale"), codes, axis)
    raw = op.maybe_array(2)
    zero = _along(op, np.zeros((), np.int64) if raw is None else raw, codes, axis).astype(np.int64)
    if isinstance(x, Coded):
        if np.array_equal(scale, x.scale) and np.array_equal(zero, x.zero_point):
            return [x.decoded]
        gain = scale / x.scale
        return [elementwise.affine(b, x.decoded, gain, (x.zero_point - zero) * scale)]
    integers = op.array(0)
    if not np.issubdtype(integers.dtype, np.integer):
        op.fail(f"dequantizes values of type {integers.dtype}; integers are expected")
    return [_scaled(b, folded(b, lambda: integers.astype(np.int64) - zero).value, scale)]


def _clip(b: Builder, op: Op) -> Results:
    """Clip, also between QuantizeLinear and DequantizeLinear: fewer bits, as Brevitas writes them."""
    x = op.any_operand(0)
    if not isinstance(x, Coded):
        return arithmetic.HANDLERS["Clip"](b, op)
    ends = [op.scalar(at) for at in (1, 2)]
    lo, hi = (np.array(end if end is not None else limit) for end, limit in zip(ends, (x.lo, x.hi), strict=True))
    if lo > hi:
        op.fail(f"clips to {float(lo):g}..{float(hi):g}")
    y = elementwise.quantize(
        b, x.decoded, scale=x.scale, lo=lo, hi=hi, zero_point=x.zero_point, rounding=Rounding.HALF_EVEN
    )
    return [replace(x, decoded=y, lo=int(lo), hi=int(hi))]


STANDARD: dict[str, Handler] = {
    "QuantizeLinear": _quantize_linear,
    "DequantizeLinear": _dequantize_linear,
    "Clip": _clip,
}
QONNX: dict[str, Handler] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MultiThreshold": _multi_threshold,
}
