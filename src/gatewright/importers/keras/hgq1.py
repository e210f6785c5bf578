"""HGQ (version 1) proxy models: `FixedPointQuantizer` layers with a format per element, after plain Keras layers."""

from __future__ import annotations

import numpy as np

from gatewright.errors import ModelError
from gatewright.fixedpoint import MAX_BITS, Overflow, Rounding
from gatewright.graph.nodes import Quantize
from gatewright.importers.fixed import ROUNDING
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call


def fixed_point_quantizer(call: Call) -> Value:
    """ap_fixed<bits, integers> of each element; `integers` counts the sign, 0 bits give the constant 0."""
    x = call.one_input()
    call.settings.ignore("overrides", "fusible")  # types for hls4ml, which follow from the formats
    rounding = call.settings.only("RND", tuple(ROUNDING), "TRN", f"use one of {', '.join(ROUNDING)}")
    overflow = call.settings.only("SAT", ("WRAP", "SAT", "SAT_SYM"), "WRAP", "use WRAP, SAT or SAT_SYM")
    shape = tuple(call.settings.take("shape"))
    stored = call.take("keep_negative", "bits", "integers")
    parts = {name: call.check(stored[name], shape, name).astype(np.int64) for name in stored}
    if len(shape) > len(x.shape) and shape[0] != 1:
        raise ModelError(f"{call.where}: formats of shape {shape} vary with the sample")
    bits, keep, whole = (
        (part[0] if part.ndim > len(x.shape) else part)
        for part in (parts["bits"], parts["keep_negative"], parts["integers"])
    )
    if np.any((keep != 0) & (keep != 1)) or np.any(bits < 0) or np.any(bits > MAX_BITS):
        raise ModelError(f"{call.where}: bits must be 0..{MAX_BITS} and keep_negative 0 or 1")
    try:
        fits = np.broadcast_shapes(bits.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ModelError(f"{call.where}: formats of shape {shape} do not fit values of shape {x.shape}")
    nothing = bits == 0
    span = np.where(nothing, 0, bits - keep)
    lo = np.where(nothing, 0, -keep * (np.int64(1) << span) + (keep if overflow == "SAT_SYM" else 0))
    return call.builder.add(
        Quantize,
        [x],
        x.shape,
        "quantize",
        scale=np.where(nothing, 1.0, np.exp2((whole - bits).astype(np.float64))),
        lo=lo,
        hi=np.where(nothing, 0, (np.int64(1) << span) - 1),
        zero_point=np.zeros((), np.int64),
        rounding=Rounding(ROUNDING[rounding]),
        overflow=Overflow.WRAP if overflow == "WRAP" else Overflow.SATURATE,
    )
