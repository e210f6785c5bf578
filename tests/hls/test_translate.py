"""Programs become hls4ml's layers with every type said, or are refused by layer; without hls4ml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import ConfigError, LowerError, MissingToolError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.flow.hls import hls_project
from gatewright.hls import Backend, HlsType, Io, Settings, translate
from gatewright.hls.layers import AP_ROUNDING, identifiers
from gatewright.hls.write import hls_config, layer_list
from gatewright.ir import (
    Add,
    ArgMax,
    Const,
    Constant,
    Dense,
    Input,
    Max,
    Op,
    Program,
    Relu,
    Requant,
    Reshape,
    Sub,
    save_program,
)

CAST = Requant(
    name="fc.act",
    layer="fc",
    source="fc",
    frac_bits=1,
    width_bits=(4,),
    keep_frac_bits=(1,),
    signed=(True,),
    rounding=Rounding.HALF_EVEN,
    overflow=Overflow.SATURATE_SYMMETRIC,
)


def program(*ops: Op, output: str = "", constants: dict[str, Constant] | None = None) -> Program:
    """Return a dense layer of two inputs with weights 3/4 and -1/2, and the given ops behind it."""
    tables = {"w": Constant(np.array([[3], [-2]]), 2), "b": Constant(np.array([1]), 3), **(constants or {})}
    first = (
        Input(name="x", layer="input", shape=(2,), format=Fixed(width_bits=4, frac_bits=1)),
        Dense(name="fc", layer="fc", source="x", weight="w", bias="b"),
    )
    names = [op.name for op in (*first, *ops)]
    return Program(name="p", ops=(*first, *ops), output=output or names[-1], constants=tables)


def test_every_type_is_said_and_holds_the_exact_range():
    made = translate(program(CAST), Backend.VITIS)
    types = {layer.op: {role: str(kind) for role, kind in layer.types.items()} for layer in made.layers}
    # 3 * -8 - 2 * 7 + 1 = -37 .. 3 * 7 + 2 * 8 + 1 = 38, in eighths: 7 bits, 4 of them whole
    assert types["x"] == {"result": "fixed<4,3,TRN,WRAP,0>"}
    assert types["fc"] == {
        "result": "fixed<7,4,TRN,WRAP,0>",
        "accum": "fixed<7,4,TRN,WRAP,0>",
        "weight": "fixed<3,1,TRN,WRAP,0>",
        "bias": "ufixed<1,-2,TRN,WRAP,0>",
    }
    assert types["fc.act"] == {"result": "fixed<4,3,RND_CONV,SAT_SYM,0>"}
    assert made.layers[1].settings["weight_data"].tolist() == [[0.75], [-0.5]]


def test_hls4ml_is_told_every_type_by_name():
    made = translate(program(CAST), Backend.VIVADO)
    config = hls_config(made, Settings(backend=Backend.VIVADO, reuse_factor=2))
    assert config["Model"]["BitExact"] is False
    assert config["LayerName"]["gw_fc"]["Precision"]["accum"] == "fixed<7,4,TRN,WRAP,0>"
    assert config["LayerName"]["gw_fc"]["ReuseFactor"] == 2
    assert [(row["name"], row["class_name"], row["inputs"]) for row in layer_list(made)] == [
        ("gw_x", "InputLayer", []),
        ("gw_fc", "Dense", ["gw_x"]),
        ("gw_fc_act", "Activation", ["gw_fc"]),
    ]


def test_each_layer_with_weights_can_have_its_own_reuse_factor():
    made = translate(program(CAST), Backend.VITIS)
    factors = {
        name: row["ReuseFactor"] for name, row in hls_config(made, Settings(reuse_factor=(2,)))["LayerName"].items()
    }
    assert factors == {"gw_x": 1, "gw_fc": 2, "gw_fc_act": 1}
    with pytest.raises(ConfigError, match=r"2 reuse factors for 1 layers with weights; .* each: fc"):
        hls_config(made, Settings(reuse_factor=(2, 3)))


def test_wrong_reuse_factors_are_named(tmp_path):
    path = tmp_path / "program.txt"
    save_program(program(CAST), path)
    with pytest.raises(ConfigError, match="reuse factors must be 1 or more, not 0"):
        hls_project(path, tmp_path / "out", reuse_factor=0)
    said = CliRunner().invoke(main, ["hls", str(path), "--out", str(tmp_path / "out"), "--reuse", "2,x"])
    assert "--reuse must be whole numbers as in 4 or 4,1,2, not '2,x'" in said.output


def test_a_choice_at_the_end_is_the_hosts_and_what_nobody_needs_stays_out():
    unused = Relu(name="idle", layer="idle", source="x")
    made = translate(program(CAST, unused, ArgMax(name="class", layer="out", source="fc.act")), Backend.VITIS)
    assert made.host == ("class",)
    assert made.program.output == "fc.act"
    assert [layer.op for layer in made.layers] == ["x", "fc", "fc.act"]


def test_formats_of_elements_become_a_quantizer_with_a_type_for_each():
    both = Dense(name="fc2", layer="fc2", source="fc", weight="v", bias="c")
    tables = {"v": Constant(np.array([[1, 2]]), 0), "c": Constant(np.array([0, 0]), 0)}
    mixed = replace(CAST, source="fc2", width_bits=(4, 1), keep_frac_bits=(1, 0), signed=(False, True))
    made = translate(program(both, mixed, constants=tables), Backend.VITIS).layers[-1]
    assert made.kind == "FixedPointQuantizer"
    keep_negative, bits, whole = (part.tolist() for part in made.settings["mask_kbi"])
    assert (keep_negative, bits, whole) == ([[0, 0]], [[4, 0]], [[3, 0]])  # one symmetric bit holds 0 alone
    casts = translate(program(both, mixed, constants=tables), Backend.QUARTUS).layers[-2:]
    assert [(layer.kind, layer.op) for layer in casts] == [("Activation", ""), ("ApplyAlpha", "fc.act")]
    assert casts[1].settings["scale_data"].tolist() == [1.0, 0.0]


def test_refusals_name_each_layer_and_the_reason():
    up = replace(CAST, rounding=Rounding.CEIL)
    constant = Const(name="one", layer="most", value="b")
    most = Max(name="most", layer="most", left="fc.act", right="one")
    with pytest.raises(LowerError) as refused:
        translate(program(up, constant, most), Backend.VITIS)
    assert str(refused.value) == (
        "program 'p' is not handed over: for 2 of its operations hls4ml's Vitis back end (io_parallel) has nothing "
        "that equals them to the bit:\n"
        "  layer 'fc' (%fc.act): rounding ceil is no mode of ap_fixed or ac_fixed; choose another\n"
        "  layer 'most' (%most): max with a constant\n"
        "change these layers, or compile them by `gatewright build`"
    )


def test_a_rounding_that_drops_more_bits_than_there_are_is_0_where_ap_fixed_reads_too_far():
    coarse = replace(CAST, frac_bits=-5, keep_frac_bits=(-5,))
    (_, widths, _) = translate(program(coarse), Backend.VITIS).layers[-1].settings["mask_kbi"]
    assert widths.tolist() == [[0]]
    (times,) = translate(program(coarse), Backend.VITIS, Io.STREAM).layers[-1:]
    assert times.settings["scale_data"].tolist() == [0.0]
    floor = translate(program(replace(coarse, rounding=Rounding.TRUNCATE)), Backend.VITIS).layers[-1]
    assert str(floor.types["result"]) == "fixed<4,9,TRN,SAT_SYM,0>"


def test_a_constant_beside_a_result_is_a_scale_and_an_offset():
    both = (Const(name="k", layer="add", value="b"), Add(name="add", layer="add", left="fc", right="k"))
    made = translate(program(*both), Backend.VITIS).layers[-1]
    assert made.kind == "ApplyAlpha"
    assert (made.settings["scale_data"].tolist(), made.settings["bias_data"].tolist()) == ([1.0], [0.125])


def test_where_hls4ml_repeats_nothing_results_of_two_shapes_are_refused():
    wide = Dense(name="wide", layer="wide", source="x", weight="v", bias="c")
    tables = {"v": Constant(np.array([[1, 2, 3], [1, 0, 1]]), 0), "c": Constant(np.array([0, 0, 0]), 0)}
    both = (wide, Add(name="add", layer="add", left="wide", right="fc"))
    assert translate(program(*both, constants=tables), Backend.VITIS).layers[-1].kind == "Merge"
    with pytest.raises(
        LowerError, match=r"\(3,\) and \(1,\): in Quartus hls4ml repeats nothing and reads past the shorter"
    ):
        translate(program(*both, constants=tables), Backend.QUARTUS)


def test_a_cast_to_one_bit_is_refused_where_hls4ml_writes_two():
    bit = replace(CAST, width_bits=(1,), signed=(False,))
    assert str(translate(program(bit), Backend.VIVADO).layers[-1].types["result"]) == "ufixed<1,0,RND_CONV,SAT,0>"
    with pytest.raises(LowerError, match="a format of one bit, of which hls4ml makes one of two in Quartus"):
        translate(program(bit), Backend.QUARTUS)


def test_a_reshape_keeps_the_type_of_what_it_reads():
    wide = replace(CAST, width_bits=(9,))
    made = translate(program(wide, Reshape(name="r", layer="r", source="fc.act", shape=(1, 1))), Backend.VITIS)
    assert str(made.layers[-1].types["result"]) == "fixed<9,8,RND_CONV,SAT_SYM,0>"


def test_names_are_c_identifiers_and_differ():
    assert identifiers(["fc.act", "fc_act", "1", "input"]) == {
        "fc.act": "gw_fc_act",
        "fc_act": "gw_fc_act_2",
        "1": "gw_n1",
        "input": "gw_input",
    }


def test_every_rounding_but_up_has_its_word():
    assert set(Rounding) - set(AP_ROUNDING) == {Rounding.CEIL}
    fixed = Fixed(width_bits=8, frac_bits=5, signed=False)
    assert str(HlsType(fixed=fixed, rounding=Rounding.HALF_UP, overflow=Overflow.SATURATE)) == "ufixed<8,3,RND,SAT,0>"


def test_an_unknown_back_end_and_a_missing_hls4ml_are_named(tmp_path, monkeypatch):
    path = tmp_path / "program.txt"
    save_program(program(CAST), path)
    with pytest.raises(ConfigError, match=r"no HLS back end 'vitus'. Did you mean 'vitis'\?"):
        hls_project(path, tmp_path / "out", backend="vitus")
    monkeypatch.setattr("gatewright.tools.extras.find_spec", lambda _name: None)
    with pytest.raises(MissingToolError, match=r"an HLS project needs the package hls4ml.*'gatewright\[hls\]'"):
        hls_project(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_program_that_computes_nothing_is_refused():
    given = Input(name="x", layer="input", shape=(4,), format=Fixed(width_bits=4, frac_bits=1))
    flat = Reshape(name="flat", layer="flatten", source="x", shape=(2, 2))
    with pytest.raises(LowerError, match=r"is not handed over: it computes nothing, its result is its input, at"):
        translate(Program(name="p", ops=(given, flat), output="flat", constants={}), Backend.VITIS)
    none = {"none": Constant(np.zeros(4, np.int64), 1)}
    less = Sub(name="less", layer="less", left="x", right="zero")
    zero = Const(name="zero", layer="less", value="none")
    with pytest.raises(LowerError, match="it computes nothing"):
        translate(Program(name="p", ops=(given, zero, less), output="less", constants=none), Backend.QUARTUS)
