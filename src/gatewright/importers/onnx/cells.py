"""ONNX RNN, LSTM and GRU, one direction or both, in; Recurrent nodes with Keras' gate order out."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewright.graph.nodes import Activation, ActivationKind, Floats
from gatewright.importers import layers, shaping
from gatewright.importers.builder import Builder, Missing, Tensor
from gatewright.importers.elementwise import finite
from gatewright.importers.onnx.arithmetic import Handler, Results
from gatewright.importers.onnx.op import Op

_GATES = {"RNN": (0,), "LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2)}  # ONNX: i o f c and z r h; Keras: i f c o and z r h
_DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
_KINDS: dict[str, tuple[ActivationKind, tuple[float, ...]]] = {  # the standard's names and default alpha, beta
    "relu": ("relu", ()),
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "elu": ("elu", (1.0,)),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
}


def _activations(op: Op, directions: int) -> list[list[Activation]]:
    """The cell's activations for each direction."""
    names = op.raw("activations") or _DEFAULTS[op.type] * directions
    names = [n.decode() if isinstance(n, bytes) else n for n in names]
    settings: list[list[float]] = [list(op.raw(which) or []) for which in ("activation_alpha", "activation_beta")]
    per_direction = len(_DEFAULTS[op.type])
    if len(names) != per_direction * directions:
        op.fail(f"attribute activations = {names}; {per_direction * directions} names are expected")
    made: list[Activation] = []
    for name in names:
        if name.lower() not in _KINDS:
            op.fail(f"attribute activations names {name!r}; known: {', '.join(sorted(_KINDS))}")
        kind, defaults = _KINDS[name.lower()]
        given = [settings[i].pop(0) if settings[i] else default for i, default in enumerate(defaults)]
        made.append(Activation(name=kind, kind=kind, parameters=tuple(map(float, given))))
    if any(settings):
        op.fail(f"attributes activation_alpha, activation_beta hold more numbers than {names} take")
    return [made[i * per_direction : (i + 1) * per_direction] for i in range(directions)]


def _gates(matrix: Floats, kind: str, units: int) -> Floats:
    """Rows of gates in ONNX's order as columns in Keras' order; (gates * units, ...) in, (..., gates * units) out."""
    blocks = matrix.reshape(len(_GATES[kind]), units, -1)[list(_GATES[kind])]
    return blocks.reshape(len(_GATES[kind]) * units, -1).T.copy()


def _no_state(op: Op) -> None:
    for index, what in ((5, "initial_h"), (6, "initial_c"), (7, "peepholes P")):
        array = op.maybe_array(index)
        if array is not None and np.any(array):
            op.fail(f"operand {index}, {what}, is not zero; cells start from zero and have no peepholes")


def _cell(kind: Any) -> Handler:
    def handle(b: Builder, op: Op) -> Results:
        batch_first = op.flag("layout", False)
        x = b.transpose(op.tensor(), (0, 1, 2) if batch_first else (1, 0, 2)) if op.tensor().rank == 3 else None
        if x is None or x.sample_axis != 0:
            op.fail(f"reads a value of the shape {op.tensor().shape}; its samples must lie along the cell's batch axis")
        directions = {"forward": 1, "reverse": 1, "bidirectional": 2}.get(op.get("direction", "forward"))
        w, r = (finite(b, op.array(i), "weights") for i in (1, 2))
        bias = op.maybe_array(3)
        if directions is None or w.ndim != 3 or w.shape[0] != directions or r.ndim != 3:
            op.fail(f"direction {op.get('direction', 'forward')!r} does not fit weights of the shape {w.shape}")
        gates, units = len(_GATES[op.type]), r.shape[2]
        bias = np.zeros((directions, 2 * gates * units)) if bias is None else finite(b, bias, "bias")
        shapes = (w.shape, r.shape, bias.shape)
        wide = gates * units
        if shapes != ((directions, wide, w.shape[2]), (directions, wide, units), (directions, 2 * wide)):
            op.fail(f"weights of the shapes {shapes} do not fit {units} units")
        if op.get("hidden_size", units) != units:
            op.fail(f"attribute hidden_size = {op.get('hidden_size', units)} but its weights are for {units} units")
        op.only("clip", 0.0)
        op.only("input_forget", 0)
        reset_after = op.flag("linear_before_reset", False) if op.type == "GRU" else False
        steps = op.maybe_array(4)
        if steps is not None and (steps != x.shape[1]).any():
            op.fail(f"operand 4, sequence_lens, asks for {steps.tolist()} steps of {x.shape[1]}; all are supported")
        _no_state(op)
        whole, last = [], []
        for d, activations in enumerate(_activations(op, directions)):
            gate, cell = (activations[0], activations[1]) if op.type != "RNN" else (activations[0], activations[0])
            if op.type == "LSTM" and _setting(activations[1]) != _setting(activations[2]):
                op.fail("has different activations for the cell and the output; Recurrent has one for both")
            halves = [_gates(half[:, None], op.type, units)[0] for half in (bias[d, :wide], bias[d, wide:])]
            backwards = op.get("direction", "forward") == "reverse" or d == 1
            result = layers.recurrent(
                b,
                x,
                kind,
                kernel=_gates(w[d], op.type, units),
                state=_gates(r[d], op.type, units),
                bias=np.stack(halves) if reset_after else halves[0] + halves[1],
                activation=cell,
                gate_activation=gate,
                backwards=backwards,
                reset_after=reset_after,
                sequences=op.used(0),
            )
            if op.used(0):
                whole.append(shaping.slices(b, result, {1: slice(None, None, -1)}) if backwards else result)
                last.append(shaping.take(b, result, 1, [x.shape[1] - 1], scalar=True) if op.used(1) else result)
            else:
                last.append(result)
        return _results(b, op, x, whole, last, batch_first)

    return handle


def _setting(a: Activation) -> tuple[ActivationKind, tuple[float, ...]]:
    return a.kind, a.parameters


def _results(b: Builder, op: Op, x: Tensor, whole: list[Tensor], last: list[Tensor], batch_first: bool) -> Results:
    """Y: (steps, directions, n, units), Y_h: (directions, n, units); with layout 1 samples first."""
    directions, units, n = len(last), last[0].shape[-1], x.shape[0]
    results: list[Tensor | Missing] = [Missing("an unread Y"), Missing("an unread Y_h"), Missing("the cell state Y_c")]
    if op.used(0):
        joined = shaping.concat(b, list(whole), 2) if directions > 1 else whole[0]
        y = b.reshape(joined, (n, x.shape[1], directions, units))
        results[0] = y if batch_first else b.transpose(y, (1, 2, 0, 3))
    if op.used(1):
        joined = shaping.concat(b, list(last), 1) if directions > 1 else last[0]
        y = b.reshape(joined, (n, directions, units))
        results[1] = y if batch_first else b.transpose(y, (1, 0, 2))
    return results


HANDLERS: dict[str, Handler] = {"RNN": _cell("rnn"), "LSTM": _cell("lstm"), "GRU": _cell("gru")}
