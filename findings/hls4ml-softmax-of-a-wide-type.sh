#!/bin/sh
# A softmax of hls4ml 1.3.0 behind a result of an inferred type gives every class the same score.
#
# Expected: "auto" precisions lose nothing. For a dense layer they infer a type that holds any sum, fixed<38,18> say; the
# softmax reads its table of 1,024 entries by the top 10 bits of that, so that scores differ for it only in steps of 128.
# Why it matters here: `gatewright hls-check` predicts it (a jet classifier with per-name "auto" falls to chance) and gives the
# layer before a softmax a type as narrow as its scores.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/softmax.py" <<'PY'
import sys

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config


def scores(kind):
    """Return the softmax of (3, 1, 0) in a type."""
    config = create_config(output_dir=f"{sys.argv[1]}/{len(kind)}", project_name="soft", backend="Vitis")
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<18,8>"}, "ReuseFactor": 1},
        "LayerName": {"x": {"Precision": {"result": kind}}},
    }
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [3], "data_format": "channels_last"},
        {"name": "y", "class_name": "Softmax", "activation": "softmax", "inputs": ["x"], "n_in": 3, "axis": -1},
    ]
    model = ModelGraph.from_layer_list(config, layers)
    model.compile()
    return model.predict(np.array([[3.0, 1.0, 0.0]])).round(2).ravel().tolist()


found = {kind: scores(kind) for kind in ("fixed<38,18>", "fixed<12,4>")}
print(found)
wide, narrow = found.values()
assert len(set(wide)) == 1, found
assert narrow[0] > 0.8, found
PY
"$folder/venv/bin/python" "$folder/softmax.py" "$folder" 2> /dev/null
echo "hls4ml 1.3.0 gives the scores 3, 1, 0 as fixed<38,18> a third each; their softmax is 0.84, 0.11, 0.04."
