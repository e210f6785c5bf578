"""Random quantized graphs for property tests, and small makers of nodes."""

import dataclasses
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

from gatewright.errors import ModelError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Graph,
    Input,
    Pad,
    Pool,
    Quantize,
    Reshape,
    Slice,
    Thresholds,
    Transpose,
    Upsample,
)
from gatewright.graph.shapes import shapes


def quantizer(name, scale, lo, hi, *, zero=0, rounding=Rounding.HALF_EVEN, overflow=Overflow.SATURATE, sources=()):
    """Return a Quantize from plain numbers or arrays."""
    return Quantize(
        name=name,
        sources=sources,
        scale=np.array(scale, dtype=np.float64),
        lo=np.array(lo),
        hi=np.array(hi),
        zero_point=np.array(zero),
        rounding=rounding,
        overflow=overflow,
    )


def dense(name, weight, bias=None, *, weight_scale: Any = 1.0, sources=()):
    """Return a Dense; the weight is what counts, its scale included."""
    weight = np.asarray(weight, dtype=np.float64)
    bias = np.zeros(weight.shape[-1]) if bias is None else np.asarray(bias, dtype=np.float64)
    return Dense(
        name=name, sources=sources, weight=weight, bias=bias, weight_scale=np.array(weight_scale, dtype=np.float64)
    )


def conv(name, weight, bias=None, *, weight_scale=1.0, strides=None, dilation=None, pads=None, groups=1, sources=()):
    """Return a Conv with strides and dilation of 1 and no padding unless they are given."""
    weight = np.asarray(weight, dtype=np.float64)
    rank = weight.ndim - 2
    return Conv(
        name=name,
        sources=sources,
        weight=weight,
        bias=np.zeros(weight.shape[-1]) if bias is None else np.asarray(bias, dtype=np.float64),
        weight_scale=np.array(weight_scale, dtype=np.float64),
        strides=strides or (1,) * rank,
        dilation=dilation or (1,) * rank,
        pads=pads or ((0, 0),) * rank,
        groups=groups,
    )


def chain(shape, *nodes, name="g"):
    """Return the graph of nodes each of which reads the one before; nodes that name their sources keep them."""
    ordered: list[AnyNode] = [Input(name="x", shape=shape)]
    for node in nodes:
        alone = isinstance(node, Constant) or node.sources
        ordered.append(node if alone else dataclasses.replace(node, sources=(ordered[-1].name,)))
    return Graph(name=name, nodes=tuple(ordered), output=ordered[-1].name)


@st.composite
def quantized_graphs(draw, *, scaled=False):
    """Draw a graph of random layers, each followed by a quantizer or thresholds; scaled: steps are no powers of two."""
    draws = _Draws(draw, scaled)
    image = draw(st.booleans())
    shape = (draws.integer(3, 6), draws.integer(3, 6), draws.integer(1, 3)) if image else (draws.integer(1, 6),)
    nodes: list[AnyNode] = [Input(name="x", shape=shape), draws.quantizer("in", shape, ("x",), spread=False)]
    for index in range(draws.integer(1, 4)):
        graph = Graph(name="g", nodes=tuple(nodes), output=nodes[-1].name)
        nodes += draws.layer(f"n{index}", graph.output, shapes(graph)[graph.output])
    return Graph(name="g", nodes=tuple(nodes), output=nodes[-1].name)


