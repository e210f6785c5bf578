#!/bin/sh
# HGQ2 0.2.0 loads a multi-head attention that 0.1.6 saved without the quantizer of its softmax's input.
#
# Expected: a saved model computes what it was trained to compute, or loading says that it will not. Up to 0.1.6 the
# softmax inside QMultiHeadAttention quantizes its input, and its bits are trained; later versions leave that quantizer
# out, skip its variables in the file, and give other results, without an error or a warning.
# Why it matters here: `gatewright import` follows the installed versions and notes the quantizer that is left out;
# `--hgq2 0.1` applies it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 0.1.6 0.2.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install -q "torch==2.13.0"
    "$folder/$version/bin/pip" install -q "HGQ2==$version" "keras==3.15.1" "numpy<3"
done
cat > "$folder/save.py" <<'PY'
import sys
from importlib.metadata import version

import keras
import numpy as np
from hgq.layers import QMultiHeadAttention

keras.utils.set_random_seed(1)
given = keras.Input((4, 6))
model = keras.Model(given, QMultiHeadAttention(num_heads=2, key_dim=3)(given, given))
x = np.random.default_rng(0).normal(size=(5, 4, 6)).astype("f4") * 2
np.savez(f"{sys.argv[1]}/samples.npz", x=x, y=model.predict(x, verbose=0))
model.save(f"{sys.argv[1]}/model.keras")
print("saved with HGQ2", version("HGQ2"), "keras", version("keras"))
PY
cat > "$folder/load.py" <<'PY'
import sys
import warnings
from importlib.metadata import version

import hgq  # registers its layers
import keras
import numpy as np

samples = np.load(f"{sys.argv[1]}/samples.npz")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    model = keras.models.load_model(f"{sys.argv[1]}/model.keras")
heard = [str(warning.message) for warning in said if "softmax" in str(warning.message) or "variable" in str(warning.message)]
difference = float(np.abs(model.predict(samples["x"], verbose=0) - samples["y"]).max())
print("loaded with HGQ2", version("HGQ2"), "greatest difference", difference, "of", float(np.abs(samples["y"]).max()))
print("warnings of it:", heard or "none")
assert not heard, heard
assert difference == 0.0 if version("HGQ2") == "0.1.6" else difference > 0.1, difference
PY
export KERAS_BACKEND=torch
"$folder/0.1.6/bin/python" "$folder/save.py" "$folder" 2> /dev/null
for version in 0.1.6 0.2.0; do
    "$folder/$version/bin/python" "$folder/load.py" "$folder" 2> /dev/null
done
echo "HGQ2 0.2.0 computes something else of a QMultiHeadAttention that 0.1.6 saved, and does not say so."
