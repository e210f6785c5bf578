"""Every operator through the whole chain: file, graph, quantized graph, program, interpreter, text, checked export.

The graph of each case is compared with onnx's reference evaluator in test_onnx_ops.py; here it goes on. Quantized to 12
bits, its program must equal the quantized graph exactly, and stay near the float model.
"""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from gatewright.export import Calibration, calibrate, check_graph_export, export_graph  # noqa: E402
from gatewright.export.prepare import SQUASHING  # noqa: E402
from gatewright.fixedpoint import Fixed  # noqa: E402
from gatewright.graph import load_graph, save_graph, trace  # noqa: E402
from gatewright.graph.exact import lattices  # noqa: E402
from gatewright.graph.nodes import Activation  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from gatewright.ir import parse_program, print_program  # noqa: E402
from tests.importers.onnx_models import ints, node, save, weights  # noqa: E402
from tests.importers.test_onnx_ops import CASES as SINGLE  # noqa: E402

RNG = np.random.default_rng(8)
CODES = Fixed.parse("fixed<12,5>")
BITS = Calibration(weight_bits=12, activation_bits=12, table_bits=12, state_bits=12, input_format=CODES)
SEPARABLE = [
    helper.make_node("Conv", ["x", "d"], ["deep"], group=3, pads=[1, 1, 1, 1]),
    helper.make_node("Conv", ["deep", "p", "b"], ["y"], strides=[2, 2]),
]


def cell(op, gates, **attributes):
    """Return the case of a recurrent layer: 4 steps of 2 features, 3 units."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    constants = {
        "w": weights(directions, gates * 3, 2),
        "r": weights(directions, gates * 3, 3) / 2,
        "b": weights(directions, 6 * gates),
        "to": ints(0, 0, -1),
    }
    nodes = [
        node("Transpose", perm=[1, 0, 2], out="t"),
        helper.make_node(op, ["t", "w", "r", "b"], ["Y", ""], hidden_size=3, **attributes),
        helper.make_node("Transpose", ["Y"], ["T"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["T", "to"], ["y"]),
    ]
    return nodes, (4, 2), constants, 17


CASES = {
    **{name: case for name, case in SINGLE.items() if name not in ("Identity {}", "Dropout {}")},
    "separable": (SEPARABLE, (3, 6, 5), {"d": weights(6, 1, 3, 3), "p": weights(4, 6, 1, 1), "b": weights(4)}, 17),
    "RNN": cell("RNN", 1),
    "LSTM": cell("LSTM", 4),
    "GRU": cell("GRU", 3),
    "GRU reset after": cell("GRU", 3, linear_before_reset=1),
    "LSTM backwards": cell("LSTM", 4, direction="reverse"),
    "GRU both ways": cell("GRU", 3, direction="bidirectional"),
}
LEFT = {"Sigmoid {}", "Tanh {}", "Softmax {}", "Softmax {'axis': 1}"}  # to the host: the program gives what they read
STEPS = {"Sign {}", "arg max", "top k"}  # near a step a rounded input may fall on the other side


@pytest.mark.parametrize("case", CASES)
def test_an_operator_takes_the_whole_chain(tmp_path, case):
    nodes, shape, constants, opset = CASES[case]
    graph = load_onnx(save(tmp_path / "m.onnx", nodes, shape, constants, opset))
    x = RNG.normal(0, 2, (24, *shape))
    save_graph(calibrate(graph, x, BITS), tmp_path / "q.npz")
    quantized = load_graph(tmp_path / "q.npz")
    exported = exported_from(quantized)
    assert check_graph_export(exported, x) == len(x)
    assert parse_program(print_program(exported.program)) == exported.program
    if case in STEPS:
        return
    floats = trace(graph, x)
    end = next(n.sources[0] for n in graph.nodes if n.name == graph.output) if case in LEFT else graph.output
    wanted = floats[end]
    got = np.ldexp(exported.run(x).astype(np.float64), -exported.frac_bits) * exported.output_scale
    if case != "Softmax {'axis': 1}":  # there the program's result is turned back, the softmax's source is not
        assert np.abs(got.reshape(wanted.shape) - wanted).max() <= 0.02 * np.abs(wanted).max()


def exported_from(graph):
    """Export, with a format for the result where it is a real number."""
    last = next(node for node in graph.nodes if node.name == graph.output)
    real = isinstance(last, Activation) and last.kind not in SQUASHING and lattices(graph)[last.name] is None
    return export_graph(graph, name="p", output_format=Fixed.parse("fixed<26,13>") if real else None)
