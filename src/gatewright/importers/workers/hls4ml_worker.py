"""Has hls4ml read a model with a configuration: `python hls4ml_worker.py REQUESTS.json`; nothing of ours is used.

Each request names a model (.h5, .json with `weights`, .keras or .onnx), `hls`, what hls4ml calls HLSConfig, `backend`,
`io_type`, `folder` (of the project), whether to `compile`, inputs (.npz with x) and where the answer goes: an .npz of
`graph`, JSON of hls4ml's layers after all of its passes; `w:LAYER:NAME`, their weights as floats; `hls`, the
configuration that was used; with `compile`, `t:LAYER`, what the C++ that g++ compiled computes for x; or of `missing`,
the package that is not installed; or of `error`. A request whose `hls` is a word, "name", "type" or "model", gets the
configuration that hls4ml's config_from_keras_model, or _onnx_model, writes with this granularity.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIMPLE = (bool, int, float, str)
CODE = ("include_header", "function_cpp")  # a layer's settings that are only text of the project
HGQ = "FixedPointQuantizer"  # with one of these hls4ml chooses all types itself, its option bit_exact
Answer = dict[str, np.ndarray]


def main() -> None:
    """Answer all requests."""
    warnings.simplefilter("ignore")  # hls4ml's own, of types; its log is kept
    for request in json.loads(Path(sys.argv[1]).read_text()):
        try:
            answer = converted(request)
        except ModuleNotFoundError as error:
            answer = {"missing": np.array(error.name)}
        except (Exception, SystemExit) as error:  # noqa: BLE001  (what hls4ml cannot read is a result)
            answer = {"error": np.array(f"{type(error).__name__}: {str(error)[:300]}")}
        np.savez(request["answer"], **cast("Any", answer))


def converted(request: dict[str, Any]) -> Answer:
    """Return what hls4ml makes of one request."""
    legacy_keras()
    config: dict[str, Any] = import_module("hls4ml.utils.config").create_config(
        output_dir=request["folder"], backend=request["backend"], io_type=request["io_type"]
    )
    config["HLSConfig"] = request["hls"]
    model, kind = request["model"], Path(request["model"]).suffix
    if kind == ".onnx":
        graph = onnx(model, config, request)
    elif kind == ".keras":
        graph = keras3(model, config, request)
    else:
        names = {"KerasJson": model, "KerasH5": request["weights"]} if kind == ".json" else {"KerasH5": model}
        graph = keras2({**config, **names}, request)
    return answer_of(graph, request)


def onnx(path: str, config: dict[str, Any], request: dict[str, Any]) -> Any:
    """Return hls4ml's graph of an ONNX file."""
    model = import_module("onnx").load(path)
    if isinstance(config["HLSConfig"], str):
        config["HLSConfig"] = import_module("hls4ml.utils.config").config_from_onnx_model(
            model, granularity=config["HLSConfig"], backend=config["Backend"]
        )
    layers, inputs, outputs = import_module("hls4ml.converters.onnx_to_hls").parse_onnx_model(model)
    told(request, config, layers)
    return import_module("hls4ml.model.graph").ModelGraph.from_layer_list(config, layers, inputs, outputs)


def legacy_keras() -> None:
    """Let QKeras and hls4ml meet one Keras 2, where it is what this interpreter has."""
    try:
        major = tuple(int(part) for part in version("keras").split(".")[:2])
    except PackageNotFoundError:
        return
    if (2, 15) <= major < (3, 0) and find_spec("tf_keras"):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        sys.modules["keras"] = import_module("tf_keras")


def keras2(config: dict[str, Any], request: dict[str, Any]) -> Any:
    """Return hls4ml's graph of a Keras 2 file, which it reads without Keras where no layer is QKeras'."""
    module = import_module("hls4ml.converters.keras_v2_to_hls")
    arch, reader = module.get_model_arch(config)
    if isinstance(config["HLSConfig"], str):
        converters: Any = import_module("hls4ml.converters")
        converters.KerasModelReader = lambda _: reader  # it would ask a live model for the weights
        config["HLSConfig"] = import_module("hls4ml.utils.config").config_from_keras_model(
            arch, granularity=config["HLSConfig"], backend=config["Backend"]
        )
    layers, inputs, outputs, _ = module.parse_keras_model(arch, reader)
    told(request, config, layers)
    return import_module("hls4ml.model.graph").ModelGraph.from_layer_list(config, layers, inputs, outputs)


