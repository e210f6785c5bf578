"""HGQ2's trained fixed-point quantizers: per-element sign, integer and fractional bits in, exact formats out.

Two parametrisations (kif: integer and fractional bits; kbi: all bits and integer bits); the widths are stored as
floats and rounded, halves to even. An element of no bits is the constant 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.fixedpoint import MAX_BITS, Overflow, Rounding
from gatewright.graph.nodes import Quantize
from gatewright.importers.fixed import ROUNDING
from gatewright.importers.keras.builder import Builder, Value
from gatewright.importers.keras.call import Weight
from gatewright.importers.keras.settings import Settings
from gatewright.importers.keras.weights import LayerWeights

Array = NDArray[Any]

TRAINING_KEYS = ("place", "ic", "ir", "fc", "fr", "bc", "br", "k0", "i0", "f0", "b0", "i_decay_speed", "is_weight",
                 "trainable", "homogeneous_axis", "heterogeneous_axis", "seed")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    """frac, lo, hi: codes of each element; `nothing`: elements of no bits; wraps: codes wrap into lo..hi."""

    frac: Array
    lo: Array
    hi: Array
    nothing: Array
    rounding: Rounding
    wraps: bool
    rounds_only: bool
    scaler: float

    def part(self, rows: slice, edges: tuple[int, ...]) -> Format:
        """Return the format of some rows of (rows, columns) elements; edges: the size of the part."""

        def cut(array: Array) -> Array:
            held = array.reshape(array.shape[-2:])
            return np.broadcast_to(held[rows] if len(held) > 1 else held, edges)

        return replace(self, frac=cut(self.frac), lo=cut(self.lo), hi=cut(self.hi), nothing=cut(self.nothing))


def read(conf: Any, store: LayerWeights, where: str) -> Format | None:
    """Return the format of a quantizer; None where it does nothing (`dummy`)."""
    if not isinstance(conf, dict) or not isinstance(conf.get("config"), dict):
        raise ModelError(f"{where}: quantizer configuration {conf!r} is not understood")
    settings = Settings(where, str(conf.get("class_name")), conf["config"])
    settings.only("q_type", ("kif", "kbi", "dummy"), "kif", "use kif or kbi")
    kind = conf["config"].get("q_type", "kif")
    if conf.get("class_name") != "QuantizerConfig":
        raise ModelError(f"{where}: quantizer {conf.get('class_name')!r} is not supported; use QuantizerConfig")
    if kind == "dummy":
        return None
    settings.ignore(*TRAINING_KEYS)
    settings.only("qnoise_factor", (None, 1.0, 1), None, "use 1")
    settings.only("affine", (None,), None, "put the affine step in a layer of its own")
    if settings.take("bw_mapper", None) is not None:
        mapper = conf["config"]["bw_mapper"]
        if not isinstance(mapper, dict) or mapper.get("class_name") != "DefaultBitwidthMapper":
            raise settings.refuse("bw_mapper", mapper, "use the default one")
    scaler = 1.0 if settings.take("scaler", None) is None else settings.number("scaler")
    if np.frexp(scaler)[0] != 0.5:
        raise settings.refuse("scaler", scaler, "use a power of two")
    rounding = str(settings.take("round_mode")).upper().removeprefix("S_")
    overflow = str(settings.take("overflow_mode")).upper()
    if rounding not in ROUNDING:
        raise settings.refuse("round_mode", rounding, f"use one of {', '.join(ROUNDING)}")
    if overflow not in ("WRAP", "SAT", "SAT_SYM"):
        raise settings.refuse("overflow_mode", overflow, "use WRAP, SAT or SAT_SYM")
    settings.done()
    k, i, f = _widths(store, kind, overflow == "WRAP")
    nothing = k + i + f <= 0
    i = np.maximum(i, -f)
    if np.any(~nothing & (k + i + f > MAX_BITS)) or np.any(np.abs(f) > 1000):
        raise ModelError(f"{where}: formats of up to {int((k + i + f).max())} bits; at most {MAX_BITS} are supported")
    span = np.where(nothing, 0, i + f).astype(np.int64)
    hi = np.where(nothing, 0, (np.int64(1) << span) - 1)
    lo = np.where(
        nothing, 0, -k.astype(np.int64) * (np.int64(1) << span) + (k * (overflow == "SAT_SYM")).astype(np.int64)
    )
    trainable = bool(conf["config"].get("trainable", True))
    weight = bool(conf["config"].get("is_weight", False)) and overflow == "WRAP" and trainable
    rounds_only = weight and (kind == "kif" or rounding == "RND")
    return Format(f, lo, hi, nothing, Rounding(ROUNDING[rounding]), overflow == "WRAP", rounds_only, scaler)


def _widths(store: LayerWeights, kind: str, wraps: bool) -> tuple[Array, Array, Array]:
    """Return k, i, f as whole numbers; the order in the file is trained variables first."""
    if kind == "kif":
        names = ("f", "k", "i", "i_decay_speed") if wraps else ("i", "f", "k")
    else:
        names = ("b", "k", "i", "i_decay_speed") if wraps else ("b", "i", "k")
    stored = store.take(*names)
    k = np.rint(stored["k"].astype(np.float64))
    i = np.rint(stored["i"].astype(np.float64))
    f = np.rint(stored["f"].astype(np.float64)) if kind == "kif" else np.rint(stored["b"].astype(np.float64)) - i
    return k, i, f


def quantize_weight(array: Array, conf: Any, store: LayerWeights, where: str) -> Weight:
    """Return a float32 weight after its quantizer, in float32 arithmetic (exact: every step but the rounding is)."""
    form = read(conf, store, where)
    if form is None:
        return Weight.plain(array)
    try:
        shape = np.broadcast_shapes(form.frac.shape, array.shape)
    except ValueError:
        shape = ()
    if shape != array.shape:
        raise ModelError(f"{where}: formats of shape {form.frac.shape} do not fit a weight of shape {array.shape}")
    return Weight(applied(form, array), np.ones(()))


def applied(form: Format, array: Array) -> NDArray[np.float64]:
    """Return float32 numbers after a quantizer, computed in float32 as HGQ2 does; its format broadcasts over them."""
    scaled = array.astype(np.float32) / np.float32(form.scaler) * np.exp2(form.frac).astype(np.float32)
    codes = _rounded(scaled, form.rounding).astype(np.float64)
    if not form.rounds_only:
        lo, hi = form.lo.astype(np.float64), form.hi.astype(np.float64)
        codes = (codes - lo) % (hi - lo + 1) + lo if form.wraps else np.clip(codes, lo, hi)
        codes = np.where(form.nothing, 0.0, codes)
    return codes * np.exp2(-form.frac) * form.scaler


def _rounded(v: NDArray[np.float32], rounding: Rounding) -> NDArray[np.float32]:
    half = np.float32(0.5)
    table = {
        "truncate": lambda: np.floor(v),
        "half_up": lambda: np.floor(v + half),
        "half_even": lambda: np.rint(v),
        "zero": lambda: np.trunc(v),
        "half_zero": lambda: -np.floor(-np.abs(v) + half) * np.sign(v),
        "half_down": lambda: -np.floor(-v + half),
        "half_away": lambda: np.floor(np.abs(v) + half) * np.sign(v),
    }
    return table[rounding.value]()


def _stepwise(part: Array, ones: tuple[int, ...]) -> Array:
    return part.reshape(1, *ones, *part.shape[1:])


def quantize_value(builder: Builder, x: Value, conf: Any, store: LayerWeights, where: str) -> Value:
    """Add the quantizer's node. The widths' first axis is the samples' and must not vary."""
    form = read(conf, store, where)
    return x if form is None else quantize_by(builder, x, form, where)


