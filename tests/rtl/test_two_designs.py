"""Two designs in one project: cells of one name are the same file, a prefix keeps the rest apart, no macro leaks."""

import dataclasses
import sys
from pathlib import Path

import pytest

from gatewright.config import CellMapping
from gatewright.fixedpoint import Ints
from gatewright.ir import Program
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.sim import require_match
from gatewright.tools import run_tool
from tests.lowering import lower_for
from tests.programs import codes, mlp
from tests.rtl.batch import merged, simulate_together

# name of the program, mapping, prefix: the first two share cells of one form, the last has all but the program
DESIGNS: tuple[tuple[str, CellMapping, str], ...] = (
    ("net", "auto", ""),
    ("other", "behavioural", ""),
    ("third", "cells", ""),
    ("net", "cells", "mine_"),
)


def written(folder: Path) -> tuple[list[Program], list[RtlManifest], list[Ints], list[Path]]:
    """Write the designs of one network; where the latency is 2, both stages hold adders."""
    programs, manifests, inputs, folders = [], [], [], []
    for number, (name, mapping, prefix) in enumerate(DESIGNS):
        program = dataclasses.replace(mlp((5, 4, 3), seed=3, weight_bits=4), name=name)
        lowered = lower_for(program, codes(program, 16), family="xc7", clock_mhz=100)
        folders.append(folder / str(number))
        manifests.append(
            write_design(
                lowered, program_hash="0" * 64, stream_bits=0, folder=folders[-1], mapping=mapping, prefix=prefix
            )
        )
        programs.append(program)
        inputs.append(codes(program, 300, seed=number))
    return programs, manifests, inputs, folders


def test_files_of_one_name_are_the_same(tmp_path: Path):
    _, manifests, _, folders = written(tmp_path)
    files = [manifest.sources(folder) for manifest, folder in zip(manifests, folders, strict=True)]
    names = {path.name for path in merged(*files)}
    assert {"gw_add3.v", "gw_add3_plain.v", "gw_add3_cells.v", "mine_gw_add3_cells.v", "gw_fifo.v"} <= names
    assert {"net.v", "mine_net.v", "mine_net_core.v"} <= names


@pytest.mark.sim
def test_one_simulation_of_all_is_exact(tmp_path: Path):
    programs, manifests, inputs, folders = written(tmp_path)
    require_match(simulate_together(programs, manifests, inputs, folders=folders, out=tmp_path / "all"))


@pytest.mark.synth
def test_one_synthesis_of_all_is_exact(tmp_path: Path):
    """The designs are one network: read together, each keeps its own form of the cells, and all compute the same."""
    _, manifests, _, folders = written(tmp_path)
    files = merged(*(manifest.sources(folder) for manifest, folder in zip(manifests, folders, strict=True)))
    script = ["read_verilog -D GW_XILINX_CELLS " + str(path.relative_to(tmp_path)) for path in files]
    script += ["read_verilog +/xilinx/cells_sim.v", "design -save all"]
    for manifest, (_, mapping, _) in zip(manifests, DESIGNS, strict=True):
        some = "none" if mapping == "behavioural" else "min 1"
        script += ["design -load all", f"hierarchy -check -top {manifest.core}"]
        script += [f"select -assert-{some} t:*LUT6_2*", "proc; flatten; opt_clean", f"rename {manifest.core} core"]
        script += [f"design -stash {manifest.prefix}{manifest.core}_flat"]
    stages = manifests[0].claims.latency_cycles
    first, *others = (f"{manifest.prefix}{manifest.core}_flat" for manifest in manifests)
    for other in others:
        script += [
            "design -reset",
            f"design -copy-from {first} -as gold core",
            f"design -copy-from {other} -as gate core",
        ]
        script += ["miter -equiv -flatten gold gate miter", "hierarchy -top miter"]
        script += [f"sat -verify -seq {stages + 2} -prove-skip {stages} -prove trigger 0 -set-init-undef miter"]
    (tmp_path / "all.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as y; y.Design().run_pass('script all.ys')"
    log = run_tool([sys.executable, "-c", code], cwd=tmp_path, log=tmp_path / "all.log").stdout
    assert log.count("SUCCESS!") == len(others)
