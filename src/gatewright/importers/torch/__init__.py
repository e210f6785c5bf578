"""A torch module, exported program or saved nn.Sequential in, a Graph out; no code of a file is executed."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError, ShapeError
from gatewright.graph.nodes import Graph
from gatewright.importers.builder import Builder, Const, Missing, Tensor
from gatewright.importers.hints import misspelt
from gatewright.importers.torch import cells, pointwise, shapes, structural
from gatewright.importers.torch.call import Call
from gatewright.importers.torch.pickles import SCRIPT, read_sequential
from gatewright.importers.torch.pointwise import Handler

HANDLERS: dict[str, Handler] = {**pointwise.HANDLERS, **structural.HANDLERS, **shapes.HANDLERS, **cells.HANDLERS}
MOST_ERROR = 2000  # characters of torch's own error
_NO_RESULT = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size")


def load_torch(path_or_module: Any, example_input: Any = None) -> Graph:
    """Return a model as a Graph; axis 0 of its one input counts samples.

    path_or_module: an nn.Module (exported with torch.export in eval mode), a torch.export.ExportedProgram, or the path
    of a `.pt`/`.pth` file that pickles an nn.Sequential of known layers: its structure is read without running it.
    example_input: a tensor or array of the shape of a batch, (n, ...), or a tuple, the shape of one sample; optional
    where the first layer is Linear.
    Raises ModelError naming the call, the argument and its value for whatever has no exact counterpart.
    """
    import torch

    if isinstance(path_or_module, (str, Path)):
        path = Path(path_or_module)
        try:
            graph = load_torch(read_sequential(path), example_input)
            return replace(graph, metadata={**(graph.metadata or {}), "producer": "torch"})  # the file tells no version
        except ModelError as error:
            raise type(error)(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    if isinstance(path_or_module, torch.export.ExportedProgram):
        return _convert(path_or_module, "exported program")
    if not isinstance(path_or_module, torch.nn.Module):
        raise ModelError(
            f"a torch model must be an nn.Module, an ExportedProgram or a path, not {type(path_or_module).__name__}"
        )
    if isinstance(path_or_module, torch.jit.ScriptModule):
        raise ModelError(f"{type(path_or_module).__name__} is TorchScript: {SCRIPT}")
    with _evaluating(path_or_module):
        example = _example(path_or_module, example_input)
        graph = _convert(_export(path_or_module, example), type(path_or_module).__name__)
        _check_batches(path_or_module, example)
    return graph


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Put a module into eval mode for a while; each part's own mode is restored."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations during export
            yield
    finally:
        for m, training in modes.items():
            m.training = training


def _example(module: Any, given: Any) -> Any:
    """Return a batch of samples of the module's element type; given: such a batch, one sample's shape, or None."""
    import torch

    if given is None:
        first = next((m for m in module.modules() if not list(m.children())), None)
        if not isinstance(first, torch.nn.Linear):
            raise ShapeError(
                f"the shape of the input of {type(module).__name__} is unknown; give example_input, a batch of samples "
                "or the shape of one (on the command line --shape, or --data of that shape)"
            )
        given = (first.in_features,)
    if isinstance(given, tuple) and all(isinstance(size, int) and size > 0 for size in given):
        given = torch.zeros(2, *given)
    first_parameter = next(module.parameters(), None)
    return torch.as_tensor(given, dtype=torch.float32 if first_parameter is None else first_parameter.dtype)


def _export(module: Any, example: Any) -> Any:
    """Return torch.export's program of a module in eval mode."""
    import torch

    try:
        return torch.export.export(module, (example,), strict=False)
    except Exception as error:  # noqa: BLE001 - the module's own code runs here and may raise anything
        raise ModelError(
            f"torch.export cannot follow {type(module).__name__}: {_whole(error)}; export it to ONNX, or remove "
            "branches on values from its forward()"
        ) from None


def _whole(error: Exception) -> str:
    """Return torch's error on one line, without the advice and the traces that follow it."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    ends = ("From user code", "Set TORCH", "The following call", "Traceback", "While executing", "To fix the error")
    cut = next((at for at, line in enumerate(lines) if line.startswith(ends)), len(lines))
    return " ".join(lines[: max(cut, 1)])[:MOST_ERROR] or type(error).__name__


def _check_batches(module: Any, example: Any) -> None:
    """Refuse a module whose result for a sample depends on how many samples there are: export would bake it in."""
    import torch

    if example.ndim < 2 or not example.is_floating_point():
        return
    x = torch.randn((3, *example.shape[1:]), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x.to(example.dtype)
    try:
        with torch.no_grad():
            few, more = module(x[:2]), module(x)
    except Exception:  # noqa: BLE001 - made for one number of samples: the export itself says what is wrong
        return
    if not all(isinstance(y, torch.Tensor) and y.is_floating_point() for y in (few, more)):
        return
    if few.shape[:1] != (2,) or more.shape != (3, *few.shape[1:]):
        return
    tolerance = 1e-2 if few.dtype in (torch.float16, torch.bfloat16) else 1e-4
    largest = float(more.abs().nan_to_num().max()) if more.numel() else 0.0
    if torch.allclose(few, more[:2], rtol=0, atol=tolerance * largest, equal_nan=True):
        return
    raise ModelError(
        f"{type(module).__name__} gives a sample another result in a batch of 2 than in a batch of 3: its forward() "
        "reckons with the number of samples (x.shape[0], x.size(0), len(x)) or mixes them; each sample must be treated "
        "alike"
    )


def _convert(program: Any, name: str) -> Graph:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = program.run_decompositions({})  # in-place calls become functional; no operator is taken apart
        except Exception as error:  # noqa: BLE001 - operators run on tensors without data and may raise anything
            raise ModelError(f"torch cannot decompose {name}: {_whole(error)}; export it to ONNX") from None
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
    _refuse_attention(b, node)
    library, _, rest = name.partition(".")
    operation = rest.partition(".")[0]
    if operation in _NO_RESULT:
        return Missing("nothing")
    if library != "aten" or operation not in HANDLERS:
        b.fail(f"operator {name!r} is not supported.{misspelt(operation, list(HANDLERS))}")
    call = Call(b, node, values, outputs)
    result = HANDLERS[operation](b, call)
    call.finish()
    return result


def _refuse_attention(b: Builder, node: Any) -> None:
    """Name an attention as such, before one of the many calls it is made of."""
    for path, kind in (node.meta.get("nn_module_stack") or {}).values():
        word = (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
        if word == "MultiheadAttention":
            b.fail(
                f"is part of {path!r}, an nn.MultiheadAttention: attention multiplies computed values with each other, "
                "for which there is no support yet"
            )
    if str(node.target).startswith("aten.scaled_dot_product_attention"):
        b.fail("is an attention, which multiplies computed values with each other; there is no support for it yet")


def _label(node: Any) -> str:
    """The module's own name for the layer that made the call ("encoder.0"), else the call's."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return paths[-1] if paths else node.name
