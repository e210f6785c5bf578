"""Calls in the source's own axis order in, channels-last Graph nodes out: what the ONNX and torch importers share.

A channels-first model is not rewritten op by op: every value remembers which of the graph's axes each of its own axes
is, so a transpose costs no node, and one is written only where the stored order really must change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import AnyNode, Constant, Floats, Graph, Input, Reshape, Transpose

MAX_ELEMENTS = 1 << 26  # of one value: far above what an FPGA takes, far below what a forged shape claims

NodeKind = TypeVar("NodeKind")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """A result as the source sees it, sample axis included: its axis i is axis axes[i] of (n, *the node's shape)."""

    result: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of axes, the sample axis included."""
        return len(self.shape)

    @property
    def sample_axis(self) -> int:
        """The source's axis that counts samples."""
        return self.axes.index(0)

    @property
    def order(self) -> tuple[int, ...]:
        """The source's axes in the order in which the graph stores them: the sample axis first."""
        return tuple(sorted(range(self.rank), key=self.axes.__getitem__))

    @property
    def stored(self) -> tuple[int, ...]:
        """Shape of the graph's value, the sample axis excluded."""
        return tuple(self.shape[axis] for axis in self.order[1:])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Const:
    """A value known at import, in the source's type. scale: as many axes as value; value / scale are integers.

    bits: of integers of fewer bits than NumPy's types have; 0 of others.
    """

    value: NDArray[Any]
    scale: Floats | None = None
    bits: int = 0


Value = Tensor | Const


@dataclass(frozen=True, slots=True)
class Missing:
    """A result that is not computed; reading it is refused with this text."""

    what: str


class Builder:
    """Collects the nodes of one graph; `origin` names the source's node in work, for every message."""

    def __init__(self, name: str, format: str) -> None:  # noqa: A002 - Graph's own field
        self.graph_name, self.format = name, format
        self.nodes: list[AnyNode] = []
        self.notes: list[str] = []
        self.left_out: tuple[str, int] | None = None  # a function that the model ends with, and its axis
        self.origin = "the model"
        self._base = "value"
        self._by_name: dict[str, AnyNode] = {}
        self._reordered: dict[tuple[str, tuple[int, ...]], str] = {}
        self._reshapes: dict[str, tuple[str, tuple[int, ...]]] = {}  # result -> what it reshapes, and its shape

    def begin(self, name: str, origin: str) -> None:
        """Name the source's node whose nodes follow."""
        self._base, self.origin = name, origin

    def fail(self, text: str) -> NoReturn:
        """Refuse the model: the node in work and why."""
        raise ModelError(f"{self.origin}: {text}")

    def note(self, text: str) -> None:
        """Tell the user what was decided at the node in work."""
        self.notes.append(f"{self.origin}: {text}")

    def leave_out_log_softmax(self, x: Tensor, axis: int) -> Tensor:
        """End the model before a log-softmax over one axis, and say so: `verify` applies it to compare."""
        if axis == x.sample_axis:
            self.fail(f"runs over the axis of the samples (axis {axis}); the model must treat samples alike")
        self.note("left out: the graph gives the scores before it, which have the same order")
        self.left_out = ("log_softmax", axis)
        return x

    def emit(self, kind: type[NodeKind], /, *sources: str, **fields: Any) -> str:
        """Append a node of this kind under a free name and return the name."""
        name, count = self._base, 1
        while name in self._by_name:
            count += 1
            name = f"{self._base}_{count}"
        made: Any = kind(name=name, sources=sources, origin=self.origin, **fields)  # type: ignore[call-arg]
        self._by_name[name] = made
        self.nodes.append(made)
        return name

    def node(self, result: str) -> AnyNode:
        """Return the node that gives a result."""
        return self._by_name[result]

    def check_size(self, shape: tuple[int, ...]) -> None:
        """Refuse a value too large to be meant, before anything of its size is made."""
        if any(size < 1 for size in shape):
            self.fail(f"its result has the shape {shape}; every axis must hold at least one element")
        if prod(shape) > MAX_ELEMENTS:
            self.fail(f"its result has the shape {shape}: {prod(shape):,} elements; at most {MAX_ELEMENTS:,} are taken")

    def tensor(self, result: str, shape: tuple[int, ...], order: tuple[int, ...] | None = None) -> Tensor:
        """Return the source's view of a result whose stored axes are the source's axes `order` (None: as they are)."""
        axes = tuple(range(len(shape))) if order is None else tuple(order.index(axis) for axis in range(len(shape)))
        made = Tensor(result=result, shape=shape, axes=axes)
        self.check_size(made.stored)
        return made

    def input(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The model's input; shape includes the sample axis, which comes first."""
        self.begin(name, f"input {name!r}")
        self.check_size(shape[1:])
        return self.tensor(self.emit(Input, shape=shape[1:]), shape)

    def stored_in(self, x: Tensor, order: tuple[int, ...]) -> str:
        """Return the result that holds x with its axes in this order; order[0] must be x's sample axis."""
        axes = tuple(x.axes[axis] - 1 for axis in order[1:])
        if axes == tuple(range(len(axes))):
            return x.result
        old, new = x.stored, tuple(x.shape[axis] for axis in order[1:])
        if [a for a in axes if old[a] > 1] == [a for a in range(len(old)) if old[a] > 1]:
            return self._reshape(x.result, old, new)  # only axes of size 1 move
        key = (x.result, axes)
        if key not in self._reordered:
            self._reordered[key] = self.emit(Transpose, x.result, axes=axes)
        return self._reordered[key]

    def as_stored(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        """The same tensor, stored in this order."""
        return self.tensor(self.stored_in(x, order), x.shape, order)

    def with_last(self, x: Tensor, axis: int) -> Tensor:
        """The same tensor with this axis of the source stored last; the others keep their order."""
        if x.order[-1] == axis:
            return x
        return self.as_stored(x, (*(a for a in x.order if a != axis), axis))

    def spread(self, value: NDArray[Any], x: Tensor) -> NDArray[Any]:
        """Constant, broadcast against x by the source's rule, as it broadcasts against x's stored value.

        Returns an array with one axis per stored axis, each of x's size or 1, or a scalar. Raises ModelError where the
        constant has more axes than x or differs between samples.
        """
        if value.size == 1:
            return value.reshape(())
        value = self._aligned(value, x)
        if value.shape[x.sample_axis] != 1:
            self.fail(
                f"a constant of the shape {value.shape} holds one value per sample; the model must treat samples alike"
            )
        return value.transpose(x.order)[0]

    def _aligned(self, value: NDArray[Any], x: Tensor) -> NDArray[Any]:
        """The constant with as many axes as x, ones in front."""
        if value.ndim > x.rank:
            self.fail(f"a constant of the shape {value.shape} has more axes than the value of the shape {x.shape}")
        return value.reshape((1,) * (x.rank - value.ndim) + value.shape)

    def broadcast(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape to which these broadcast, as NumPy and ONNX do it, or refuse."""
        try:
            return tuple(map(int, np.broadcast_shapes(*shapes)))
        except ValueError:
            text = " and ".join(str(shape) for shape in dict.fromkeys(shapes) if shape)
            return self.fail(f"its operands have the shapes {text}, which do not broadcast to one shape")

    def check_fits(self, value: NDArray[Any], x: Tensor, what: str) -> None:
        """Refuse a constant that does not broadcast to x's own shape."""
        if self.broadcast(value.shape, x.shape) != x.shape:
            self.fail(f"its {what} has the shape {value.shape}, which does not broadcast to its input's {x.shape}")

    def lifted(self, x: Tensor, rank: int) -> Tensor:
        """The same value with axes of size 1 in front, so that it has at least `rank` axes."""
        extra = rank - x.rank
        if extra <= 0:
            return x
        made = self._reshape(x.result, x.stored, (1,) * extra + x.stored)
        order = (x.sample_axis + extra, *range(extra), *(axis + extra for axis in x.order[1:]))
        return self.tensor(made, (1,) * extra + x.shape, order)

    def as_tensor(self, value: Value, like: Tensor) -> Tensor:
        """Return a constant as a node stored in the order of `like`; a tensor as it is."""
        if isinstance(value, Tensor):
            return value
        array = self._aligned(np.asarray(value.value, dtype=np.float64), like)
        stored = np.broadcast_to(self.spread(array, like), tuple(array.shape[a] for a in like.order[1:]))
        shape = list(array.shape)
        shape[like.sample_axis] = like.shape[like.sample_axis]
        return self.tensor(self.emit(Constant, value=np.array(stored)), tuple(shape), like.order)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Row-major reshape of the source's value; shape includes the sample axis, -1 already resolved."""
        if prod(shape) != prod(x.shape):
            self.fail(f"cannot reshape {x.shape} to {shape}")
        sample = self._sample_axis_after(x, shape)
        order = (x.sample_axis, *(axis for axis in range(x.rank) if axis != x.sample_axis))
        source, held = self.stored_in(x, order), tuple(x.shape[axis] for axis in order[1:])
        stored = tuple(size for axis, size in enumerate(shape) if axis != sample)
        made = self._reshape(source, held, stored)
        return self.tensor(made, shape, (sample, *(axis for axis in range(len(shape)) if axis != sample)))

    def _reshape(self, source: str, held: tuple[int, ...], stored: tuple[int, ...]) -> str:
        """Reshape a result of the stored shape `held`; a reshape of a reshape is one of the first value."""
        source, held = self._reshapes.get(source, (source, held))
        if stored == held:
            return source
        self.check_size(stored)
        made = self.emit(Reshape, source, shape=stored)
        self._reshapes[made] = (source, held)
        return made

    def _sample_axis_after(self, x: Tensor, shape: tuple[int, ...]) -> int:
        before, samples = prod(x.shape[: x.sample_axis]), x.shape[x.sample_axis]
        fits = [axis for axis, size in enumerate(shape) if size == samples and prod(shape[:axis]) == before]
        if not fits:
            self.fail(f"reshaping {x.shape} to {shape} mixes samples or removes their axis (axis {x.sample_axis})")
        return x.sample_axis if x.sample_axis in fits else fits[0]

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Reorder the source's axes: no node, only another view."""
        return replace(x, shape=tuple(x.shape[a] for a in axes), axes=tuple(x.axes[a] for a in axes))

    def finish(self, output: Tensor, metadata: dict[str, Any] | None = None) -> Graph:
        """Return the graph whose output is this tensor in the source's own axis order."""
        self.origin = "the model's output"
        if output.sample_axis != 0:
            self.fail(f"samples lie along axis {output.sample_axis} of its shape {output.shape}; they must come first")
        result = self.stored_in(output, tuple(range(output.rank)))
        return Graph(
            name=self.graph_name,
            nodes=self._read_by(result),
            output=result,
            format=self.format,
            notes=tuple(self.notes),
            metadata={**(metadata or {}), **({} if self.left_out is None else {"left_out": list(self.left_out)})},
        )

    def _read_by(self, output: str) -> tuple[AnyNode, ...]:
        """The nodes that the output depends on, and the input, in their order."""
        wanted, kept = {output, self.nodes[0].name}, list[AnyNode]()
        for node in reversed(self.nodes):
            if node.name in wanted:
                kept.append(node)
                wanted.update(node.sources)
        return tuple(reversed(kept))

    def axis(self, axis: int, rank: int) -> int:
        """Return a non-negative axis, or refuse."""
        if not -rank <= axis < rank:
            self.fail(f"axis {axis} is outside a value of {rank} axes")
        return axis % rank
