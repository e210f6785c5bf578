"""ATen rnn, lstm and gru calls, any number of layers and directions, in; Recurrent nodes with Keras' gate order out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gatewright.graph.nodes import Activation, ActivationKind, Floats
from gatewright.importers import layers, shaping
from gatewright.importers.builder import Builder, Const, Missing, Tensor
from gatewright.importers.elementwise import finite
from gatewright.importers.torch.call import Call
from gatewright.importers.torch.pointwise import Handler

_GATES = {"rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}  # torch: i f g o and r z n; Keras: i f c o and z r h


def _ordered(weight: Floats, kind: str, units: int) -> Floats:
    """Rows of gates in torch's order as columns in Keras'; (gates * units, ...) in, (..., gates * units) out."""
    blocks = weight.reshape(len(_GATES[kind]), units, -1)[list(_GATES[kind])]
    return blocks.reshape(len(_GATES[kind]) * units, -1).T.copy()


def _cell(kind: Literal["rnn", "lstm", "gru"], squash: ActivationKind = "tanh") -> Handler:
    def handle(b: Builder, c: Call) -> list[Any]:
        x, parameters = c.tensor("input"), c.get("params")
        c.ignore("dropout")
        if c.get("train"):
            c.fail("is in training mode; call model.eval() first")
        states = c.get("hx") if kind == "lstm" else [c.get("hx")]
        if any(not isinstance(s, Const) or np.any(s.value) for s in states):
            c.fail("starts from a given state; cells start from zero")
        batch_first, has_bias = bool(c.get("batch_first")), bool(c.get("has_biases"))
        if x.rank != 3:
            c.fail(f"reads a value of the shape {x.shape}; samples, steps and features are expected")
        x = x if batch_first else b.transpose(x, (1, 0, 2))
        if x.sample_axis != 0:
            c.fail("takes another axis than the first of the model's input as samples; set batch_first=True")
        directions, each = (2 if c.get("bidirectional") else 1), (4 if has_bias else 2)
        if len(parameters) != c.get("num_layers") * directions * each:
            c.fail(f"has {len(parameters)} parameters; projections (proj_size) are not supported")
        last: list[Tensor] = []
        for layer in range(c.get("num_layers")):
            results: list[Tensor] = []
            for direction in range(directions):
                at = (layer * directions + direction) * each
                y = _one(b, x, kind, squash, [p.value for p in parameters[at : at + each]], backwards=direction == 1)
                last.append(shaping.slices(b, y, {1: slice(-1, None)}))
                results.append(shaping.slices(b, y, {1: slice(None, None, -1)}) if direction else y)
            x = shaping.concat(b, list(results), 2) if directions > 1 else results[0]
        final = shaping.concat(b, list(last), 1) if len(last) > 1 else last[0]
        out = x if batch_first else b.transpose(x, (1, 0, 2))
        return [out, b.transpose(final, (1, 0, 2)), Missing("the cell state of an LSTM")]

    return handle


def _one(b: Builder, x: Tensor, kind: Any, squash: ActivationKind, parameters: list[Any], *, backwards: bool) -> Tensor:
    w, r = (finite(b, p, "weights") for p in parameters[:2])
    units = r.shape[1]
    if r.shape[0] != len(_GATES[kind]) * units:
        b.fail(f"has recurrent weights of the shape {r.shape}; projections (proj_size) are not supported")
    biases = [finite(b, p, "bias") for p in parameters[2:]] or [np.zeros(r.shape[0])] * 2
    halves = [_ordered(bias[:, None], kind, units)[0] for bias in biases]
    return layers.recurrent(
        b,
        x,
        kind,
        kernel=_ordered(w, kind, units),
        state=_ordered(r, kind, units),
        bias=np.stack(halves) if kind == "gru" else halves[0] + halves[1],
        activation=Activation(name=squash, kind=squash),
        gate_activation=Activation(name="sigmoid", kind="sigmoid"),
        backwards=backwards,
        reset_after=kind == "gru",
    )


HANDLERS: dict[str, Handler] = {
    "lstm": _cell("lstm"),
    "gru": _cell("gru"),
    "rnn_tanh": _cell("rnn"),
    "rnn_relu": _cell("rnn", "relu"),
}
