"""A Graph in, for every result the lattice of numbers it lies on where its value is exact, else None.

A result on a lattice is v * scale: v are dyadic numbers that float64 holds exactly, scale one real number per tensor,
channel or element. Scale 1 is plain fixed point; another scale comes from quantizers whose step is no power of two
(QONNX, weight scales, means over 3 cells) and is carried as it is until a quantizer or threshold takes the value in.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any, assert_never

import numpy as np

from gatewright.fixedpoint import frac_bits
from gatewright.graph.check import check
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
    Floats,
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
    Stored,
    Table,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
)
from gatewright.graph.recurrent import as_scan
from gatewright.graph.shapes import Shape
from gatewright.graph.structure import align, move
from gatewright.ir.windows import pool

EXACT_BITS = 53  # a float64 significand
WEIGHT_BITS = 24  # a float32 significand: numbers that need more on one grid were never quantized
PARAMETER_BITS = 12  # parameters of activations that need more (0.2, 0.01) are no fixed-point numbers
ONE = np.array(1.0)
_STEPS = 4  # a state that is rounded each step stops growing after one or two


@dataclass(frozen=True, slots=True)
class Lattice:
    """value = v * scale, v a multiple of 2**-frac_bits with |v| <= peak; scale broadcasts over the shape."""

    scale: Floats
    frac_bits: int
    peak: float

    @property
    def plain(self) -> bool:
        """Whether values are fixed point, i.e. the scale is 1."""
        return bool((self.scale == 1).all())


def lattices(graph: Graph, source: Lattice | None = None) -> dict[str, Lattice | None]:
    """Return the lattice of every result, None where it is not exact, by name. Verifies the graph.

    source: the input's, where it is known to lie on one.
    """
    shapes = check(graph)
    known: dict[str, Lattice | None] = {
        graph.nodes[0].name: source if source and bits_of(source) <= EXACT_BITS else None
    }
    for node in graph.nodes[1:]:
        found = lattice_of(node, [known[s] for s in node.sources], [shapes[s] for s in node.sources])
        known[node.name] = found if found and bits_of(found) <= EXACT_BITS else None
    return known


def bits_of(lattice: Lattice) -> float:
    """Return the bits of the greatest |v|, without sign."""
    return (log2(lattice.peak) if lattice.peak else 0) + lattice.frac_bits


def lattice_of(node: AnyNode, sources: list[Lattice | None], shapes: list[Shape]) -> Lattice | None:
    """Return the lattice of one result from those of its sources and their shapes."""
    match node:
        case Quantize():
            return _quantize(node)
        case Thresholds():
            return _thresholds(node)
        case Constant():
            return fixed_point(node.value, EXACT_BITS)
        case TopK():
            return Lattice(ONE, 0, float(shapes[0][-1]))
        case Table():
            return fixed_point(node.values, EXACT_BITS)
        case Trees():
            return _trees(node)
        case _:
            pass
    if not sources or any(source is None for source in sources):
        return None
    known = [source for source in sources if source is not None]
    match node:
        case Dense() | Conv() | ConvTranspose():
            return _linear(node, known[0])
        case Affine():
            return _affine(node, known[0])
        case Activation():
            return _activation(node, known[0])
        case Pool():
            return _pool(node, known[0], shapes[0])
        case Combine():
            return _combine(node, known, shapes)
        case MatMul():
            return _matmul(known, shapes)
        case Recurrent():
            return lattice_of(as_scan(node), sources, shapes)
        case Scan():
            found = scan_lattices(node, known[0])[node.body.output]
            return found if found and found.plain else None
        case Reshape() | Transpose() | Slice() | Concat() | Pad() | Upsample():
            return _structure(node, known, shapes)
        case Input() | Softmax():
            return None
        case _:
            assert_never(node)


def scan_lattices(node: Scan, x: Lattice | None) -> dict[str, Lattice | None]:
    """Return the lattices of the body's results over all steps, by name; x: that of the scan's source.

    The body's input gets the narrowest lattice that holds x and every state. It has none where x is no fixed point or
    a state needs more bits at every step.
    """
    start = fixed_point(node.initial, EXACT_BITS)
    if x is None or not x.plain or start is None:
        return lattices(node.body)
    source = _joined(x, start)
    for _ in range(_STEPS):
        known = lattices(node.body, source)
        states = [found for name in node.states if (found := known[name]) and found.plain]
        if len(states) < len(node.states):
            break
        wider = _joined(source, *states)
        if (wider.frac_bits, wider.peak) == (source.frac_bits, source.peak):
            return known
        source = wider
    return lattices(node.body)


def _joined(*parts: Lattice) -> Lattice:
    """Return the fixed-point lattice that holds all of them."""
    return Lattice(ONE, max(p.frac_bits for p in parts), max(p.peak for p in parts))


def fixed_point(values: Floats, bits: int) -> Lattice | None:
    """Return the plain lattice of given numbers, None where they need more than `bits` bits on one grid."""
    found = Lattice(ONE, frac_bits(values), float(np.abs(values).max(initial=0.0)))
    return found if bits_of(found) <= bits else None


def is_power_of_two(values: Floats) -> bool:
    """Tell whether every value is a power of two."""
    return bool((np.frexp(values)[0] == 0.5).all())


def bias_steps(node: Dense | Conv | ConvTranspose, scale: Floats) -> Floats | None:
    """Return the bias in units of the accumulator's scale, None where it is no multiple of a dyadic share of it.

    A bias written as float32 may miss its multiple of the scale by its own rounding; the nearest one is meant.
    """
    steps = node.bias / scale
    near = np.rint(steps)
    if (scale == 1).all():
        return node.bias
    return near if bool((np.abs(steps - near) <= 2.0**-22 * np.abs(steps)).all()) else None


def weight_scale(node: Dense | Conv | ConvTranspose) -> Floats:
    """Return the scale that stays apart from the weights: 1 where it is made of powers of two."""
    return ONE if is_power_of_two(node.weight_scale) else node.weight_scale


def integer_weights(node: Dense | Conv | ConvTranspose) -> Floats:
    """Return weight / weight_scale, with the rounding of the stored product undone where the scale stays apart."""
    if (weight_scale(node) == 1).all():
        return node.weight
    steps = node.weight / node.weight_scale
    near = np.rint(steps * 2.0**16) / 2.0**16
    return np.where(np.abs(steps - near) <= 2.0**-20 * np.abs(steps), near, steps)


def quantized_weights(node: Dense | Conv | ConvTranspose) -> Lattice | None:
    """Return the lattice of integer_weights; None of weights that were never quantized."""
    return fixed_point(integer_weights(node), WEIGHT_BITS if stored_of(node) is None else EXACT_BITS)


def stored_of(node: Dense | Conv | ConvTranspose) -> Stored | None:
    """Return the formats in which a layer's numbers are stored, where they are known."""
    return None if isinstance(node, ConvTranspose) else node.stored


