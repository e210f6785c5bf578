"""Whatever layers and designs are called, no two things of a design's Verilog share a name, and none is a keyword."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.ir import Dense, Op, Program, verify
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Boundaries
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.elastic import compile_elastic
from gatewright.rtl.leaves import leaf_names
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.names import clashes, declarations, is_reserved, names_of, stems, top_name, unused
from gatewright.rtl.verilog import KEYWORDS, identifier, module_text
from gatewright.sim import lint, require_match, simulate_compiled
from gatewright.tools import run_tool
from tests.lowering import lower_for
from tests.programs import codes, mlp

NASTY = (
    "fc.1", "fc_1", "Fc_1", "_fc", "fc", "FC", "fc_done", "fc_y1", "fc_start", "fc_made", "fc_x0", "fc_tree",
    "fc_delay", "fc_part2", "слой", "層", "字", "", "core", "Core", "core_2", "link", "x", "y", "o", "u", "u_fc", "y0",
    "t1", "l1_fc", "L1_fc_1", "clk", "rst_n", "start", "entity", "begin", "LUT6", "CARRY4", "gw_fifo", "gw_add3",
    "fifo", "axis_pack", "m_fc",
    "unnamed", "c0_x", "result0", "after_fc.1", "net_after_fc", "dense/kernel:0", "3x3", "input", "output",
)  # fmt: skip
DESIGNS = (
    "net", "gw_fifo", "GW_FIFO", "LUT6", "CARRY4", "FDRE", "SB_LUT4", "TRELLIS_FF", "entity", "begin", "module", "core",
    "gw", "gw_axis", "x", "l1_fc", "fc", "p1", "слой", "a b",
)  # fmt: skip
names = st.one_of(st.sampled_from(NASTY), st.text(max_size=6).filter(lambda text: not text.startswith("\x00")))
SHAPES = ("parallel", "folded", "elastic", "elastic folded")


def named(layers: list[str], design: str, seed: int = 3) -> Program:
    """Return a network of 3-input layers with these names, all different."""
    plain = mlp((4, *[3] * len(layers)), seed=seed, output="scores", sparsity=0.3)
    called = dict(zip(dict.fromkeys(op.layer for op in plain.ops if isinstance(op, Dense)), layers, strict=True))
    ops: list[Op] = [replace(op, layer=called.get(op.layer, op.layer)) for op in plain.ops]
    return replace(plain, ops=tuple(ops), name=design)


def lowered(program: Program, shape: str) -> Dataflow:
    return lower_for(
        program,
        codes(program, 16),
        family="xc7",
        clock_mhz=300,
        reuse=3 if "folded" in shape else 1,
        boundaries="elastic" if "elastic" in shape else "rigid",
    )


def compiled(dataflow: Dataflow, prefix: str = ""):
    return (compile_elastic if dataflow.elastic else compile_dataflow)(dataflow, program_hash="0" * 64, prefix=prefix)


@given(st.lists(names, unique=True, max_size=12), st.booleans())
@settings(max_examples=300, deadline=None)
def test_stems_are_legal_and_distinct(given_names: list[str], numbered: bool):
    found = stems(given_names, "l", numbered=numbered)
    assert list(found) == given_names
    lower = [stem.lower() for stem in found.values()]
    assert len(set(lower)) == len(lower)
    assert "core" not in lower
    for name, stem in found.items():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", stem, re.ASCII)
        assert not KEYWORDS & {stem.lower()}
        alone = sum(identifier(other).lower() == identifier(name).lower() for other in given_names) == 1
        if alone and not numbered and identifier(name).lower() != "core":
            assert stem == identifier(name) or any(
                re.fullmatch(r"l\d+_.*", other, re.IGNORECASE) for other in map(identifier, given_names)
            )


@given(st.one_of(st.sampled_from(DESIGNS), names), st.sampled_from(["", "p_", "gw_"]))
@settings(max_examples=300, deadline=None)
def test_a_top_is_no_word_of_another_tool(design: str, prefix: str):
    top = top_name(design, prefix)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", top, re.ASCII)
    assert not is_reserved(top)
    assert top.lower() not in {f"{prefix}{leaf}".lower() for leaf in leaf_names()}
    assert top in {prefix + identifier(design), f"{prefix}m_{identifier(design)}"}


@given(
    st.lists(names, unique=True, min_size=1, max_size=4),
    st.one_of(st.sampled_from(DESIGNS), names),
    st.sampled_from(SHAPES),
    st.sampled_from(["", "p_"]),
)
@settings(max_examples=60, deadline=None)
def test_no_two_things_of_a_design_share_a_name(layers: list[str], name: str, shape: str, prefix: str):
    """Compiled as modules and read back from their text; the layers' results are watched under the program's names."""
    program = named(layers, name)
    design = compiled(lowered(program, shape), prefix)
    assert not clashes(design, prefix)
    modules = [design.name, *(module.name for module in design.modules)]
    assert len({module.lower() for module in modules}) == len(modules)
    for module in modules:
        assert module.startswith(prefix)
        assert not is_reserved(module)
    for module in design.modules:
        text = re.sub(r"//.*", "", module_text(module))
        declared = re.findall(
            r"^\s*(?:\(\*.*?\*\) )?(?:`GW_KEEP )?(?:wire|reg|localparam|input  wire|output wire)"
            r"(?: signed)?(?: *\[\d+:0\])? +(\w+)|^    \w+ (?:#\(.*\) )?(u_\w+) \(",
            text,
            re.MULTILINE,
        )
        found = [(signal or instance).lower() for signal, instance in declared]
        assert len(found) > 1
        assert len(set(found)) == len(found)
        assert set(found) == {name.lower() for name in declarations(module)}
        assert not KEYWORDS & set(found)
    assert {signal.layer for signal in design.watch} <= {op.layer for op in program.ops}


@pytest.mark.parametrize("shape", SHAPES)
def test_names_that_were_legal_and_unique_stay(shape: str):
    """Stems are the names themselves; also where one begins as another, as long as nothing derived from them meets."""
    dataflow = lowered(named(["fc1", "fc1_y1", "block_2", "entity"], "net"), shape)
    table = names_of(dataflow)
    assert all(stem == identifier(name) for (_, name), stem in table.stems.items())
    design = compiled(dataflow)
    assert design.name == "net"
    if shape == "parallel":
        assert [m.name for m in design.modules] == ["net_fc1", "net_fc1_y1", "net_block_2", "net_entity", "net_core"]
    assert not any(re.search(r"(^|_)[lpv]\d+_", name) for module in design.modules for name in [module.name])


def test_numbers_tell_apart_what_would_be_one():
    assert stems(["fc.1", "fc_1", "out"], "l") == {"fc.1": "l1_fc_1", "fc_1": "l2_fc_1", "out": "out"}
    assert stems(["a", "Core"], "l") == {"a": "a", "Core": "l2_Core"}
    assert stems(["слой", "層"], "l") == {"слой": "l1_unnamed", "層": "l2_unnamed"}
    assert stems(["l2_a", "a", "A"], "l") == {"l2_a": "l1_l2_a", "a": "l2_a", "A": "l3_A"}


def test_a_wire_that_meets_another_layers_numbers_all():
    """An adder's instance is called u_y0; so would be the first result of a layer `u` where another reads it."""
    design = compiled(lowered(named(["u", "fc"], "net"), "parallel"))
    assert [module.name for module in design.modules] == ["net_l1_u", "net_l2_fc", "net_core"]


