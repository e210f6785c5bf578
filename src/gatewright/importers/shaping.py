"""Layers that only move elements, in the source's axis order, in; nodes out: concat, slice, pad, upsample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from gatewright.graph.nodes import Concat, Pad, Pads, Slice, Upsample
from gatewright.importers.builder import Builder, Tensor, Value


def concat(b: Builder, values: list[Value], axis: int) -> Tensor:
    """Join along one axis of the source; constants among them are the same for every sample."""
    like = next(value for value in values if isinstance(value, Tensor))
    axis = b.axis(axis, like.rank)
    ranks = [value.rank if isinstance(value, Tensor) else np.ndim(value.value) for value in values]
    if any(rank != like.rank for rank in ranks):
        b.fail(f"joins values of {', '.join(map(str, ranks))} axes; as many each are expected")
    tensors = [b.as_tensor(value, like) for value in values]
    for t in tensors:
        rest = [pair for a, pair in enumerate(zip(t.shape, like.shape, strict=False)) if a != axis]
        if t.rank != like.rank or t.sample_axis != like.sample_axis or any(size != other for size, other in rest):
            b.fail(f"joins values of the shapes {[t.shape for t in tensors]} along axis {axis}")
    if axis == like.sample_axis:
        b.fail(f"joins along the axis of the samples (axis {axis}); the model must treat samples alike")
    shape = tuple(sum(t.shape[axis] for t in tensors) if a == axis else s for a, s in enumerate(like.shape))
    made = b.emit(Concat, *(b.stored_in(t, like.order) for t in tensors), axis=like.axes[axis] - 1)
    return b.tensor(made, shape, like.order)


def slices(b: Builder, x: Tensor, chosen: dict[int, slice]) -> Tensor:
    """Slice axes of the source as Python does; axes not named stay whole."""
    ranges = {axis: range(*s.indices(x.shape[axis])) for axis, s in chosen.items()}
    whole = {axis for axis, kept in ranges.items() if kept == range(x.shape[axis])}
    ranges = {axis: kept for axis, kept in ranges.items() if axis not in whole}
    if x.sample_axis in ranges:
        b.fail(f"slices the axis of the samples (axis {x.sample_axis}); the model must treat samples alike")
    if not ranges:
        return x
    shape = tuple(len(ranges[a]) if a in ranges else size for a, size in enumerate(x.shape))
    order = [ranges.get(axis, range(x.shape[axis])) for axis in x.order[1:]]
    stops = tuple(None if kept.stop < 0 else kept.stop for kept in order)  # a backwards slice that ends at 0
    fields = {"starts": tuple(kept.start for kept in order), "steps": tuple(kept.step for kept in order)}
    return b.tensor(b.emit(Slice, x.result, stops=stops, **fields), shape, x.order)


def pad(b: Builder, x: Tensor, pads: Pads, value: float) -> Tensor:
    """Add a constant around; pads: one pair per axis of the source. A negative pad cuts."""
    if any(pads[x.sample_axis]):
        b.fail(f"pads the axis of the samples by {pads[x.sample_axis]}; the model must treat samples alike")
    if not np.isfinite(value):
        b.fail(f"pads with {value!r}; a finite number is expected")
    cuts = {a: slice(max(-lo, 0), x.shape[a] + min(hi, 0)) for a, (lo, hi) in enumerate(pads) if min(lo, hi) < 0}
    x = slices(b, x, cuts)
    added = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pads)
    if not any(map(any, added)):
        return x
    shape = tuple(size + sum(pair) for size, pair in zip(x.shape, added, strict=True))
    made = b.emit(Pad, x.result, pads=tuple(added[axis] for axis in x.order[1:]), value=float(value))
    return b.tensor(made, shape, x.order)


def upsample(b: Builder, x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Repeat each element; factors: one per axis of the source."""
    if factors[x.sample_axis] != 1:
        b.fail(f"repeats samples {factors[x.sample_axis]} times; the model must treat samples alike")
    if all(f == 1 for f in factors):
        return x
    shape = tuple(size * f for size, f in zip(x.shape, factors, strict=True))
    made = b.emit(Upsample, x.result, factors=tuple(factors[axis] for axis in x.order[1:]))
    return b.tensor(made, shape, x.order)


MAX_RUNS = 4096  # of evenly spaced indices that one node may pick


def pick(b: Builder, x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """Pick elements along one axis in any order, as often as wanted; each evenly spaced run becomes a slice."""
    runs = _runs(indices)
    if len(runs) > MAX_RUNS:
        b.fail(f"picks {len(indices)} elements in {len(runs)} runs; at most {MAX_RUNS} are taken")
    parts: list[Value] = []
    for run in runs:
        stop = run[-1] + run.step
        parts.append(slices(b, x, {axis: slice(run[0], None if stop < 0 else stop, run.step)}))
    return concat(b, parts, axis)


def _runs(indices: Sequence[int]) -> list[range]:
    """Split indices into evenly spaced runs; two alone are a run only where they are neighbours."""
    runs: list[range] = []
    at = 0
    while at < len(indices):
        first = indices[at]
        step = (indices[at + 1] - first if at + 1 < len(indices) else 1) or 1
        count = 1
        while at + count < len(indices) and indices[at + count] == first + count * step:
            count += 1
        if count == 2 and step != 1:
            count = 1
        step = step if count > 1 else 1
        runs.append(range(first, first + count * step, step))
        at += count
    return runs


def repeat(b: Builder, x: Tensor, axis: int, counts: Sequence[int]) -> Tensor:
    """Repeat the elements along one axis, element i counts[i] times; each run of equal counts becomes a few nodes."""
    parts: list[Value] = []
    first = 0
    for count, run in groupby(counts):
        last = first + len(list(run))
        if count:
            part = slices(b, x, {axis: slice(first, last)})
            parts.append(upsample(b, part, tuple(count if a == axis else 1 for a in range(x.rank))))
        first = last
    return concat(b, parts, axis)


def expand(b: Builder, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Repeat axes of size 1, and add axes in front, until x has the shape to which both broadcast."""
    x = b.lifted(x, len(shape))
    target = b.broadcast(x.shape, shape)
    b.check_size(target)
    return upsample(b, x, tuple(new // old for new, old in zip(target, x.shape, strict=True)))


def take(b: Builder, x: Tensor, axis: int, indices: list[int], *, scalar: bool) -> Tensor:
    """Pick elements along one axis; scalar: one of them, and the axis goes."""
    size = x.shape[axis]
    if any(not -size <= i < size for i in indices):
        b.fail(f"picks {indices} along axis {axis} of the shape {x.shape}")
    indices = [i % size for i in indices]
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if not indices or step == 0 or any(v - u != step for u, v in pairwise(indices)):
        b.fail(f"picks {indices} along axis {axis}; evenly spaced indices are supported")
    stop = indices[-1] + (1 if step > 0 else -1)
    picked = slices(b, x, {axis: slice(indices[0], None if stop < 0 else stop, step)})
    if not scalar:
        return picked
    if axis == x.sample_axis:
        b.fail("picks one sample; the model must treat samples alike")
    return b.reshape(picked, (*picked.shape[:axis], *picked.shape[axis + 1 :]))
