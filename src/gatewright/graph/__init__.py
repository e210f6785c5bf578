"""Graph: a model from anywhere as a list of nodes with float64 meaning; NumPy only."""

from importlib import import_module
from typing import Any

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

_MOVED = ("Calibration", "Exported", "calibrate", "check_graph_export", "export_graph", "profile")


def __getattr__(name: str) -> Any:
    """Find in gatewright.export what scripts written before it had a room of its own import from here (PEP 562)."""
    if name not in _MOVED:
        raise AttributeError(f"module 'gatewright.graph' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module("gatewright.export"), name)
