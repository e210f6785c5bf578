"""Recurrent cells by Keras' equations: a sequence (n, steps, features) in, states (n, steps, units) or (n, units) out.

Hochreiter, Schmidhuber 1997 (LSTM) and Cho et al. 2014 (GRU), in the form and gate order of Keras' layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.graph.functions import activate, quantize
from gatewright.graph.nodes import Activation, Quantize, Recurrent

AnyFloats = NDArray[Any]
Function = Callable[[AnyFloats], AnyFloats]


def recur(node: Recurrent, x: AnyFloats) -> AnyFloats:
    """Run the cell over axis 1 of x from zero states."""
    units = node.recurrent.shape[0]
    act = _function(node.activation, node.activation_quantizer)
    gate = _function(node.gate_activation, node.gate_quantizer)
    kernel, recurrent, bias = (w.astype(x.dtype) for w in (node.kernel, node.recurrent, node.bias))
    h: AnyFloats = np.zeros((len(x), units), dtype=x.dtype)
    c: AnyFloats = h
    steps: list[AnyFloats] = []
    order = range(x.shape[1] - 1, -1, -1) if node.backwards else range(x.shape[1])
    for t in order:
        if node.state_quantizer is not None:
            h, c = quantize(node.state_quantizer, h), quantize(node.state_quantizer, c)
        match node.kind:
            case "rnn":
                h = act(x[:, t] @ kernel + h @ recurrent + bias)
            case "lstm":
                i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
                c = gate(f) * c + gate(i) * act(g)
                h = gate(o) * act(c)
            case "gru":
                h = _gru(node.reset_after, x[:, t] @ kernel, h, recurrent, bias, act, gate)
            case _:
                assert_never(node.kind)
        steps.append(h)
    return np.stack(steps, axis=1) if node.sequences else h


def _gru(
    reset_after: bool,
    inner: AnyFloats,
    h: AnyFloats,
    recurrent: AnyFloats,
    bias: AnyFloats,
    act: Function,
    gate: Function,
) -> AnyFloats:
    units = h.shape[1]
    xz, xr, xh = np.split(inner + (bias[0] if reset_after else bias), 3, axis=1)
    if reset_after:
        hz, hr, hh = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = gate(xz + hz), gate(xr + hr)
        candidate = act(xh + r * hh)
    else:
        z = gate(xz + h @ recurrent[:, :units])
        r = gate(xr + h @ recurrent[:, units : 2 * units])
        candidate = act(xh + (r * h) @ recurrent[:, 2 * units :])
    return z * h + (1 - z) * candidate


def _function(activation: Activation, quantizer: Quantize | None) -> Function:
    if quantizer is None:
        return lambda v: activate(activation, v)
    return lambda v: quantize(quantizer, activate(activation, v))
