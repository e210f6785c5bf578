"""A second device made of CPU memory: what lies there says so, and refuses what a GPU refuses.

`Far` wraps a tensor and calls itself a tensor on the device "meta", whose real tensors hold nothing. Operations on it
are those of the tensor within, so that the results are the CPU's, bit for bit, provided that nothing is mixed: an
operation with tensors of both sides, draws of a CPU generator on the far side, and .numpy() there are errors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
_aten = torch.ops.aten
_CROSSING = {_aten.copy_.default, _aten._to_copy.default, _aten.index.Tensor}  # a GPU takes indices of either side


class Far(Tensor):
    """A tensor that says it lies on DEVICE; its numbers are `near`'s."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        """Return the wrapper, which has no numbers of its own."""
        far: Far = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=DEVICE,
        )
        far.near = near
        return far

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry an operation out."""
        return _carried_out(func, args, kwargs or {})


class Pretend(TorchDispatchMode):
    """Within it, tensors that are made on DEVICE or sent there become Far."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry an operation out."""
        return _carried_out(func, args, kwargs or {})


def _carried_out(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = _pytree.tree_leaves((args, kwargs))
    tensors = [v for v in leaves if isinstance(v, Tensor)]
    far = [v for v in tensors if isinstance(v, Far)]
    if far and func not in _CROSSING and any(v.dim() and not isinstance(v, Far) for v in tensors):
        raise RuntimeError(f"{func}: tensors on two devices")
    if far and any(isinstance(v, torch.Generator) for v in leaves):
        raise RuntimeError(f"{func}: a CPU generator for a tensor on {DEVICE}")
    there = bool(far)
    if (device := kwargs.get("device")) is not None:
        there, kwargs = torch.device(device) == DEVICE, {**kwargs, "device": torch.device("cpu")}
    if func is _aten.copy_.default:
        there = isinstance(args[0], Far)
    same = {id(v.near): v for v in far}

    def within(value: Any) -> Any:
        return value.near if isinstance(value, Far) else value

    def wrapped(value: Any) -> Any:
        if not isinstance(value, Tensor) or any(value is v for v in tensors):
            return value
        return same.get(id(value), Far(value)) if there else value

    out = func(*_pytree.tree_map(within, args), **_pytree.tree_map(within, kwargs))
    if far and torch.Tag.inplace_view in func.tags:  # squeeze_ and the like: the wrapper's own shape changes, too
        with no_dispatch():
            func(*args, **kwargs)
    return _pytree.tree_map(wrapped, out)
