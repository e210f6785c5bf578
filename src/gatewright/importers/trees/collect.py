"""Trees one by one in, as a source says what each of its nodes is; the tables of a Trees node, and its graph, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import Activation, Affine, AnyNode, Floats, Graph, Input, Softmax, Trees

MOST_NODES = 1 << 22  # of one model: far above what an FPGA takes


@dataclass(frozen=True, slots=True)
class Split:
    """A question: x[feature] >= threshold goes on to `yes`, else to `no`; both as the source numbers its nodes."""

    feature: int
    threshold: float
    no: int
    yes: int


@dataclass(slots=True)
class Forest:
    """The trees so far. outputs: elements of a sum."""

    outputs: int
    feature: list[int] = field(default_factory=list[int])
    thresholds: list[float] = field(default_factory=list[float])
    children: list[list[int]] = field(default_factory=list[list[int]])
    roots: list[int] = field(default_factory=list[int])
    leaves: list[Floats] = field(default_factory=list[Floats])

    def add(self, root: int, at: Callable[[int], Split | Floats]) -> None:
        """Append a tree. at: what the source's node of this number is, a split or the row of a leaf, (outputs,)."""
        self.roots.append(0)
        pending: list[tuple[list[int], int, int]] = [(self.roots, len(self.roots) - 1, root)]
        seen: set[int] = set()
        while pending:
            slots, slot, number = pending.pop()
            if number in seen:
                raise ModelError(f"tree {len(self.roots) - 1}: node {number} is reached twice; copy the file again")
            seen.add(number)
            found = at(number)
            if not isinstance(found, Split):
                slots[slot] = ~len(self.leaves)
                self.leaves.append(found)
                continue
            slots[slot] = len(self.feature)
            if slots[slot] >= MOST_NODES:
                raise ModelError(f"the model has more than {MOST_NODES:,} splits; train fewer or shallower trees")
            ways = [0, 0]
            self.feature.append(found.feature)
            self.thresholds.append(found.threshold)
            self.children.append(ways)
            pending += [(ways, 1, found.yes), (ways, 0, found.no)]

    def tables(self, bias: Floats) -> dict[str, NDArray[Any]]:
        """Return the fields of a Trees node that adds up the trees and a bias, (outputs,)."""
        if not self.roots:
            raise ModelError("it holds no trees; train the model first")
        return {
            "feature": np.array(self.feature, dtype=np.int64),
            "thresholds": np.array(self.thresholds, dtype=np.float64),
            "children": np.array(self.children, dtype=np.int64).reshape(-1, 2),
            "roots": np.array(self.roots, dtype=np.int64),
            "leaves": np.array(self.leaves, dtype=np.float64),
            "bias": np.array(bias, dtype=np.float64),
        }


def one_of(outputs: int, at: int, value: float) -> Floats:
    """Return the row of a leaf that adds to one output only."""
    row = np.zeros(outputs)
    row[at] = value
    return row


def after(value: float) -> float:
    """Return the least float64 above a number: x > value is x >= after(value)."""
    return float(np.nextafter(value, np.inf))


def model(
    forest: Forest,
    *,
    name: str,
    format: str,  # noqa: A002 - Graph's own field
    features: int,
    bias: Floats,
    origin: str,
    scale: float = 1.0,
    function: str = "",
    notes: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
) -> Graph:
    """Return the graph of a sum of trees, times `scale`, and then "sigmoid", "softmax" or no function."""
    tables: dict[str, Any] = forest.tables(bias)
    trees = Trees(name="trees", sources=("x",), origin=origin, **tables)
    nodes: list[AnyNode] = [Input(name="x", shape=(features,)), trees]
    if scale != 1:
        full: NDArray[np.float64] = np.full(forest.outputs, scale)
        nodes.append(Affine(name="scaled", sources=("trees",), origin=origin, scale=full, offset=np.zeros_like(full)))
    if function == "sigmoid":
        nodes.append(Activation(name="sigmoid", sources=(nodes[-1].name,), origin=origin, kind="sigmoid"))
    elif function == "softmax":
        nodes.append(Softmax(name="softmax", sources=(nodes[-1].name,), origin=origin))
    return Graph(
        name=name,
        nodes=tuple(nodes),
        output=nodes[-1].name,
        format=format,
        notes=tuple(notes),
        metadata=metadata or {},
    )