@dataclasses.dataclass
class _Draws:
    draw: st.DrawFn
    scaled: bool

    def __post_init__(self):
        self.rng = np.random.default_rng(self.integer(0, 2**32 - 1))

    def integer(self, lo, hi):
        return self.draw(st.integers(lo, hi))

    def quantizer(self, name, shape, sources, *, spread=True):
        over = self.draw(st.sampled_from([(), (shape[-1],), shape])) if spread and not self.scaled else ()
        bits = self.rng.integers(1, 7, over)
        signed = self.rng.integers(0, 2, over)
        lo, hi = -signed * (1 << (bits - 1)), (1 << np.maximum(bits - signed, 0)) - 1
        symmetric, overflow = self.draw(st.booleans()), self.draw(st.sampled_from(list(Overflow)[:2]))
        lo = np.where(symmetric & (signed == 1) & (overflow is Overflow.SATURATE), -hi, lo)
        zero = self.integer(-2, 2) if overflow is Overflow.SATURATE and self.draw(st.booleans()) else 0
        scale = 2.0 ** self.rng.integers(-4, 2, over)
        scale = scale * self.draw(st.floats(0.6, 1.7)) if self.scaled else scale
        rounding = self.draw(st.sampled_from(Rounding))
        if spread and self.draw(st.booleans()):
            hi = np.where(self.rng.random(over) < 0.2, 0, hi)
            lo = np.where(hi == 0, 0, lo)
        return quantizer(
            name, scale, lo, np.maximum(hi, lo), zero=zero, rounding=rounding, overflow=overflow, sources=sources
        )

    def end(self, name, shape, source):
        """Return functions and what takes them back to integers."""
        nodes: list[AnyNode] = []
        for count, kind in enumerate(self.draw(st.lists(st.sampled_from(["affine", "function"]), max_size=2))):
            nodes.append(
                self.affine(f"{name}.{count}", shape) if kind == "affine" else self.function(f"{name}.{count}")
            )
        if self.draw(st.booleans()):
            nodes.append(self.quantizer(f"{name}.q", shape, ()))
        else:
            rows = self.draw(st.sampled_from((1, shape[-1])))
            table = np.sort(self.rng.normal(0, 4, (rows, self.integer(1, 5))), axis=1)
            start, step = self.integer(-3, 3), self.integer(1, 3)
            nodes.append(Thresholds(name=f"{name}.q", thresholds=table, start=np.array(start), step=np.array(step)))
        for index, node in enumerate(nodes):
            nodes[index] = dataclasses.replace(node, sources=(source,))
            source = node.name
        return nodes

    def affine(self, name, shape):
        return Affine(name=name, scale=self.rng.normal(0, 1, shape[-1]), offset=self.rng.normal(0, 1, shape[-1]))

    def function(self, name):
        kind, parameters = self.draw(
            st.sampled_from(
                [
                    ("relu", ()),
                    ("relu", (2.0,)),
                    ("relu", (6.0, 0.25, 0.0)),
                    ("leaky_relu", (0.1,)),
                    ("leaky_relu", (0.125,)),
                    ("sigmoid", ()),
                    ("tanh", ()),
                    ("silu", ()),
                    ("abs", ()),
                    ("neg", ()),
                    ("square", ()),
                    ("sign", ()),
                    ("hard_tanh", (-1.0, 1.0)),
                    ("hard_sigmoid", (0.25, 0.5)),
                    ("hard_sigmoid", (0.2, 0.5)),
                    ("gelu", ()),
                ]
            )
        )
        return Activation(name=name, kind=cast(Any, kind), parameters=parameters)

    def weights(self, shape):
        weight = self.rng.integers(-4, 5, shape) * 2.0 ** -self.integer(0, 3)
        return weight * (self.rng.random(shape) < 0.8)

    def linear(self, make, shape, **given):
        weight, scale = self.weights(shape), 1.0
        bias = self.draw(st.sampled_from([np.zeros(shape[-1]), self.rng.integers(-9, 9, shape[-1]) / 8.0]))
        if self.draw(st.booleans()):
            bias = self.rng.normal(0, 1, shape[-1]).astype(np.float32)
        if self.scaled:
            scale = np.float32(self.draw(st.floats(0.1, 0.9)))
            weight = weight * float(scale)
        return make(weight=weight, bias=bias, weight_scale=scale, **given)

    def layer(self, name, source, shape):
        given = {"name": name, "sources": (source,)}
        kinds = ["dense", "combine", "structure", "quantize"]
        if len(shape) == 3:
            kinds += ["conv", "conv", "depthwise", "transposed", "pool", "pool"]
        match self.draw(st.sampled_from(kinds)):
            case "dense":
                node = self.linear(dense, (shape[-1], self.integer(1, 5)), **given)
            case "conv" | "depthwise" as kind:
                node = self.conv(kind, shape, given)
            case "transposed":
                both = lambda lo, hi: (self.integer(lo, hi), self.integer(lo, hi))  # noqa: E731
                kernel, strides = both(1, 3), both(1, 2)
                ends = [(n - 1) * s + k - 1 for n, s, k in zip(shape, strides, kernel, strict=False)]
                crop = tuple((self.integer(-1, min(1, end)), self.integer(-1, 0)) for end in ends)
                make = lambda **k: ConvTranspose(**{**k, "weight_scale": np.array(k["weight_scale"])})  # noqa: E731
                node = self.linear(make, (*kernel, shape[-1], 2), strides=strides, crop=crop, **given)
            case "pool":
                sizes = (self.integer(1, 3), self.integer(1, 3))
                node = Pool(
                    **given,
                    kind=self.draw(st.sampled_from(("max", "average"))),
                    size=sizes,
                    strides=(self.integer(1, 2), self.integer(1, 2)),
                    pads=tuple((self.integer(0, s - 1), self.integer(0, s - 1)) for s in sizes),
                    include_pad=self.draw(st.booleans()),
                )
                if any(n < s for n, s in zip(shape, sizes, strict=False)):
                    return []
            case "combine":
                constant = Constant(name=f"{name}.c", value=self.rng.integers(-4, 5, shape) / 4.0)
                kind = self.draw(st.sampled_from(("add", "sub", "mul", "max", "min")))
                if self.scaled and kind != "mul":
                    return []
                both = (source, constant.name) if self.draw(st.booleans()) else (source, source)
                node = Combine(name=name, sources=both, kind=kind)
                return [constant, node, *self.end(name, shape, name)]
            case "quantize":
                return self.end(name, shape, source)
            case _:
                node = self.structure(shape, given)
        out = (*shape[:-1], 2 * shape[-1])  # of a Concat
        if not isinstance(node, Concat):
            try:
                out = shapes(chain(shape, dataclasses.replace(node, sources=())))[name]
            except ModelError:  # a window larger than what it would run over
                return []
        return [node, *self.end(name, out, name)]

    def conv(self, kind, shape, given):
        kernel = (self.integer(1, 3), self.integer(1, 3))
        groups = shape[-1] if kind == "depthwise" else 1
        made = self.linear(
            conv,
            (*kernel, shape[-1] // groups, groups * self.integer(1, 3)),
            strides=(self.integer(1, 2), self.integer(1, 2)),
            pads=tuple((self.integer(0, 1), self.integer(0, 1)) for _ in range(2)),
            groups=groups,
            **given,
        )
        if kind == "depthwise":
            return dataclasses.replace(made, weight_scale=np.array(1.0), weight=self.weights(made.weight.shape))
        return made

    def structure(self, shape, given):
        rank = len(shape)
        match self.draw(st.sampled_from(("reshape", "transpose", "slice", "pad", "upsample", "concat"))):
            case "reshape":
                return Reshape(**given, shape=(int(np.prod(shape)),))
            case "transpose":
                return Transpose(**given, axes=tuple(self.draw(st.permutations(range(rank)))))
            case "slice":
                steps = tuple(self.draw(st.sampled_from((1, 2, -1))) for _ in shape)
                return Slice(**given, starts=(None,) * rank, stops=(None,) * rank, steps=steps)
            case "pad":
                pads = tuple((self.integer(0, 1), self.integer(0, 1)) for _ in shape)
                return Pad(**given, pads=pads, value=0.0 if self.scaled else self.integer(-2, 2) / 2)
            case "upsample":
                return Upsample(**given, factors=tuple(self.integer(1, 2) for _ in shape))
            case _:
                return Concat(name=given["name"], sources=given["sources"] * 2, axis=-1)
