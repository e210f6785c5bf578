"""Layers that sum products (dense, convolutions) or scale in; the integers that hls4ml's C++ computes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import MAX_BITS, Ints, Overflow, rounded
from gatewright.hls.layers import HlsType
from gatewright.hls.project.network import ReadLayer
from gatewright.hls.project.numbers import Floats, Loss, Signal, assign, assign_real, ends, printed

Computed = tuple[Signal, tuple[Loss, ...]]


def weights_of(layer: ReadLayer) -> Floats:
    """Return a layer's weights as (inputs of a sum, outputs), floats before their type."""
    weight = layer.weights["weight"]
    if layer.settings.get("strategy") == "resource":  # which hls4ml stores transposed
        weight = np.moveaxis(weight, 0, -1)
    return weight.reshape(-1, weight.shape[-1])


def windows(layer: ReadLayer, x: np.ndarray) -> np.ndarray:
    """Return what each sum reads, in the order of the weights: (n, positions, inputs of a sum). x: (n, *shape)."""
    if layer.kind == "Dense":
        return x.reshape(len(x), 1, -1)
    s = layer.settings
    if s.get("data_format", "channels_last") != "channels_last":
        raise LowerError(f"layer {layer.name!r}: data_format {s['data_format']!r} is not predicted")
    height, width = s.get("in_height", 1), s["in_width"]
    x = x.reshape(len(x), height, width, s["n_chan"])
    pads = ((0, 0), (s.get("pad_top", 0), s.get("pad_bottom", 0)), (s["pad_left"], s["pad_right"]), (0, 0))
    x = np.pad(x, pads)
    rows, columns = s.get("filt_height", 1), s["filt_width"]
    steps = (s.get("stride_height", 1), s["stride_width"])
    view = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), axis=(1, 2))[:, :: steps[0], :: steps[1]]
    view = view[:, : s.get("out_height", 1), : s["out_width"]]
    return view.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), -1, rows * columns * s["n_chan"])


def exact_sums(layer: ReadLayer, x: Floats) -> Floats:
    """Return what a sum of products is in real numbers. x: (n, *shape) -> (n, *shape)."""
    bias = layer.weights["bias"].reshape(-1)
    return (windows(layer, x) @ weights_of(layer) + bias).reshape(len(x), *layer.shape)


def sums(layer: ReadLayer, sources: Sequence[Signal]) -> Computed:
    """Return a dense layer or convolution: each product is cast to the accumulator's type, then added to it."""
    (source,) = sources
    accum = layer.type("accum")
    weight, weight_loss = stored(layer, "weight", weights_of(layer))
    bias, bias_loss = stored(layer, "bias", layer.weights["bias"].reshape(-1))
    x = windows(layer, source.q)
    frac = source.kind.fixed.frac_bits + weight.kind.fixed.frac_bits
    checked_bits(layer, source.kind, weight.kind, len(weight.q))
    start, _ = assign(bias.q, bias.kind.fixed.frac_bits, accum, "accum")
    lost, wrong, total = _accumulated(x, weight.q, start, frac, accum)
    reach = _reach(source.kind, weight, start, accum)
    scale = 2.0**-accum.fixed.frac_bits
    exact = total * scale
    lo, hi = ends(accum)
    kept = _into(total, accum) if accum.overflow is Overflow.WRAP else wrong
    accumulated = Loss(
        role="accum",
        kind=accum,
        of=total.size,
        rounded=lost,
        overflowed=int(((total < lo) | (total > hi)).sum()),
        least=float(exact.min(initial=np.inf)),
        greatest=float(exact.max(initial=-np.inf)),
        worst=float(np.abs(kept * scale - exact).max(initial=0.0)),
        possible=reach,
    )
    result = layer.type("result")
    q, result_loss = assign(kept, accum.fixed.frac_bits, result, "result")
    signal = Signal(q=q.reshape(len(q), *layer.shape), kind=result)
    return signal, (weight_loss, bias_loss, accumulated, result_loss)


