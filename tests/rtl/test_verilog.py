import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import Concat, Input, Op, Program, Requant
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.verilog import identifier, literal, module_text
from tests.lowering import lower_for
from tests.programs import codes, mlp, programs, sparse_mlp

GOLDEN = Path(__file__).parent / "golden"


def compiled(program: Program, clock_mhz: float = 150.0):
    lowered = lower_for(program, codes(program, 16), family="xc7", clock_mhz=clock_mhz)
    return lowered, compile_dataflow(lowered, program_hash="0123456789abcdef" * 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fc1", "fc1"),
        ("small", "m_small"),
        ("dense 1/relu", "dense_1_relu"),
        ("3x3", "m_3x3"),
        ("output", "m_output"),
        ("é", "unnamed"),
    ],
)
def test_identifiers(name: str, expected: str):
    assert identifier(name) == expected


def test_literals():
    assert literal(9, 4, signed=False) == "4'd9"
    assert literal(-12, 5, signed=True) == "-5'sd12"
    assert literal(-8, 4, signed=True) == "-5'sd8"


def test_golden():
    """The whole text of a small core; to update: delete the file, run, read the difference."""
    _, design = compiled(mlp((4, 3, 2), seed=11, weight_bits=4))
    text = "\n".join(module_text(module) for module in design.modules)
    text = re.sub(r"gatewright \d+\.\d+\.\d+", "gatewright VERSION", text)
    golden = GOLDEN / "small_core.v"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
        pytest.fail(f"wrote {golden}: read it, then commit it")
    assert text == golden.read_text()


@given(programs())
@settings(max_examples=100, deadline=None)
def test_text_is_well_formed(program: Program):
    _, design = compiled(program)
    for module in design.modules:
        text = module_text(module)
        declared = re.findall(
            r"^\s*(?:wire|reg|localparam|input  wire|output wire)(?: signed)?(?: *\[\d+:0\])? +(\w+)",
            text,
            re.MULTILINE,
        )
        assert len(declared) == len(set(declared)), "declared twice"
        body = re.sub(r"//.*|\d+'s?d\d+|\d+'h[0-9a-f]+|\$signed", "", text)
        used = set(re.findall(r"(?<![.\w$])[a-z]\w*", body)) - set(declared)
        allowed = {"module", "endmodule", "input", "output", "wire", "reg", "signed", "assign", "always", "posedge"}
        allowed |= {"localparam", "default_nettype", "none"}
        names = {m.name for m in design.modules} | {f"u_{m.name.split('_', 1)[1]}" for m in design.modules}
        leaves = {"gw_add3", "gw_choose", "gw_clip", "gw_lut", "gw_lut2"} | {
            name for name in used if name.startswith("u_")
        }
        assert used <= allowed | names | leaves | {"begin", "end"}, used


def test_sums_of_few_bits_are_not_kept_apart():
    """On ECP5 a kept sum stays a carry chain of its own; sums that depend on at most six bits may be merged."""
    program = sparse_mlp((4, 3), seed=2, fan_in=2, input_bits=3)
    lowered = lower_for(program, codes(program, 16), family="ecp5", clock_mhz=50, truth_tables=False)
    text = "".join(module_text(module) for module in compile_dataflow(lowered, program_hash="0" * 64).modules)
    assert " + " in text
    assert "`GW_KEEP wire" not in text
    program = mlp((4, 3, 2), seed=11)
    lowered = lower_for(program, codes(program, 16), family="ecp5", clock_mhz=50)
    design = compile_dataflow(lowered, program_hash="0" * 64)
    assert "`GW_KEEP wire" in "".join(module_text(module) for module in design.modules)


def test_manifest_round_trip(tmp_path: Path):
    lowered, _ = compiled(mlp((4, 3, 2), seed=11))
    manifest = write_design(lowered, program_hash="ab" * 32, stream_bits=16, folder=tmp_path)
    assert RtlManifest.load(tmp_path) == manifest
    assert all(path.is_file() for path in manifest.sources(tmp_path))
    assert manifest.source.beats == 2
    assert manifest.stream_interval == 2
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_design(lowered, program_hash="ab" * 32, stream_bits=16, folder=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_saturation_to_whole_bits_reads_the_bits_above_alone():
    """A comparison with the ends would read all of them."""
    cut = {"frac_bits": 0, "keep_frac_bits": (0,), "rounding": Rounding.TRUNCATE, "overflow": Overflow.SATURATE}
    ops: list[Op] = [Input(name="x", layer="input", shape=(1,), format=Fixed(width_bits=9, frac_bits=0))]
    ops += [
        Requant(name=f"to{bits}", layer=f"to{bits}", source="x", width_bits=(bits,), signed=(True,), **cut)
        for bits in (5, 8)
    ]
    ops.append(Concat(name="y", layer="y", sources=("to5", "to8"), axis=0))
    _, design = compiled(Program(name="cuts", ops=tuple(ops), output="y", constants={}))
    text = "\n".join(module_text(module) for module in design.modules)
    for flag in (
        "~x0[8] & (|x0[7:4])",
        "x0[8] & ((x0[7:4] == 4'd15) ? 1'd0 : 1'd1)",
        "~x0[8] & x0[7]",
        "x0[8] & ~x0[7]",
    ):
        assert flag in text
    assert " >= " not in text
