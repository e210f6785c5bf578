"""Child process that imports, compiles and runs one Keras file in hls4ml: `hls4ml_worker.py REQUEST.json ANSWER.json`.

It runs with an interpreter that has hls4ml, TensorFlow < 2.16, tf_keras and QKeras, and uses nothing of ours but the
loader of Keras files that comparisons with Keras use. Every layer gets the precision that hls4ml reads from its
quantizers. Import and compile in wall seconds, samples per CPU second, median of `repeats`.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Answer the request."""
    request = json.loads(Path(sys.argv[1]).read_text())
    worker = _module(Path(request["worker"]))
    load = worker.tensorflow([])
    hls4ml = import_module("hls4ml")
    began = time.perf_counter()
    model, make = load({"model": request["model"]})
    if any(type(layer).__name__ == "PruneLowMagnitude" for layer in model.layers):  # which hls4ml refuses
        strip = import_module("tensorflow_model_optimization.python.core.sparsity.keras.prune").strip_pruning
        stripped = Path(request["results"]).with_name("stripped.h5")
        strip(model).save(stripped)
        model, make = load({"model": str(stripped)})
    if request["before_softmax"]:
        model = make(model.inputs, model.layers[-2].output)
    loaded = time.perf_counter()
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    converted = hls4ml.converters.convert_from_keras_model(
        model,
        hls_config=config,
        backend="Vitis",
        io_type=request["io_type"],
        output_dir=request["out"],
        part="xcvu13p-flga2577-2-e",
    )
    imported = time.perf_counter()
    converted.compile()
    compiled = time.perf_counter()
    x = np.ascontiguousarray(np.load(request["inputs"])["x"].astype(np.float32))
    seconds: list[float] = []
    y: Any = None
    for _ in range(request["repeats"]):
        start = time.process_time()
        y = converted.predict(x)
        seconds.append(time.process_time() - start)
    worker._silence(model)
    model.predict_function = None
    np.savez(request["results"], y=y.reshape(len(x), -1), keras=model.predict(x, verbose=0).reshape(len(x), -1))
    answer = {
        "version": metadata.version("hls4ml"),
        "load_s": loaded - began,
        "import_s": imported - loaded,
        "compile_s": compiled - imported,
        "samples_per_s": len(x) / statistics.median(seconds),
    }
    Path(sys.argv[2]).write_text(json.dumps(answer, indent=2))


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("keras_worker", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
