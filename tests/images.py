"""Random programs of images and signals: kernels, strides, dilation, padding, groups, pools, skips, dense ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import Constant, Op, Program, verify
from gatewright.ir.op_moves import Concat, Fill, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, Max, Mul, Pool, PoolKind, Relu, Requant, Sub
from gatewright.ir.shapes import shapes
from tests.programs import known_ranges

SIZES = st.integers(1, 9)


def divisors(program: Program) -> list[int]:
    """Return how many positions of a program's input may come at a time, but for all of them."""
    positions = int(np.prod(program.input.shape[:-1]))
    return [n for n in range(1, positions + 1) if positions % n == 0 and (n < positions or n == 1)]


@dataclass
class Drawing:
    """A program that grows by ops that are drawn."""

    draw: st.DrawFn
    rng: np.random.Generator
    ops: list[Op] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)

    @property
    def last(self) -> str:
        return self.ops[-1].name

    def shape(self, name: str) -> tuple[int, ...]:
        return shapes(Program(name="p", ops=tuple(self.ops), output=self.last, constants=self.constants))[name]

    def bits(self, name: str) -> int:
        return known_ranges(self.ops, self.constants)[name].width_bits

    def weights(self, name: str, shape: tuple[int, ...]) -> None:
        bits = self.draw(st.integers(1, 4))
        weight = self.rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
        weight[self.rng.random(shape) < self.draw(st.sampled_from((0.0, 0.4)))] = 0
        self.constants[f"{name}.weight"] = Constant(weight, self.draw(st.integers(0, 3)))
        bias = self.rng.integers(-9, 10, shape[-1]) * self.draw(st.sampled_from((0, 1)))
        self.constants[f"{name}.bias"] = Constant(bias, self.draw(st.integers(0, 4)))

    def add(self, op: Op) -> None:
        self.ops.append(op)


