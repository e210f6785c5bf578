"""A recurrent cell in, the Scan that means the same out: its equations are one body graph, for every use of the cell.

Hochreiter, Schmidhuber 1997 (LSTM) and Cho et al. 2014 (GRU), in the form of Keras' layers. Gates that share an
activation are neighbours in the sums, so that each function is one node of the body.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from gatewright.graph.functions import quantize
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Dense,
    Floats,
    Graph,
    Input,
    Quantize,
    Recurrent,
    Scan,
    Slice,
)


def expand_cells(graph: Graph) -> Graph:
    """Return the graph with every Recurrent written as the Scan of the same name."""
    return replace(graph, nodes=tuple(as_scan(n) if isinstance(n, Recurrent) else n for n in graph.nodes))


def as_scan(node: Recurrent) -> Scan:
    """Return the Scan of a cell. Its body's results are called NAME.sums, NAME.gates, NAME.h and so on."""
    features, units = len(node.kernel), len(node.recurrent)
    count = 2 if node.kind == "lstm" else 1
    body = _Body(node.name, [Input(name=f"{node.name}.step", shape=(features + count * units,))])
    match node.kind:
        case "rnn":
            states = [_rnn(body, node)]
        case "lstm":
            states = _lstm(body, node, features, units)
        case "gru":
            states = [_gru(body, node, features, units)]
    output, initial = states[0], np.zeros(count * units)
    if (rounding := node.state_quantizer) is not None:
        states = [body.add(replace(rounding, name=f"{name}.state", sources=(name,))) for name in states]
        initial = np.tile(quantize(rounding, np.zeros(units)), count)
    return Scan(
        name=node.name,
        sources=node.sources,
        origin=node.origin,
        body=Graph(name=node.name, nodes=tuple(body.nodes), output=output),
        states=tuple(states),
        initial=initial,
        sequences=node.sequences,
        backwards=node.backwards,
    )


def _rnn(body: _Body, node: Recurrent) -> str:
    sums = body.dense("sums", body.source, np.concatenate([node.kernel, node.recurrent]), node.bias)
    return body.function("h", sums, node.activation, node.activation_quantizer)


def _lstm(body: _Body, node: Recurrent, features: int, units: int) -> list[str]:
    order = np.concatenate([np.arange(2 * units), np.arange(3 * units, 4 * units), np.arange(2 * units, 3 * units)])
    weight = np.concatenate([node.kernel, node.recurrent])[:, order]  # i f o, then the candidate
    sums = body.dense("sums", body.part("xh", body.source, 0, features + units), weight, node.bias[order])
    gates = body.function(
        "gates", body.part("gate_sums", sums, 0, 3 * units), node.gate_activation, node.gate_quantizer
    )
    new = body.part("candidate_sums", sums, 3 * units, 4 * units)
    candidate = body.function("candidate", new, node.activation, node.activation_quantizer)
    i, f, o = (body.part(name, gates, k * units, (k + 1) * units) for k, name in enumerate(("i", "f", "o")))
    before = body.part("c_before", body.source, features + units, features + 2 * units)
    c = body.sum("c", body.product("kept", f, before), body.product("taken", i, candidate))
    return [body.product("h", o, body.function("squashed", c, node.activation, node.activation_quantizer)), c]


def _gru(body: _Body, node: Recurrent, features: int, units: int) -> str:
    both, two = np.concatenate([node.kernel, node.recurrent]), 2 * units
    bias, inner = node.bias if node.reset_after else (node.bias, np.zeros(3 * units))
    gate_sums = body.dense("gate_sums", body.source, both[:, :two], bias[:two] + inner[:two])
    gates = body.function("gates", gate_sums, node.gate_activation, node.gate_quantizer)
    z, r = body.part("z", gates, 0, units), body.part("r", gates, units, two)
    x, h = body.part("x", body.source, 0, features), body.part("h_before", body.source, features, features + units)
    if node.reset_after:
        own = body.dense("h_sums", h, node.recurrent[:, two:], inner[two:])
        sums = body.sum(
            "sums", body.dense("x_sums", x, node.kernel[:, two:], bias[two:]), body.product("reset", r, own)
        )
    else:
        joined = body.add(Concat(name=f"{node.name}.xrh", sources=(x, body.product("reset", r, h)), axis=0))
        sums = body.dense("sums", joined, both[:, two:], bias[two:])
    candidate = body.function("candidate", sums, node.activation, node.activation_quantizer)
    one = np.ones(units)
    rest = body.add(Affine(name=f"{node.name}.rest", sources=(z,), scale=-one, offset=one))
    return body.sum("h", body.product("kept", z, h), body.product("taken", rest, candidate))


@dataclass(slots=True)
class _Body:
    """The body's nodes so far, named after the cell."""

    name: str
    nodes: list[AnyNode] = field(default_factory=list[AnyNode])

    @property
    def source(self) -> str:
        return self.nodes[0].name

    def add(self, node: AnyNode) -> str:
        self.nodes.append(node)
        return node.name

    def dense(self, key: str, source: str, weight: Floats, bias: Floats) -> str:
        one = np.array(1.0)
        return self.add(Dense(name=f"{self.name}.{key}", sources=(source,), weight=weight, bias=bias, weight_scale=one))

    def part(self, key: str, source: str, first: int, end: int) -> str:
        name = f"{self.name}.{key}"
        return self.add(Slice(name=name, sources=(source,), starts=(first,), stops=(end,), steps=(1,)))

    def sum(self, key: str, left: str, right: str) -> str:
        return self.add(Combine(name=f"{self.name}.{key}", sources=(left, right), kind="add"))

    def product(self, key: str, left: str, right: str) -> str:
        return self.add(Combine(name=f"{self.name}.{key}", sources=(left, right), kind="mul"))

    def function(self, key: str, source: str, activation: Activation, quantizer: Quantize | None) -> str:
        name = f"{self.name}.{key}"
        identity = activation.kind == "leaky_relu" and activation.parameters == (1.0,)
        if not identity or quantizer is None:
            real = name if quantizer is None else f"{name}.real"
            source = self.add(replace(activation, name=real, sources=(source,)))
        return source if quantizer is None else self.add(replace(quantizer, name=name, sources=(source,)))
