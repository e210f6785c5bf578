"""HGQ2's QSoftmax in, exact tables of exponential and reciprocal, sums and products out.

`max(x) - x` and the sum of the exponentials are quantized to one format each, so that both functions are tables over
the codes of that format, evaluated here in float32 as HGQ2 does. Source: HGQ2 0.2, hgq/layers/softmax.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import Dense, Quantize, Slice, Table
from gatewright.importers.keras import hgq2
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.weights import LayerWeights

Singles = NDArray[np.float32]
EPSILON = np.float32(1e-7)  # Keras', which HGQ2 adds to the sum
MOST_ENTRIES = 1 << 16


def softmax(call: Call) -> Value:
    """QSoftmax over the last axis; `stable` subtracts each value from the greatest first."""
    (x,) = call.quantized_inputs()
    settings, builder = call.settings, call.builder
    axes = settings.take("axes", [-1])
    axes = [axes] if isinstance(axes, int) else list(axes)
    if len(axes) != 1 or axes[0] not in (-1, len(x.shape)):
        raise settings.refuse("axes", axes, "use the last axis")
    settings.only("allow_heterogeneous_table", (False,), False, "use one table for all elements")
    scale = np.float32(settings.number("input_scaler", 1.0))
    stable = settings.flag("stable", default=True)
    exp, inverse = (call.weights.child(f"{name}_table") for name in ("exp", "inv"))
    if stable:
        x = builder.combine("sub", greatest(call, x), x, call.where)
        x = _positive(call, x, settings.take("exp_iq_conf"), exp, "exp_iq")
        scale = -scale
    else:
        settings.ignore("exp_iq_conf")
    e = _table(call, x, settings.take("exp_oq_conf"), exp, "exp_oq", lambda v: np.exp(v * scale))
    count = x.shape[-1]
    total = builder.add(
        Dense, [e], (*e.shape[:-1], 1), "sum", weight=np.ones((count, 1)), bias=np.zeros(1), weight_scale=np.ones(())
    )
    total = _positive(call, total, settings.take("inv_iq_conf"), inverse, "inv_iq")
    one = np.float32(1)
    r = _table(call, total, settings.take("inv_oq_conf"), inverse, "inv_oq", lambda v: one / (v + EPSILON))
    if settings.flag("enable_ebops", default=False):
        for table in (exp, inverse) if stable else (inverse,):
            table.take("beta", "ebops")
    return builder.combine("mul", e, r, call.where)


def greatest(call: Call, x: Value) -> Value:
    """Return the greatest along the last axis, of one element then: halves that may overlap, again and again."""
    while (size := x.shape[-1]) > 1:
        half = (size + 1) // 2
        left, right = (_part(call, x, first, half) for first in (0, size - half))
        x = call.builder.combine("max", left, right, call.where)
    return x


def _part(call: Call, x: Value, first: int, count: int) -> Value:
    rest = (0,) * (len(x.shape) - 1)
    return call.builder.add(
        Slice,
        [x],
        (*x.shape[:-1], count),
        "part",
        starts=(*rest, first),
        stops=(*x.shape[:-1], first + count),
        steps=(1,) * len(x.shape),
    )


def _positive(call: Call, x: Value, conf: Any, store: LayerWeights, what: str) -> Value:
    """Quantize numbers that are never negative: where codes saturate, no negative one is ever reached."""
    form = _form(call, conf, store.child("iq"), what)
    lo = form.lo if form.wraps else np.maximum(form.lo, 0)
    return hgq2.quantize_by(call.builder, x, replace(form, lo=lo), f"{call.where}, {what}")


def _form(call: Call, conf: Any, store: LayerWeights, what: str) -> hgq2.Format:
    where = f"{call.where}, {what}"
    form = hgq2.read(conf, store.child("quantizer"), where)
    if form is None:
        raise ModelError(f"{where}: a quantizer that does nothing leaves no finite table; give it bits")
    return form


def _table(
    call: Call, x: Value, conf: Any, store: LayerWeights, what: str, function: Callable[[Singles], Singles]
) -> Value:
    """Add the table of a function over every code that the quantizer before it may give."""
    before = call.builder.node(x)
    if not isinstance(before, Quantize):
        raise ModelError(f"{call.where}: its input has no quantizer, so {what} has no finite table; set enable_iq")
    form = _form(call, conf, store.child("oq"), what)
    if form.frac.size != 1:
        raise ModelError(f"{call.where}, {what}: a format for each element has no single table; use one for all")
    live = (before.lo != 0) | (before.hi != 0)
    frac = int(np.max(np.where(live, -np.log2(before.scale), 0), initial=0))
    ends = [np.ldexp(np.asarray(end * before.scale), frac) for end in (before.lo, before.hi)]
    first, last = int(min(ends[0].min(), 0)), int(max(ends[1].max(), 0))
    if last - first >= MOST_ENTRIES:
        raise ModelError(
            f"{call.where}, {what}: a table over {last - first + 1} codes; at most {MOST_ENTRIES} are built, give its "
            "input fewer bits"
        )
    codes = np.ldexp(np.arange(first, last + 1, dtype=np.float64), -frac).astype(np.float32)
    values = hgq2.applied(form, function(codes)).reshape(1, -1)
    return call.builder.add(Table, [x], x.shape, "table", values=values, first=first, frac_bits=frac)
