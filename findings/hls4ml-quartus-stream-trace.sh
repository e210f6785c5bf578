#!/bin/sh
# With traces on, hls4ml 1.3.0 returns other predictions for a Quartus model on streams.
#
# Expected: a trace records each layer and changes nothing. The writer records, under every layer's name, the stream of the
# model's result; the record reads that stream while it is empty and writes what it got back, so the result is wrong too.
# Why it matters here: `gatewright hls` rewrites these lines before it compares the layers of such a project.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/trace.py" <<'PY'
import sys

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config


def predicted(backend, traced):
    """1, 2, 3 through two ReLUs."""
    out = f"{sys.argv[1]}/{backend}{traced}"
    config = create_config(output_dir=out, project_name="trace", backend=backend, io_type="io_stream")
    config["TraceOutput"] = True
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<8,4>"}, "ReuseFactor": 1},
        "LayerName": {name: {"Trace": traced} for name in ("y", "z")},
    }
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [3, 1]},
        {"name": "y", "class_name": "Activation", "inputs": ["x"], "activation": "relu"},
        {"name": "z", "class_name": "Activation", "inputs": ["y"], "activation": "relu"},
    ]
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    x = np.array([[[1.0], [2.0], [3.0]]])
    return (model.trace(x)[0] if traced else model.predict(x)).ravel().tolist()


found = {backend: [predicted(backend, traced) for traced in (False, True)] for backend in ("Vitis", "Quartus")}
print(found)
assert found["Vitis"] == [[1.0, 2.0, 3.0]] * 2, found
assert found["Quartus"][0] == [1.0, 2.0, 3.0] and found["Quartus"][1] != [1.0, 2.0, 3.0], found
PY
"$folder/venv/bin/python" "$folder/trace.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0, Quartus on streams: the same model predicts something else while it is traced."