def quantize_by(builder: Builder, x: Value, form: Format, where: str) -> Value:
    """Add the node of a quantizer whose format was read."""
    rank = len(x.shape) + 1
    if form.frac.ndim < rank and form.frac.shape[:1] == (1,):  # inside TimeDistributed: of one step, for all of them
        ones = (1,) * (rank - form.frac.ndim)
        form = replace(form, **{key: _stepwise(getattr(form, key), ones) for key in ("frac", "lo", "hi", "nothing")})
    if form.frac.shape[:1] != (1,) or form.frac.ndim != rank:
        raise ModelError(f"{where}: formats of shape {form.frac.shape} do not fit values of shape {x.shape}")
    frac, lo, hi, nothing = (
        np.broadcast_to(part, form.frac.shape)[0] for part in (form.frac, form.lo, form.hi, form.nothing)
    )
    if any(have not in (1, size) for have, size in zip(frac.shape, x.shape, strict=True)):
        raise ModelError(f"{where}: formats of shape {frac.shape} do not fit values of shape {x.shape}")
    return builder.add(
        Quantize,
        [x],
        x.shape,
        "quantize",
        scale=np.where(nothing, 1.0, np.exp2(-frac) * form.scaler),
        lo=lo.astype(np.int64),
        hi=hi.astype(np.int64),
        zero_point=np.zeros((), np.int64),
        rounding=form.rounding,
        overflow=Overflow.WRAP if form.wraps else Overflow.SATURATE,
    )
