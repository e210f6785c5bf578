"""What hls4ml's types lose in; types for each layer that lose nothing, or no more than a rounding, out.

Where the model's numbers lie on a grid (quantized weights, quantizers) the types hold that grid: accumulators and
results then are exact for every input of the input's type. Where they are floats, each type keeps the width that the
configuration gives, its integer bits hold what the samples need and a quarter more, and it rounds and saturates;
accumulators are exact all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any, cast

import numpy as np

from gatewright.export.vectors import DESIGNED_BITS
from gatewright.fixedpoint import MAX_BITS, Fixed, Overflow, Rounding, frac_bits
from gatewright.graph.exact import is_power_of_two
from gatewright.graph.nodes import Quantize
from gatewright.hls.layers import HlsType
from gatewright.hls.project.emulate import MOVED, POOLED, RULES, SCALED, SUMS
from gatewright.hls.project.functions import TABLES
from gatewright.hls.project.judge import Judged, LayerJudged
from gatewright.hls.project.network import HlsLayerGraph, ReadLayer
from gatewright.hls.project.numbers import Floats, Signal, ends, spelled
from gatewright.hls.project.softmax import exact_softmax, rows_of, softmax
from gatewright.hls.project.sums import stored, weights_of

MARGIN = 1.25  # of the greatest value seen
WIDTH_BITS = 16  # where the configuration names no width
TABLE_BITS = 18
GOOD_TABLE = 2.0**-8  # a softmax whose error is below that has tables large enough
TABLE_SIZES = (1024, 2048, 4096, 8192, 16384)
UNHEARD = ("exp_table", "inv_table", "inv_inp")  # and table: hls4ml 1.3 reads these not under Precision, but as NAME_t
Settings = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """By layer: what to set in its entry of LayerName. hls: the whole HLSConfig with that."""

    layers: Mapping[str, Mapping[str, Any]]
    hls: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The types of results chosen so far, and the width of float ones."""

    kinds: dict[str, HlsType]
    width_bits: int


def suggest(graph: HlsLayerGraph, judged: Judged, *, width_bits: int | None = None) -> Suggestion:
    """Return the types to set. width_bits: of the types of floats, None: as wide as the configuration's default."""
    chosen = _Chosen(kinds={}, width_bits=width_bits or _default_width(graph.used))
    made: Settings = {}
    for layer in graph.layers:
        seen = judged.layer(layer.name)
        softened = any(other.kind == "Softmax" and layer.name in other.sources for other in graph.layers)
        made[layer.name] = _settings(layer, seen, chosen, judged, before_softmax=softened)
    hls = deepcopy(dict(graph.used))
    names = hls.setdefault("LayerName", {})
    for name, settings in made.items():
        _merge(names.setdefault(name, {}), settings)
        linear = f"{name}_linear"  # which hls4ml else keeps as a cast to a type of its own
        if linear in graph.parsed and linear not in made:
            _merge(names.setdefault(linear, {}), {"Precision": {"result": settings["Precision"]["result"]}})
    return Suggestion(layers=made, hls=hls)


def _merge(entry: dict[str, Any], settings: Mapping[str, Any]) -> None:
    precision: Any = entry.get("Precision")
    own = cast("dict[str, Any]", precision) if isinstance(precision, dict) else {}
    entry.update(settings)
    replaced = {key.removesuffix("_t") for key in settings}  # hls4ml does not read these where they stand now
    entry["Precision"] = {**{k: v for k, v in own.items() if k not in replaced}, **settings["Precision"]}


def _settings(
    layer: ReadLayer, seen: LayerJudged, chosen: _Chosen, judged: Judged, *, before_softmax: bool
) -> dict[str, Any]:
    rule = RULES.get(layer.kind)
    precision: dict[str, str] = {}
    others: dict[str, Any] = {}
    if layer.kind == "Input":
        result = _input(layer, seen, chosen)
    elif rule is SUMS or rule is SCALED:
        role = "weight" if rule is SUMS else "scale"
        weights, bias = weights_of(layer) if rule is SUMS else layer.weights[role], layer.weights["bias"]
        kinds = {
            key: _kept(layer, key) or _constant(values, chosen) for key, values in ((role, weights), ("bias", bias))
        }
        precision.update({key: spelled(kind) for key, kind in kinds.items()})
        full = _full(chosen.kinds[layer.sources[0]], kinds[role], kinds["bias"], weights, bias, sums=rule is SUMS)
        if rule is SUMS:
            precision["accum"] = spelled(full)
        exact = _on_grid(seen.reference.values)
        if exact:
            result = _wide_enough(full, seen.reference.values) if before_softmax else full
        else:
            result = _float(seen, chosen, most=full, before_softmax=before_softmax)
    elif layer.kind == "Softmax" and layer.settings["implementation"] in ("stable", "latency"):
        result = HlsType(
            fixed=Fixed(width_bits=chosen.width_bits, frac_bits=chosen.width_bits - 1, signed=False),
            rounding=Rounding.HALF_UP,
            overflow=Overflow.SATURATE,
        )
        tables, others = _softmax(layer, result, chosen.kinds[layer.sources[0]], judged)
        precision.update(tables)
    elif layer.kind == "Activation" and str(layer.settings["activation"]).lower() in TABLES:
        result = _quantized(seen) or _float(seen, chosen)
        others["table_t"] = spelled(replace(result, fixed=_table_format(result)))
        others["TableSize"] = max(4096, int(layer.settings["table_size"]))
    else:
        result = _quantized(seen) or _passed(layer, seen, chosen)
    chosen.kinds[layer.name] = result
    return {"Precision": {**precision, "result": spelled(result)}, **others}


