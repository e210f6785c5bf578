"""HGQ2's LUT-dense layers in, per-edge tables and their sum out: QDenseT, QConvT, and QEinsumDenseT over the last axis.

Each edge from input i to output o quantizes its input to its own format, sends it through a small network of its own
and quantizes what that gives: a function of few codes, evaluated here for every one, in float32 as Keras computes. An
edge of no bits is a constant. Nodes: copies of the input, one quantizer with a format per edge, one Table, one Dense of
powers of two that sums the edges of an output. Source: HGQ2 0.2, hgq/layers/table/dense.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from math import sqrt
from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.fixedpoint import Overflow
from gatewright.graph.nodes import Activation, Concat, Dense, Pad, Quantize, Slice, Stored, Table
from gatewright.importers.keras import hgq2
from gatewright.importers.keras.activations import FUNCTIONS, HARD_SIGMOID, function_name
from gatewright.importers.keras.builder import Value, identifier
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.conv import strides_and_dilation, window_outputs, window_pads
from gatewright.importers.keras.lut_edges import Edges, Single, tabulated


def dense_t(call: Call) -> Value:
    """QDenseT: every input to every output."""
    units = call.settings.integer("n_out")
    return _dense(call, _input(call), units)


def conv_t(rank: int) -> Callable[[Call], Value]:
    """QConvT1D, QConvT2D: the layer above over the patches of a value."""

    def handler(call: Call) -> Value:
        x = _input(call)
        if call.channels_first():
            raise call.settings.refuse("data_format", "channels_first", "use channels_last")
        if len(x.shape) != rank + 1:
            raise ModelError(f"{call.where}: expected {rank} axis/axes and channels, got the shape {x.shape}")
        units = call.settings.integer("filters")
        taps, padding = call.settings.sizes("kernel_size", rank), call.settings.take("padding", "valid")
        if padding not in ("valid", "same"):
            raise call.settings.refuse("padding", padding, "use valid or same")
        call.settings.only("groups", (1,), 1, "the layer has no groups")
        strides, dilation = strides_and_dilation(call, rank)
        return _dense(call, _patches(call, x, taps, strides, dilation, str(padding)), units)

    return handler


def _patches(
    call: Call, x: Value, taps: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> Value:
    """Add the nodes that lay the elements of each window side by side, the taps in order, channels last."""
    pads = window_pads(x.shape[:-1], taps, strides, dilation, padding)
    counts = window_outputs(x.shape[:-1], taps, strides, dilation, pads)
    if any(map(any, pads)):
        grown = tuple(size + sum(pad) for size, pad in zip(x.shape[:-1], pads, strict=True))
        x = call.builder.add(Pad, [x], (*grown, x.shape[-1]), "pad", pads=(*pads, (0, 0)))
    parts: list[Value] = []
    for tap in product(*map(range, taps)):
        starts = tuple(at * step for at, step in zip(tap, dilation, strict=True))
        stops = tuple(
            start + (count - 1) * stride + 1 for start, count, stride in zip(starts, counts, strides, strict=True)
        )
        fields = {"starts": (*starts, 0), "stops": (*stops, x.shape[-1]), "steps": (*strides, 1)}
        parts.append(call.builder.add(Slice, [x], (*counts, x.shape[-1]), "tap", **fields))
    width = x.shape[-1] * len(parts)
    return (
        call.builder.add(Concat, parts, (*counts, width), "patches", axis=len(counts)) if len(parts) > 1 else parts[0]
    )


def _dense(call: Call, x: Value, units: int) -> Value:
    use_bias = call.settings.flag("use_bias", default=True)
    layers = _module(call, x.shape[-1], units, use_bias)
    scale = offset = None
    if call.settings.flag("batch_norm", default=False):
        names = _norm_names(call, "gamma", "beta")
        stored = call.weights.child("bn_module").take(*names)
        scale, offset = _norm(call, stored, units, "gamma", "beta")
    return _layer(call, x, units, layers, scale, offset)


def einsum_dense_t(call: Call) -> Value:
    """QEinsumDenseT whose equation is a product over the last axis; other equations are refused."""
    equation = call.settings.take("equation")
    form = re.fullmatch(r"([a-zA-Z.]+)([a-zA-Z]),\2([a-zA-Z])->\1\3", str(equation).replace(" ", ""))
    if not form or form[2] == form[3]:
        raise call.settings.refuse("equation", equation, "only a product over the last axis is, such as 'bc,cC->bC'")
    shape = call.settings.take("output_shape")
    units = shape[-1] if isinstance(shape, list) and shape else shape
    if not isinstance(units, int):
        raise call.settings.refuse("output_shape", shape, "its last size must be known")
    x = _input(call)
    normalised = call.settings.flag("batch_norm", default=False)
    biased = call.settings.only("bias_axes", (None, form[3]), None, f"write {form[3]!r} or leave it out") is not None
    call.settings.only("normalize_axes", (None, form[3]), None, f"write {form[3]!r} or leave it out")
    layers = _module(call, x.shape[-1], units, biased and not normalised, wide=True)
    scale = offset = None
    if normalised:
        stored = call.take(*_norm_names(call, "bn_gamma", "bn_beta"))
        scale, offset = _norm(call, stored, units, "bn_gamma", "bn_beta")
    else:
        call.settings.ignore("bn_center", "bn_scale", "bn_epsilon")
    return _layer(call, x, units, layers, scale, offset)


def _input(call: Call) -> Value:
    if len(call.inputs) != 1:
        raise ModelError(f"{call.where}: expected one input, got {len(call.inputs)}")
    call.settings.ignore("enable_ebops", "beta0", "ebops_factor", "parallelization_factor", "table_idxs", "bn_momentum")
    if not call.settings.flag("enable_iq", default=True):
        raise call.settings.refuse("enable_iq", False, "an edge without codes has no table; give it an input quantizer")
    return call.inputs[0]


def _module(
    call: Call, n_in: int, n_out: int, use_bias: bool, *, wide: bool = False
) -> list[tuple[Single, Single | None]]:
    """Read the kernels and biases of the edges' networks.

    wide: the first kernel is stored as for d_hl inputs, of which the edge has one: broadcasting sums over them.
    """
    depth, width = call.settings.integer("n_hl", 1, least=0), call.settings.integer("d_hl", 8)
    layers: list[tuple[Single, Single | None]] = []
    before = width if wide and depth else 1
    for at in range(depth + 1):
        last = at == depth
        after = () if last else (width,)
        store = call.weights.child(f"module/layers/einsum_dense{f'_{at}' if at else ''}")
        stored = store.take("kernel", "bias") if use_bias else store.take("kernel")
        kernel = call.check(stored["kernel"], (n_in, n_out, before, *after), "kernel")
        bias = call.check(stored["bias"], (n_in, n_out, *after), "bias") if use_bias else None
        if at == 0 and wide:
            kernel = kernel.sum(axis=2, keepdims=True, dtype=np.float64)
        layers.append((kernel.astype(np.float32), None if bias is None else bias.astype(np.float32)))
        before = width
    return layers


def _norm_names(call: Call, gamma: str, beta: str) -> list[str]:
    has_gamma = call.settings.flag("bn_scale", default=True)
    has_beta = call.settings.flag("bn_center", default=True)
    return [*[gamma] * has_gamma, *[beta] * has_beta, "moving_mean", "moving_variance"]


def _norm(call: Call, stored: dict[str, Any], units: int, gamma: str, beta: str) -> tuple[Single, Single]:
    """Return scale and offset of the normalisation, in float32."""
    for name in (gamma, beta, "moving_mean", "moving_variance"):
        if name in stored:
            call.check(stored[name], (units,), name)
    epsilon = np.float32(call.settings.number("bn_epsilon", 1e-3))
    scale = np.float32(1) / np.sqrt(stored["moving_variance"].astype(np.float32) + epsilon)
    scale = scale * stored[gamma] if gamma in stored else scale
    offset = -stored["moving_mean"] * scale
    return scale, offset + stored[beta] if beta in stored else offset


def _layer(
    call: Call,
    x: Value,
    n_out: int,
    layers: list[tuple[Single, Single | None]],
    scale: Single | None,
    offset: Single | None,
) -> Value:
    """Add the nodes of a layer: copies, quantizer, table, sum, activation."""
    n_in = x.shape[-1]
    for key in ("bn_center", "bn_scale", "bn_epsilon"):
        call.settings.ignore(key)
    where = f"{call.where}, toq"
    result = hgq2.read(call.settings.take("toq_conf"), call.weights.child("toq").child("quantizer"), where)
    before = hgq2.read(call.settings.take("iq_conf"), call.weights.child("iq").child("quantizer"), f"{call.where}, iq")
    if before is None or result is None:
        raise ModelError(f"{call.where}: an edge without a quantizer at both ends has no table; give it both")
    lead = (1,) * len(x.shape)
    if result.frac.shape[:-2] != lead or any(
        have not in (1, n) for have, n in zip(result.frac.shape[-2:], (n_in, n_out), strict=True)
    ):
        raise ModelError(f"{where}: formats of shape {result.frac.shape} do not fit {n_in} x {n_out} edges")
    full = (1, *x.shape[:-1], n_in, n_out)
    if len(before.frac.shape) != len(full) or any(
        a not in (1, b) for a, b in zip(before.frac.shape, full, strict=True)
    ):
        raise ModelError(f"{call.where}, iq: formats of shape {before.frac.shape} do not fit edges of shape {full}")
    layer = identifier(call.builder.layer)
    codes = _codes(call, x, before, (n_in, n_out), layer)
    parameters = _hidden(call)
    edges = Edges(layers, parameters, scale, offset, sqrt(n_in) if scale is not None else 1.0, result)
    found = tabulated(call.where, before, edges, n_in, n_out)
    fields = {"values": found.values, "first": found.first, "frac_bits": found.frac_bits}
    y = call.builder.add(Table, [codes], codes.shape, "edges", layer=layer, **fields)
    fields = {
        "weight": np.kron(np.eye(n_out), np.ones((n_in, 1))) * found.step[:, None],
        "bias": found.least.reshape(n_out, n_in).sum(axis=1),
        "stored": Stored(weight=None),
    }
    y = call.builder.add(Dense, [y], (*x.shape[:-1], n_out), "sum", layer=layer, **fields)
    return call.activate(y)


def _hidden(call: Call) -> Activation | None:
    name = function_name(call.settings.take("subnn_activation", "tanh"), call.where)
    if name == "linear":
        return None
    if name == "hard_sigmoid":
        return Activation(name="", kind="hard_sigmoid", parameters=HARD_SIGMOID[call.major])
    if name not in FUNCTIONS:
        raise call.settings.refuse("subnn_activation", name, f"use one of {', '.join(FUNCTIONS)}")
    kind, parameters = FUNCTIONS[name]
    return Activation(name="", kind=kind, parameters=parameters)


def _codes(call: Call, x: Value, form: hgq2.Format, edges: tuple[int, int], layer: str) -> Value:
    """Add n_out copies of the input, each element quantized as its edge does: (..., n_out * n_in)."""
    n_in, n_out = edges
    shape = (*x.shape[:-1], n_out * n_in)
    if n_out > 1:
        x = call.builder.add(Concat, [x] * n_out, shape, "copies", layer=layer, axis=len(x.shape) - 1)
    rows = [
        np.broadcast_to(part, (*part.shape[:-2], n_in, n_out))[0].swapaxes(-1, -2)
        for part in (form.frac, form.lo, form.hi, form.nothing)
    ]
    frac, lo, hi, nothing = (row.reshape(*row.shape[:-2], n_out * n_in) for row in rows)
    return call.builder.add(
        Quantize,
        [x],
        shape,
        "codes",
        layer=layer,
        scale=np.where(nothing, 1.0, np.exp2(-frac) * form.scaler),
        lo=lo.astype(np.int64),
        hi=hi.astype(np.int64),
        zero_point=np.zeros((), np.int64),
        rounding=form.rounding,
        overflow=Overflow.WRAP if form.wraps else Overflow.SATURATE,
    )
