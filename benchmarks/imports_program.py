"""An imported graph in, in a few words the integer program that comes of it out, compared with the graph by `==`."""

from __future__ import annotations

from math import prod

import numpy as np

from gatewright.errors import ExportError
from gatewright.export import Calibration, calibrate, check_graph_export, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.graph.nodes import Input, Quantize, Thresholds
from gatewright.ir import OutputKind

INPUT = Fixed(width_bits=16, frac_bits=10)
SAMPLES, IMAGE = 30, 1 << 16  # one sample of an image, whose intermediate results are millions


def program(graph: Graph) -> str:
    """Export the graph as it is, or with the class number as result, or quantized to 8 bits; say how, and the ops.

    Raises ExportError where the program differs from the graph, or none of these ways leads to one.
    """
    source = graph.nodes[0]
    assert isinstance(source, Input)
    x = np.random.default_rng(0).normal(size=(SAMPLES if prod(source.shape) < IMAGE else 1, *source.shape))
    if any(isinstance(node, Quantize | Thresholds) for node in graph.nodes):
        ways: tuple[tuple[str, Fixed | None, OutputKind], ...] = (
            ("as it is", None, "scores"),
            ("as it is", INPUT, "scores"),
            ("as it is, the class", None, "argmax"),
        )
        for how, input_format, output in ways:
            try:
                exported = export_graph(graph, name="model", input_format=input_format, output=output)
            except ExportError:
                continue
            check_graph_export(exported, x)
            return f"{how}, {len(exported.program.ops)} ops"
    exported = export_graph(calibrate(graph, x, Calibration(input_format=INPUT)), name="model")
    check_graph_export(exported, x)
    return f"quantized, {len(exported.program.ops)} ops"