def test_long_names_fit_into_the_names_of_files(tmp_path: Path):
    """A layer, a design or a prefix may be as long as its format allows; what differs far behind is told by numbers."""
    layers = ["x" * 300 + "1", "x" * 300 + "2", "y" * 400]
    assert stems(layers, "l") == {layers[0]: f"l1_{'x' * 60}", layers[1]: f"l2_{'x' * 60}", layers[2]: "y" * 60}
    for shape in SHAPES:
        dataflow = lowered(named(layers, "n" * 300), shape)
        folder = tmp_path / shape.replace(" ", "_")
        manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=folder, prefix="p" * 24)
        assert max(len(name) for name in manifest.files) < 255
        assert len({name.lower() for name in manifest.files}) == len(manifest.files)


def test_a_free_name():
    assert unused("net_link", ["net", "NET_LINK"]) == "net_link_2"
    assert unused("net_link", ["net"]) == "net_link"


CASES: dict[str, tuple[list[str], str, int, Boundaries]] = {
    "parallel": (["fc.1", "fc_1", "слой", "層", "core"], "gw_fifo", 1, "rigid"),
    "folded": (["fc", "fc_done", "fc_part2", "_fc", "Core"], "gw", 3, "rigid"),
    "elastic": (["o", "u", "c0_x", "entity", "FC", "fc"], "CARRY4", 1, "elastic"),
}


def built(tmp_path: Path, case: str) -> tuple[Program, np.ndarray, RtlManifest]:
    layers, design, reuse, boundaries = CASES[case]
    program = named(layers, design)
    verify(program)
    x = codes(program, 60)
    dataflow = lower_for(program, x, family="xc7", clock_mhz=200, reuse=reuse, boundaries=boundaries)
    return program, x, write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path)


@pytest.mark.sim
@pytest.mark.parametrize("case", CASES)
def test_nasty_names_simulate_as_the_program(tmp_path: Path, case: str):
    program, x, manifest = built(tmp_path, case)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")
    report = simulate_compiled(program, manifest, x, folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim")
    require_match(report)
    assert report.probes_compared > len(x)


@pytest.mark.synth
@pytest.mark.parametrize("case", CASES)
def test_nasty_names_are_read_by_yosys_beside_the_vendors_cells(tmp_path: Path, case: str):
    _, _, manifest = built(tmp_path, case)
    script = ["read_verilog -lib -specify +/xilinx/cells_sim.v"]
    script += [f"read_verilog -D GW_XILINX_CELLS {name}" for name in manifest.files]
    script += [f"hierarchy -check -top {manifest.top}", "proc", "check -assert"]
    (tmp_path / "read.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as y; y.Design().run_pass('script read.ys')"
    run_tool([sys.executable, "-c", code], cwd=tmp_path, log=tmp_path / "read.log")
