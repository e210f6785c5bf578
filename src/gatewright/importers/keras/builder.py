"""Nodes in, one by one, with the shape of each value tracked; a Graph's list of nodes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import Activation, ActivationKind, Affine, AnyNode, Combine, Constant, Reshape, Transpose

Hgq2Version = Literal["0.1", "0.2"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """The result of a node: its name, and its shape without the sample axis, in the layout of the model's file."""

    name: str
    shape: tuple[int, ...]


@dataclass(slots=True)
class Builder:
    """Collects nodes in order. `layer`, `kind`: whose nodes are being added; layers, kinds: by node and by layer.

    left_out: the result behind which a log-softmax stands that the host may compute; nothing else may read it.
    rules: of layers that a rule describes, by class.
    hgq2: the version whose meaning its layers have.
    """

    nodes: list[AnyNode] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    layers: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    hgq2: Hgq2Version = "0.2"
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    layer: str = ""
    kind: str = ""
    left_out: str = ""
    _by_name: dict[str, AnyNode] = field(default_factory=dict)

    def node(self, x: Value) -> AnyNode:
        """Return the node that gives a result."""
        return self._by_name[x.name]

    def enter(self, layer: str, kind: str) -> None:
        """Name the layer whose nodes follow."""
        self.layer, self.kind = layer, kind
        self.kinds[layer] = kind

    def add(
        self, node: type[Any], sources: Sequence[Value], shape: tuple[int, ...], suffix: str = "", /, **fields: Any
    ) -> Value:
        """Add a node named after the layer (and the suffix); return its result."""
        if self.left_out and any(source.name == self.left_out for source in sources):
            raise ModelError(
                f"layer {self.layer!r} ({self.kind}): reads a log_softmax, which is supported at the model's end only"
            )
        if any(size < 1 for size in shape):
            raise ModelError(
                f"layer {self.layer!r} ({self.kind}): its result would have the shape {shape}; nothing is left"
            )
        base = identifier(self.layer)
        name = base if base not in self._by_name else f"{base}.{suffix or node.__name__.lower()}"
        stem, count = name, 2
        while name in self._by_name:
            name, count = f"{stem}_{count}", count + 1
        made = node(
            name=name, sources=tuple(source.name for source in sources), origin=f"{self.layer} ({self.kind})", **fields
        )
        self.nodes.append(made)
        self._by_name[name] = made
        self.layers[name] = self.layer
        return Value(name, tuple(int(size) for size in shape))

    def leave_out_log_softmax(self, x: Value) -> Value:
        """End the model before a log-softmax over its last axis, and say so: `verify` applies it to compare."""
        self.left_out = x.name
        self.note(f"{self.layer} ({self.kind}): log_softmax is left out: the graph gives the scores, in the same order")
        return x

    def note(self, sentence: str) -> None:
        """Keep a sentence that the user should read, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def transpose(self, x: Value, axes: tuple[int, ...]) -> Value:
        """Reorder axes; a pair of transposes that cancel, and the identity, add nothing."""
        shape = tuple(x.shape[axis] for axis in axes)
        if axes == tuple(range(len(axes))):
            return x
        source = self._by_name[x.name]
        if isinstance(source, Transpose) and tuple(source.axes[axis] for axis in axes) == tuple(range(len(axes))):
            return Value(source.sources[0], shape)
        return self.add(Transpose, [x], shape, "transpose", axes=axes)

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """Reshape row-major, unless the shape is already that."""
        return x if x.shape == shape else self.add(Reshape, [x], shape, "reshape", shape=shape)

    def activation(self, x: Value, kind: ActivationKind, parameters: tuple[float, ...] = ()) -> Value:
        """Apply an elementwise function."""
        return self.add(Activation, [x], x.shape, kind, kind=kind, parameters=parameters)

    def affine(self, x: Value, scale: Floats, offset: Floats) -> Value:
        """Scale and shift per channel (last axis)."""
        channels = x.shape[-1]
        return self.add(
            Affine,
            [x],
            x.shape,
            "affine",
            scale=np.broadcast_to(scale, (channels,)).copy(),
            offset=np.broadcast_to(offset, (channels,)).copy(),
        )

    def scaled(self, x: Value, scale: Floats, offset: Floats) -> Value:
        """Scale and shift by arrays that broadcast over the value; per channel where only the last axis varies."""
        if all(size == 1 for size in (*scale.shape[:-1], *offset.shape[:-1])):
            return self.affine(x, scale.reshape(-1), offset.reshape(-1))
        for kind, array in (("mul", scale), ("add", offset)):
            constant = self.add(Constant, [], array.shape, "constant", value=array)
            x = self.add(Combine, [x, constant], x.shape, kind, kind=kind)
        return x

    def combine(self, kind: str, left: Value, right: Value, where: str) -> Value:
        """Combine two results elementwise; their shapes must broadcast."""
        try:
            shape = np.broadcast_shapes(left.shape, right.shape)
        except ValueError:
            raise ModelError(f"{where}: shapes {left.shape} and {right.shape} do not go together") from None
        return self.add(Combine, [left, right], shape, kind, kind=kind)

    def to_last(self, x: Value, channels_first: bool) -> Value:
        """Bring channels-first images or signals to channels-last."""
        return self.transpose(x, (*range(1, len(x.shape)), 0)) if channels_first else x

    def from_last(self, x: Value, channels_first: bool) -> Value:
        """Undo `to_last`."""
        rank = len(x.shape)
        return self.transpose(x, (rank - 1, *range(rank - 1))) if channels_first else x


def identifier(name: str) -> str:
    """Return a legal node name: letters, digits, `_` and `.`, not starting with a digit."""
    clean = re.sub(r"[^A-Za-z0-9_.]", "_", name) or "layer"
    return clean if re.match(r"[A-Za-z_]", clean) else f"_{clean}"
