"""Random programs of every operator, and what each operator means, index by index, in rational numbers."""

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import (
    Add,
    ArgMax,
    Concat,
    Const,
    Constant,
    Conv,
    Dense,
    Fill,
    Input,
    Lookup,
    MatMul,
    Max,
    Min,
    Mul,
    Op,
    Pad,
    Pool,
    PoolKind,
    Program,
    Relu,
    Requant,
    Reshape,
    Scan,
    Slice,
    Sub,
    Thresholds,
    Transpose,
    Trees,
    Upsample,
    ranges,
    shapes,
    verify,
)
from tests.forests import TABLES, forest_tables


class Growing:
    """A program under construction."""

    def __init__(self, draw: st.DrawFn, source: Input, name: str = "p"):
        self.draw, self.name = draw, name
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.ops: list[Op] = [source]
        self.constants: dict[str, Constant] = {}

    @property
    def last(self) -> str:
        return self.ops[-1].name

    @property
    def program(self) -> Program:
        return Program(name=self.name, ops=tuple(self.ops), output=self.last, constants=self.constants)

    @property
    def shape(self) -> tuple[int, ...]:
        return shapes(self.program)[self.last]

    def constant(self, *shape: int, bits: int = 5) -> str:
        name = f"c{len(self.constants)}"
        q = self.rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
        q[self.rng.random(shape) < self.draw(st.sampled_from((0.0, 0.5)))] = 0
        self.constants[name] = Constant(q, self.draw(st.integers(-1, 4)))
        return name

    def several(self, count: int, low: int, high: int) -> tuple[int, ...]:
        return tuple(self.draw(st.integers(low, high)) for _ in range(count))

    def pads(self, count: int) -> tuple[tuple[int, int], ...]:
        return tuple((self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2))) for _ in range(count))

    def add(self, op: type[Op], /, **fields) -> None:
        name = f"v{len(self.ops)}"
        self.ops.append(op(name=name, layer=f"layer{len(self.ops)}", **fields))
        if ranges(self.program)[name].width_bits > 20:
            self.requant()

    def requant(self, rounding: Rounding | None = None, overflow: Overflow | None = None, frac: int | None = None):
        frac = self.draw(st.integers(-1, 6)) if frac is None else frac
        shape = self.shape
        counts = [self.draw(st.sampled_from((1, shape[-1], math.prod(shape)))) for _ in range(3)]
        self.add(
            Requant,
            source=self.last,
            frac_bits=frac,
            width_bits=self.several(counts[0], 0 if counts[0] > 1 else 1, 7),
            keep_frac_bits=self.several(counts[1], frac - 3, frac),
            signed=tuple(self.draw(st.booleans()) for _ in range(counts[2])),
            rounding=rounding or self.draw(st.sampled_from(Rounding)),
            overflow=overflow or self.draw(st.sampled_from(Overflow)),
        )


def grow_dense(g: Growing) -> None:
    n_out = g.draw(st.integers(1, 4))
    g.add(Dense, source=g.last, weight=g.constant(g.shape[-1], n_out), bias=g.constant(n_out))


