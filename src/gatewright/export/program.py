"""A quantized Graph in, the exact integer Program out, with the encoder of its inputs and the proof on data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright import ir
from gatewright.errors import ExportError
from gatewright.export.builder import Builder, Code, legal
from gatewright.export.emit import Result, emit, refusal
from gatewright.export.pending import Chain
from gatewright.export.prepare import boundary, prepare, quantize_input, strip_output
from gatewright.fixedpoint import Fixed, Ints
from gatewright.graph.evaluate import Precision, exact_trace
from gatewright.graph.exact import ONE, lattices
from gatewright.graph.functions import softmax
from gatewright.graph.nodes import Affine, AnyNode, Floats, Graph, Quantize, Reshape, Slice, Thresholds, TopK, Transpose
from gatewright.graph.nodes import Softmax as SoftmaxNode
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import drop_dead
from gatewright.ir import ArgMax, Input, Interpreter, Program, Softmax, ranges, verify
from gatewright.ir.output import OutputStage, PlainOutput, add_output_stage, softmax_error
from gatewright.ir.ranges import Range

PROBABILITIES = Fixed(width_bits=8, frac_bits=8, signed=False)
CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A program and what surrounds it.

    graph: the graph that the program equals, with precision `precision`; boundary: the node whose integers the program
    reads; output_scale: a score q means q * 2**-frac_bits * output_scale; where: the op that computes each node;
    known: the ranges of the program's results; probability_error: the proven bound of a last softmax's error.
    """

    program: Program
    graph: Graph
    boundary: str
    output_scale: Floats
    precision: Precision
    where: dict[str, str]
    known: dict[str, Range] = field(repr=False)
    notes: tuple[str, ...] = ()
    probability_error: float | None = None

    @property
    def frac_bits(self) -> int:
        """The frac_bits of the program's result."""
        return self.known[self.program.output].frac_bits

    def encode(self, x: NDArray[Any]) -> Ints:
        """Return the program's input integers for samples x: (n, *input shape)."""
        graph = replace(self.graph, output=self.boundary)
        parts = [
            exact_trace(graph, x[at : at + CHUNK], (self.boundary,), precision=self.precision)[self.boundary]
            for at in range(0, max(len(x), 1), CHUNK)
        ]
        fixed = self.program.input.format
        return np.ldexp(np.concatenate(parts), fixed.frac_bits).astype(np.int64).reshape(-1, *self.program.input.shape)

    def run(self, x: NDArray[Any]) -> Ints:
        """Return the program's result for samples x: (n, *input shape)."""
        return Interpreter(self.program, self.known).run(self.encode(x))


