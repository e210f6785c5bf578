#!/bin/sh
# The first kernel of HGQ2's QEinsumDenseT has an axis of d_hl inputs, though each edge has one.
#
# Expected: as in QDenseT, the small network of an edge reads one number, so the first kernel of "bc,cC->bC" with 6
# inputs, 4 outputs and d_hl = 8 is (6, 4, 1, 8). It is (6, 4, 8, 8): each edge's number is broadcast to 8 equal ones and
# the 8 rows act as their sum, so 7 in 8 of these trained numbers are redundant.
# Why it matters here: gatewright sums the rows when it makes the edge's table.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "HGQ2==0.2.0" "keras==3.15.1" "torch==2.13.0" "numpy<3"
cat > "$folder/try.py" <<'PY'
from importlib.metadata import version

import keras
import numpy as np
from hgq.layers import QDenseT, QEinsumDenseT

print("HGQ2", version("HGQ2"), "keras", version("keras"))
found = {}
for name, layer in {"QDenseT": QDenseT(4), "QEinsumDenseT": QEinsumDenseT("bc,cC->bC", 4)}.items():
    model = keras.Sequential([keras.Input((6,)), layer])
    kernels = [weight for weight in layer.module.weights if weight.path.endswith("kernel")]
    found[name] = tuple(kernels[0].shape)
    print(name, "first kernel", found[name])
    if name == "QEinsumDenseT":
        x = np.linspace(-2, 2, 12, dtype="f4").reshape(2, 6)
        before = model.predict(x, verbose=0)
        assert before.any()
        value = np.array(kernels[0].numpy())
        one = np.zeros_like(value)
        one[:, :, :1] = value.sum(axis=2, keepdims=True)
        kernels[0].assign(one)
        same = np.abs(model.predict(x, verbose=0) - before).max()
        print("with the sum of its rows in the first and 0 in the others: greatest difference", float(same))
        assert same < 1e-5, same
assert found == {"QDenseT": (6, 4, 1, 8), "QEinsumDenseT": (6, 4, 8, 8)}, found
PY
KERAS_BACKEND=torch "$folder/venv/bin/python" "$folder/try.py" 2> /dev/null
echo "HGQ2 0.2's QEinsumDenseT trains 8 rows per edge in its first kernel that only act as their sum."
