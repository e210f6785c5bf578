"""Graph: a model from anywhere as a list of nodes with float64 meaning; NumPy only."""

from gatewright.graph.check import check
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.nodes import Graph
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import simplify
from gatewright.graph.store import load_graph, save_graph
from gatewright.graph.table import format_rows, table

__all__ = [
    "Graph",
    "check",
    "evaluate",
    "format_rows",
    "load_graph",
    "save_graph",
    "shapes",
    "simplify",
    "table",
    "trace",
]
