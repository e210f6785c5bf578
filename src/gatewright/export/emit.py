"""A graph node and its sources' results in the program in; the ops that compute it exactly out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright import ir
from gatewright.export.absorb import absorb
from gatewright.export.builder import Code, ProgramBuilder, arrays_of, integers, refusal
from gatewright.export.emit_scan import Known, emit_scan
from gatewright.export.emit_sum import emit_sum
from gatewright.export.emit_table import emit_table, two_slopes
from gatewright.export.emit_trees import emit_trees
from gatewright.export.pending import Chain, code_of
from gatewright.graph.exact import Lattice, cells, is_power_of_two
from gatewright.graph.functions import INCREASING
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
    Input,
    MatMul,
    Pad,
    Pool,
    Quantize,
    Recurrent,
    Reshape,
    Scan,
    Slice,
    Softmax,
    Table,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
)
from gatewright.graph.shapes import Shape
from gatewright.graph.structure import Structure, move

Result = Code | Chain
ONE = np.array(1.0)
BINARY = {"add": ir.Add, "sub": ir.Sub, "mul": ir.Mul, "max": ir.Max, "min": ir.Min}


def emit(
    builder: ProgramBuilder, node: AnyNode, sources: list[Result], known: Known, shape: Shape, *, single: bool
) -> Result:
    """Return the node's result; ExportError says which node cannot be exact, why, and what to do.

    known: the lattices of the graph's results.
    """
    lattice = known[node.name]
    match node:
        case Constant():
            if lattice is None:
                raise refusal(node, "its numbers need more than 53 bits", "round them, or quantize the model")
            name = builder.const("", *integers(np.atleast_1d(node.value)))
            return Code(name, ONE, shape)
        case Quantize() | Thresholds():
            if lattice is None:
                raise refusal(node, "its levels are no common multiples of one step", "use a uniform step")
            return absorb(builder, node, _chain(sources[0]), lattice, single=single)
        case Table():
            return emit_table(builder, node, code_of(node, sources[0]), lattice)
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            return _structure(builder, node, sources[0], shape)
        case Concat():
            return _concat(builder, node, sources, lattice, shape)
        case Affine() | Activation():
            return _elementwise(builder, node, sources[0], lattice)
        case Dense() | Conv() | ConvTranspose():
            return emit_sum(builder, node, code_of(node, sources[0]), lattice, shape)
        case Pool():
            return _pool(builder, node, sources[0], lattice, shape)
        case Combine():
            return _combine(builder, node, sources, lattice, shape)
        case MatMul():
            return _matmul(builder, node, sources, lattice, shape)
        case Trees():
            return emit_trees(builder, node, code_of(node, sources[0]), lattice)
        case TopK():
            return _top_k(builder, node, sources[0], shape)
        case Softmax():
            raise refusal(node, "it is not the model's output", "quantize after it, or end the model there")
        case Scan():
            done = emit_scan(builder, node, code_of(node, sources[0]), known, shape, single=single, emit=emit)
            if isinstance(done, str):
                why = f"its state {done!r} is not rounded to a format at each step"
                raise refusal(node, why, "use a cell with quantizers, or quantize: `gatewright quantize`")
            return done
        case Input() | Recurrent():
            raise AssertionError("export_graph emits the input, and prepare() writes cells as scans")
        case _:
            assert_never(node)


def _chain(source: Result) -> Chain:
    return source if isinstance(source, Chain) else Chain(source, ())


# ---- elementwise


def _elementwise(builder: ProgramBuilder, node: Affine | Activation, source: Result, lattice: Lattice | None) -> Result:
    waits = isinstance(node, Affine) and node.name in builder.waiting
    if isinstance(source, Code) and lattice is not None and not (waits and lattice.plain and source.plain):
        done = _affine(builder, node, source, lattice) if isinstance(node, Affine) else _exact(builder, node, source)
        if done is not None:
            return done
    chain = _chain(source)
    exact = lattice is not None and chain.exact == len(chain.steps)
    if lattice is not None and not (exact and lattice.plain and chain.base.plain):
        raise refusal(node, "its exact form on this scale is not supported", "put a quantizer before it")
    return Chain(chain.base, (*chain.steps, node), chain.exact + exact)


def _affine(builder: ProgramBuilder, node: Affine, x: Code, lattice: Lattice) -> Code:
    if not np.array_equal(lattice.scale, x.scale):
        return Code(x.op, lattice.scale, x.shape)
    name = x.op
    if (node.scale != 1).any():
        name = builder.scaled(name, *integers(_few(node.scale)), "scale" if node.offset.any() else "")
    if node.offset.any():
        offset = builder.const("offset", *integers(_few(node.offset)))
        name = builder.add(ir.Add(name=builder.fresh(), layer=builder.layer, left=name, right=offset))
    return Code(name, lattice.scale, x.shape)


def _few(values: NDArray[Any]) -> NDArray[Any]:
    """Return one value where all are equal."""
    return values.reshape(-1)[:1] if (values == values.flat[0]).all() else values


def _exact(builder: ProgramBuilder, node: Activation, x: Code) -> Code | None:
    """Emit an activation that needs no quantizer; None where a table behind one is the way."""
    layer = builder.layer
    match node.kind:
        case "relu":
            upper = node.parameters[0] if node.parameters else np.inf
            slope, threshold = node.parameters[1:] if len(node.parameters) == 3 else (0.0, 0.0)
            if slope or threshold:
                return None
            name = builder.add(
                ir.Relu(name=builder.fresh("relu" if np.isfinite(upper) else ""), layer=layer, source=x.op)
            )
            if np.isfinite(upper):
                name = _bounded(builder, name, ir.Min, upper, "")
        case "leaky_relu" if 0 <= node.parameters[0] <= 1:
            slope = builder.scaled(x.op, *integers(np.array([node.parameters[0]])), "slope")
            name = builder.add(ir.Max(name=builder.fresh(), layer=layer, left=x.op, right=slope))
        case "prelu" if all(0 <= slope <= 1 for slope in node.parameters):
            slope = builder.scaled(x.op, *integers(np.array(node.parameters)), "slope")
            name = builder.add(ir.Max(name=builder.fresh(), layer=layer, left=x.op, right=slope))
        case "leaky_relu" | "prelu":
            name = two_slopes(builder, np.array(node.parameters), x)
        case "neg":
            name = builder.scaled(x.op, np.array([-1]), 0, "")
        case "abs":
            minus = builder.scaled(x.op, np.array([-1]), 0, "minus")
            name = builder.add(ir.Max(name=builder.fresh(), layer=layer, left=x.op, right=minus))
        case "square":
            name = builder.add(ir.Mul(name=builder.fresh(), layer=layer, left=x.op, right=x.op))
            return Code(name, x.scale**2, x.shape)
        case "sign":  # levels -1, 0, 1, reached at the integers 0 and 1
            op = ir.Thresholds(
                name=builder.fresh(),
                layer=layer,
                source=x.op,
                thresholds=builder.table("thresholds", np.array([[0, 1]]), builder.frac(x.op)),
                start=-1,
                step=1,
                frac_bits=0,
            )
            return Code(builder.add(op), ONE, x.shape)
        case "hard_tanh":
            lo, hi = node.parameters
            name = _bounded(builder, _bounded(builder, x.op, ir.Max, lo, "above"), ir.Min, hi, "")
        case _:
            return None
    return Code(name, x.scale, x.shape)


def _bounded(builder: ProgramBuilder, op: str, kind: type[ir.Max] | type[ir.Min], end: float, suffix: str) -> str:
    right = builder.const("hi" if kind is ir.Min else "lo", *integers(np.array([end])))
    return builder.add(kind(name=builder.fresh(suffix), layer=builder.layer, left=op, right=right))


# ---- elements moved


def _structure(builder: ProgramBuilder, node: Any, source: Result, shape: Shape) -> Result:
    base = source.base if isinstance(source, Chain) else source
    steps = source.steps if isinstance(source, Chain) else ()
    if isinstance(node, Pad) and steps:
        raise refusal(node, "it pads real numbers", "put a quantizer before it")
    name = builder.add(_wires(builder, node, base))
    code = Code(name, _moved(base.scale, node, base.shape), shape)
    if not isinstance(source, Chain):
        return code
    return replace(source, base=code, steps=tuple(_moved_step(step, node, base.shape) for step in steps))


def _wires(builder: ProgramBuilder, node: Any, base: Code) -> Any:
    given = {"name": builder.fresh(), "layer": builder.layer, "source": base.op}
    match node:
        case Reshape():
            return ir.Reshape(**given, shape=node.shape)
        case Transpose():
            return ir.Transpose(**given, axes=node.axes)
        case Slice():
            parts = zip(node.starts, node.stops, node.steps, base.shape, strict=True)
            ends = [slice(a, b, step).indices(size) for a, b, step, size in parts]
            starts, stops, steps = zip(*ends, strict=True)
            return ir.Slice(**given, starts=starts, stops=stops, steps=steps)
        case Upsample():
            return ir.Upsample(**given, factors=node.factors, fill=ir.Fill.REPEAT)
        case Pad():
            frac = builder.frac(base.op)
            value = node.value * 2.0**frac
            if value != int(value):
                given["source"] = builder.scaled(base.op, np.array([1 << 16]), 16, "finer")
                value *= 1 << 16
            if value != int(value):
                raise refusal(node, f"{node.value!r} is no multiple of 2**{-frac - 16}", "pad with zeros")
            return ir.Pad(**given, pads=node.pads, value=int(value))
        case _:
            raise AssertionError(f"{node!r} moves no elements")


def _moved(array: NDArray[Any], node: Structure, shape: Shape) -> NDArray[Any]:
    """Apply the move to what broadcasts over the value before it."""
    if array.size == 1:
        return array.reshape(())
    return move(node, [np.broadcast_to(array, shape)[None]], fill=1)[0]


def _moved_step(step: Any, node: Structure, shape: Shape) -> Any:
    if isinstance(step, Activation):
        if step.kind != "prelu" or len(step.parameters) == 1:
            return step
        raise refusal(step, "its slopes per channel would move", "put a quantizer before the reshape")
    return replace(step, **{key: _moved(v, node, shape) for key, v in arrays_of(step).items()})


def _concat(
    builder: ProgramBuilder, node: Concat, sources: list[Result], lattice: Lattice | None, shape: Shape
) -> Result:
    codes = [code_of(node, source) for source in sources]
    if lattice is None:
        raise refusal(node, "its sources' numbers do not fit one format of 53 bits", "quantize them alike")
    op = ir.Concat(
        name=builder.fresh(), layer=builder.layer, sources=tuple(c.op for c in codes), axis=node.axis % len(shape)
    )
    return Code(builder.add(op), lattice.scale, shape)


def _top_k(builder: ProgramBuilder, node: TopK, source: Result, shape: Shape) -> Code:
    if not isinstance(source, Code) or source.scale.size != 1:
        raise refusal(node, "its input is no integer with one scale", "put a quantizer before it")
    given = {"name": builder.fresh(), "layer": builder.layer, "source": source.op}
    op: ir.Op = ir.ArgMax(**given) if node.k == 1 else ir.TopK(**given, k=node.k)
    return Code(builder.add(op), ONE, shape)


# ---- windows and pairs


def _pool(builder: ProgramBuilder, node: Pool, source: Result, lattice: Lattice | None, shape: Shape) -> Result:
    kind = ir.PoolKind.MAX if node.kind == "max" else ir.PoolKind.SUM
    base = source.base if isinstance(source, Chain) else source
    pooled = ir.Pool(
        name=builder.fresh() if node.kind == "max" else builder.fresh("sum"),
        layer=builder.layer,
        source=base.op,
        kind=kind,
        size=node.size,
        strides=node.strides,
        pads=node.pads,
    )
    if isinstance(source, Chain):
        if node.kind != "max" or base.scale.ndim > 1 or not all(_rises(step) for step in source.steps):
            return code_of(node, source)
        return replace(source, base=Code(builder.add(pooled), base.scale, shape))
    if lattice is None:
        raise refusal(node, "its input's scale differs between places", "quantize with one step")
    name = builder.add(pooled)
    if node.kind == "average":
        count = cells(node, base.shape)
        if is_power_of_two(count):
            name = builder.scaled(name, *integers(_few(1.0 / count)), "mean")
    return Code(name, lattice.scale, shape)


def _rises(step: Affine | Activation) -> bool:
    """Whether a larger input never gives a smaller output, at every place alike."""
    if isinstance(step, Affine):
        channels = step.scale.shape[-1] if step.scale.ndim else 1
        return bool((step.scale > 0).all()) and step.scale.size == channels
    return step.kind in INCREASING and all(p >= 0 for p in step.parameters[-2:]) and len(step.parameters) < 3


def _combine(
    builder: ProgramBuilder, node: Combine, sources: list[Result], lattice: Lattice | None, shape: Shape
) -> Code:
    left, right = (code_of(node, source) for source in sources)
    if lattice is None:
        raise refusal(node, "its sources have different real scales", "quantize both with one step before it")
    op = BINARY[node.kind](name=builder.fresh(), layer=builder.layer, left=left.op, right=right.op)
    return Code(builder.add(op), lattice.scale, shape)


def _matmul(
    builder: ProgramBuilder, node: MatMul, sources: list[Result], lattice: Lattice | None, shape: Shape
) -> Code:
    left, right = (code_of(node, source) for source in sources)
    if lattice is None:
        raise refusal(node, "its sources have more than one real scale each", "quantize both with one step before it")
    op = ir.MatMul(name=builder.fresh(), layer=builder.layer, left=left.op, right=right.op)
    return Code(builder.add(op), lattice.scale, shape)
