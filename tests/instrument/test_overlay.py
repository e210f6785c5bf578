"""The overlay: texts read back, the notebook on a simulated board, the Tcl with stand-ins for Vivado's commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import LowerError
from gatewright.flow.codes import random_codes
from gatewright.instrument.bundle import write_files
from gatewright.instrument.header import Units
from gatewright.instrument.markdown import register_table
from gatewright.instrument.overlay.boards import BOARDS, divisors
from gatewright.instrument.overlay.bundle import overlay_files
from gatewright.instrument.overlay.description import Overlay
from gatewright.instrument.overlay.top import WrittenOverlay, make_overlay, overlay_ports
from gatewright.instrument.registers import Frame
from gatewright.ir import Program
from gatewright.rtl.manifest import write_design
from gatewright.sim import lint
from tests.axi.test_outside_client import RUN
from tests.instrument.blocks import vectors
from tests.instrument.test_bundle import rtl_only
from tests.lowering import lower_for
from tests.programs import mlp

HERE = Path(__file__).parent
SMALL = mlp((5, 6, 3), seed=2, output="scores")


def frame(elements: int, beat_bits: int = 64) -> Frame:
    return Frame(elements=elements, width_bits=8, signed=True, frac_bits=4, beat_bits=beat_bits)


PAGE = Overlay(name="net_overlay", program_hash="c0ffee01" * 8, x=frame(5), y=frame(3))
"""Of the table in the manual."""


def built(folder: Path, program: Program, *, data_bits: int = 0, **options: Any) -> WrittenOverlay:
    dataflow = lower_for(program, random_codes(program, 40, seed=1), family="xc7", clock_mhz=60, **options)
    manifest = write_design(dataflow, program_hash="c0ffee01" * 8, stream_bits=0, folder=folder / "rtl")
    return make_overlay(manifest, folder / "rtl", data_bits=data_bits)


def bundle(folder: Path, program: Program, board: str = "pynq-z2", count: int = 40, **options: Any) -> WrittenOverlay:
    """Write a bundle to `folder`/made."""
    made = built(folder, program, **options)
    write_as(made, folder / "made", program, board, count)
    return made


def write_as(made: WrittenOverlay, folder: Path, program: Program, board: str, count: int) -> None:
    x, y = vectors(program, count)
    write_files(overlay_files(made, BOARDS[board], 60.0, x=x, y=y, units=Units()), folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenOverlay, Path]:
    """Return one design, and a folder with a bundle of it for each board."""
    folder = tmp_path_factory.mktemp("overlay")
    found = built(folder, SMALL)
    for board in BOARDS:
        write_as(found, folder / board, SMALL, board, 4)
    return found, folder


def drive(folder: Path, program: Program, **options: Any) -> None:
    """Run the scenarios of overlay_client.py; all must pass."""
    made = bundle(folder, program, data_bits=32, **options)
    given = {
        "board": str(folder / "made" / "board"),
        "name": made.overlay.name,
        "top": made.overlay.name,
        "xml": str(folder / "results.xml"),
        "sources": [str(folder / "made" / "verilog" / name) for name in made.files],
    }
    (folder / "given.json").write_text(json.dumps(given))
    path = os.pathsep.join([str(HERE), str(folder / "made" / "board"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "GATEWRIGHT_LITE": str(folder / "given.json")}
    argv = [sys.executable, "-c", RUN.replace('"client"', '"overlay_client"'), str(folder / "given.json")]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    results = (folder / "results.xml").read_text()
    assert results.count("<testcase") == 3
    assert "<failure" not in results, done.stdout[-6000:]


@pytest.mark.icarus
@pytest.mark.axi
@pytest.mark.slow
def test_the_notebook_runs_on_a_simulated_board(tmp_path: Path):
    drive(tmp_path, SMALL)


@pytest.mark.sim
def test_lint_is_clean(made: tuple[WrittenOverlay, Path], tmp_path: Path):
    written, folder = made
    verilog = folder / "pynq-z2" / "verilog"
    lint(sources=[verilog / name for name in written.files], top=written.overlay.name, out=tmp_path / "lint")


@pytest.mark.parametrize("board", ["pynq-z2", "kv260"])
def test_the_hand_off_says_what_the_description_says(made: tuple[WrittenOverlay, Path], board: str):
    overlay, folder = made[0].overlay, made[1] / board
    root = ET.parse(folder / "simulation" / f"{overlay.name}.hwh").getroot()
    modules = {item.get("INSTANCE", ""): item for item in root.iter("MODULE")}
    assert list(modules) == ["ps", "dma", "net"]
    assert all(item.get("FULLNAME") == f"/{name}" and item.get("VLNV") for name, item in modules.items())
    record = json.loads((folder / "board" / "overlay.json").read_text())
    ranges = {item.get("INSTANCE"): item for item in root.iter("MEMRANGE")}
    assert int(ranges["net"].get("BASEVALUE", ""), 16) == record["address"]
    assert int(ranges["net"].get("HIGHVALUE", ""), 16) == record["address"] + 0xFFFF
    words = {
        item.get("NAME"): {p.get("NAME"): p.get("VALUE", "") for p in item.findall("PROPERTY")}
        for item in modules["net"].iter("REGISTER")
    }
    assert {name: (int(row["ADDRESS_OFFSET"], 16), row["ACCESS"]) for name, row in words.items()} == {
        r.name: (r.offset, r.access) for r in overlay.registers
    }
    assert [item.get("NAME") for item in modules["net"].iter("PORT")] == [port.name for port in overlay_ports(overlay)]
    mapped = {item.get("PHYSICAL") for item in modules["net"].iter("PORTMAP")}
    assert mapped == {port.name for port in overlay_ports(overlay)} - {"aclk", "aresetn"}
    ends = {
        (item.get("BUSNAME"), item.get("TYPE"))
        for name in ("dma", "net")
        for item in modules[name].iter("BUSINTERFACE")
    }
    assert {("stream_s", "INITIATOR"), ("stream_s", "TARGET"), ("stream_m", "INITIATOR"), ("stream_m", "TARGET")} < ends
    clocks = {item.get("NAME"): item.get("VALUE") for item in modules["ps"].iter("PARAMETER")}
    assert len(clocks) == 12
    assert record["most_bytes"] == (1 << int(dict(dma_settings(modules["dma"]))["c_sg_length_width"])) - 1


def dma_settings(module: ET.Element) -> list[tuple[str, str]]:
    return [(item.get("NAME", ""), item.get("VALUE", "")) for item in module.iter("PARAMETER")]


STAND_INS = r"""
set argc 0
proc unknown args {puts "> $args"; return made}
proc get_ipdefs args {return [list [string map {:* :1.0} [lindex $args end]] [string map {:* :5.2} [lindex $args end]]]}
proc get_property args {puts "> get_property $args"; return [expr {[lindex $args 0] eq "SLACK" ? $::slack : "out"}]}
foreach name {get_bd_pins get_bd_intf_pins get_bd_cells get_bd_addr_segs get_files} {
    proc $name args "return \"<$name \$args>\""
}
rename glob {}
proc glob args {return found.hwh}
rename file real_file
proc file {what args} {
    if {$what eq "copy"} {puts "> copy [lrange $args 1 end]"; return}
    return [real_file $what {*}$args]
}
"""


def run_tcl(script: Path, *, slack: str = "0.5") -> subprocess.CompletedProcess[str]:
    """Run a script for Vivado in tclsh, with its commands replaced by ones that write down what they were given."""
    if shutil.which("tclsh") is None:
        pytest.skip("no tclsh; apt install tcl")
    (script.parent / "run.tcl").write_text(f"set slack {slack}\n{STAND_INS}\nsource {script.name}\n")
    return subprocess.run(["tclsh", "run.tcl"], cwd=script.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("board", ["pynq-z1", "kv260"])
def test_the_script_for_vivado_joins_every_pin_once(made: tuple[WrittenOverlay, Path], board: str):
    overlay, script = made[0].overlay, made[1] / board / "build.tcl"
    done = run_tcl(script)
    assert done.returncode == 0, done.stderr
    said = [line.removeprefix("> ") for line in done.stdout.splitlines()]
    assert said[0].endswith(f"-part {BOARDS[board].part}")
    assert all(f"verilog/{name}" in said[1] for name in made[0].files)
    cells = [line for line in said if line.startswith("create_bd_cell")]
    assert [line.split()[-1] for line in cells] == ["ps", "reset", "host", "memory", "dma", "net"]
    assert all(":5.2" in line for line in cells[:-1])  # the newest that there is
    buses = [re.findall(r"<get_bd_intf_pins (\S+)>", line) for line in said if line.startswith("connect_bd_intf_net")]
    assert len(buses) == 8
    assert len({pin for pair in buses for pin in pair}) == 16
    assert {pin for pair in buses for pin in pair if pin.startswith("net/")} == {
        "net/s_axi",
        "net/s_axis",
        "net/m_axis",
    }
    pins = [re.findall(r"<get_bd_pins (\S+)>", line) for line in said if line.startswith("connect_bd_net")]
    assert len({pin for net in pins for pin in net}) == sum(map(len, pins))
    assert {"net/aclk", "net/aresetn"} < {pin for net in pins for pin in net}
    assert [line.split()[-1] for line in said if line.startswith("copy")][1].endswith(f"{overlay.name}.hwh")
    missed = run_tcl(script, slack="-0.25")
    assert missed.returncode == 1
    assert "the clock of 60 MHz is missed by 0.25 ns: see timing.rpt, and ask for a slower one" in missed.stderr


def test_the_command_writes_a_bundle(tmp_path: Path):
    rtl_only(tmp_path)
    out = tmp_path / "z2"
    build = str(tmp_path / "build")
    done = CliRunner().invoke(main, ["deploy", build, "--for", "pynq-z2", "--out", str(out), "--clock-mhz", "50"])
    assert done.exit_code == 0, done.output
    assert re.search(r"overlay +net_overlay\na vector +8 bytes in, 8 out, in beats of 64 bits\n", done.output)
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    assert "PCW_FPGA0_PERIPHERAL_FREQMHZ 50" in (out / "build.tcl").read_text()
    for options, text in (
        (["--for", "pynq-z2", "--depth", "64"], "--depth is none of --for pynq-z2; leave it out"),
        (["--for", "kernel", "--clock-mhz", "64"], "--clock-mhz is none of --for kernel; leave it out"),
        (["--for", "kv260", "--data-bits", "256"], "streams of a DMA must have one of 32, 64, 128 bits, not 256"),
    ):
        refused = CliRunner().invoke(main, ["deploy", build, *options, "--out", str(tmp_path / "other")])
        assert refused.exit_code != 0
        assert text in refused.output


def test_what_no_transfer_holds_is_refused():
    with pytest.raises(LowerError, match="a vector must have at most 67108863 bytes, a transfer's, not 80000000"):
        Overlay(name="n", program_hash="0" * 64, x=frame(80_000_000), y=frame(3))


def test_the_clock_is_no_faster_than_asked():
    assert divisors(1000.0, 100.0) == (10, 1)
    assert divisors(1000.0, 60.0) == (17, 1)
    assert divisors(1000.0, 9.0) == (56, 2)


def test_the_manual_has_the_table(root: Path):
    assert register_table(PAGE) in (root / "docs" / "pynq.md").read_text()


def test_the_driver_refuses_another_overlay():
    sys.path.insert(0, str(files("gatewright.instrument") / "client"))
    try:
        import gw_pynq
    finally:
        sys.path.pop(0)
    record = {"magic": 1, "program_hash": "0" * 64, "registers": [{"name": "ID", "word": 0}]}

    class Nothing:
        def read(self, word: int) -> int:
            return 0xFFFFFFFF if word == 0 else 0

        def write(self, word: int, value: int) -> None: ...

    with pytest.raises(gw_pynq.BlockError, match="word 0 must be 0x00000001, not 0xffffffff: no block of this map"):
        gw_pynq.Design(Nothing(), None, None, record)