def _quantize(node: Quantize) -> Lattice:
    live = ~((node.lo == 0) & (node.hi == 0))
    q = np.maximum(np.abs(node.lo - node.zero_point), np.abs(node.hi - node.zero_point)) * live
    scale = np.where(live, node.scale, 1.0)
    if is_power_of_two(scale):
        frac = frac_bits(scale * live) if node.frac_bits is None else node.frac_bits
        return Lattice(ONE, frac, float((q * scale).max(initial=0)))
    return Lattice(squeeze(node.scale), 0, float(q.max(initial=0)))


def _thresholds(node: Thresholds) -> Lattice | None:
    count = node.thresholds.shape[1]
    values = np.stack(np.broadcast_arrays(node.start, node.step, node.start + count * node.step))
    if plain := fixed_point(values, WEIGHT_BITS):
        return plain
    if (node.step <= 0).any():
        return None
    steps = np.atleast_1d(node.start / node.step)
    return _scaled(fixed_point(np.concatenate([steps, [1.0], steps + count]), WEIGHT_BITS), squeeze(node.step))


def _trees(node: Trees) -> Lattice | None:
    """Return the lattice of all sums of leaves; each tree adds no more than the greatest leaf of all."""
    found = fixed_point(np.concatenate([node.leaves, node.bias[None]]), EXACT_BITS)
    peak = float((np.abs(node.leaves).max(axis=0) * node.roots.size + np.abs(node.bias)).max())
    return found and Lattice(ONE, found.frac_bits, peak)


def _scaled(lattice: Lattice | None, scale: Floats) -> Lattice | None:
    return lattice and Lattice(scale, lattice.frac_bits, lattice.peak)


def _linear(node: Dense | Conv | ConvTranspose, x: Lattice) -> Lattice | None:
    weight = quantized_weights(node)
    if x.scale.size != 1 or weight is None:
        return None
    scale = squeeze(x.scale.reshape(()) * weight_scale(node))
    steps = bias_steps(node, scale)
    bias = None if steps is None else fixed_point(steps, EXACT_BITS)
    if bias is None:
        return None
    taps = np.abs(integer_weights(node)).sum(axis=tuple(range(node.weight.ndim - 1))).max(initial=0.0)
    frac = max(x.frac_bits + weight.frac_bits, bias.frac_bits)
    return Lattice(scale, frac, x.peak * float(taps) + bias.peak)


def _affine(node: Affine, x: Lattice) -> Lattice | None:
    scale, offset = fixed_point(node.scale, PARAMETER_BITS), fixed_point(node.offset, EXACT_BITS)
    if scale and not node.offset.any():
        return Lattice(x.scale, x.frac_bits + scale.frac_bits, x.peak * scale.peak)
    if scale and offset and x.plain:
        return Lattice(ONE, max(x.frac_bits + scale.frac_bits, offset.frac_bits), x.peak * scale.peak + offset.peak)
    if not node.offset.any() and (node.scale > 0).all():
        return Lattice(squeeze(x.scale * node.scale), x.frac_bits, x.peak)
    return None


