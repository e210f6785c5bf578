#!/bin/sh
# A .keras file of Keras 2.13 with two layers of one class is read by no other Keras.
#
# Expected: the weights of three Dense layers lie in the groups dense, dense_1, dense_2, as in 2.12, 2.14 and 3, so that
# a later Keras loads what an earlier one saved. Keras 2.13.1 counts each layer with weights twice.
# Why it matters here: gatewright reads these files without Keras, so it must take the groups of a class in their order,
# not by their numbers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2.13.1 2.14.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install -q "tensorflow-cpu==$version" "numpy<2"
done
cat > "$folder/save.py" <<'PY'
import sys

import h5py, io, zipfile
import keras
from tensorflow.keras import Input, Sequential, layers

model = Sequential([Input((4,)), layers.Dense(4), layers.Dense(4), layers.Dense(4)])
model.save(sys.argv[1])
blob = zipfile.ZipFile(sys.argv[1]).read("model.weights.h5")
groups = sorted(h5py.File(io.BytesIO(blob))["_layer_checkpoint_dependencies"])
print("keras", keras.__version__, "writes", groups)
assert groups == ["dense", "dense_2", "dense_4"], groups
PY
cat > "$folder/load.py" <<'PY'
import sys

import keras
from tensorflow.keras.models import load_model

try:
    load_model(sys.argv[1])
except ValueError as error:
    print("keras", keras.__version__, "says", error)
    assert "expected 2 variables, but received 0 variables" in str(error)
else:
    sys.exit("it loads")
PY
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/2.13.1/bin/python" "$folder/save.py" "$folder/m.keras" 2> /dev/null
"$folder/2.14.1/bin/python" "$folder/load.py" "$folder/m.keras" 2> /dev/null
echo "Keras 2.13.1 numbers the groups of its .keras files with gaps, and Keras 2.14 cannot load them."
