#!/bin/sh
# A QLSTM that Keras 2.14 has saved as .keras cannot be loaded by it again.
#
# Expected: load_model with QKeras' own custom objects gives the model back, as it does of the same model in .h5.
# Why it matters here: gatewright reads such files, and no framework can say whether it reads them rightly; its tests
# compare with the same weights in .h5.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "tensorflow-cpu==2.14.1" "QKeras==0.9.0" "tf_keras==2.15.0" "numpy<2" setuptools pyparsing
cat > "$folder/try.py" <<'PY'
import sys
from importlib.metadata import version

import qkeras
from qkeras.utils import _add_supported_quantized_objects
from tensorflow.keras import Input, Sequential
from tensorflow.keras.models import load_model

print("keras", version("keras"), "QKeras", version("QKeras"))
bits = "quantized_bits(4,0,1)"
cell = qkeras.QLSTM(4, kernel_quantizer=bits, recurrent_quantizer=bits, bias_quantizer=bits)
model = Sequential([Input((5, 3)), cell])
objects = {}
_add_supported_quantized_objects(objects)
model.save(f"{sys.argv[1]}/m.h5")
load_model(f"{sys.argv[1]}/m.h5", custom_objects=objects)
print("m.h5: loads")
model.save(f"{sys.argv[1]}/m.keras")
try:
    load_model(f"{sys.argv[1]}/m.keras", custom_objects=objects)
except ValueError as error:
    print("m.keras:", error)
    assert "as_list() is not defined on an unknown TensorShape" in str(error)
else:
    sys.exit("m.keras: loads")
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2> /dev/null
echo "Keras 2.14 saves a QKeras 0.9 QLSTM as .keras but cannot load the file; as .h5 it can."