def scaled(layer: ReadLayer, sources: Sequence[Signal]) -> Computed:
    """Return a batch normalisation or a scale: a product and a sum in full, then the result's type."""
    (source,) = sources
    scale, scale_loss = stored(layer, "scale", layer.weights["scale"].reshape(-1))
    bias, bias_loss = stored(layer, "bias", layer.weights["bias"].reshape(-1))
    frac = source.kind.fixed.frac_bits + scale.kind.fixed.frac_bits
    checked_bits(layer, source.kind, scale.kind, 2)
    top = max(frac, bias.kind.fixed.frac_bits)
    factor, offset = (_channels(layer, values.q, source.q[0].size) for values in (scale, bias))
    flat = source.q.reshape(len(source.q), -1)
    full = (flat * factor << top - frac) + (offset << top - bias.kind.fixed.frac_bits)
    q, result_loss = assign(full, top, layer.type("result"), "result")
    signal = Signal(q=q.reshape(len(q), *layer.shape), kind=layer.type("result"))
    return signal, (scale_loss, bias_loss, result_loss)


def exact_scaled(layer: ReadLayer, x: Floats) -> Floats:
    """Return the same in real numbers."""
    flat = x.reshape(len(x), -1)
    factor, offset = (_channels(layer, layer.weights[key].reshape(-1), flat.shape[1]) for key in ("scale", "bias"))
    return (flat * factor + offset).reshape(len(x), *layer.shape)


def _channels(layer: ReadLayer, values: np.ndarray, size: int) -> np.ndarray:
    filters = layer.settings.get("n_filt", -1)
    return values if filters == -1 or len(values) == size else np.tile(values, size // len(values))


def stored(layer: ReadLayer, role: str, values: Floats) -> tuple[Signal, Loss]:
    """Return weights as the C++ has them, and what their type loses of the floats."""
    kind = layer.type(role)
    q, _ = assign_real(printed(values, kind), kind, role)
    _, loss = assign_real(values, kind, role)
    return Signal(q=q, kind=kind), replace(
        loss, worst=float(np.abs(values - Signal(q=q, kind=kind).values).max(initial=0.0))
    )


def checked_bits(layer: ReadLayer, first: HlsType, second: HlsType, terms: int) -> None:
    """Raise LowerError where a sum of products does not fit int64."""
    bits = first.fixed.width_bits + second.fixed.width_bits + max(terms, 1).bit_length()
    if bits > MAX_BITS:
        raise LowerError(
            f"layer {layer.name!r}: products of {first} and {second}, {terms} of them, need {bits} bits; "
            f"{MAX_BITS} are predicted. Types as wide as that are hls4ml's inference after a wide result: give that "
            "one a type"
        )


def _accumulated(x: Ints, weight: Ints, start: Ints, frac: int, accum: HlsType) -> tuple[int, Ints, Ints]:
    """Return how many products lost bits; the sums with overflow at each step; the sums without any."""
    drop = frac - accum.fixed.frac_bits
    if drop <= 0 and accum.overflow is Overflow.WRAP:
        total = (_matmul(x, weight) << -drop) + start
        return 0, total, total
    lost = 0
    held = np.broadcast_to(start, (*x.shape[:-1], weight.shape[1])).copy()
    total = held.copy()
    lo, hi = ends(accum)
    for at in range(len(weight)):
        product = x[..., at, None] * weight[at]
        term, loss = assign(product, frac, accum, "accum")
        lost += loss.rounded
        total += rounded(product, drop, accum.rounding)
        if accum.overflow is not Overflow.WRAP:  # else only the end counts: it is the total, wrapped
            held = np.clip(held + term, lo, hi)
    return lost, held, total


def _into(total: Ints, accum: HlsType) -> Ints:
    lo, _ = ends(accum)
    return ((total - lo) & ((1 << accum.fixed.width_bits) - 1)) + lo


def _matmul(x: Ints, weight: Ints) -> Ints:
    """Return x @ weight; in doubles where these are exact, which is much faster."""
    peak = int(np.abs(x).max(initial=0)) * int(np.abs(weight).sum(axis=0).max(initial=0))
    if peak < 1 << 53:
        return (x.astype(np.float64) @ weight.astype(np.float64)).astype(np.int64)
    return x @ weight


def _reach(source: HlsType, weight: Signal, start: Ints, accum: HlsType) -> tuple[float, float]:
    """Return between what values the sums lie for any values of the source's type."""
    lo, hi = (end * 2.0**-source.fixed.frac_bits for end in ends(source))
    w = weight.values
    up, down = np.clip(w, 0, None).sum(axis=0), np.clip(w, None, 0).sum(axis=0)
    base = start * 2.0**-accum.fixed.frac_bits
    return float((up * lo + down * hi + base).min()), float((up * hi + down * lo + base).max())
