"""Graph: a model from anywhere as a list of nodes with float64 meaning; NumPy only."""

from gatewright.graph.check import check
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.nodes import Graph
from gatewright.graph.shapes import shapes

__all__ = ["Graph", "check", "evaluate", "shapes", "trace"]
