"""hardware.mapping: what the leaf cells' files say, that nothing else changes, what simulation and synthesis read."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gatewright.chips import FAMILIES
from gatewright.config import CellMapping
from gatewright.ir import Program
from gatewright.rtl.leaves import Leaves, leaf_names
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.sim import simulate_compiled
from gatewright.tools import run_tool
from tests.lowering import lower_for
from tests.programs import codes, mlp, sparse_mlp

MAPPINGS: tuple[CellMapping, ...] = ("auto", "cells", "behavioural")
FORMS = {
    f"{cell}_{form}" for cell in ("gw_add3", "gw_choose", "gw_clip", "gw_lut", "gw_lut2") for form in ("cells", "plain")
}
CELLS = {"gw_add3.v", "gw_choose.v", "gw_clip.v", "gw_lut.v", "gw_lut2.v"}


def written(program: Program, family: str, mapping: CellMapping, folder: Path) -> RtlManifest:
    lowered = lower_for(program, codes(program, 16), family=family, clock_mhz=50)
    return write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder, mapping=mapping)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize(
    "program", [mlp((8, 6, 4), seed=2), sparse_mlp((6, 5, 3), seed=1, fan_in=3, activation_bits=2)]
)
def test_only_the_leaf_cells_differ(tmp_path: Path, family: str, program: Program):
    """A form of its own has a name of its own; but for these names the designs are the same."""
    manifests = [written(program, family, mapping, tmp_path / mapping) for mapping in MAPPINGS]
    used = set(manifests[0].files) & CELLS
    assert bool(used) == (family in {"xc7", "xcup", "intel"})
    for mapping, manifest in zip(MAPPINGS, manifests, strict=True):
        leaves = Leaves(mapping=mapping)
        named = [f"{leaves.name(file.removesuffix('.v'))}.v" if file in CELLS else file for file in manifests[0].files]
        assert list(manifest.files) == named
        assert replace(manifest, files=()) == replace(manifests[0], files=())
        for mine, file in zip(manifest.files, manifests[0].files, strict=True):
            text, plain = (tmp_path / mapping / mine).read_text(), (tmp_path / "auto" / file).read_text()
            if file in used:
                assert text == leaves.text(file.removesuffix(".v"))
            else:
                assert text == leaves.renamed(plain)


def test_cells_of_one_name_have_one_text():
    """Nothing is defined or undefined for files that are read later, and no two forms share a name."""
    texts = [Leaves(mapping=mapping).files(*sorted(leaf_names() - FORMS)) for mapping in MAPPINGS]
    whole = {name: text for files in texts for name, text in files.items()}
    assert all(whole[name] == text for files in texts for name, text in files.items())
    assert {name.removesuffix(".v") for name in whole} == leaf_names()
    for name, text in whole.items():
        assert not re.search(r"`(define|undef)", text), name
        assert ("GW_XILINX_CELLS" in re.findall(r"^`ifdef (\w+)", text, re.MULTILINE)) == (name in CELLS), name


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_prefix_stands_before_every_module(tmp_path: Path, mapping: CellMapping):
    program = mlp((8, 6, 4), seed=2)
    lowered = lower_for(program, codes(program, 16), family="xc7", clock_mhz=50)
    for folder, prefix in (("plain", ""), ("mine", "mine_")):
        write_design(
            lowered, program_hash="0" * 64, stream_bits=8, folder=tmp_path / folder, mapping=mapping, prefix=prefix
        )
    plain, mine = (RtlManifest.load(tmp_path / folder) for folder in ("plain", "mine"))
    assert (mine.top, mine.core, mine.prefix) == ("mine_net", "mine_net_core", "mine_")
    assert [f"mine_{file}" for file in plain.files] == list(mine.files)
    names = [file.removesuffix(".v") for file in plain.files]
    for name in names:
        text = (tmp_path / "plain" / f"{name}.v").read_text()
        for other in names:
            text = re.sub(rf"^( *(?:module )?){other}(?=[ .:,]|$)", rf"\1mine_{other}", text, flags=re.MULTILINE)
        code = [line for line in (tmp_path / "mine" / f"mine_{name}.v").read_text().splitlines() if "//" not in line]
        assert code == [line for line in text.splitlines() if "//" not in line]


@pytest.mark.sim
def test_instantiated_cells_simulate_as_plain_sums(tmp_path: Path):
    """Simulators know no vendor's cells: even with "cells" they read the plain sums."""
    program = mlp((6, 5, 4), seed=3)
    x = codes(program, 200)
    manifest = written(program, "xc7", "cells", tmp_path)
    assert "gw_add3_cells.v" in manifest.files
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
