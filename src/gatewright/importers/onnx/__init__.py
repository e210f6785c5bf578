"""An ONNX or QONNX file in, a Graph out; a setting that is not understood is an error, never a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewright.errors import ModelError, nearest
from gatewright.graph.nodes import Graph
from gatewright.importers.builder import Builder, Const, Missing, Tensor
from gatewright.importers.hints import misspelt
from gatewright.importers.onnx import arithmetic, cells, quantizers, shapes, trees, windows
from gatewright.importers.onnx.arithmetic import Handler
from gatewright.importers.onnx.op import Op, Uses
from gatewright.importers.onnx.reader import read_model, to_const

STANDARD: dict[str, Handler] = {
    **arithmetic.HANDLERS,
    **shapes.HANDLERS,
    **windows.HANDLERS,
    **cells.HANDLERS,
    **quantizers.STANDARD,
}
CHANNELS_LAST: dict[str, Handler] = {
    name: STANDARD[name]
    for name in ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization")
}
DOMAINS: dict[str, dict[str, Handler]] = {
    "": STANDARD,
    "ai.onnx": STANDARD,
    "ai.onnx.ml": trees.HANDLERS,
    "qonnx.custom_op.general": quantizers.QONNX,
    "onnx.brevitas": quantizers.QONNX,
    "finn.custom_op.general": quantizers.QONNX,
    "finn": quantizers.QONNX,
    "qonnx.custom_op.channels_last": CHANNELS_LAST,
    "finn.custom_op.channels_last": CHANNELS_LAST,
}
_HINTS = {
    "QLinearConv": "export in the QDQ format",
    "QLinearMatMul": "export in the QDQ format",
    "ConvInteger": "export in the QDQ format",
    "MatMulInteger": "export in the QDQ format",
    "DynamicQuantizeLinear": "quantize statically, in the QDQ format",
    "Loop": "unroll it before export",
    "If": "fold the condition before export",
    "Scan": "export the recurrent layer as LSTM, GRU or RNN",
    "InstanceNormalization": "use BatchNormalization",
    "LayerNormalization": "use BatchNormalization",
}


def load_onnx(path: str | Path) -> Graph:
    """Return the model of a file as a Graph; axis 0 of its one input counts samples.

    A quantizer keeps its integers exactly; weights are stored after theirs. Raises ModelError naming the node, the
    operator, the attribute and its value for whatever has no exact counterpart, and for damaged or hostile files.
    Source: ONNX operator sets 6 to 28; QONNX 1.0's operators (Pappalardo et al., arXiv:2206.07527).
    """
    path = Path(path)
    model, weights_sha256 = read_model(path)
    try:
        return _convert(model, path.stem, weights_sha256)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _convert(model: Any, name: str, weights_sha256: str) -> Graph:
    graph = model.graph
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    b = Builder(name, "qonnx" if any(n.domain not in ("", "ai.onnx", "ai.onnx.ml") for n in graph.node) else "onnx")
    values: dict[str, Any] = {t.name: to_const(t) for t in graph.initializer}
    source = _only("input", [i for i in graph.input if i.name not in values])
    kind = _input_type(source)
    values[source.name] = b.input(source.name, _input_shape(source))
    if kind != "float32":
        b.note(f"the model computes in {kind}, of which every result here is the real number: it is not rounded to it")
    labels = {node.output[0] for node in graph.node if node.op_type == "TreeEnsembleClassifier" and node.output}
    result = _only("output", [value for value in graph.output if value.name not in labels]).name
    uses = Uses(by_nodes=frozenset(name for node in graph.node for name in node.input), outputs=frozenset({result}))
    for node in graph.node:
        _take(b, node, values, opsets, uses)
    output = values.get(result)
    if not isinstance(output, Tensor):
        what = getattr(output, "what", "no result of any node" if output is None else "a constant")
        raise ModelError(f"output {result!r} is {what}")
    producer = f"{model.producer_name} {model.producer_version}".strip()
    declared = _declared_type(graph, source.name)
    optional = {"weights_sha256": weights_sha256, "input_declared": declared}
    said = {key: value for key, value in optional.items() if value}
    return b.finish(output, {"producer": producer, "input_type": kind, **said})


def _only(what: str, found: list[Any]) -> Any:
    if len(found) != 1:
        names = [value.name for value in found]
        raise ModelError(
            f"the model has {len(names)} {what}s, {names}; exactly one is supported: "
            "cut it out with onnx.utils.extract_model"
        )
    return found[0]


def _input_type(value: Any) -> str:
    """Return the input's element type, "float32", "float64" or "float16"."""
    from onnx import TensorProto

    known = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16"}
    given = value.type.tensor_type.elem_type
    if given not in known:
        name = TensorProto.DataType.Name(given) if given in TensorProto.DataType.values() else str(given)
        raise ModelError(
            f"input {value.name!r} has the element type {name}; FLOAT, DOUBLE or FLOAT16 is expected: cast it outside"
        )
    return known[given]