def _input(layer: ReadLayer, seen: LayerJudged, chosen: _Chosen) -> HlsType:
    """Return the type that it has, where that keeps every sample; else one that does, as far as its width allows."""
    (loss,) = seen.losses
    if not loss.rounded and not loss.overflowed:
        return layer.type("result")
    return _constant(seen.reference.values, chosen, margin=MARGIN)


def _kept(layer: ReadLayer, role: str) -> HlsType | None:
    """Return the type that weights have, where it holds them all exactly; else None."""
    kind = layer.types.get(role)
    if kind is None:
        return None
    _, loss = stored(layer, role, layer.weights[role])
    return None if loss.worst or loss.rounded or loss.overflowed else kind


def _constant(values: Floats, chosen: _Chosen, margin: float = 1.0) -> HlsType:
    """Return the type of known numbers: their grid where they have one, else the width, rounded."""
    frac = frac_bits(values)
    whole = [int(end * 2.0**frac) for end in (values.min(initial=0.0), values.max(initial=0.0))]
    held = max(abs(end) for end in whole).bit_length() + 1
    if held <= DESIGNED_BITS:
        return HlsType(fixed=Fixed.holding(min(whole), max(whole), frac))
    peak = float(np.abs(values).max()) * margin
    return _rounded(chosen.width_bits, _integer_bits(peak) + 1, signed=True)


def _full(source: HlsType, weight: HlsType, bias: HlsType, w: Floats, b: Floats, *, sums: bool) -> HlsType:
    """Return the type that holds every sum exactly, whatever the source's type holds."""
    frac = max(source.fixed.frac_bits + weight.fixed.frac_bits, bias.fixed.frac_bits)
    lo, hi = (end * 2.0**-source.fixed.frac_bits for end in ends(source))
    half = 2.0 ** -(weight.fixed.frac_bits + 1) if weight.rounding is Rounding.HALF_UP else 0.0
    up, down = np.clip(w + half, 0, None), np.clip(w - half, None, 0)
    if sums:
        up, down = up.sum(axis=0), down.sum(axis=0)
    base = b.reshape(-1) if b.size == up.shape[-1] else b.max() + 0 * up
    slack = 2.0**-bias.fixed.frac_bits
    least = float((up * lo + down * hi + base).min()) - slack
    greatest = float((up * hi + down * lo + base).max()) + slack
    held = Fixed.holding(int(np.floor(least * 2.0**frac)), int(np.ceil(greatest * 2.0**frac)), frac)
    return HlsType(fixed=held)


def _float(seen: LayerJudged, chosen: _Chosen, most: HlsType | None = None, *, before_softmax: bool = False) -> HlsType:
    """Return the width's type for the values that the framework gives, no wider than `most`."""
    values = seen.reference.values
    least, peak = float(values.min(initial=0.0)), float(np.abs(values).max(initial=0.0)) * MARGIN
    signed = least < 0
    integer = _integer_bits(peak) + signed
    if before_softmax:
        signed, integer = True, max(integer, _spread_bits(values))
    kind = _rounded(chosen.width_bits, integer, signed=signed)
    return most if most is not None and most.fixed.width_bits <= kind.fixed.width_bits else kind


def _wide_enough(full: HlsType, values: Floats) -> HlsType:
    """Return the type with the integer bits that a softmax behind it needs."""
    fixed = full.fixed
    missing = _spread_bits(values) - (fixed.width_bits - fixed.frac_bits) + (not fixed.signed)
    width = fixed.width_bits + max(0, missing)
    return replace(
        full, fixed=Fixed(width_bits=width, frac_bits=fixed.frac_bits, signed=True if missing > 0 else fixed.signed)
    )


def _spread_bits(values: Floats) -> int:
    """Return the integer bits, sign included, of scores of which a stable softmax holds differences in one bit less."""
    return _integer_bits(float((values.max(axis=-1, keepdims=True) - values).max(initial=0.0)) * MARGIN) + 1


