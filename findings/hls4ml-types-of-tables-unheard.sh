#!/bin/sh
# hls4ml 1.3.0 leaves the types of tables out that a configuration gives under Precision.
#
# Expected: config_from_keras_model writes Precision: {exp_table, inv_table, inv_inp} for a softmax and {table} for a sigmoid or a
# tanh, to be changed like the other types there. Whatever stands there, the types stay fixed<18,8>; what has an effect is
# a key of the layer itself, exp_table_t, inv_table_t, inv_inp_t, table_t.
# Why it matters here: `gatewright hls-check` says which types have no effect, and suggests those of tables as NAME_t.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "hls4ml==1.3.0" "numpy==2.4.6"
cat > "$folder/tables.py" <<'PY'
import sys

from hls4ml.model.graph import ModelGraph
from hls4ml.utils.config import create_config

NAMES = {"softmax": ("exp_table", "inv_table", "inv_inp", "accum"), "tanh": ("table",)}


def types(word, entry):
    """Return the types of an activation's tables, by role."""
    config = create_config(output_dir=sys.argv[1], project_name="net", backend="Vitis")
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1},
        "LayerName": {"y": entry},
    }
    kind = "Softmax" if word == "softmax" else "Activation"
    layers = [
        {"name": "x", "class_name": "InputLayer", "input_shape": [3], "data_format": "channels_last"},
        {"name": "y", "class_name": kind, "activation": word, "inputs": ["x"], "n_in": 3, "axis": -1},
    ]
    (layer,) = (node for node in ModelGraph.from_layer_list(config, layers).get_layers() if node.name == "y")
    return {role: str(layer.types[f"{role}_t"].precision).split(",")[0] for role in NAMES[word]}


for word, roles in NAMES.items():
    asked = "ufixed<20,2>"
    under = types(word, {"Precision": dict.fromkeys(roles, asked)})
    beside = types(word, {f"{role}_t": asked for role in roles})
    print(word, under, beside)
    assert all(under[role] == "fixed<18" for role in roles if role != "accum"), under
    assert all(kind == "ufixed<20" for kind in beside.values()), beside
PY
"$folder/venv/bin/python" "$folder/tables.py" "$folder/project" 2> /dev/null
echo "hls4ml 1.3.0 takes a table's type as NAME_t of the layer, not under Precision."