def _declared_type(graph: Any, name: str) -> str:
    """Return the data type that QONNX annotates a value with ("BIPOLAR", "INT4", ...), "" of none."""
    for annotation in graph.quantization_annotation:
        for entry in annotation.quant_parameter_tensor_names:
            if annotation.tensor_name == name and entry.key == "finn_datatype":
                return str(entry.value)
    return ""


def _input_shape(value: Any) -> tuple[int, ...]:
    """The input's shape; an open first axis (samples) becomes 1."""
    kind = value.type.tensor_type
    if not kind.HasField("shape") or len(kind.shape.dim) < 2:
        raise ModelError(
            f"input {value.name!r} has {len(kind.shape.dim)} axes; at least two, samples first, are expected"
        )
    sizes = [dim.dim_value for dim in kind.shape.dim]
    for axis, dim in enumerate(kind.shape.dim):
        if axis and dim.dim_value < 1:
            raise ModelError(
                f"input {value.name!r} has an open size {dim.dim_param or '?'!r} along axis {axis}; only the sample "
                "axis may be open: set it with onnx.tools.update_model_dims or export again with fixed sizes"
            )
    return (max(sizes[0], 1), *sizes[1:])


def _take(b: Builder, node: Any, values: dict[str, Any], opsets: dict[str, int], uses: Uses) -> None:
    """Convert one node; its results join `values`."""
    label = node.name or next(filter(None, node.output), node.op_type)
    b.begin(label, f"node {label!r} ({node.op_type})")
    known = DOMAINS.get(node.domain)
    if known is None:
        b.fail(f"domain {node.domain!r} is not supported.{nearest(node.domain, [d for d in DOMAINS if d])}")
    if node.op_type not in known:
        hint = f"; {_HINTS[node.op_type]}." if node.op_type in _HINTS else f".{misspelt(node.op_type, list(known))}"
        b.fail(f"operator {node.op_type!r} of domain {node.domain!r} is not supported{hint}")
    operands: list[Any] = []
    for operand in node.input:
        if operand and operand not in values:
            b.fail(f"reads {operand!r}, which no earlier node gives; sort the model's nodes")
        operands.append(values[operand] if operand else None)
    while operands and operands[-1] is None:
        operands.pop()
    standard = opsets.get("", opsets.get("ai.onnx", 13))
    op = Op(b, node, operands, standard, uses)
    if known is CHANNELS_LAST:
        results = _channels_last(b, op, known[node.op_type])
    else:
        results = known[node.op_type](b, op)
    op.finish()
    for index, output in enumerate(node.output):
        if output:
            values[output] = results[index] if index < len(results) else Missing(f"result {index} of {b.origin}")


def _channels_last(b: Builder, op: Op, handler: Handler) -> list[Any]:
    """Run a handler on a channels-last value (and, of a Conv, weights): a change of view, no node."""
    x = op.tensor(0)
    to_first = (0, x.rank - 1, *range(1, x.rank - 1))
    to_last = (0, *range(2, x.rank), 1)
    op.operands[0] = b.transpose(x, to_first)
    if op.type == "Conv":
        weight = op.const(1)
        if weight.value.ndim != x.rank:
            op.fail(f"weights of the shape {weight.value.shape} do not fit a value of the shape {x.shape}")
        scale = weight.scale
        op.operands[1] = Const(
            value=weight.value.transpose(to_first), scale=None if scale is None else scale.transpose(to_first)
        )
    (result,) = handler(b, op)
    assert isinstance(result, Tensor)
    return [b.transpose(result, to_last)]
