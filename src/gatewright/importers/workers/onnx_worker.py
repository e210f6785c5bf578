"""Child process that runs ONNX and QONNX models in their own frameworks: `python onnx_worker.py requests.json`.

Its interpreter has onnx and onnxruntime or qonnx; nothing of ours is imported. A request: {"model", "inputs": npz with
x, "answer": npz to write, "framework": "onnxruntime", "qonnx", or absent: what the model's domains ask for}. The answer
holds "output" and, of a QONNX model, what each quantizer of data gave, under "q:" and the node's name; or "missing",
the package that is not installed; or "error".
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from typing import Any

import numpy as np


def main() -> None:
    """Answer every request of the file."""
    warnings.simplefilter("ignore")
    from pathlib import Path

    for request in json.loads(Path(sys.argv[1]).read_text()):
        x = np.load(request["inputs"])["x"].astype(np.float32)
        np.savez(request["answer"], **_answer(request["model"], x, request.get("framework")))


def _answer(path: str, x: Any, framework: str | None) -> dict[str, Any]:
    try:
        onnx = import_module("onnx")
        model = onnx.load(path)
        standard = all(node.domain in ("", "ai.onnx") for node in model.graph.node)
        framework = framework or ("onnxruntime" if standard else "qonnx")
        return _onnxruntime(model, x) if framework == "onnxruntime" else _qonnx(path, x)
    except ModuleNotFoundError as error:
        return {"missing": np.array(error.name)}
    except Exception as error:  # noqa: BLE001 - whatever the framework says belongs into the table
        return {"error": np.array(f"{type(error).__name__}: {str(error).splitlines()[-1][-160:]}")}


def _onnxruntime(model: Any, x: Any) -> dict[str, Any]:
    onnxruntime = import_module("onnxruntime")
    names = {tensor.name for tensor in model.graph.initializer}
    (source,) = (value for value in model.graph.input if value.name not in names)
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=13)
    if opset < 7:  # older than onnxruntime reads
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(x)
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = len(x)
        model = import_module("onnx.version_converter").convert_version(model, 9)
        source = model.graph.input[0]
    one = source.type.tensor_type.shape.dim[0].dim_value == 1
    if not one:
        for value in (source, *model.graph.output):
            for first in value.type.tensor_type.shape.dim[:1]:  # an output need not give its shape
                first.dim_param = "samples"
        del model.graph.value_info[:]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = _typed(x, source)
    parts = [x[i : i + 1] for i in range(len(x))] if one else [x]
    last = session.get_outputs()[-1].name  # of a classifier of trees the label comes first
    results = [_array(session.run([last], {source.name: part})[0]) for part in parts]
    return {"output": np.concatenate([r.reshape(len(p), -1) for r, p in zip(results, parts, strict=True)])}


def _array(result: Any) -> Any:
    """A result as an array; probabilities that ZipMap makes dictionaries of too."""
    return np.array([list(row.values()) for row in result]) if isinstance(result, list) else result


def _typed(x: Any, source: Any) -> Any:
    """The samples in the element type that the model's input declares."""
    return x.astype(import_module("onnx").helper.tensor_dtype_to_np_dtype(source.type.tensor_type.elem_type))


def _channels_first(path: str) -> Any:
    """The model with each channels-last node as transposes around the standard one, as QONNX defines it.

    QONNX 1.0 runs these nodes as ONNX operator set 1, the version of their own domain, which refuses attributes that
    the files set.
    """
    import onnx
    from onnx import helper

    model = onnx.load(path)
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.domain != "qonnx.custom_op.channels_last":
            nodes.append(node)
            continue
        first, last = [0, 3, 1, 2], [0, 2, 3, 1]
        moved = 2 if node.op_type == "Conv" else 1
        for i in range(moved):
            nodes.append(helper.make_node("Transpose", [node.input[i]], [f"{node.name}_in{i}"], perm=first))
            node.input[i] = f"{node.name}_in{i}"
        result, node.output[0], node.domain = node.output[0], f"{node.name}_first", ""
        nodes += [node, helper.make_node("Transpose", [f"{node.name}_first"], [result], perm=last)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _qonnx(path: str, x: Any) -> dict[str, Any]:
    model_wrapper = import_module("qonnx.core.modelwrapper").ModelWrapper
    execute_onnx = import_module("qonnx.core.onnx_exec").execute_onnx
    infer_shapes = import_module("qonnx.transformation.infer_shapes").InferShapes
    wrapper = model_wrapper(_channels_first(path))
    source, result = wrapper.graph.input[0].name, wrapper.graph.output[0].name
    x, batch = _typed(x, wrapper.graph.input[0]), len(x)
    wrapper.set_tensor_shape(source, [batch, *x.shape[1:]])
    wrapper.set_tensor_shape(result, [batch, *wrapper.get_tensor_shape(result)[1:]])
    del wrapper.graph.value_info[:]
    wrapper = wrapper.transform(infer_shapes())
    context = execute_onnx(wrapper, {source: x}, return_full_exec_context=True)
    answer = {"output": context[result].reshape(batch, -1)}
    constants = {tensor.name for tensor in wrapper.graph.initializer}
    for node in wrapper.graph.node:
        if node.op_type in ("Quant", "BipolarQuant") and node.input[0] not in constants:
            answer[f"q:{node.name}"] = context[node.output[0]].reshape(len(context[node.output[0]]), -1)
    return answer


if __name__ == "__main__":
    main()