def keras3(path: str, config: dict[str, Any], request: dict[str, Any]) -> Any:
    """Return hls4ml's graph of a Keras 3 file."""
    backends = [name for name in ("tensorflow", "jax", "torch") if find_spec(name)]
    os.environ.setdefault("KERAS_BACKEND", backends[0] if backends else "tensorflow")
    keras = import_module("keras")
    for module in ("hgq.layers", "qkeras"):  # register their layers
        with contextlib.suppress(ModuleNotFoundError):
            import_module(module)
    model = keras.models.load_model(path, compile=False)
    if isinstance(config["HLSConfig"], str):
        config["HLSConfig"] = import_module("hls4ml.utils.config").config_from_keras_model(
            model, granularity=config["HLSConfig"], backend=config["Backend"]
        )
    own = any(type(layer).__module__.startswith("hgq.") for layer in model.layers)
    names = ["", *config["HLSConfig"].get("LayerName", {})]
    told(request, config, [{"name": name, "class_name": HGQ if own else ""} for name in names])
    return import_module("hls4ml.converters").keras_v3_to_hls({**config, "KerasModel": model}, True, True)


def told(request: dict[str, Any], config: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    """Put the configuration and the names of the layers into the request, before hls4ml's passes add to both."""
    request["used"] = json.dumps(config["HLSConfig"], default=str)
    request["parsed"] = [layer["name"] for layer in layers]
    request["bit_exact"] = any(layer["class_name"] == HGQ for layer in layers)


def answer_of(graph: Any, request: dict[str, Any]) -> Answer:
    """Return the graph as plain values, and where asked what its C++ computes."""
    layers = list(graph.get_layers())
    answer: Answer = {}
    for layer in layers:
        for name, weight in layer.weights.items():
            answer[f"w:{layer.name}:{name}"] = np.asarray(weight.data, dtype=np.float64)
    described = {
        "version": version("hls4ml"),
        "output": [variable.name for variable in graph.get_output_variables()],
        "layers": [description(layer) for layer in layers],
        "parsed": request["parsed"],
        "bit_exact": request["bit_exact"],
    }
    answer["graph"] = np.array(json.dumps(described))
    answer["hls"] = np.array(request["used"])
    if request["compile"]:
        for layer in layers:
            layer.set_attr("trace", True)
        x = np.ascontiguousarray(np.load(request["inputs"])["x"], dtype=np.float64)
        _, traced = graph.trace(x)
        answer.update({f"t:{name}": np.asarray(values, dtype=np.float64) for name, values in traced.items()})
    return answer


def description(layer: Any) -> dict[str, Any]:
    """Return a layer's name, class, sources, shape, types and plain settings."""
    variable = layer.get_output_variable()
    types = {name.removesuffix("_t"): spelled(kind) for name, kind in layer.types.items()}
    types.update({name: spelled(weight.type) for name, weight in layer.weights.items()})
    types["result"] = spelled(variable.type)
    return {
        "name": layer.name,
        "kind": layer.class_name,
        "sources": [layer.get_input_node(name).name for name in layer.inputs if layer.get_input_node(name)],
        "shape": list(variable.shape),
        "variable": variable.name,
        "types": types,
        "settings": {key: plain(value) for key, value in layer.attributes.items() if is_plain(value, key)},
        "computes": bool(layer.get_attr("function_cpp", None)),
    }


def spelled(kind: Any) -> dict[str, str]:
    """Return a type's name and its precision as text, the class where it is no fixed-point one."""
    precision = kind.precision
    if not hasattr(precision, "width") or type(precision).__name__.startswith(("Xnor", "Exponent")):
        return {"name": kind.name, "text": type(precision).__name__}
    modes = [getattr(precision, key, None) for key in ("rounding_mode", "saturation_mode", "saturation_bits")]
    words = [str(mode or default).removeprefix("AP_") for mode, default in zip(modes, ("TRN", "WRAP", 0), strict=True)]
    sign = "" if precision.signed else "u"
    return {"name": kind.name, "text": f"{sign}fixed<{precision.width},{precision.integer},{','.join(words)}>"}


def is_plain(value: Any, key: str) -> bool:
    """Whether it is a setting that JSON takes."""
    many = isinstance(value, list | tuple) and all(isinstance(v, SIMPLE) for v in value)
    return key not in CODE and (isinstance(value, SIMPLE) or many)


def plain(value: Any) -> Any:
    """Return it as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    main()