@st.composite
def image_programs(draw: st.DrawFn, *, layers: int = 2, axes: int | None = None, moves: bool = False) -> Program:
    """Draw a verified program of one or two axes of space. moves: most layers move elements about."""
    d = Drawing(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    axes = axes or draw(st.integers(1, 2))
    shape = (*(draw(SIZES) for _ in range(axes)), draw(st.integers(1, 3)))
    fixed = Fixed(width_bits=draw(st.integers(1, 5)), frac_bits=draw(st.integers(0, 4)), signed=draw(st.booleans()))
    d.add(Input(name="x", layer="input", shape=shape, format=fixed))
    for number in range(draw(st.integers(1, layers))):
        kinds = ["conv", "conv", "pool", "point", "join", *["move"] * (8 if moves else 1)]
        grow = {"conv": _conv, "pool": _pool, "point": _point, "join": _join, "move": _move}
        grow[draw(st.sampled_from(kinds))](d, f"l{number}")
        if d.bits(d.last) > 9:
            d.add(_requant(d, f"l{number}.fit", f"l{number}"))
    if all(isinstance(op, Transpose | Reshape) for op in d.ops[1:]):
        d.add(Relu(name="relu", layer="relu", source=d.last))
    if draw(st.booleans()):
        _dense_end(d)
    program = Program(name="p", ops=tuple(d.ops), output=d.last, constants=d.constants)
    verify(program)
    return program


def _window(d: Drawing, sizes: tuple[int, ...], *, dilated: bool) -> tuple[list[int], ...]:
    """Draw kernel, strides, dilation and pads (before and after) of a window that fits."""
    kernel, strides, dilation, before, after = [], [], [], [], []
    for size in sizes:
        step = d.draw(st.sampled_from((1, 1, 2))) if dilated else 1
        k = d.draw(st.integers(1, max(1, min(4, (size - 1) // step + 1))))
        reach = (k - 1) * step + 1
        first = d.draw(st.integers(0, reach - 1))
        kernel.append(k)
        strides.append(d.draw(st.integers(1, 3)))
        dilation.append(step)
        before.append(first)
        after.append(d.draw(st.integers(0, reach - 1 - first)))
    return kernel, strides, dilation, before, after


def _conv(d: Drawing, name: str) -> None:
    *space, c_in = d.shape(d.last)
    kernel, strides, dilation, before, after = _window(d, tuple(space), dilated=True)
    groups = d.draw(st.sampled_from([g for g in (1, c_in) if c_in % g == 0]))
    c_out = groups * d.draw(st.integers(1, 2))
    d.weights(name, (*kernel, c_in // groups, c_out))
    d.add(
        Conv(
            name=name,
            layer=name,
            source=d.last,
            weight=f"{name}.weight",
            bias=f"{name}.bias",
            strides=tuple(strides),
            dilation=tuple(dilation),
            pads=tuple(zip(before, after, strict=True)),
            groups=groups,
        )
    )
    if d.draw(st.booleans()):
        d.add(Relu(name=f"{name}.relu", layer=name, source=d.last))
    if d.draw(st.booleans()):
        d.add(_requant(d, f"{name}.act", name))


def _pool(d: Drawing, name: str) -> None:
    *space, _ = d.shape(d.last)
    kernel, strides, _, before, after = _window(d, tuple(space), dilated=False)
    if d.draw(st.booleans()):  # windows that do not overlap
        strides, before, after = kernel, [0] * len(kernel), [0] * len(kernel)
    kind = d.draw(st.sampled_from(PoolKind))
    pads = tuple(zip(before, after, strict=True))
    d.add(Pool(name=name, layer=name, source=d.last, kind=kind, size=tuple(kernel), strides=tuple(strides), pads=pads))


def _point(d: Drawing, name: str) -> None:
    """Add an op on each pixel: a product with constants, a table, or a dense layer over channels."""
    shape, kind = d.shape(d.last), d.draw(st.sampled_from(("mul", "dense", "lookup", "sub")))
    if kind == "dense":
        n_out = d.draw(st.integers(1, 3))
        d.weights(name, (shape[-1], n_out))
        d.add(Dense(name=name, layer=name, source=d.last, weight=f"{name}.weight", bias=f"{name}.bias"))
    elif kind == "lookup" and d.bits(d.last) <= 6:
        known = known_ranges(d.ops, d.constants)[d.last]
        low, high = known.ends
        rows = d.draw(st.sampled_from((1, shape[-1])))
        d.constants[f"{name}.table"] = Constant(d.rng.integers(-8, 8, (rows, high - low + 1)), 2)
        d.add(Lookup(name=name, layer=name, source=d.last, table=f"{name}.table", first=low))
    else:
        before = d.last
        size = d.draw(st.sampled_from((1, shape[-1])))
        d.constants[f"{name}.c"] = Constant(d.rng.integers(-4, 5, size), d.draw(st.integers(0, 2)))
        d.add(Const(name=f"{name}.const", layer=name, value=f"{name}.c"))
        d.add((Mul if kind == "mul" else Sub)(name=name, layer=name, left=before, right=f"{name}.const"))


def _join(d: Drawing, name: str) -> None:
    """Add a branch of the same size, and what joins it with what it left."""
    trunk = d.last
    *space, channels = d.shape(trunk)
    kernel = tuple(d.draw(st.integers(1, min(3, size))) for size in space)
    pads = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel)
    d.weights(f"{name}.branch", (*kernel, channels, channels))
    d.add(
        Conv(
            name=f"{name}.branch",
            layer=f"{name}.branch",
            source=trunk,
            weight=f"{name}.branch.weight",
            bias=f"{name}.branch.bias",
            strides=(1,) * len(space),
            dilation=(1,) * len(space),
            pads=pads,
            groups=1,
        )
    )
    kind = d.draw(st.sampled_from((Add, Max, None)))
    if kind is None:
        d.add(Concat(name=name, layer=name, sources=(trunk, d.last), axis=d.draw(st.sampled_from((0, len(space))))))
    else:
        d.add(kind(name=name, layer=name, left=d.last, right=trunk))


def _move(d: Drawing, name: str) -> None:
    """Add an op that moves rows, columns or the whole frame about, or one whose formats differ from place to place."""
    kind = d.draw(st.sampled_from(("pad", "slice", "upsample", "transpose", "stack", "formats", "gate", "spread")))
    shape, source = d.shape(d.last), d.last
    rank, own = len(shape), {"name": name, "layer": name, "source": source}
    if kind == "pad":
        value = d.draw(st.sampled_from((0, *known_ranges(d.ops, d.constants)[source].ends)))
        d.add(
            Pad(**own, pads=tuple((d.draw(st.integers(0, 2)), d.draw(st.integers(0, 2))) for _ in shape), value=value)
        )
    elif kind == "slice":
        parts = [(d.draw(st.integers(0, size - 1)), d.draw(st.sampled_from((1, 1, 2, 3, -1)))) for size in shape]
        stops = [
            d.draw(st.integers(begin + 1, n)) if step > 0 else -1 for n, (begin, step) in zip(shape, parts, strict=True)
        ]
        starts, steps = zip(*parts, strict=True)
        d.add(Slice(**own, starts=starts, stops=tuple(stops), steps=steps))
    elif kind == "upsample":
        factors = tuple(d.draw(st.sampled_from((1, 2, 3))) for _ in shape)
        d.add(Upsample(**own, factors=factors, fill=d.draw(st.sampled_from(Fill))))
    elif kind == "transpose":
        d.add(Transpose(**own, axes=tuple(d.draw(st.permutations(range(rank))))))
    elif kind == "stack":
        d.add(Relu(name=f"{name}.relu", layer=name, source=source))
        d.add(Concat(name=name, layer=name, sources=(source, d.last), axis=d.draw(st.integers(0, rank - 1))))
    elif kind == "formats":
        d.add(_requant(d, name, name, elements=True))
    elif kind == "gate":
        whole = shape[:-1]
        d.add(
            Pool(
                **own | {"name": f"{name}.all"},
                kind=PoolKind.MAX,
                size=whole,
                strides=whole,
                pads=((0, 0),) * (rank - 1),
            )
        )
        d.add(Add(name=name, layer=name, left=source, right=d.last))
    else:  # a whole value at once, cut into pixels again
        d.add(Reshape(**own | {"name": f"{name}.flat"}, shape=(int(np.prod(shape)),)))
        size = int(np.prod(shape))
        d.weights(name, (size, size))
        d.add(Dense(name=name, layer=name, source=d.last, weight=f"{name}.weight", bias=f"{name}.bias"))
        d.add(Reshape(name=f"{name}.image", layer=name, source=name, shape=shape))


def _dense_end(d: Drawing) -> None:
    shape = d.shape(d.last)
    size = int(np.prod(shape))
    if size > 60:
        return
    d.add(Reshape(name="flat", layer="flat", source=d.last, shape=(size,)))
    d.weights("out", (size, d.draw(st.integers(1, 3))))
    if not d.constants["out.weight"].q.any():
        d.constants["out.weight"] = Constant(np.ones_like(d.constants["out.weight"].q), 0)
    d.add(Dense(name="out", layer="out", source="flat", weight="out.weight", bias="out.bias"))
    if d.draw(st.booleans()):
        d.add(ArgMax(name="class", layer="class", source="out"))


def _requant(d: Drawing, name: str, layer: str, *, elements: bool = False) -> Requant:
    shape = d.shape(d.last)
    count = int(np.prod(shape)) if elements else d.draw(st.sampled_from((1, shape[-1])))
    frac = d.draw(st.integers(0, 4))
    return Requant(
        name=name,
        layer=layer,
        source=d.last,
        frac_bits=frac,
        width_bits=tuple(d.draw(st.integers(1, 6)) for _ in range(count)),
        keep_frac_bits=tuple(frac - d.draw(st.integers(0, 1)) for _ in range(count)),
        signed=tuple(d.draw(st.booleans()) for _ in range(count)),
        rounding=d.draw(st.sampled_from(Rounding)),
        overflow=d.draw(st.sampled_from(Overflow)),
    )
