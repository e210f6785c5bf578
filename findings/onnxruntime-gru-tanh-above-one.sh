#!/bin/sh
# The tanh inside ONNX Runtime's GRU gives 1.0000005; its RNN and its Tanh of the same number give 1.
#
# Expected: no tanh leaves -1..1, and one library has one.
# Why it matters here: cells are compared with their framework's own results; those of a GRU with a real tanh are rounded
# to the state's format first, where a float32 that is right would be equal as it is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "onnx==1.23.2" "onnxruntime==1.32.0"
cat > "$folder/try.py" <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def result(node, arrays=()):
    given = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in arrays]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1]) for name in ("x", "y"))
    graph = helper.make_graph([node], "g", [x], [y], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": np.full((1, 1, 1), 32, np.float32)})[0].ravel()[0])


def cell(kind, bias):
    zero = [[[0.0]] * len(bias)]
    arrays = [("w", zero), ("r", zero), ("b", [bias + [0.0] * len(bias)])]
    return result(helper.make_node(kind, ["x", "w", "r", "b"], ["", "y"], hidden_size=1), arrays)


print("onnxruntime", version("onnxruntime"), "onnx", version("onnx"))
found = {
    "Tanh": result(helper.make_node("Tanh", ["x"], ["y"])),
    "RNN": cell("RNN", [32.0]),
    "GRU": cell("GRU", [-200.0, 0.0, 32.0]),  # the update gate is 0: the state is the candidate, tanh(32)
}
print(found)
if not (found["Tanh"] == found["RNN"] == 1.0 and found["GRU"] > 1.0):
    sys.exit("the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/try.py"
echo "tanh(32) is above 1 in ONNX Runtime's GRU, and 1 elsewhere."
