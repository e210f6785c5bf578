"""Convolutions and pools become hls4ml's layers, or are refused by layer; without hls4ml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.hls import Backend, Io, translate
from gatewright.ir import Constant, Conv, Dense, Input, Op, Pool, PoolKind, Program, Relu, Requant, Reshape

CONV = Conv(
    name="conv",
    layer="conv",
    source="x",
    weight="w",
    bias="b",
    strides=(1, 1),
    dilation=(1, 1),
    pads=((1, 1), (1, 1)),
    groups=1,
)
POOL = Pool(
    name="pool", layer="pool", source="conv", kind=PoolKind.MAX, size=(2, 2), strides=(2, 2), pads=((0, 0), (0, 0))
)
WEIGHTS = Constant(np.arange(-8, 10).reshape(3, 3, 1, 2), 2)


def image(*ops: Op, signed: bool = True, channels: int = 1, constants: dict[str, Constant] | None = None) -> Program:
    """Return ops on an image of 5 x 4 pixels."""
    tables = {"w": WEIGHTS, "b": Constant(np.array([1, -1]), 1), **(constants or {})}
    fixed = Fixed(width_bits=3, frac_bits=1, signed=signed)
    first = Input(name="x", layer="input", shape=(5, 4, channels), format=fixed)
    return Program(name="p", ops=(first, *ops), output=ops[-1].name, constants=tables)


def small_network() -> Program:
    """Return a convolution, a cast with a format for each channel, two pools and a dense layer."""
    cast = Requant(
        name="cast",
        layer="conv",
        source="relu",
        frac_bits=2,
        width_bits=(4, 5),
        keep_frac_bits=(1, 2),
        signed=(False, True),
        rounding=Rounding.HALF_EVEN,
        overflow=Overflow.SATURATE,
    )
    ops = (
        CONV,
        Relu(name="relu", layer="conv", source="conv"),
        cast,
        replace(POOL, source="cast"),
        replace(POOL, name="sum", layer="sum", source="pool", kind=PoolKind.SUM, strides=(1, 1), pads=((0, 1), (0, 0))),
        Reshape(name="flat", layer="flat", source="sum", shape=(4,)),
        Dense(name="fc", layer="fc", source="flat", weight="v", bias="c"),
    )
    return image(*ops, constants={"v": Constant(np.arange(-4, 8).reshape(4, 3), 1), "c": Constant(np.arange(3), 0)})


def test_a_convolution_says_its_sizes_and_types():
    made = translate(image(replace(CONV, strides=(2, 1))), Backend.VITIS, Io.STREAM).layers[-1]
    assert made.kind == "Conv2D"
    sizes = {"in_height": 5, "in_width": 4, "out_height": 3, "out_width": 4, "stride_height": 2, "stride_width": 1}
    assert sizes.items() <= made.settings.items()
    assert (made.settings["pad_top"], made.settings["pad_right"], made.settings["n_filt"]) == (1, 1, 2)
    assert made.settings["weight_data"].ravel().tolist() == [value / 4 for value in range(-8, 10)]
    assert {role: str(kind) for role, kind in made.types.items()} == {
        "result": "fixed<9,6,TRN,WRAP,0>",
        "accum": "fixed<9,6,TRN,WRAP,0>",
        "weight": "fixed<5,3,TRN,WRAP,0>",
        "bias": "fixed<2,1,TRN,WRAP,0>",
    }


def test_a_dilated_and_a_grouped_kernel_get_zeros_where_hls4ml_has_no_layer():
    spread = replace(CONV, dilation=(1, 2), pads=((0, 0), (1, 1)))
    kernel = translate(image(spread), Backend.VITIS).layers[-1].settings["weight_data"]
    assert kernel.shape == (3, 5, 1, 2)
    assert not kernel[:, 1::2].any()

    tables = {"w": Constant(np.ones((1, 1, 1, 4), dtype=np.int64), 0), "b": Constant(np.zeros(4, dtype=np.int64), 0)}
    pairs = image(replace(CONV, pads=((0, 0), (0, 0)), groups=2), channels=2, constants=tables)
    kernel = translate(pairs, Backend.VITIS).layers[-1].settings["weight_data"]
    assert kernel[0, 0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]


def test_a_sum_is_a_convolution_by_ones_and_depthwise_where_the_back_end_has_that():
    total = replace(POOL, source="x", kind=PoolKind.SUM)
    made = translate(image(total, channels=2), Backend.VIVADO).layers[-1]
    assert (made.kind, made.settings["depthwise_data"].shape) == ("DepthwiseConv2D", (2, 2, 2, 1))
    made = translate(image(total, channels=2), Backend.QUARTUS).layers[-1]
    assert (made.kind, made.settings["weight_data"][1, 0].tolist()) == ("Conv2D", [[1, 0], [0, 1]])


def test_a_padded_maximum_of_numbers_without_a_sign_is_taken_of_signed_ones():
    padded = replace(POOL, source="x", strides=(1, 1), pads=((1, 0), (1, 0)))
    cast, pool = translate(image(padded, signed=False), Backend.VITIS).layers[-2:]
    assert (str(cast.types["result"]), pool.inputs) == ("fixed<4,3,TRN,WRAP,0>", (cast.name,))
    assert str(pool.types["result"]) == "ufixed<3,2,TRN,WRAP,0>"
    beside = replace(padded, size=(2, 2), strides=(2, 2))
    zeros, pool = translate(image(beside, signed=False), Backend.VITIS, Io.STREAM).layers[-2:]
    assert (zeros.kind, pool.settings["in_height"], pool.settings["pad_top"]) == ("ZeroPadding2D", 6, 0)


def test_what_streams_cannot_do_is_refused_with_the_reason():
    overlapping = replace(POOL, source="x", strides=(1, 1))
    with pytest.raises(LowerError, match="windows of 2 x 2 every 1 x 1: hls4ml's streams have them side by side only"):
        translate(image(overlapping), Backend.VITIS, Io.STREAM)
    padded = replace(POOL, source="x", pads=((1, 0), (0, 0)))
    with pytest.raises(LowerError, match="padding around numbers below 0"):
        translate(image(padded), Backend.VITIS, Io.STREAM)
    flat = (Reshape(name="flat", layer="flat", source="x", shape=(20,)), Relu(name="relu", layer="r", source="flat"))
    with pytest.raises(LowerError, match="on streams hls4ml leaves a flattened tensor as it was"):
        translate(image(*flat), Backend.VITIS, Io.STREAM)


def test_casts_of_channels_are_summed_on_streams():
    made = translate(small_network(), Backend.VITIS, Io.STREAM).layers
    casts = [(layer.kind, layer.op) for layer in made[3:8]]
    assert casts == [
        ("Activation", ""),
        ("ApplyAlpha", ""),
        ("Activation", ""),
        ("ApplyAlpha", ""),
        ("Merge", "cast"),
    ]
