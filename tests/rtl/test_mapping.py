"""hardware.mapping: what the leaf cells' files say, that nothing else changes, what simulation and synthesis read."""

import sys
from pathlib import Path

import pytest

from gatewright.chips import FAMILIES
from gatewright.config import CellMapping
from gatewright.ir import Program
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.shell import leaf_sources
from gatewright.sim import simulate_compiled
from gatewright.tools import run_tool
from tests.lowering import lower_for
from tests.programs import codes, mlp, sparse_mlp

MAPPINGS: tuple[CellMapping, ...] = ("auto", "cells", "behavioural")
CELLS = {"gw_add3.v", "gw_choose.v", "gw_clip.v", "gw_lut.v", "gw_lut2.v"}


def written(program: Program, family: str, mapping: CellMapping, folder: Path) -> RtlManifest:
    lowered = lower_for(program, codes(program, 16), family=family, clock_mhz=50)
    return write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder, mapping=mapping)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize(
    "program", [mlp((8, 6, 4), seed=2), sparse_mlp((6, 5, 3), seed=1, fan_in=3, activation_bits=2)]
)
def test_only_the_leaf_cells_differ(tmp_path: Path, family: str, program: Program):
    manifests = [written(program, family, mapping, tmp_path / mapping) for mapping in MAPPINGS]
    assert manifests[0] == manifests[1] == manifests[2]
    used = set(manifests[0].files) & CELLS
    assert bool(used) == (family in {"xc7", "xcup", "intel"})
    for name in manifests[0].files:
        auto, cells, behavioural = ((tmp_path / mapping / name).read_text() for mapping in MAPPINGS)
        if name not in used:
            # cells without two forms read no define, so that one before them changes nothing
            assert cells.endswith(auto)
            assert behavioural.endswith(auto)
            continue
        assert auto == leaf_sources(name.removesuffix(".v"))[name]
        assert cells == ("`ifndef VERILATOR\n`ifndef __ICARUS__\n`define GW_XILINX_CELLS\n`endif\n`endif\n" + auto)
        assert behavioural == "`undef GW_XILINX_CELLS\n" + auto


@pytest.mark.sim
def test_instantiated_cells_simulate_as_plain_sums(tmp_path: Path):
    """Simulators know no vendor's cells: even with "cells" they read the plain sums."""
    program = mlp((6, 5, 4), seed=3)
    x = codes(program, 200)
    manifest = written(program, "xc7", "cells", tmp_path)
    assert "gw_add3.v" in manifest.files
    report = simulate_compiled(program, manifest, x, folder=tmp_path, stall_fraction=0.2, seed=1, out=tmp_path / "sim")
    assert report.mismatches == 0


@pytest.mark.synth
@pytest.mark.parametrize(
    ("mapping", "defined", "instantiated"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("cells", False, True),
        ("behavioural", True, False),
    ],
)
def test_synthesis_reads_what_the_mapping_says(tmp_path: Path, mapping: CellMapping, defined: bool, instantiated: bool):
    """Our yosys runs define GW_XILINX_CELLS for Xilinx; a user's synthesizer defines nothing."""
    manifest = written(mlp((5, 4), seed=3, output="scores"), "xc7", mapping, tmp_path)
    script = [f"read_verilog {'-D GW_XILINX_CELLS' * defined} {name}" for name in manifest.files]
    script += ["read_verilog -lib +/xilinx/cells_sim.v", f"hierarchy -check -top {manifest.core}", "flatten"]
    script += [f"select -assert-{'min 1' if instantiated else 'none'} t:LUT6_2"]
    (tmp_path / "read.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as y; y.Design().run_pass('script read.ys')"
    run_tool([sys.executable, "-c", code], cwd=tmp_path, log=tmp_path / "read.log")