def export_graph(
    graph: Graph,
    *,
    name: str,
    input_format: Fixed | None = None,
    output: PlainOutput = "scores",
    output_format: Fixed | None = None,
    classes: tuple[str, ...] = (),
    precision: Precision = "single",
) -> Exported:
    """Return the verified program of a graph whose values are quantized.

    input_format: where the model does not quantize its input, or should do it on the chip; output: "scores", "argmax"
    for the class number, or "softmax" for the probabilities of a model that ends in one: by tables, each within the
    error that the notes state. output_format: of probabilities (ufixed<8,0> unless given); or it quantizes a result
    that is a real number (half up, saturating), e.g. a final sigmoid. precision: how float functions between integers
    are computed ("single" as frameworks do).
    Raises ExportError naming the node that has no exact integer form, and ModelError for a broken graph.
    """
    graph = prepare(graph, input_format)
    notes: tuple[str, ...] = ()
    if output == "softmax":
        graph = _before_softmax(graph)
    elif output_format is not None:
        graph = _quantized_output(graph, output_format)
    if output != "softmax":
        graph, notes = strip_output(graph, lattices(graph), order_only=output == "argmax")
    known, sizes = lattices(graph), shapes(graph)
    first = boundary(graph, known)
    assert isinstance(first, Quantize | Thresholds)
    builder = Builder(name=name, waiting=_units(graph, first.name))
    results: dict[str, Result] = {}
    lattice = known[first.name]
    assert lattice is not None, "a boundary is on a lattice"
    shape = sizes[first.name] or (1,)
    fixed = input_format or _input_format(first, lattice.frac_bits, lattice.plain)
    builder.layer = "input"
    source = builder.add(Input(name="x", layer="input", shape=shape, format=fixed))
    results[first.name] = Code(source, lattice.scale, shape)
    needed = _after(graph, first.name)
    for node in graph.nodes:
        if node.name not in needed:
            continue
        builder.layer = legal(node.name)
        sources = [results[s] for s in node.sources]
        results[node.name] = emit(builder, node, sources, known, sizes[node.name], single=precision == "single")
    result = results[graph.output]
    if isinstance(result, Chain):
        last = next(node for node in graph.nodes if node.name == graph.output)
        raise refusal(last, "it gives real numbers at the output", 'give output_format, e.g. Fixed.parse("fixed<8,2>")')
    if output == "argmax":
        builder.layer = "argmax"
        result = _argmax(builder, graph, result)
    program = builder.program(result.op, classes)
    known_ranges = verify(program)
    bound: float | None = None
    if output == "softmax":
        program = _with_softmax(program, graph, result, output_format or PROBABILITIES)
        known_ranges, bound = ranges(program), softmax_error(program)
        notes = (f"The softmax at the end is computed by tables: each probability is within {bound:.3g} of the exact.",)
    return Exported(
        program=program,
        graph=graph,
        boundary=first.name,
        output_scale=result.scale,
        precision=precision,
        where={key: r.op for key, r in results.items() if isinstance(r, Code)},
        notes=(*graph.notes, *notes),
        known=known_ranges,
        probability_error=bound,
    )


def check_graph_export(exported: Exported, x: NDArray[Any]) -> int:
    """Compare graph and program on every sample, node by node, with ==. x: (n, *input shape). Returns n.

    Raises ExportError naming the node, sample, element and the difference in LSBs.
    """
    interpreter = Interpreter(exported.program, exported.known)
    fracs = {key: value.frac_bits for key, value in exported.known.items()}
    for at in range(0, len(x), CHUNK):
        part = x[at : at + CHUNK]
        wanted = tuple(exported.where)
        expected = exact_trace(exported.graph, part, wanted, precision=exported.precision)
        got = interpreter.trace(exported.encode(part))
        for node, op in exported.where.items():
            _compare(node, expected[node], got[op], fracs[op], at)
        if isinstance(last := exported.program.op(exported.program.output), Softmax):
            _compare_softmax(last, exported.probability_error, got, fracs, at)
    return len(x)


def _compare_softmax(op: Softmax, bound: float | None, got: dict[str, Ints], fracs: dict[str, int], at: int) -> None:
    scores, result = (np.ldexp(got[name].astype(np.float64), -fracs[name]) for name in (op.source, op.name))
    difference = np.abs(result - softmax(scores))
    if bound is None or not (difference <= bound).all():
        where = tuple(int(v) for v in np.unravel_index(int(difference.argmax()), difference.shape))
        raise ExportError(
            f"export: softmax {op.name!r}, sample {at + where[0]}, element {where[1:]}: {difference.max():g} off, its "
            f"bound is {bound}; this is a fault of gatewright, report it with the model"
        )


def _compare(node: str, expected: Floats, got: Ints, frac_bits: int, at: int) -> None:
    values = np.ldexp(got.astype(np.float64), -frac_bits).reshape(got.shape[0], *expected.shape[1:])
    wrong = np.argwhere(values != expected)
    if not len(wrong):
        return
    where = tuple(int(v) for v in wrong[0])
    raise ExportError(
        f"export: node {node!r}, sample {at + where[0]}, element {where[1:]}: graph gives {expected[where]!r}, program "
        f"{values[where]!r} (difference {(values[where] - expected[where]) * 2.0**frac_bits:g} LSB; {len(wrong)} of "
        f"{values.size} values differ); this is a fault of gatewright, report it with the model"
    )


