#!/bin/sh
# hls4ml 1.3.0 traces no layer of a Quartus model on streams but the last.
#
# Expected: a trace records each layer. The writer records, under every layer's name, the stream of the model's result, which
# it reads while it is empty.
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


def traced(backend):
    """What is recorded of the first of two ReLUs, which see 1, 2 and 3."""
    out = f"{sys.argv[1]}/{backend}"
    config = create_config(output_dir=out, project_name="trace", backend=backend, io_type="io_stream")
    config["TraceOutput"] = True
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<8,4>"}, "ReuseFactor": 1},
        "LayerName": {name: {"Trace": True} for name in ("y", "z")},
    }
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [3, 1]},
        {"name": "y", "class_name": "Activation", "inputs": ["x"], "activation": "relu"},
        {"name": "z", "class_name": "Activation", "inputs": ["y"], "activation": "relu"},
    ]
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    return model.trace(np.array([[[1.0], [2.0], [3.0]]]))[1]["y"].ravel().tolist()


found = {backend: traced(backend) for backend in ("Vitis", "Quartus")}
print(found)
assert found["Vitis"] == [1.0, 2.0, 3.0] != found["Quartus"], found
PY
"$folder/venv/bin/python" "$folder/trace.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0, Quartus on streams: the record of a layer is that of another stream."