def _passed(layer: ReadLayer, seen: LayerJudged, chosen: _Chosen) -> HlsType:
    """Return the type of a layer that chooses between numbers or adds two: all that its sources hold, where these are
    exact, else the width's."""
    sources = [chosen.kinds[name] for name in layer.sources]
    rule = RULES.get(layer.kind)
    if rule is MOVED or rule is POOLED:
        return sources[0]
    if not _on_grid(seen.reference.values):
        return _float(seen, chosen)
    word = str(layer.settings.get("activation", layer.settings.get("op", ""))).lower()
    frac = max(kind.fixed.frac_bits for kind in sources)
    spans = [[end << frac - kind.fixed.frac_bits for end in ends(kind)] for kind in sources]
    lo, hi = min(low for low, _ in spans), max(high for _, high in spans)
    if word in ("add", "subtract"):
        lo, hi = 2 * min(lo, -hi), 2 * max(hi, -lo)
    elif word == "multiply":
        frac, hi = sum(kind.fixed.frac_bits for kind in sources), max(abs(lo), hi) ** 2
        lo = -hi
    elif word.startswith("relu"):
        lo = 0
    return HlsType(fixed=Fixed.holding(lo, hi, frac))


def _quantized(seen: LayerJudged) -> HlsType | None:
    """Return the type of the model's own quantizer, None where there is none, or none that one type can be."""
    node = seen.reference.quantizer
    if node is None or not _one_format(node):
        return None
    lo, hi = int(node.lo.min()), int(node.hi.max())
    frac = round(-log2(float(node.scale.min())))
    overflow = Overflow.SATURATE_SYMMETRIC if node.overflow is Overflow.SATURATE and lo == -hi else node.overflow
    return HlsType(fixed=Fixed.holding(lo, hi, frac), rounding=node.rounding, overflow=overflow)


def _one_format(node: Quantize) -> bool:
    steps = np.unique(node.scale)
    single = len(steps) == 1 and is_power_of_two(steps) and not node.zero_point.any()
    return single and len(np.unique(node.lo)) == len(np.unique(node.hi)) == 1 and node.rounding is not Rounding.CEIL


def _softmax(
    layer: ReadLayer, result: HlsType, source: HlsType, judged: Judged
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return types of tables that hold 0 .. 1 and the sum, and the least size of tables that is good enough.

    The softmax is left to the host (`Skip`) where no size of TABLE_SIZES is: its input is too wide for a table.
    """
    sums = rows_of(layer).bit_length()
    unit = _rounded(TABLE_BITS, 1, signed=False)
    types = {
        "exp_table": unit,
        "inv_table": unit,
        "accum": _rounded(TABLE_BITS - 1 + sums, sums, signed=False),
        "inv_inp": _rounded(TABLE_BITS, sums, signed=False),
    }
    exact = judged.layer(layer.sources[0]).reference.values
    signal = Signal(q=np.rint(exact * 2.0**source.fixed.frac_bits).astype(np.int64), kind=source)
    address = f"ap_ufixed<{source.fixed.width_bits - 1},{source.fixed.width_bits - source.fixed.frac_bits - 1}>"
    errors: dict[int, float] = {}
    for size in TABLE_SIZES:
        held = min(size, 2 ** (source.fixed.width_bits - 1))
        told = f"exp_table_size = {held}; inv_table_size = {size}; typedef {address} inp_norm_t;"
        trial = replace(layer, types={**types, "result": result}, settings={**layer.settings, "config_cpp": told})
        made = softmax(trial, [signal])
        assert made is not None
        errors[size] = float(np.abs(made[0].values - exact_softmax(layer, exact)).max(initial=0.0))
        if errors[size] <= GOOD_TABLE:
            break
    best = min(errors, key=lambda size: errors[size])
    others: dict[str, Any] = {"TableSize": best} if errors[best] <= 1 / 16 else {"Skip": True}
    others.update({f"{role}_t": spelled(types.pop(role)) for role in UNHEARD})
    return {role: spelled(kind) for role, kind in types.items()}, others


def _table_format(result: HlsType) -> Fixed:
    fixed = result.fixed
    return Fixed(width_bits=fixed.width_bits + 2, frac_bits=fixed.frac_bits + 2, signed=True)


def _rounded(width: int, integer: int, *, signed: bool) -> HlsType:
    fixed = Fixed(width_bits=min(width, MAX_BITS), frac_bits=width - integer, signed=signed)
    return HlsType(fixed=fixed, rounding=Rounding.HALF_UP, overflow=Overflow.SATURATE)


def _integer_bits(peak: float) -> int:
    """Return the bits before the point, without sign, that numbers up to peak need."""
    return 0 if peak <= 0 else ceil(log2(peak + peak * 2.0**-20))


def _on_grid(values: Floats) -> bool:
    """Whether all values are multiples of a step that sums of quantized numbers have."""
    frac = frac_bits(values)
    peak = float(np.abs(values).max(initial=0.0))
    return frac + _integer_bits(peak) <= 2 * DESIGNED_BITS - 8 and frac < 24


def _default_width(used: Mapping[str, Any]) -> int:
    """Return the width of the configuration's default type."""
    given: Any = used.get("Model", {}).get("Precision")
    if isinstance(given, dict):
        given = cast("dict[str, Any]", given).get("default")
    text = str(given or "")
    return Fixed.parse(text).width_bits if "fixed" in text else WIDTH_BITS
