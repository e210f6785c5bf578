"""What an adder graph is: sums of shifted terms, in order, and how each column comes out of them; and its proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints


@dataclass(frozen=True, slots=True)
class Sum:
    """One adder: term a << shift_a plus or minus term b << shift_b, and a third term where c >= 0."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    minus: bool
    c: int = -1
    shift_c: int = 0
    minus_c: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """What a column of the matrix comes to: sign * (term << shift); term -1 is the constant 0."""

    term: int
    shift: int
    sign: int


@dataclass(frozen=True, slots=True)
class AdderGraph:
    """The adders that compute a matrix product, in order.

    Terms 0 .. inputs-1 are the inputs; term inputs+i is sums[i]; outputs has one entry per column.
    """

    inputs: int
    sums: tuple[Sum, ...]
    outputs: tuple[Output, ...]


Form = dict[int, int]
"""A combination of inputs: the coefficient of each that counts."""


@dataclass(slots=True)
class Forms:
    """What the terms of a graph come to, one sum after the other, each kept until it has been read for the last time.

    A term near the inputs combines few of them, so all together take memory near linear in the circuit.
    """

    graph: AdderGraph
    reads: Counter[int]
    known: dict[int, Form]

    @staticmethod
    def start(graph: AdderGraph) -> Forms:
        """Return the forms of the inputs."""
        reads = Counter(term for item in graph.sums for term in (item.a, item.b, item.c))
        reads.update(output.term for output in graph.outputs)
        return Forms(graph, reads, {i: {i: 1} for i in range(graph.inputs)})

    def __iter__(self) -> Iterator[tuple[Form, Form]]:
        """Yield for each sum, in order, what its first two operands come to, and all of them."""
        for number, item in enumerate(self.graph.sums, self.graph.inputs):
            both = dict.fromkeys(self.known[item.a], 0)
            _join(both, self._read(item.a), item.shift_a, False)
            _join(both, self._read(item.b), item.shift_b, item.minus)
            whole = both
            if item.c >= 0:
                whole = dict(both)
                _join(whole, self._read(item.c), item.shift_c, item.minus_c)
            self.known[number] = whole
            yield both, whole

    def _read(self, term: int) -> Form:
        self.reads[term] -= 1
        return self.known[term] if self.reads[term] else self.known.pop(term)

    def output(self, output: Output) -> Form:
        """Return what a column comes to, once all sums have been yielded."""
        form = self.known[output.term] if output.term >= 0 else {}
        return {i: output.sign * (v << output.shift) for i, v in form.items() if v}


def _join(total: Form, form: Form, shift: int, minus: bool) -> None:
    for i, v in form.items():
        total[i] = total.get(i, 0) + (-v << shift if minus else v << shift)


def prove(graph: AdderGraph, matrix: Ints) -> None:
    """Check exactly that the graph computes x @ matrix: the graph is linear, so its coefficients decide."""
    forms = Forms.start(graph)
    for _ in forms:
        pass
    for column, output in enumerate(graph.outputs):
        form = forms.output(output)
        if form != {i: v for i, v in enumerate(matrix[:, column].tolist()) if v}:
            got = [form.get(i, 0) for i in range(graph.inputs)]
            raise LowerError(f"adder graph column {column} computes {got}, not {matrix[:, column].tolist()}")
