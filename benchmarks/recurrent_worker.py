"""Writes small recurrent models with Keras 2, QKeras or Keras 3: `python recurrent_worker.py REQUESTS.json`.

Each request: model (the file to write), weights (.npz, in the order of the layers), shape, and layers by class,
configuration and whether they run both ways.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Write all models."""
    keras = import_module("tensorflow").keras if find_spec("tensorflow") else import_module("keras")
    if find_spec("tensorflow"):
        sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "gatewright" / "importers" / "workers"))
        import_module("keras_worker").name_as_before(import_module("tensorflow"))
    layers: Any = keras.layers
    for request in json.loads(Path(sys.argv[1]).read_text()):
        quantized = request["layers"][0]["class"].startswith("Q")
        model = keras.Sequential([keras.Input(tuple(request["shape"]))])
        if quantized:
            model.add(import_module("qkeras").QActivation("quantized_bits(8,2,1,alpha=1)"))
        for layer in request["layers"]:
            cell = getattr(import_module("qkeras") if quantized else layers, layer["class"])(**layer["config"])
            both = import_module("qkeras").QBidirectional if quantized else layers.Bidirectional
            model.add(both(cell) if layer["both"] else cell)
        with np.load(request["weights"]) as stored:
            model.set_weights([stored[f"arr_{n}"] for n in range(len(stored.files))])
        model.save(request["model"])


if __name__ == "__main__":
    main()
