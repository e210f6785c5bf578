#!/bin/sh
# In Quartus hls4ml 1.3.0 joins a short and a long result by reading past the end of the short one.
#
# Expected: the short operand is repeated, as in Keras and as hls4ml does for Vitis, or the model is refused. hls4ml takes the
# graph, gives the result the long shape, compiles it without a word, and its C++ loops over the long shape for both.
# Why it matters here: `gatewright hls` joins results of one shape alone in Quartus and Catapult, and copies by a dense layer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/merge.py" <<'PY'
import sys

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config


def doubled(backend):
    """Four inputs, and to each of them the sum of all: 1, 2, 3, 4 become 11, 12, 13, 14."""
    config = create_config(output_dir=f"{sys.argv[1]}/{backend}", project_name="merge", backend=backend)
    word = "fixed<16,12>"
    config["HLSConfig"] = {"Model": {"Precision": {"default": word}, "ReuseFactor": 1}}
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [4], "data_format": "channels_last"},
        {"name": "s", "class_name": "Dense", "inputs": ["x"], "n_in": 4, "n_out": 1, "data_format": "channels_last"},
        {"name": "y", "class_name": "Merge", "inputs": ["x", "s"], "op": "add", "data_format": "channels_last"},
    ]
    layers[1] |= {"weight_data": np.ones((4, 1)), "bias_data": np.zeros(1)}
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    return model.predict(np.array([[1.0, 2.0, 3.0, 4.0]])).ravel().tolist()


found = {backend: doubled(backend) for backend in ("Vitis", "Quartus")}
print(found)
assert found["Vitis"] == [11.0, 12.0, 13.0, 14.0], found
assert found["Quartus"][0] == 11.0 and found["Quartus"] != found["Vitis"], found
PY
"$folder/venv/bin/python" "$folder/merge.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0 repeats the short operand of an addition in Vitis, and reads past its end in Quartus."
