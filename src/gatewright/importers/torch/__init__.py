"""A torch module, exported program or saved nn.Sequential in, a Graph out; no code of a file is executed."""

from __future__ import annotations

import operator
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError, nearest
from gatewright.graph.nodes import Graph
from gatewright.importers.builder import Builder, Const, Missing, Tensor
from gatewright.importers.torch import cells, pointwise, shapes, structural
from gatewright.importers.torch.call import Call
from gatewright.importers.torch.pointwise import Handler

HANDLERS: dict[str, Handler] = {**pointwise.HANDLERS, **structural.HANDLERS, **shapes.HANDLERS, **cells.HANDLERS}
_NO_RESULT = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size")


def load_torch(path_or_module: Any, example_input: Any = None) -> Graph:
    """Return a model as a Graph; axis 0 of its one input counts samples.

    path_or_module: an nn.Module (exported with torch.export in eval mode), a torch.export.ExportedProgram, or the path
    of a `.pt`/`.pth` file that pickles an nn.Sequential of known layers: its structure is read without running it.
    example_input: a tensor or array of the shape of a batch, (n, ...); optional where the first layer is Linear.
    Raises ModelError naming the call, the argument and its value for whatever has no exact counterpart.
    """
    import torch

    if isinstance(path_or_module, (str, Path)):
        path = Path(path_or_module)
        from gatewright.importers.torch.pickles import read_sequential

        try:
            graph = load_torch(read_sequential(path), example_input)
            return replace(graph, metadata={**(graph.metadata or {}), "producer": "torch"})  # the file tells no version
        except ModelError as error:
            raise ModelError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    if isinstance(path_or_module, torch.export.ExportedProgram):
        return _convert(path_or_module, "exported program")
    if not isinstance(path_or_module, torch.nn.Module):
        raise ModelError(
            f"a torch model must be an nn.Module, an ExportedProgram or a path, not {type(path_or_module).__name__}"
        )
    return _convert(_export(path_or_module, example_input), type(path_or_module).__name__)


def _export(module: Any, example_input: Any) -> Any:
    """Return torch.export's program of the module in eval mode; the module's own mode is restored."""
    import torch

    if example_input is None:
        first = next((m for m in module.modules() if not list(m.children())), None)
        if not isinstance(first, torch.nn.Linear):
            raise ModelError(
                f"the shape of the input of {type(module).__name__} is unknown; give example_input, a batch of samples"
            )
        example_input = torch.zeros(2, first.in_features)
    first_parameter = next(module.parameters(), None)
    dtype = torch.float32 if first_parameter is None else first_parameter.dtype
    example = torch.as_tensor(example_input, dtype=dtype)
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations during export
            return torch.export.export(module, (example,), strict=False)
    except Exception as error:  # noqa: BLE001 - the module's own code runs here and may raise anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"torch.export cannot follow {type(module).__name__}: {lines[0]}; export it to ONNX, or remove branches on "
            "values from its forward()"
        ) from None
    finally:
        for m, training in modes.items():
            m.training = training


def _convert(program: Any, name: str) -> Graph:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = program.run_decompositions({})  # in-place calls become functional; no operator is taken apart
    b = Builder(name, "torch")
    outputs = _outputs(program)
    values = _parameters(program)
    graph = program.graph_module.graph
    inputs = [n for n in graph.nodes if n.op == "placeholder" and n.name not in values]
    if len(inputs) != 1:
        raise ModelError(f"the model has {len(inputs)} inputs, {[n.name for n in inputs]}; exactly one is supported")
    value = inputs[0].meta["val"]
    shape = tuple(value.shape)
    if any(not isinstance(size, int) for size in shape[1:]) or len(shape) < 2:
        raise ModelError(f"input {inputs[0].name!r} has the shape {shape}; samples and fixed sizes are expected")
    kind = str(value.dtype).removeprefix("torch.")
    values[inputs[0].name] = b.input(inputs[0].name, (shape[0] if isinstance(shape[0], int) else 1, *shape[1:]))
    if kind != "float32":
        b.note(f"the model computes in {kind}, of which every result here is the real number: it is not rounded to it")
    for node in graph.nodes:
        if node.op == "call_function":
            values[node.name] = _take(b, node, values, outputs)
        elif node.op not in ("placeholder", "output"):
            raise ModelError(f"node {node.name!r} is a {node.op}, which is not supported")
    result = values[next(iter(outputs))]
    if not isinstance(result, Tensor):
        raise ModelError(f"the model's output is {getattr(result, 'what', 'no tensor of its input')}")
    return b.finish(result, {"producer": f"torch {torch.__version__}", "input_type": kind})


def _outputs(program: Any) -> frozenset[str]:
    """The name of the one output."""
    found = []
    for spec in program.graph_signature.output_specs:
        if spec.kind.name == "USER_OUTPUT":
            found.append(getattr(spec.arg, "name", None))
        elif spec.kind.name != "USER_INPUT_MUTATION":
            raise ModelError(f"the model changes {spec.target!r} as it runs; it must keep no state")
    if len(found) != 1 or found[0] is None:
        raise ModelError(f"the model has {len(found)} outputs, {found}; exactly one tensor is supported")
    return frozenset(found)


def _parameters(program: Any) -> dict[str, Any]:
    """Parameters, buffers and constants by the name of their placeholder."""
    values: dict[str, Any] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            continue
        stored = program.state_dict.get(spec.target, program.constants.get(spec.target))
        if stored is None or not hasattr(stored, "detach"):
            raise ModelError(f"{spec.target!r} is no tensor; custom objects are not supported")
        array = stored.detach().cpu().double() if stored.is_floating_point() else stored.detach().cpu()
        numbers = np.asarray(array.numpy())
        if numbers.dtype.kind == "f" and np.isnan(numbers).any():
            raise ModelError(f"parameter {spec.target!r} holds NaN; the training that made it diverged: train again")
        values[spec.arg.name] = Const(value=numbers)
    return values


def _take(b: Builder, node: Any, values: dict[str, Any], outputs: frozenset[str]) -> Any:
    """Convert one call; return its result or the list of its results."""
    if node.target is operator.getitem:
        source, index = node.args
        results = values[source.name]
        return results[index] if index < len(results) else Missing(f"result {index} of {source.name!r}")
    name = str(node.target)
    b.begin(_label(node), f"node {node.name!r} ({name})")
    library, _, rest = name.partition(".")
    operation = rest.partition(".")[0]
    if operation in _NO_RESULT:
        return Missing("nothing")
    if library != "aten" or operation not in HANDLERS:
        b.fail(f"operator {name!r} is not supported.{nearest(operation, list(HANDLERS))}")
    call = Call(b, node, values, outputs)
    result = HANDLERS[operation](b, call)
    call.finish()
    return result


def _label(node: Any) -> str:
    """The module's own name for the layer that made the call ("encoder.0"), else the call's."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return paths[-1] if paths else node.name
