#!/bin/sh
# A model with a QKeras function as the activation of a plain Keras layer computes something else once it is loaded.
#
# Expected: saving Dense(activation=qkeras.hard_sigmoid) either keeps which function it is or loading complains that it
# is not known. The file holds the word "hard_sigmoid", which Keras has too, with another slope (1/5, QKeras: 1/2).
# Why it matters here: what such a file means depends on how it is loaded; gatewright reads the word in a Keras layer as
# Keras does, and in a QKeras layer as QKeras does.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "tensorflow-cpu==2.14.1" "QKeras==0.9.0" "tf_keras==2.15.0" "numpy<2" setuptools pyparsing
cat > "$folder/try.py" <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import qkeras
from tensorflow.keras import Input, Sequential, layers
from tensorflow.keras.models import load_model

print("keras", version("keras"), "QKeras", version("QKeras"))
model = Sequential([Input((3,)), layers.Dense(3, activation=qkeras.hard_sigmoid)])
x = np.linspace(-3, 3, 21, dtype="f4").reshape(7, 3)
model.layers[0].set_weights([np.eye(3), np.zeros(3)])
before = model.predict(x, verbose=0)
for suffix in ("keras", "h5"):
    model.save(f"{sys.argv[1]}/m.{suffix}")
    after = load_model(f"{sys.argv[1]}/m.{suffix}").predict(x, verbose=0)
    found = float(np.abs(after - before).max())
    print(f"m.{suffix}: greatest difference after loading {found:.3f}")
    assert found > 0.2, found
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2> /dev/null
echo "A QKeras hard_sigmoid in a plain Dense is saved as a word that loads as Keras' hard_sigmoid, without a warning."
