"""Graph: a model from anywhere as a list of nodes with float64 meaning; NumPy only."""

from gatewright.graph.calibrate import Calibration, calibrate
from gatewright.graph.check import check
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.export import Exported, check_graph_export, export_graph
from gatewright.graph.nodes import Graph
from gatewright.graph.profile import differences, output_difference, profile
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import simplify
from gatewright.graph.store import load_graph, save_graph
from gatewright.graph.table import format_rows, table

__all__ = [
    "Calibration",
    "Exported",
    "Graph",
    "calibrate",
    "check",
    "check_graph_export",
    "differences",
    "evaluate",
    "export_graph",
    "format_rows",
    "load_graph",
    "output_difference",
    "profile",
    "save_graph",
    "shapes",
    "simplify",
    "table",
    "trace",
]