def _activation(node: Activation, x: Lattice) -> Lattice | None:
    parameters = np.array([p for p in node.parameters if np.isfinite(p)])
    given = fixed_point(parameters, PARAMETER_BITS)
    if given is None:
        return None
    fits_scale = x.plain or not parameters.any()
    match node.kind:
        case "relu" | "leaky_relu" | "prelu" if fits_scale or node.kind != "relu":
            frac = x.frac_bits + max(given.frac_bits, 0)
            return Lattice(x.scale, frac, x.peak * max(given.peak, 1) + given.peak * (1 + given.peak))
        case "abs" | "neg":
            return x
        case "sign":
            return Lattice(ONE, 0, 1.0)
        case "square":
            return Lattice(x.scale**2, 2 * x.frac_bits, x.peak**2)
        case "hard_tanh" if x.plain:
            return Lattice(ONE, max(x.frac_bits, given.frac_bits), max(x.peak, given.peak))
        case "hard_sigmoid" if x.plain:
            return Lattice(ONE, max(x.frac_bits, 0) + max(given.frac_bits, 0), max(x.peak, 1) * 2 * given.peak)
        case _:
            return None


def cells(node: Pool, shape: Shape) -> Floats:
    """Return how many cells each window's mean divides by: (*counts, 1)."""
    if node.include_pad:
        return np.array(float(np.prod(node.size)))
    ones = np.ones((1, *shape[:-1], 1))
    return pool(ones, "sum", node.size, node.strides, node.pads)[0]


def _pool(node: Pool, x: Lattice, shape: Shape) -> Lattice | None:
    if x.scale.ndim > 1:
        return None
    if node.kind == "max":
        return x
    count = cells(node, shape)
    if is_power_of_two(count):
        return Lattice(x.scale, x.frac_bits + int(log2(count.max())), x.peak)
    return Lattice(squeeze(x.scale / count), x.frac_bits, x.peak * float(count.max()))


def _combine(node: Combine, sources: list[Lattice], shapes: list[Shape]) -> Lattice | None:
    a, b = sources
    rank = max(map(len, shapes))
    left, right = (_full(s.scale, shape, rank) for s, shape in zip(sources, shapes, strict=True))
    if node.kind == "mul":
        return Lattice(squeeze((left * right)[0]), a.frac_bits + b.frac_bits, a.peak * b.peak)
    left, right = np.broadcast_arrays(left, right)
    if not np.array_equal(left, right):
        return None
    scale = squeeze(left[0])
    peak = max(a.peak, b.peak) if node.kind in ("max", "min") else a.peak + b.peak
    return Lattice(scale, max(a.frac_bits, b.frac_bits), peak)


def _matmul(sources: list[Lattice], shapes: list[Shape]) -> Lattice | None:
    """Return the lattice of sums of products; each operand must have one scale for all of its elements."""
    a, b = sources
    if a.scale.size != 1 or b.scale.size != 1:
        return None
    return Lattice((a.scale * b.scale).reshape(()), a.frac_bits + b.frac_bits, a.peak * b.peak * shapes[0][-1])


def _full(scale: Floats, shape: Shape, rank: int) -> Floats:
    return align(np.broadcast_to(scale, shape)[None], rank)


def _structure(node: Any, sources: list[Lattice], shapes: list[Shape]) -> Lattice | None:
    frac, peak = max(s.frac_bits for s in sources), max(s.peak for s in sources)
    if isinstance(node, Pad) and node.value:
        value = fixed_point(np.array([node.value]), PARAMETER_BITS)
        if value is None or not sources[0].plain:
            return None
        frac, peak = max(frac, value.frac_bits), max(peak, value.peak)
    if all(s.scale.size == 1 for s in sources) and len({float(s.scale.reshape(())) for s in sources}) == 1:
        return Lattice(sources[0].scale.reshape(()), frac, peak)
    full = [np.broadcast_to(s.scale, shape)[None] for s, shape in zip(sources, shapes, strict=True)]
    return Lattice(squeeze(move(node, full, fill=1.0)[0]), frac, peak)


def squeeze(scale: Floats) -> Floats:
    """Return a scale in its smallest form: () where all are equal, (channels,) where only the last axis matters."""
    if not scale.size or (scale == scale.flat[0]).all():
        return np.array(scale.flat[0] if scale.size else 1.0)
    if scale.ndim > 1 and (scale == scale.reshape(-1, scale.shape[-1])[0]).all():
        return scale.reshape(-1, scale.shape[-1])[0]
    return scale
