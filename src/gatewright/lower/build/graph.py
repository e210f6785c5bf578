"""What an adder graph is: sums of shifted terms, in order, and how each column comes out of them; and its proof."""

from __future__ import annotations

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


def prove(graph: AdderGraph, matrix: Ints) -> None:
    """Check exactly that the graph computes x @ matrix: the graph is linear, so its coefficients decide."""
    forms: list[dict[int, int]] = [{i: 1} for i in range(graph.inputs)]
    for item in graph.sums:
        form = {i: v << item.shift_a for i, v in forms[item.a].items()}
        for i, v in forms[item.b].items():
            form[i] = form.get(i, 0) + (-v << item.shift_b if item.minus else v << item.shift_b)
        for i, v in forms[item.c].items() if item.c >= 0 else ():
            form[i] = form.get(i, 0) + (-v << item.shift_c if item.minus_c else v << item.shift_c)
        forms.append(form)
    for column, output in enumerate(graph.outputs):
        form = forms[output.term] if output.term >= 0 else {}
        got = [output.sign * (form.get(i, 0) << output.shift) for i in range(graph.inputs)]
        if got != matrix[:, column].tolist():
            raise LowerError(f"adder graph column {column} computes {got}, not {matrix[:, column].tolist()}")
