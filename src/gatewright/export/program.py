"""A quantized Graph in, the exact integer Program out, with the encoder of its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright import ir
from gatewright.export.builder import Code, ProgramBuilder, refusal
from gatewright.export.emit import Result, emit
from gatewright.export.inputs import boundary, quantize_input
from gatewright.export.pending import Chain
from gatewright.export.prepare import prepare, strip_output
from gatewright.fixedpoint import Fixed, Ints
from gatewright.graph.evaluate import exact_trace
from gatewright.graph.exact import ONE, lattices
from gatewright.graph.nodes import (
    Affine,
    AnyNode,
    Floats,
    Graph,
    Precision,
    Quantize,
    Reshape,
    Slice,
    Thresholds,
    TopK,
    Transpose,
)
from gatewright.graph.nodes import Softmax as SoftmaxNode
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import drop_dead
from gatewright.ir import (
    ArgMax,
    Input,
    Interpreter,
    OutputKind,
    OutputStage,
    Program,
    add_output_stage,
    ranges,
    softmax_error,
    verify,
)
from gatewright.ir.ranges import Range

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
    output: OutputStage | OutputKind = "scores",
    output_format: Fixed | None = None,
    precision: Precision = "single",
) -> Exported:
    """Return the verified program of a graph whose values are quantized.

    input_format: where the model does not quantize its input, or should do it on the chip; output: what leaves the
    chip: its kind, or all of it. A softmax, whether the model ends in one or not, is made of tables, each probability
    within the error that the notes state. output_format: of a result that is a real number, e.g. a final sigmoid,
    which it quantizes (half up, saturating); where output is the word "softmax", of the probabilities. precision: how
    float functions between integers are computed ("single" as frameworks do).
    Raises ExportError naming the node that has no exact integer form, and ModelError for a broken graph.
    """
    stage = output if isinstance(output, OutputStage) else OutputStage(kind=output)
    if output == "softmax":
        stage = replace(stage, softmax_format=str(output_format)) if output_format else stage
        output_format = None
    graph, notes = prepare(graph, input_format), ()
    if output_format is not None:
        graph = _quantized_output(graph, output_format)
    if stage.kind == "softmax":
        graph = _before_softmax(graph)
    else:
        graph, notes = strip_output(graph, lattices(graph), order_only=stage.kind == "argmax")
    known, sizes = lattices(graph), shapes(graph)
    first = boundary(graph, known)
    assert isinstance(first, Quantize | Thresholds)
    builder = ProgramBuilder(name=name, waiting=_units(graph, first.name))
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
        builder.enter(node)
        sources = [results[s] for s in node.sources]
        results[node.name] = emit(builder, node, sources, known, sizes[node.name], single=precision == "single")
    result = results[graph.output]
    if isinstance(result, Chain):
        raise refusal(
            _last(graph), "it gives real numbers at the output", 'give output_format, e.g. Fixed.parse("fixed<8,2>")'
        )
    where = {key: r.op for key, r in results.items() if isinstance(r, Code)}
    if stage.kind == "argmax":
        builder.layer = builder.node = "argmax"
        result = _argmax(builder, graph, result)
    program = builder.program(result.op, graph.classes)
    known_ranges = verify(program)
    if stage.kind not in ("argmax", "scores"):
        _check_scores(graph, result, stage)
        program = add_output_stage(program, stage)
        known_ranges = ranges(program)
    if (bound := softmax_error(program)) is not None:
        notes = (f"The softmax at the end is computed by tables: each probability is within {bound:.3g} of the exact.",)
    return Exported(
        program=program,
        graph=graph,
        boundary=first.name,
        output_scale=result.scale,
        precision=precision,
        where=where,
        notes=(*graph.notes, *notes),
        known=known_ranges,
        probability_error=bound,
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
    """Return the graph that ends at what its last softmax reads, or the graph where it ends in none."""
    last = _last(graph)
    return drop_dead(replace(graph, output=last.sources[0])) if isinstance(last, SoftmaxNode) else graph


def _last(graph: Graph) -> AnyNode:
    return next(node for node in graph.nodes if node.name == graph.output)


def _check_scores(graph: Graph, scores: Code, stage: OutputStage) -> None:
    """Refuse scores whose integers do not mean what the stage makes of them."""
    if stage.kind == "topk" and scores.scale.size != 1:
        raise refusal(_last(graph), "each score has its own scale, so integers do not compare", 'use output="scores"')
    if stage.kind != "topk" and not scores.plain:
        why = f"the {stage.kind} that reads it needs fixed point, and it is an integer times a real scale"
        raise refusal(_last(graph), why, 'use output="scores" or "argmax"')


def _argmax(builder: ProgramBuilder, graph: Graph, scores: Code) -> Code:
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