def grow_conv(g: Growing) -> None:
    shape = g.shape
    if len(shape) == 1:
        return grow_reshape(g)
    rank = len(shape) - 1
    pads, dilation = g.pads(rank), g.several(rank, 1, 2)
    room = [n + sum(p) for n, p in zip(shape[:-1], pads, strict=True)]
    kernel = tuple(
        g.draw(st.integers(1, max(1, min(3, (r - 1) // d + 1)))) for r, d in zip(room, dilation, strict=True)
    )
    groups = g.draw(st.sampled_from([n for n in range(1, shape[-1] + 1) if shape[-1] % n == 0]))
    c_out = groups * g.draw(st.integers(1, 2))
    return g.add(
        Conv,
        source=g.last,
        weight=g.constant(*kernel, shape[-1] // groups, c_out),
        bias=g.constant(c_out),
        strides=g.several(rank, 1, 3),
        dilation=dilation,
        pads=pads,
        groups=groups,
    )


def grow_pool(g: Growing) -> None:
    shape = g.shape
    if len(shape) == 1:
        return grow_reshape(g)
    size = tuple(g.draw(st.integers(1, n)) for n in shape[:-1])
    pads = tuple((g.draw(st.integers(0, k - 1)), g.draw(st.integers(0, k - 1))) for k in size)
    strides = tuple(g.draw(st.integers(1, 3)) for _ in size)
    return g.add(Pool, source=g.last, kind=g.draw(st.sampled_from(PoolKind)), size=size, strides=strides, pads=pads)


def grow_relu(g: Growing) -> None:
    g.add(Relu, source=g.last)


def grow_binary(g: Growing) -> None:
    """With an earlier result that broadcasts, or with a constant."""
    kind = g.draw(st.sampled_from((Add, Sub, Mul, Max, Min)))
    shape, source = g.shape, g.last
    known = shapes(g.program)
    fit = [name for name in known if broadcasts(known[name], shape)]
    if g.draw(st.booleans()):
        shape = tuple(n if g.draw(st.booleans()) else 1 for n in shape)[g.draw(st.integers(0, len(shape) - 1)) :]
        g.add(Const, value=g.constant(*shape))
        fit = [g.last]
    pair = [source, g.draw(st.sampled_from(fit))]
    left, right = pair if g.draw(st.booleans()) else pair[::-1]
    g.add(kind, left=left, right=right)


def grow_matmul(g: Growing) -> None:
    """Of two earlier results, one of them transposed or reshaped as it has to be, or of one with a constant."""
    shape, source = g.shape, g.last
    if len(shape) < 2:
        grow_reshape(g)
        return
    n, k = shape[-2:]
    known = shapes(g.program)
    fit = [name for name, s in known.items() if len(s) > 1 and s[-2] == k and broadcasts(s[:-2], shape[:-2])]
    swap = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    if fit and g.draw(st.booleans()):
        g.add(MatMul, left=source, right=g.draw(st.sampled_from(fit)))
    elif g.draw(st.booleans()):
        g.add(Transpose, source=source, axes=swap)
        pair = (source, g.last) if g.draw(st.booleans()) else (g.last, source)
        g.add(MatMul, left=pair[0], right=pair[1])
    else:
        m, batch = g.draw(st.integers(1, 3)), g.draw(st.sampled_from((shape[:-2], ())))
        last, value = g.draw(st.sampled_from((True, False))), g.draw(st.integers(1, 3))
        g.add(Const, value=g.constant(*batch, *((k, m) if last else (value, n))))
        g.add(MatMul, left=source if last else g.last, right=g.last if last else source)


def broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def grow_concat(g: Growing) -> None:
    known = shapes(g.program)
    shape = known[g.last]
    axis = g.draw(st.integers(0, len(shape) - 1))
    fit = [
        name
        for name, s in known.items()
        if len(s) == len(shape) and all(i == axis or a == b for i, (a, b) in enumerate(zip(s, shape, strict=True)))
    ]
    g.add(Concat, sources=(g.last, *g.draw(st.lists(st.sampled_from(fit), max_size=2))), axis=axis)


def grow_reshape(g: Growing) -> None:
    size = math.prod(g.shape)
    first = g.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    rest = size // first
    second = g.draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0]))
    options = [(size,), (first, rest), (first, second, rest // second)]
    g.add(Reshape, source=g.last, shape=g.draw(st.sampled_from(options)))


def grow_transpose(g: Growing) -> None:
    g.add(Transpose, source=g.last, axes=tuple(g.draw(st.permutations(range(len(g.shape))))))


def grow_slice(g: Growing) -> None:
    parts = []
    for size in g.shape:
        step = g.draw(st.sampled_from((1, 1, 2, -1, -2)))
        start = g.draw(st.integers(0, size - 1))
        last = g.draw(st.integers(start, size - 1) if step > 0 else st.integers(0, start))
        parts.append((start, last + (1 if step > 0 else -1), step))
    starts, stops, steps = zip(*parts, strict=True)
    g.add(Slice, source=g.last, starts=starts, stops=stops, steps=steps)


def grow_pad(g: Growing) -> None:
    g.add(Pad, source=g.last, pads=g.pads(len(g.shape)), value=g.draw(st.integers(-9, 9)))


def grow_upsample(g: Growing) -> None:
    factors = g.several(len(g.shape), 1, 2)
    g.add(Upsample, source=g.last, factors=factors, fill=g.draw(st.sampled_from(Fill)))


def grow_scan(g: Growing) -> None:
    """A cell of the kind state = requant(dense(x, state) * gate(x, state))."""
    shape = g.shape
    if len(shape) != 2:
        grow_reshape(g)
        return
    states, features = g.draw(st.integers(1, 3)), shape[1]
    x = ranges(g.program)[g.last]
    frac = max(x.frac_bits, 4)
    width = max(x.width_bits + 1 + frac - x.frac_bits, 8 + frac)
    cell = Input(name="x", layer="in", shape=(features + states,), format=Fixed(width_bits=width, frac_bits=frac))
    body = Growing(g.draw, cell, name=f"cell{len(g.ops)}")
    grow_dense(body)
    gate = body.last
    body.add(Slice, source=gate, starts=(0,), stops=(1,), steps=(1,))
    one = body.last
    body.add(Dense, source="x", weight=body.constant(features + states, states), bias=body.constant(states))
    if g.draw(st.booleans()):
        body.add(Mul, left=one, right=body.last)
    body.requant(frac=4)
    state = body.last
    if body.draw(st.booleans()):
        body.add(Concat, sources=(state, gate), axis=0)
    size = body.shape[0]
    if ranges(body.program)[body.last].frac_bits > frac:
        body.ops.pop()
        size = states
    initial = f"c{len(g.constants)}"
    g.constants[initial] = Constant(g.rng.integers(-8, 8, states), 4)
    first = g.draw(st.integers(0, size - 1))
    g.add(
        Scan,
        source=g.last,
        body=body.program,
        initial=initial,
        emit=(first, g.draw(st.integers(first + 1, size))),
        reverse=g.draw(st.booleans()),
        sequences=g.draw(st.booleans()),
    )


def grow_lookup(g: Growing) -> None:
    x = ranges(g.program)[g.last]
    low, high = int(x.lo.min()), int(x.hi.max())
    if high - low > 300:
        g.requant(frac=2)
        return
    name, rows = f"c{len(g.constants)}", g.draw(st.sampled_from((1, g.shape[-1])))
    first = low - g.draw(st.integers(0, 2))
    entries = high - first + 1 + g.draw(st.integers(0, 2))
    g.constants[name] = Constant(g.rng.integers(-50, 50, (rows, entries)), g.draw(st.integers(-1, 4)))
    g.add(Lookup, source=g.last, table=name, first=first)


def grow_thresholds(g: Growing) -> None:
    x = ranges(g.program)[g.last]
    name, rows = f"c{len(g.constants)}", g.draw(st.sampled_from((1, g.shape[-1])))
    count = g.draw(st.sampled_from((1, 2, 4, 20)))  # few are compared one by one
    at = g.rng.integers(int(x.lo.min()) - 1, int(x.hi.max()) + 2, (rows, count))
    g.constants[name] = Constant(np.sort(at), x.frac_bits + g.draw(st.integers(-1, 1)))
    start, step = g.draw(st.integers(-3, 3)), g.draw(st.sampled_from((-2, 1, 3)))
    g.add(Thresholds, source=g.last, thresholds=name, start=start, step=step, frac_bits=g.draw(st.integers(-1, 2)))


def grow_trees(g: Growing) -> None:
    size, *more = g.shape
    if more:
        grow_reshape(g)
        return
    x = ranges(g.program)[g.last]
    finer = g.draw(st.integers(-1, 1))  # thresholds between two of x, or on them
    low, high = (int(float(end) * 2.0**finer) for end in x.ends)
    made = forest_tables(
        g.rng, features=size, ends=(low, high), n_out=g.draw(st.integers(1, 3)), frac_bits=x.frac_bits + finer
    )
    names = {key: f"c{len(g.constants)}.{key}" for key in TABLES}
    g.constants |= dict(zip(names.values(), made, strict=True))
    g.add(Trees, source=g.last, **names)


GROW = {
    "dense": grow_dense,
    "conv": grow_conv,
    "pool": grow_pool,
    "relu": grow_relu,
    "requant": Growing.requant,
    "binary": grow_binary,
    "matmul": grow_matmul,
    "concat": grow_concat,
    "reshape": grow_reshape,
    "transpose": grow_transpose,
    "slice": grow_slice,
    "pad": grow_pad,
    "upsample": grow_upsample,
    "scan": grow_scan,
    "lookup": grow_lookup,
    "thresholds": grow_thresholds,
    "trees": grow_trees,
}


@st.composite
def operator_programs(
    draw: st.DrawFn,
    *,
    max_ops: int = 5,
    kinds: tuple[str, ...] = tuple(GROW),
    shape: tuple[int, ...] = (),
    max_width: int = 6,
) -> Program:
    """Draw a verified program of up to max_ops operators of every kind; its input has 1 to 3 axes, or `shape`."""
    shape = shape or tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    source = Fixed(
        width_bits=draw(st.integers(1, max_width)), frac_bits=draw(st.integers(-2, 5)), signed=draw(st.booleans())
    )
    growing = Growing(draw, Input(name="x", layer="input", shape=shape, format=source))
    for _ in range(draw(st.integers(1, max_ops))):
        GROW[draw(st.sampled_from(kinds))](growing)
        if math.prod(growing.shape) > 200:
            break
    if draw(st.booleans()):
        growing.ops.append(ArgMax(name="class", layer="argmax", source=growing.last))
    verify(growing.program)
    return growing.program


# ------------------------------------------------------------------------------------------------ the meaning
def rational(program: Program, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Return every result, as an object array of Fractions, of one sample's real values (object array)."""
    values: dict[str, np.ndarray] = {}
    for op in program.ops:
        values[op.name] = meaning(op, program, values, sample)
    return values


def exact(constant: Constant) -> np.ndarray:
    return scaled(constant.q, constant.frac_bits)


def scaled(q: np.ndarray, frac_bits: int) -> np.ndarray:
    """Return the numbers that integers mean, as Fractions."""
    result = np.empty(q.shape, dtype=object)
    for at in np.ndindex(q.shape):
        result[at] = Fraction(int(q[at])) * Fraction(2) ** -frac_bits
    return result


def meaning(op: Op, program: Program, values: dict[str, np.ndarray], sample: np.ndarray) -> np.ndarray:
    match op:
        case Input():
            return sample
        case Const():
            return exact(program.constants[op.value])
        case Dense():
            x, w, b = values[op.source], exact(program.constants[op.weight]), exact(program.constants[op.bias])
            y = np.empty((*x.shape[:-1], len(b)), dtype=object)
            for *at, j in np.ndindex(y.shape):
                y[(*at, j)] = b[j] + sum(x[(*at, i)] * w[i, j] for i in range(len(w)))
            return y
        case Conv():
            return convolution(op, program, values[op.source], shapes(program)[op.name])
        case Pool():
            return pooled(op, values[op.source], shapes(program)[op.name])
        case Relu():
            return np.maximum(values[op.source], np.array(Fraction(0), dtype=object))
        case Requant():
            x = values[op.source]
            flat = [requantised(op, i, v, x.shape) for i, v in enumerate(x.flat)]
            return np.array(flat, dtype=object).reshape(x.shape)
        case Add():
            return values[op.left] + values[op.right]
        case Sub():
            return values[op.left] - values[op.right]
        case Mul():
            return values[op.left] * values[op.right]
        case Max():
            return np.maximum(values[op.left], values[op.right])
        case Min():
            return np.minimum(values[op.left], values[op.right])
        case MatMul():
            a, b = values[op.left], values[op.right]
            y = np.empty(shapes(program)[op.name], dtype=object)
            batch = y.shape[:-2]
            a, b = (np.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (a, b))
            for *at, i, j in np.ndindex(y.shape):
                y[(*at, i, j)] = sum(a[(*at, i, c)] * b[(*at, c, j)] for c in range(a.shape[-1]))
            return y
        case Concat():
            return np.concatenate([values[name] for name in op.sources], axis=op.axis)
        case Reshape():
            return np.array(list(values[op.source].flat), dtype=object).reshape(op.shape)
        case Transpose():
            x = values[op.source]
            y = np.empty([x.shape[a] for a in op.axes], dtype=object)
            for at in np.ndindex(x.shape):
                y[tuple(at[a] for a in op.axes)] = x[at]
            return y
        case Slice():
            picked = [range(*part) for part in zip(op.starts, op.stops, op.steps, strict=True)]
            return values[op.source][np.ix_(*map(list, picked))]
        case Pad():
            x, frac = values[op.source], ranges(program)[op.source].frac_bits
            y = np.full(shapes(program)[op.name], Fraction(op.value) * Fraction(2) ** -frac, dtype=object)
            for at in np.ndindex(x.shape):
                y[tuple(i + before for i, (before, _) in zip(at, op.pads, strict=True))] = x[at]
            return y
        case Upsample():
            x = values[op.source]
            y = np.full(shapes(program)[op.name], Fraction(0), dtype=object)
            for at in np.ndindex(y.shape):
                inside = all(i % f == 0 for i, f in zip(at, op.factors, strict=True))
                if op.fill is Fill.REPEAT or inside:
                    y[at] = x[tuple(i // f for i, f in zip(at, op.factors, strict=True))]
            return y
        case Scan():
            return scanned(op, program, values[op.source])
        case Lookup():
            x, q, frac = values[op.source], exact(program.constants[op.table]), ranges(program)[op.source].frac_bits
            y = np.empty(x.shape, dtype=object)
            for at in np.ndindex(x.shape):
                y[at] = q[at[-1] % len(q), int(x[at] * Fraction(2) ** frac) - op.first]
            return y
        case Thresholds():
            x, cuts = values[op.source], exact(program.constants[op.thresholds])
            y = np.empty(x.shape, dtype=object)
            for at in np.ndindex(x.shape):
                reached = sum(x[at] >= cut for cut in cuts[at[-1] % len(cuts)])
                y[at] = (op.start + op.step * reached) * Fraction(2) ** -op.frac_bits
            return y
        case Trees():
            x, y = values[op.source], exact(program.constants[op.bias])
            feature, children, roots = (program.constants[key].q for key in (op.feature, op.children, op.roots))
            cuts, leaves = (exact(program.constants[key]) for key in (op.thresholds, op.leaves))
            for root in roots:
                at = root
                while at >= 0:
                    at = children[at, int(x[feature[at]] >= cuts[at])]
                y = y + leaves[~at]
            return y
        case ArgMax():
            x = values[op.source]
            y = np.empty((*x.shape[:-1], 1), dtype=object)
            for *at, _ in np.ndindex(y.shape):
                row = list(x[tuple(at)])
                y[(*at, 0)] = Fraction(row.index(max(row)))
            return y
        case _:
            raise NotImplementedError(type(op).__name__)


def windowed(position, strides, tap, dilation, pads, space):
    """Return the cell that a tap of a window meets, or None in the padding."""
    at = tuple(p * s + t * d - lo for p, s, t, d, (lo, _) in zip(position, strides, tap, dilation, pads, strict=True))
    return at if all(0 <= a < n for a, n in zip(at, space, strict=True)) else None


def convolution(op: Conv, program: Program, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    w, b = exact(program.constants[op.weight]), exact(program.constants[op.bias])
    *kernel, per_group, c_out = w.shape
    y = np.empty(shape, dtype=object)
    for *position, o in np.ndindex(shape):
        total, first = b[o], o // (c_out // op.groups) * per_group
        for tap in itertools.product(*map(range, kernel)):
            at = windowed(position, op.strides, tap, op.dilation, op.pads, x.shape[:-1])
            if at is not None:
                total += sum(x[(*at, first + i)] * w[(*tap, i, o)] for i in range(per_group))
        y[(*position, o)] = total
    return y


def pooled(op: Pool, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    y = np.empty(shape, dtype=object)
    for *position, c in np.ndindex(shape):
        taps = itertools.product(*map(range, op.size))
        cells = [windowed(position, op.strides, tap, (1,) * len(op.size), op.pads, x.shape[:-1]) for tap in taps]
        inside = [x[(*at, c)] for at in cells if at is not None]
        y[(*position, c)] = max(inside) if op.kind is PoolKind.MAX else sum(inside, Fraction(0))
    return y


def scanned(op: Scan, program: Program, x: np.ndarray) -> np.ndarray:
    state, results = exact(program.constants[op.initial]), []
    for step in reversed(range(len(x))) if op.reverse else range(len(x)):
        after = rational(op.body, np.concatenate([x[step], state]))[op.body.output]
        state = after[: len(state)]
        results.append(after[op.emit[0] : op.emit[1]])
    return np.stack(results) if op.sequences else results[-1]


def requantised(op: Requant, i: int, value: Fraction, shape: tuple[int, ...]) -> Fraction:
    """Return element i (row-major) of a Requant's result."""

    def pick(many):
        return many[0] if len(many) == 1 else many[i % shape[-1]] if len(many) == shape[-1] else many[i]

    width, frac, signed = pick(op.width_bits), pick(op.keep_frac_bits), pick(op.signed)
    if width == 0:
        return Fraction(0)
    q = rounded(value * Fraction(2) ** frac, op.rounding)
    lo, hi = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    if op.overflow is Overflow.WRAP:
        return ((q - lo) % 2**width + lo) * Fraction(2) ** -frac
    if op.overflow is Overflow.SATURATE_SYMMETRIC:
        lo = -hi if signed else 0
    return min(max(q, lo), hi) * Fraction(2) ** -frac


def rounded(value: Fraction, rounding: Rounding) -> int:
    half, away = Fraction(1, 2), 1 if value >= 0 else -1
    match rounding:
        case Rounding.TRUNCATE:
            return math.floor(value)
        case Rounding.CEIL:
            return math.ceil(value)
        case Rounding.ZERO:
            return math.trunc(value)
        case Rounding.HALF_UP:
            return math.floor(value + half)
        case Rounding.HALF_DOWN:
            return math.ceil(value - half)
        case Rounding.HALF_AWAY:
            return away * math.floor(abs(value) + half)
        case Rounding.HALF_ZERO:
            return away * math.ceil(abs(value) - half)
        case Rounding.HALF_EVEN:
            return round(value)


def samples(program: Program, count: int, seed: int = 0) -> np.ndarray:
    """Return input codes (count, *shape): the format's corners first, then uniform ones."""
    fixed, shape = program.input.format, program.input.shape
    rng = np.random.default_rng(seed)
    x = rng.integers(fixed.lo, fixed.hi, (count, *shape), endpoint=True)
    corners = rng.random((count // 4, *shape)) < 0.5
    x[: count // 4] = np.where(corners, fixed.lo, fixed.hi)
    return x
