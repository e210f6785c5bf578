#!/bin/sh
# A cast to one bit is one to two bits in the C++ that hls4ml 1.3.0 writes for Quartus.
#
# Expected: `ufixed<1,1,TRN,SAT>`, the type that its graph and its reports name, holds 0 and 1. hls4ml writes
# `ac_fixed<2,1,...>` for every type of one bit, for the sake of its oneAPI back end: 0, 0.5, 1 and 1.5.
# Why it matters here: `gatewright hls` refuses casts to one bit but in Vitis and Vivado.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/bit.py" <<'PY'
import sys

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config


def cast(backend):
    """0, 0.5, 1.75 and 3 as numbers of one bit."""
    config = create_config(output_dir=f"{sys.argv[1]}/{backend}", project_name="bit", backend=backend)
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<8,4>"}, "ReuseFactor": 1},
        "LayerName": {"y": {"Precision": {"result": "ufixed<1,1,TRN,SAT>"}}},
    }
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [4]},
        {"name": "y", "class_name": "Activation", "inputs": ["x"], "activation": "linear"},
    ]
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    told = model.graph["y"].get_output_variable().type.precision
    return str(told.width), model.predict(np.array([[0.0, 0.5, 1.75, 3.0]])).ravel().tolist()


found = {backend: cast(backend) for backend in ("Vitis", "Quartus")}
print(found)
assert found["Vitis"] == ("1", [0.0, 0.0, 1.0, 1.0]), found
assert found["Quartus"] == ("1", [0.0, 0.5, 1.5, 1.5]), found
PY
"$folder/venv/bin/python" "$folder/bit.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0 writes a type of one bit as one of two for Quartus: 3 becomes 1.5, not 1."