def _input_format(node: Quantize | Thresholds, frac: int, plain: bool) -> Fixed:
    """Return the narrowest format of all integers that the boundary can give."""
    match node:
        case Quantize():
            ends = np.stack(np.broadcast_arrays(node.lo - node.zero_point, node.hi - node.zero_point, 0))
            values = ends * (node.scale if plain else ONE)
        case Thresholds():
            start, step = (node.start, node.step) if plain else (node.start / node.step, ONE)
            values = np.stack(np.broadcast_arrays(start, start + step * node.thresholds.shape[1]))
    q = np.ldexp(values, frac)
    return Fixed.holding(int(q.min()), int(q.max()), frac)


def _after(graph: Graph, first: str) -> set[str]:
    """Return the nodes that the program computes: those the output needs, down to the boundary."""
    by_name = {node.name: node for node in graph.nodes}
    needed: set[str] = set()
    pending = [graph.output]
    while pending:
        name = pending.pop()
        if name in needed or name == first:
            continue
        needed.add(name)
        pending += by_name[name].sources
    return needed


def _units(graph: Graph, first: str) -> frozenset[str]:
    """Return the affine nodes between the input and quantizers: changes of unit, which belong into a table."""
    readers: dict[str, list[AnyNode]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.sources:
            readers[source].append(node)
    found: set[str] = set()
    for node in reversed(graph.nodes):
        ends = readers[node.name] and node.name != graph.output
        if (
            isinstance(node, Affine)
            and ends
            and all(isinstance(r, Quantize | Thresholds) or r.name in found for r in readers[node.name])
        ):
            found.add(node.name)
    reached = {first}
    for node in graph.nodes:
        if node.name in found and node.sources[0] in reached:
            reached.add(node.name)
    return frozenset(reached & found)


def _quantized_output(graph: Graph, fixed: Fixed) -> Graph:
    template = quantize_input(graph, fixed).nodes[1]
    last = replace(template, name=f"{graph.output}.quantized", sources=(graph.output,))
    return replace(graph, nodes=(*graph.nodes, last), output=last.name)


def _before_softmax(graph: Graph) -> Graph:
    """Return the graph that ends at what its last softmax reads."""
    last = next(node for node in graph.nodes if node.name == graph.output)
    if not isinstance(last, SoftmaxNode):
        origin = f", {last.origin}" if last.origin else ""
        raise ExportError(
            f'output "softmax" needs a model that ends in a softmax; {graph.name!r} ends in {last.name!r} '
            f'({type(last).__name__}{origin}); use "scores" or "argmax"'
        )
    return drop_dead(replace(graph, output=last.sources[0]))


def _with_softmax(program: Program, graph: Graph, scores: Code, fixed: Fixed) -> Program:
    if not scores.plain:
        last = next(node for node in graph.nodes if node.name == graph.output)
        why = "the softmax that reads it needs fixed point, and it is an integer times a real scale"
        raise refusal(last, why, 'use output="scores" or "argmax"')
    return add_output_stage(program, OutputStage(kind="softmax", softmax_format=str(fixed)))


def _argmax(builder: Builder, graph: Graph, scores: Code) -> Code:
    by_name = {node.name: node for node in graph.nodes}
    last = end = by_name[graph.output]
    while isinstance(end, Reshape | Transpose | Slice):
        end = by_name[end.sources[0]]
    if isinstance(end, TopK):
        return scores
    if scores.scale.size != 1:
        raise refusal(last, "each score has its own scale, so integers do not compare", 'use output="scores"')
    if len(scores.shape) > 1:
        flat = ir.Reshape(
            name=builder.fresh("flat"), layer=builder.layer, source=scores.op, shape=(prod(scores.shape),)
        )
        scores = Code(builder.add(flat), scores.scale, (prod(scores.shape),))
    if scores.shape == (1,):  # one score: class 1 from 0 on
        at = ir.Thresholds(
            name="class",
            layer=builder.layer,
            source=scores.op,
            thresholds=builder.table("threshold", np.zeros((1, 1), dtype=np.int64), 0),
            start=0,
            step=1,
            frac_bits=0,
        )
        return Code(builder.add(at), ONE, (1,))
    return Code(builder.add(ArgMax(name="class", layer=builder.layer, source=scores.op)), ONE, (1,))
