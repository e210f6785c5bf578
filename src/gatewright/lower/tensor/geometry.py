"""A convolution or a pool, and the stream that it reads, in; the window that slides over it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from gatewright.errors import LowerError
from gatewright.ir.ops import Conv, Dense, Pool
from gatewright.lower.build.facts import Facts
from gatewright.lower.stream import Lane, Stream
from gatewright.lower.streaming.window import Window, along_rows
from gatewright.lower.tensor.beats import refused


def window_of(op: Conv | Pool | Dense, facts: Facts, stream: Stream, interval: int) -> tuple[Window, int]:
    """Return the window of a convolution or a pool, and the lanes of its pixels; a dense layer's is each pixel.

    stream: of what it reads; interval: cycles that a frame may take. Raises LowerError naming the layer.
    """
    shape = facts.shapes[op.source]
    if isinstance(op, Dense):
        grid, one = two(shape[:-1]), (1, 1)
        none = ((0, 0), (0, 0))
        return Window(grid=grid, size=one, strides=one, dilation=one, pads=none), shape[-1]
    size = op.size if isinstance(op, Pool) else facts.program.constants[op.weight].q.shape[:-2]
    dilation = (1,) * len(size) if isinstance(op, Pool) else op.dilation
    space, lanes, axes = shape[:-1], shape[-1], len(size)
    if _apart(space, size, op) and stream.per_beat > lanes and stream.per_beat % (space[1] * lanes) == 0:
        # columns have nothing to do with each other: a row is a pixel of many lanes
        lanes, axes = lanes * space[1], 1
    if stream.per_beat % lanes:
        raise refused(op, f"on beats of {stream.per_beat} elements, of which {lanes} are a pixel")
    grid, strides = two(space[:axes]), two(op.strides[:axes])
    reasons: list[str] = []
    for steps, per_step in _steps(grid, strides[1], stream.per_beat // lanes, interval):
        try:
            window = Window(
                grid=steps,
                size=two(size[:axes]),
                strides=strides,
                dilation=two(dilation[:axes]),
                pads=along_rows(op.pads[:axes]),
                per_beat=per_step,
                width=grid[1],
            )
        except LowerError as error:
            reasons.append(str(error))
        else:
            return window, lanes
    raise refused(op, f"with this window: {reasons[0]}")


def pointwise(op: Conv, facts: Facts) -> bool:
    """Tell whether a convolution reads one pixel for each of its own."""
    kernel = facts.program.constants[op.weight].q.shape[:-2]
    return prod(kernel) == 1 and prod(op.strides) == 1 and not any(map(any, op.pads))


def two(sizes: Sequence[int]) -> tuple[int, int]:
    """Return the sizes of one or two axes as those of rows and columns."""
    *rows, columns = sizes
    return (rows[0] if rows else 1), columns


def shown_lanes(window: Window, lanes: Sequence[Lane], fill: Sequence[int]) -> list[Lane]:
    """Return what carries each element of a window: a lane, or the number of padding where it can be outside."""
    found: list[Lane] = []
    padded = any(map(any, window.pads))
    for _, column, _ in window.cells():
        _, lane = window.place(column)
        for channel, outside in enumerate(fill):
            own = lanes[lane * len(fill) + channel]
            found.append(Lane(min(own.lo, outside), max(own.hi, outside), own.shift) if padded else own)
    return found


def _apart(space: Sequence[int], size: Sequence[int], op: Conv | Pool) -> bool:
    """Tell whether a window of two axes reads one column of pixels for each of its own."""
    return len(space) == 2 and (size[1], op.strides[1], op.pads[1]) == (1, 1, (0, 0))


def _steps(grid: tuple[int, int], stride: int, pixels: int, interval: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield grids, filled up to whole steps, and the pixels of a step, the best first.

    Of one row with several pixels a beat a step may take fewer than a beat has: as few as keep the interval, for fewer
    windows at a time are less logic; else a step takes a beat.
    """
    rows, columns = grid
    if rows > 1 or pixels == 1:
        yield grid, pixels
        return
    sizes = sorted({pixels, *(count * stride for count in range(1, pixels // stride + 1))})
    fit = [size for size in sizes if -(-columns // size) <= interval]
    for size in (*fit, *reversed([size for size in sizes if size not in fit])):
        yield (rows, -(-columns // size) * size), size
