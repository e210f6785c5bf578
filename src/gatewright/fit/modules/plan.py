"""Layer lines and a sample's shape in; every layer's shapes, strides and pads out, or the error of what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from gatewright.config.layers import Kind, LayerLine, Sizes
from gatewright.config.whole import MOST_WEIGHTS
from gatewright.errors import FitError
from gatewright.ir.windows import window_counts

Shape = tuple[int, ...]
WINDOWS: frozenset[Kind] = frozenset({"conv", "depthwise", "max", "average"})
GLOBAL: frozenset[Kind] = frozenset({"global max", "global average"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A layer and its place. name: conv1, pool1, fc1, ...; reads, gives: shapes without samples, channels last.

    size, strides, pads: of its windows, one per axis, the pads (before, after); of a global pool the whole map.
    adds: the layer whose result a residual adds, "" for every other line.
    """

    name: str
    line: LayerLine
    reads: Shape
    gives: Shape
    size: Sizes = ()
    strides: Sizes = ()
    pads: tuple[tuple[int, int], ...] = ()
    adds: str = ""

    @property
    def weights(self) -> int:
        """How many weights it has, biases not counted."""
        match self.line.kind:
            case "conv":
                return prod(self.size) * self.reads[-1] * self.gives[-1]
            case "depthwise":
                return prod(self.size) * self.gives[-1]
            case "dense":
                return self.reads[-1] * self.gives[-1]
            case _:
                return 0


def sample_shape(lines: Sequence[LayerLine], shape: Shape) -> Shape:
    """Return what the first layer reads of samples of a data set's shape, channels last.

    A sample of one axis is a signal of one channel. One of two is an image of one channel where any line has two sizes
    as in 3x3, else (steps, channels). Networks of dense layers alone read vectors.
    """
    if all(line.kind in ("dense", "residual") for line in lines):
        return (prod(shape),)
    image = any(len(sizes) == 2 for line in lines for sizes in (line.size, line.stride))
    return (*shape, 1) if len(shape) == 1 or (len(shape) == 2 and image) else shape


def planned(lines: Sequence[LayerLine], shape: Shape, outputs: int, who: str) -> tuple[Planned, ...]:
    """Return the layers of lines that read samples of this shape, and the dense output layer, called out.

    A dense layer flattens what it reads.

    shape: of `sample_shape`. who: the table that the lines are of, for errors. Raises FitError naming the line and the
    sizes for a kernel or a pool larger than its input, a line of other axes, and a layer too large to be trained.
    """
    found: list[Planned] = []
    ends: list[int] = []  # how many layers there are behind each line
    counts: dict[str, int] = {}
    last = LayerLine(text="the output layer", kind="dense", units=outputs)
    for line in (*lines, last):
        word = {"conv": "conv", "depthwise": "depth", "dense": "fc", "flatten": "flat"}.get(line.kind, "pool")
        if line.kind == "dense" and len(shape) > 1:
            found.append(_named("flat", LayerLine(text=line.text, kind="flatten"), shape, counts))
            shape = found[-1].gives
        if line.kind == "residual":
            before = ends[-line.block - 1] if line.block < len(ends) else 0
            found.append(_residual(_name("add", counts), line, found, before, len(ends), who))
        else:
            layer = _named(word, line, shape, counts) if line.kind in ("dense", "flatten") else None
            found.append(layer or _window(_name(word, counts), line, shape, who))
        shape = found[-1].gives
        ends.append(len(found))
        if found[-1].weights > MOST_WEIGHTS:
            raise FitError(
                f"{who}.layers: {line.text!r} reads {_text(found[-1].reads)} and asks for {found[-1].weights:,} "
                f"weights, at most {MOST_WEIGHTS:,} can be trained; take a smaller layer, or pool before it"
            )
    return (*found[:-1], replace(found[-1], name="out"))


def _name(word: str, counts: dict[str, int]) -> str:
    counts[word] = counts.get(word, 0) + 1
    return f"{word}{counts[word]}"


def _named(word: str, line: LayerLine, shape: Shape, counts: dict[str, int]) -> Planned:
    """Return a layer without windows."""
    gives = (line.units,) if line.kind == "dense" else (prod(shape),)
    return Planned(name=_name(word, counts), line=line, reads=shape, gives=gives)


def _residual(name: str, line: LayerLine, found: Sequence[Planned], before: int, above: int, who: str) -> Planned:
    """Return the sum of the last layer's result and that of the `before` first, which the block above begins with."""
    if line.block > above:
        raise FitError(
            f"{who}.layers: {line.text!r} ends a block of {line.block} lines, and there are {above} above it; count "
            "the lines between which the sum jumps"
        )
    if not any(layer.weights for layer in found[:before]):
        raise FitError(
            f"{who}.layers: {line.text!r} would add the input itself, whose numbers no layer has made; put a layer "
            "with weights before the block"
        )
    source, last = found[before - 1], found[-1]
    if source.gives != last.gives:
        raise FitError(
            f"{who}.layers: {line.text!r} adds what its block reads, {_text(source.gives)}, to what it gives, "
            f"{_text(last.gives)}, and both must be of one shape; end the block with as many filters, without strides"
        )
    return Planned(name=name, line=line, reads=last.gives, gives=last.gives, adds=source.name)


def _window(name: str, line: LayerLine, shape: Shape, who: str) -> Planned:
    axes = len(shape) - 1
    if not axes:
        raise FitError(
            f"{who}.layers: {line.text!r} needs a map of an axis or two and channels, not {_text(shape)}; put it "
            "before what flattens"
        )
    given = shape[:-1] if line.kind in GLOBAL else line.size
    if len(given) > axes or axes > 2:
        raise FitError(
            f"{who}.layers: {line.text!r} has windows over {len(given)} axes and reads {_text(shape)}, with {axes} "
            "before the channels; write one size for each axis, of at most two"
        )
    size = _each(given, axes)
    if line.kind in GLOBAL:
        strides: Sizes = size
    else:
        strides = _each(line.stride, axes) if line.stride else size if line.kind in ("max", "average") else (1,) * axes
    space = shape[:-1]
    if any(k > n for k, n in zip(size, space, strict=True)):
        part = "pool" if line.kind in ("max", "average") else "kernel"
        raise FitError(
            f"{who}.layers: {line.text!r} has a {part} of {_text(size)}, larger than its input of {_text(space)}; "
            "take a smaller one, or fewer strides and pools before it"
        )
    same = line.kind in ("conv", "depthwise") and line.padding == "same"
    pads = tuple(_same(*part) if same else (0, 0) for part in zip(space, size, strides, strict=True))
    counts = window_counts(space, size, strides, (1,) * axes, pads)
    channels = line.units or shape[-1]
    return Planned(name=name, line=line, reads=shape, gives=(*counts, channels), size=size, strides=strides, pads=pads)


def _each(sizes: Sizes, axes: int) -> Sizes:
    return sizes if len(sizes) == axes else sizes * axes


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return pads for ceil(size / stride) windows, the odd one behind, as Keras and TensorFlow pad."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape))
