"""A Graph in, nothing out, or ModelError naming the node, what was expected, what was got and the remedy."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, assert_never

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Graph,
    Input,
    MatMul,
    Pad,
    Pool,
    Quantize,
    Recurrent,
    Reshape,
    Scan,
    Slice,
    Softmax,
    Table,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
)
from gatewright.graph.shapes import Shape, fail, shapes

PARAMETERS: dict[str, tuple[int, ...]] = {
    "relu": (0, 1, 3),
    "leaky_relu": (1,),
    "elu": (1,),
    "celu": (1,),
    "hard_sigmoid": (2,),
    "hard_tanh": (2,),
}


def check(graph: Graph) -> dict[str, Shape]:
    """Verify every rule of nodes.py and return the shapes by name; raises ModelError at the first breach."""
    if not graph.nodes or not isinstance(graph.nodes[0], Input):
        first = type(graph.nodes[0]).__name__ if graph.nodes else "an empty graph"
        raise ModelError(f"graph {graph.name!r}: expected an Input as first node, got {first}")
    seen: set[str] = set()
    for index, node in enumerate(graph.nodes):
        _check_place(node, index, seen)
        _check_numbers(node)
        seen.add(node.name)
    if graph.output not in seen:
        raise ModelError(f"graph {graph.name!r}: output {graph.output!r} is not the name of a node")
    return shapes(graph)


def _check_place(node: AnyNode, index: int, seen: set[str]) -> None:
    if not node.name:
        fail(node, "a name", "''")
    if node.name in seen:
        fail(node, "a name of its own", f"{node.name!r} twice", "number repeated names")
    if isinstance(node, Input) and index:
        fail(node, "one Input, the first node", f"another at place {index}", "join the inputs into one")
    for source in node.sources:
        if source not in seen:
            fail(node, "sources that come earlier", f"{source!r}", "order the nodes by their use")
    least, most = _arity(node)
    if not least <= len(node.sources) <= most:
        fail(node, f"{least} source{'s' * (least != 1)}", f"{len(node.sources)}")


def _arity(node: AnyNode) -> tuple[int, int]:
    match node:
        case Input() | Constant():
            return 0, 0
        case Combine() | MatMul():
            return 2, 2
        case Concat():
            return 1, 1 << 30
        case Dense() | Conv() | ConvTranspose() | Affine() | Activation() | Pool() | Softmax() | TopK():
            return 1, 1
        case Reshape() | Transpose() | Slice() | Pad() | Upsample() | Recurrent() | Scan():
            return 1, 1
        case Quantize() | Thresholds() | Table() | Trees():
            return 1, 1
        case _:
            assert_never(node)


def _check_numbers(node: AnyNode) -> None:
    for field in fields(node):
        value: Any = getattr(node, field.name)
        if isinstance(value, np.ndarray) and not np.isfinite(value).all():  # pyright: ignore[reportUnknownArgumentType]
            bad = int(np.count_nonzero(~np.isfinite(value)))  # pyright: ignore[reportUnknownArgumentType]
            if not (isinstance(node, Thresholds | Trees) and field.name == "thresholds" and not np.isnan(value).any()):
                fail(node, f"finite numbers in {field.name}", f"{bad} NaN or infinite", "train the model again")
    match node:
        case Activation():
            _check_activation(node, node)
        case Recurrent():
            _check_activation(node, node.activation)
            _check_activation(node, node.gate_activation)
            for quantizer in (node.state_quantizer, node.gate_quantizer, node.activation_quantizer):
                if quantizer is not None:
                    _check_quantize(node, quantizer)
        case Scan():
            check(node.body)
        case Quantize():
            _check_quantize(node, node)
        case Thresholds():
            if node.thresholds.size and (np.diff(node.thresholds, axis=1) < 0).any():
                fail(node, "ascending thresholds", "descending ones", "sort each channel's")
        case _:
            pass


def _check_activation(node: AnyNode, activation: Activation) -> None:
    if activation.kind == "prelu":
        return
    allowed = PARAMETERS.get(activation.kind, (0,))
    if len(activation.parameters) not in allowed:
        wanted = " or ".join(map(str, allowed))
        fail(node, f"{wanted} parameters of {activation.kind}", f"{activation.parameters}")
    if np.isnan(activation.parameters).any():
        fail(node, f"numbers as parameters of {activation.kind}", f"{activation.parameters}")


def _check_quantize(node: AnyNode, quantizer: Quantize) -> None:
    if (quantizer.scale <= 0).any():
        fail(node, "positive scales", f"{quantizer.scale.min():g}", "a pruned element has lo = hi = 0 and any scale")
    if (quantizer.lo > quantizer.hi).any():
        fail(node, "lo <= hi", "lo > hi")
