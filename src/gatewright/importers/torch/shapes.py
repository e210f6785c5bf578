"""ATen operators that move elements or make constants in, nodes and views out."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gatewright.importers import shaping
from gatewright.importers.builder import MAX_ELEMENTS, Builder, Const, Tensor
from gatewright.importers.torch.call import Call
from gatewright.importers.torch.pointwise import Handler


def _view(argument: str) -> Handler:
    def handle(b: Builder, c: Call) -> Any:
        x, shape = c.value("self"), c.ints(argument)
        total = prod(x.shape if isinstance(x, Tensor) else x.value.shape)
        known = prod(size for size in shape if size != -1)
        shape = tuple(total // max(known, 1) if size == -1 else size for size in shape)
        return b.reshape(x, shape) if isinstance(x, Tensor) else Const(value=x.value.reshape(shape))

    return handle


def _flatten(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    first, last = b.axis(c.get("start_dim"), x.rank), b.axis(c.get("end_dim"), x.rank)
    return b.reshape(x, (*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def _unflatten(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    axis, sizes = b.axis(c.get("dim"), x.rank), c.ints("sizes")
    known = prod(size for size in sizes if size != -1)
    sizes = tuple(x.shape[axis] // known if size == -1 else size for size in sizes)
    return b.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def _squeeze(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    if c.get("dim") is None:
        c.fail("squeezes every axis of size 1, maybe that of the samples; give it a dim")
    gone = {b.axis(axis, x.rank) for axis in c.ints("dim")}
    return b.reshape(x, tuple(s for axis, s in enumerate(x.shape) if axis not in gone or s != 1))


def _unsqueeze(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    axis = b.axis(c.get("dim"), x.rank + 1)
    return b.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _permute(b: Builder, c: Call) -> Any:
    x, axes = c.value("self"), c.ints("dims")
    if isinstance(x, Const):
        scale = None if x.scale is None else x.scale.transpose(axes)
        return Const(value=x.value.transpose(axes), scale=scale)
    return b.transpose(x, tuple(b.axis(axis, x.rank) for axis in axes))


def _swap(b: Builder, c: Call) -> Any:
    x = c.value("self")
    rank = x.rank if isinstance(x, Tensor) else x.value.ndim
    axes = list(range(rank))
    first, second = (b.axis(c.get(name), rank) for name in ("dim0", "dim1"))
    axes[first], axes[second] = axes[second], axes[first]
    if isinstance(x, Tensor):
        return b.transpose(x, tuple(axes))
    return Const(value=x.value.transpose(axes), scale=None if x.scale is None else x.scale.transpose(axes))


def _cat(b: Builder, c: Call) -> Tensor:
    return shaping.concat(b, list(c.get("tensors")), c.get("dim"))


def _stack(b: Builder, c: Call) -> Tensor:
    tensors: list[Tensor] = c.get("tensors")
    axis = b.axis(c.get("dim"), tensors[0].rank + 1)
    return shaping.concat(b, [b.reshape(t, (*t.shape[:axis], 1, *t.shape[axis:])) for t in tensors], axis)


def _slice(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    return shaping.slices(b, x, {b.axis(c.get("dim"), x.rank): slice(c.get("start"), c.get("end"), c.get("step"))})


def _select(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    return shaping.take(b, x, b.axis(c.get("dim"), x.rank), [c.get("index")], scalar=True)


def _split(b: Builder, c: Call) -> list[Tensor]:
    x = c.tensor()
    axis = b.axis(c.get("dim"), x.rank)
    total = x.shape[axis]
    if c.get("chunks") is not None:
        each = -(-total // c.get("chunks"))
        sizes = [min(each, total - at) for at in range(0, total, each)]
    elif c.get("split_sizes") is not None:
        sizes = list(c.ints("split_sizes"))
    else:
        each = c.get("split_size")
        sizes = [min(each, total - at) for at in range(0, total, each)]
    ends = np.cumsum(sizes).tolist()
    return [shaping.slices(b, x, {axis: slice(end - size, end)}) for size, end in zip(sizes, ends, strict=True)]


def _pad(b: Builder, c: Call) -> Tensor:
    x, flat = c.tensor(), c.ints("pad")
    if c.get("mode") not in (None, "constant"):
        c.fail(f"argument mode = {c.get('mode')!r} is not supported; expected 'constant'")
    pads = [(0, 0)] * x.rank
    for i in range(len(flat) // 2):
        pads[-1 - i] = (flat[2 * i], flat[2 * i + 1])
    return shaping.pad(b, x, tuple(pads), float(c.get("value") or 0.0))


def _upsample(b: Builder, c: Call) -> Tensor:
    x = c.tensor("input")
    sizes, scales = c.get("output_size"), c.get("scale_factors")
    wanted = scales if sizes is None else [out / size for out, size in zip(sizes, x.shape[2:], strict=True)]
    factors = [round(f) for f in wanted]
    for factor, exact, size in zip(factors, wanted, x.shape[2:], strict=True):
        out = np.arange(max(factor, 1) * size, dtype=np.float32)
        nearest = np.floor(out * np.float32(1 / max(factor, 1)))  # as torch finds the source of each element
        if factor != exact or factor < 1 or (nearest != np.arange(out.size) // factor).any():
            c.fail(f"scales by {wanted}; whole factors that repeat each element are supported")
    return shaping.upsample(b, x, (1, 1, *factors))


def _expand(b: Builder, c: Call) -> Any:
    x, size = c.value("self"), c.ints("size")
    c.ignore("implicit")
    shape = x.shape if isinstance(x, Tensor) else x.value.shape
    padded = (1,) * (len(size) - len(shape)) + tuple(shape)
    full = tuple(old if new == -1 else new for new, old in zip(size, padded, strict=True))
    if isinstance(x, Tensor):
        return shaping.expand(b, x, full)
    if prod(full) > MAX_ELEMENTS:
        c.fail(f"makes a constant of the shape {full}")
    return Const(value=np.broadcast_to(x.value, full).copy())


def _filled(fill: float) -> Handler:
    def handle(_b: Builder, c: Call) -> Const:
        c.ignore("dtype", "layout", "device", "pin_memory", "memory_format")
        shape = c.ints("size")
        if prod(shape) > MAX_ELEMENTS:
            c.fail(f"makes a constant of the shape {shape}")
        return Const(value=np.full(shape, fill, dtype=np.float32))

    return handle


HANDLERS: dict[str, Handler] = {
    "view": _view("size"),
    "_unsafe_view": _view("size"),
    "reshape": _view("shape"),
    "flatten": _flatten,
    "unflatten": _unflatten,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "permute": _permute,
    "transpose": _swap,
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _split,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "upsample_nearest1d": _upsample,
    "upsample_nearest2d": _upsample,
    "expand": _expand,
    "zeros": _filled(0),
    "ones": _filled(1),
}
