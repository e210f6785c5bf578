#!/bin/sh
# A padded max pooling of hls4ml 1.3.0 over numbers without a sign returns its padding.
#
# Expected: padding never wins a maximum, as in Keras, whose "same" padding hls4ml's comment cites. hls4ml pads with a number
# whose top bit alone is set: the least of a signed type, but the middle of an unsigned one, as a ReLU's results have.
# Why it matters here: `gatewright hls` casts such values to a signed type in front of the layer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/pool.py" <<'PY'
import sys

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config


def pooled(signed):
    """The greatest of (pad, 1, 2) and (2, 3, pad) in 4 bits: 2 and 3."""
    word = "fixed<4,4>" if signed else "ufixed<4,4>"
    config = create_config(output_dir=f"{sys.argv[1]}/{word[0]}", project_name="pool", backend="Vitis")
    precision = {"result": word, "accum": word}
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": word}, "ReuseFactor": 1},
        "LayerName": {"x": {"Precision": {"result": word}}, "y": {"Precision": precision}},
    }
    size = {"n_in": 3, "n_out": 2, "n_filt": 1, "pool_width": 3, "stride_width": 2, "pad_left": 1, "pad_right": 1}
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [3, 1], "data_format": "channels_last"},
        {"name": "y", "class_name": "MaxPooling1D", "inputs": ["x"], "data_format": "channels_last", **size},
    ]
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    return model.predict(np.array([[[1.0], [2.0], [3.0]]])).ravel().tolist()


found = {"signed": pooled(True), "unsigned": pooled(False)}
print(found)
assert found == {"signed": [2.0, 3.0], "unsigned": [8.0, 8.0]}, found
PY
"$folder/venv/bin/python" "$folder/pool.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0 pads the maximum of unsigned 4-bit numbers with 8."
