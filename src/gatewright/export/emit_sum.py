"""A layer of weights and its input's integers in; the ops of its exact sums of products out."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np

from gatewright import ir
from gatewright.export.builder import Code, ProgramBuilder, integers, refusal
from gatewright.graph.exact import Lattice, bias_steps, integer_weights, lattice_of, quantized_weights
from gatewright.graph.nodes import Conv, ConvTranspose, Dense, Floats
from gatewright.graph.shapes import Shape


def emit_sum(
    builder: ProgramBuilder, node: Dense | Conv | ConvTranspose, x: Code, lattice: Lattice | None, shape: Shape
) -> Code:
    """Return the op of the weights and biases, or ExportError saying why its sums are not exact."""
    if lattice is None:
        raise refusal(node, *_why_no_sum(node, x, shape))
    steps = bias_steps(node, lattice.scale)
    assert steps is not None, "a lattice implies a bias on it"
    weight = builder.table("weight", *integers(_kernel(node)))
    bias = builder.table("bias", *integers(steps))
    given = {"name": builder.fresh(), "layer": builder.layer, "weight": weight, "bias": bias}
    match node:
        case Dense():
            name = builder.add(ir.Dense(**given, source=x.op))
        case Conv():
            conv = ir.Conv(
                **given,
                source=x.op,
                strides=node.strides,
                dilation=node.dilation,
                pads=node.pads,
                groups=node.groups,
            )
            name = builder.add(conv)
        case ConvTranspose():
            name = _transposed(builder, node, x, given)
        case _:
            assert_never(node)
    return Code(name, lattice.scale, shape)


def _why_no_sum(node: Dense | Conv | ConvTranspose, x: Code, shape: Shape) -> tuple[str, str]:
    """Return why sums lie on no lattice, and what to do."""
    held = Lattice(x.scale, 0, 1.0)
    if quantized_weights(node) is None:
        return "its weights are floats", "quantize: `gatewright quantize`; or take a trained student"
    if lattice_of(replace(node, bias=np.zeros_like(node.bias)), [held], [shape]) is None:
        return "its input has several scales", "quantize: `gatewright quantize`"
    remedy = "use fewer bits of weights, activations or inputs"
    return "its sums need more than 53 bits, up to which float64 is exact", remedy


def _kernel(node: Dense | Conv | ConvTranspose) -> Floats:
    weight = integer_weights(node)
    return np.flip(weight, axis=tuple(range(weight.ndim - 2))) if isinstance(node, ConvTranspose) else weight


def _transposed(builder: ProgramBuilder, node: ConvTranspose, x: Code, given: dict[str, str]) -> str:
    """Zeros between the elements, then an ordinary convolution with the kernel turned round."""
    kernel = node.weight.shape[:-2]
    source = x.op
    if any(stride > 1 for stride in node.strides):
        spread = ir.Upsample(
            name=builder.fresh("spread"),
            layer=builder.layer,
            source=source,
            factors=(*node.strides, 1),
            fill=ir.Fill.ZEROS,
        )
        source = builder.add(spread)
    # Upsample leaves stride - 1 zeros behind the last element: that much less padding after it
    ends = [(k - 1 - a, k - 1 - b - (s - 1)) for k, (a, b), s in zip(kernel, node.crop, node.strides, strict=True)]
    if any(end < 0 for pair in ends for end in pair):
        sizes = builder.known[source].lo.shape
        cut = ir.Slice(
            name=builder.fresh("cropped"),
            layer=builder.layer,
            source=source,
            starts=(*(max(-a, 0) for a, _ in ends), 0),
            stops=(*(n - max(-b, 0) for n, (_, b) in zip(sizes[:-1], ends, strict=True)), sizes[-1]),
            steps=(1,) * len(sizes),
        )
        source = builder.add(cut)
    conv = ir.Conv(
        **given,
        source=source,
        strides=(1,) * len(kernel),
        dilation=(1,) * len(kernel),
        pads=tuple((max(a, 0), max(b, 0)) for a, b in ends),
        groups=1,
    )
    return builder.add(conv)
