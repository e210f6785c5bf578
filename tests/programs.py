"""Random programs for property tests: every shape, width, sign, rounding, overflow and sparsity that the IR allows."""

import itertools
import math

import numpy as np
from hypothesis import strategies as st

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import (
    Add,
    ArgMax,
    Concat,
    Const,
    Constant,
    Dense,
    Fill,
    Input,
    Lookup,
    Max,
    Min,
    Mul,
    Op,
    Pad,
    Program,
    Range,
    Relu,
    Requant,
    Reshape,
    Slice,
    SoftmaxVariant,
    Sub,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
    ranges,
    softmax_op,
    verify,
)
from tests.forests import TABLES, forest_tables


@st.composite
def programs(draw: st.DrawFn, *, max_layers: int = 3, max_size: int = 6, chain: bool = False) -> Program:
    """Draw a verified program of dense layers, each with an optional ReLU and an optional Requant.

    chain: nothing else; without it, ops of two vectors, any earlier one of them, and ops that move elements stand
    between them.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    input_format = Fixed(
        width_bits=draw(st.integers(1, 10)), frac_bits=draw(st.integers(-3, 12)), signed=draw(st.booleans())
    )
    ops: list[Op] = [Input(name="x", layer="input", shape=(sizes[0],), format=input_format)]
    constants: dict[str, Constant] = {}
    previous = "x"
    for index, n_out in enumerate(sizes[1:]):
        layer = f"fc{index + 1}"
        for step in range(0 if chain else draw(st.integers(0, 2))):
            previous = _vector_op(draw, ops, constants, previous, f"v{index}{step}")
        n_in = known_ranges(ops, constants)[previous].lo.size
        bits = draw(st.integers(1, 7))
        weight = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n_in, n_out))
        weight[rng.random(weight.shape) < draw(st.sampled_from((0.0, 0.5, 0.9)))] = 0
        bias = rng.integers(-(1 << bits), 1 << bits, n_out) * draw(st.sampled_from((0, 1, 4)))
        constants[f"{layer}.weight"] = Constant(weight, draw(st.integers(-2, 6)))
        constants[f"{layer}.bias"] = Constant(bias, draw(st.integers(-2, 8)))
        ops.append(Dense(name=layer, layer=layer, source=previous, weight=f"{layer}.weight", bias=f"{layer}.bias"))
        previous = layer
        if draw(st.booleans()):
            ops.append(Relu(name=f"{layer}.relu", layer=layer, source=previous))
            previous = f"{layer}.relu"
        if draw(st.booleans()):
            ops.append(_requant(draw, layer, previous, n_out))
            previous = f"{layer}.act"
        if known_ranges(ops, constants)[previous].width_bits > 24:
            break
    if not chain and draw(st.booleans()):
        previous = _vector_op(draw, ops, constants, previous, "last")
    values = known_ranges(ops, constants)[previous]
    last, tables = draw(_output_stage(previous, values))
    ops += last
    constants |= tables
    program = Program(name="p", ops=tuple(ops), output=ops[-1].name, constants=constants)
    verify(program)
    return program


def known_ranges(ops: list[Op], constants: dict[str, Constant]) -> dict[str, Range]:
    return ranges(Program(name="p", ops=tuple(ops), output=ops[-1].name, constants=constants))


def _vector_op(draw: st.DrawFn, ops: list[Op], constants: dict[str, Constant], x: str, layer: str) -> str:
    """Append an op of two vectors, or one that moves elements, and return its name; `x` where there is no room."""
    known = known_ranges(ops, constants)
    size, width = known[x].lo.size, known[x].width_bits
    kind = draw(st.sampled_from((Add, Sub, Mul, Max, Min, Concat, Reshape, Transpose, Slice, Pad, Upsample)))
    named = {"name": layer, "layer": layer}
    if kind in (Add, Sub, Mul, Max, Min, Concat):
        constant = draw(st.booleans())
        if constant:
            rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
            count = draw(st.sampled_from((1, size)))
            constants[f"{layer}.c"] = Constant(rng.integers(-9, 10, count), draw(st.integers(-1, 4)))
            other = f"{layer}.const"
        else:
            fit = [n for n, r in known.items() if kind is Concat or r.lo.size in (1, size) or size == 1]
            other = draw(st.sampled_from(fit))
        bits, count = (5, count) if constant else (known[other].width_bits, known[other].lo.size)
        if bits + width > 22 or (kind is Concat and count + size > 12):
            return x
        if constant:
            ops.append(Const(name=other, layer=layer, value=f"{layer}.c"))
        pair = (x, other) if draw(st.booleans()) else (other, x)
        if kind is Concat:
            ops.append(Concat(**named, sources=(*pair, x) if draw(st.booleans()) else pair, axis=0))
        else:
            ops.append(kind(**named, **dict(zip(("left", "right"), pair, strict=True))))
        return layer
    if kind is Trees:
        rng, x_range = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), known[x]
        made = forest_tables(
            rng, features=size, ends=x_range.ends, n_out=draw(st.integers(1, 4)), frac_bits=x_range.frac_bits
        )
        names = {key: f"{layer}.{key}" for key in TABLES}
        constants |= dict(zip(names.values(), made, strict=True))
        ops.append(Trees(**named, source=x, **names))
    elif kind is Reshape:
        ops.append(Reshape(**named, source=x, shape=(size,)))
    elif kind is Transpose:
        ops.append(Transpose(**named, source=x, axes=(0,)))
    elif kind is Slice:
        step = draw(st.sampled_from((1, 2, -1, -2)))
        first, last = sorted((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))))
        start, stop = (first, last + 1) if step > 0 else (last, first - 1)
        ops.append(Slice(**named, source=x, starts=(start,), stops=(stop,), steps=(step,)))
    elif kind is Pad:
        pads = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
        ops.append(Pad(**named, source=x, pads=(pads,), value=draw(st.integers(-3, 3))))
    else:
        ops.append(Upsample(**named, source=x, factors=(2 if size < 7 else 1,), fill=draw(st.sampled_from(Fill))))
    return layer


@st.composite
def _output_stage(draw: st.DrawFn, source: str, values: Range) -> tuple[list[Op], dict[str, Constant]]:
    """Draw what follows the last layer: nothing, a choice, thresholds, a table or a softmax."""
    size, low, high = values.lo.size, int(min(values.lo)), int(max(values.hi))
    kind = draw(st.sampled_from(("scores", "argmax", "topk", "thresholds", "lookup", "softmax")))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.sampled_from((1, size)))
    if kind == "argmax":
        return [ArgMax(name="class", layer="argmax", source=source)], {}
    if kind == "topk":
        return [TopK(name="top", layer="topk", source=source, k=draw(st.integers(1, size)))], {}
    if kind == "thresholds":
        frac = values.frac_bits + draw(st.integers(-2, 2))
        at = rng.uniform(low - 2, high + 2, (rows, draw(st.integers(1, 5)))) * 2.0 ** (frac - values.frac_bits)
        op = Thresholds(
            name="cut",
            layer="cut",
            source=source,
            thresholds="cut.at",
            start=draw(st.integers(-3, 3)),
            step=draw(st.sampled_from((-2, 1, 3))),
            frac_bits=draw(st.integers(-1, 2)),
        )
        return [op], {"cut.at": Constant(np.sort(np.rint(at).astype(np.int64)), frac)}
    if kind == "lookup" and high - low < 300:
        first = low - draw(st.integers(0, 3))
        bits = draw(st.integers(0, 7))
        table = rng.integers(-(1 << bits), 1 << bits, (rows, high - first + 1 + draw(st.integers(0, 3))))
        op = Lookup(name="look", layer="look", source=source, table="look.up", first=first)
        return [op], {"look.up": Constant(table, draw(st.integers(-2, 5)))}
    if kind == "softmax":
        op, tables = softmax_op(
            name="p",
            layer="softmax",
            source=source,
            values=values,
            output=Fixed(width_bits=(bits := draw(st.integers(1, 8))), frac_bits=bits, signed=False),
            variant=draw(st.sampled_from(SoftmaxVariant)),
            max_entries=draw(st.sampled_from((2, 30, 128))),
            guard_bits=draw(st.integers(0, 2)),
        )
        return [op], tables
    return [], {}


def _requant(draw: st.DrawFn, layer: str, source: str, size: int) -> Requant:
    frac = draw(st.integers(-1, 8))
    many = draw(st.booleans()) and size > 1
    count = size if many else 1
    return Requant(
        name=f"{layer}.act",
        layer=layer,
        source=source,
        frac_bits=frac,
        width_bits=tuple(draw(st.lists(st.integers(0 if many else 1, 8), min_size=count, max_size=count))),
        keep_frac_bits=tuple(draw(st.lists(st.integers(frac - 3, frac), min_size=count, max_size=count))),
        signed=tuple(draw(st.lists(st.booleans(), min_size=count, max_size=count))),
        rounding=draw(st.sampled_from(Rounding)),
        overflow=draw(st.sampled_from(Overflow)),
    )


def requant(name: str, source: str, *, frac_bits: int, width_bits: int, signed: bool = True) -> Requant:
    """Return a layer that rounds half up to one format for all elements, and saturates."""
    return Requant(
        name=name,
        layer=name,
        source=source,
        frac_bits=frac_bits,
        width_bits=(width_bits,),
        keep_frac_bits=(frac_bits,),
        signed=(signed,),
        rounding=Rounding.HALF_UP,
        overflow=Overflow.SATURATE,
    )


def codes(program: Program, count: int, seed: int = 0) -> np.ndarray:
    """Return input codes (count, *shape): the format's corners first, then uniform ones."""
    fixed, size = program.input.format, math.prod(program.input.shape)
    rng = np.random.default_rng(seed)
    x = rng.integers(fixed.lo, fixed.hi, (count, size), endpoint=True)
    corners = rng.random((count // 4, size)) < 0.5
    x[: count // 4] = np.where(corners, fixed.lo, fixed.hi)
    return x.reshape(count, *program.input.shape)


def mlp(
    sizes: tuple[int, ...], *, seed: int, weight_bits: int = 6, sparsity: float = 0.5, output: str = "argmax"
) -> Program:
    """Return a fixed random network as the export writes them: ReLU, half-up, saturating unsigned activations."""
    rng = np.random.default_rng(seed)
    ops: list[Op] = [Input(name="x", layer="input", shape=(sizes[0],), format=Fixed(width_bits=8, frac_bits=4))]
    constants: dict[str, Constant] = {}
    previous = "x"
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layer = "out" if index == len(sizes) - 2 else f"fc{index + 1}"
        weight = rng.integers(-(1 << (weight_bits - 1)) + 1, 1 << (weight_bits - 1), (n_in, n_out))
        weight[rng.random(weight.shape) < sparsity] = 0
        constants[f"{layer}.weight"] = Constant(weight, weight_bits - 1)
        constants[f"{layer}.bias"] = Constant(rng.integers(-60, 60, n_out), 6)
        ops.append(Dense(name=layer, layer=layer, source=previous, weight=f"{layer}.weight", bias=f"{layer}.bias"))
        previous = layer
        if layer != "out":
            ops.append(Relu(name=f"{layer}.relu", layer=layer, source=layer))
            ops.append(
                Requant(
                    name=f"{layer}.act",
                    layer=layer,
                    source=f"{layer}.relu",
                    frac_bits=3,
                    width_bits=(6,),
                    keep_frac_bits=(3,),
                    signed=(False,),
                    rounding=Rounding.HALF_UP,
                    overflow=Overflow.SATURATE,
                )
            )
            previous = f"{layer}.act"
    if output == "argmax":
        ops.append(ArgMax(name="class", layer="argmax", source=previous))
        previous = "class"
    program = Program(name="net", ops=tuple(ops), output=previous, constants=constants)
    verify(program)
    return program


def sparse_mlp(
    sizes: tuple[int, ...],
    *,
    seed: int,
    fan_in: int,
    activation_bits: int = 2,
    input_bits: int = 2,
    weight_bits: int = 5,
) -> Program:
    """Return a random network as LogicNets has them: each neuron reads few inputs of few bits; scores as output."""
    rng = np.random.default_rng(seed)
    ops: list[Op] = [
        Input(name="x", layer="input", shape=(sizes[0],), format=Fixed(width_bits=input_bits, frac_bits=0))
    ]
    constants: dict[str, Constant] = {}
    previous, most = "x", (1 << input_bits - 1)
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layer = "out" if index == len(sizes) - 2 else f"fc{index + 1}"
        weight = np.zeros((n_in, n_out), dtype=np.int64)
        for column in range(n_out):
            read = rng.choice(n_in, fan_in, replace=False)
            weight[read, column] = rng.integers(1, 1 << (weight_bits - 1), fan_in) * rng.choice((-1, 1), fan_in)
        reach = int(np.abs(weight).sum(axis=0).mean()) * most // 2
        constants[f"{layer}.weight"] = Constant(weight, 0)
        constants[f"{layer}.bias"] = Constant(rng.integers(-reach // 3, reach // 3 + 1, n_out), 0)
        ops.append(Dense(name=layer, layer=layer, source=previous, weight=f"{layer}.weight", bias=f"{layer}.bias"))
        previous = layer
        if layer != "out":
            drop = max(reach.bit_length() - activation_bits, 0)
            ops.append(Relu(name=f"{layer}.relu", layer=layer, source=layer))
            ops.append(
                Requant(
                    name=f"{layer}.act",
                    layer=layer,
                    source=f"{layer}.relu",
                    frac_bits=-drop,
                    width_bits=(activation_bits,),
                    keep_frac_bits=(-drop,),
                    signed=(False,),
                    rounding=Rounding.HALF_UP,
                    overflow=Overflow.SATURATE,
                )
            )
            previous, most = f"{layer}.act", (1 << activation_bits) - 1
    program = Program(name="net", ops=tuple(ops), output=previous, constants=constants)
    verify(program)
    return program
