"""The bundle: each text that is made of the one description is read back, and says the same."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import GatewrightError
from gatewright.flow.instrument import deploy_run
from gatewright.instrument.bundle import bundle_files
from gatewright.instrument.header import Units
from gatewright.instrument.ipxact import SPACE
from gatewright.instrument.kernel.description import Kernel
from gatewright.instrument.kernel.top import kernel_ports
from gatewright.instrument.kernel.vitis import package_tcl
from gatewright.instrument.markdown import register_table
from gatewright.instrument.registers import Block, FifoPair, Frame
from gatewright.instrument.top import block_ports
from gatewright.ir import save_program
from gatewright.rtl.handover import top_ports
from gatewright.tools import write_array, write_json
from tests.instrument.blocks import built, vectors
from tests.programs import mlp

PAGE_BLOCK = Block(
    name="net_block",
    program_hash="c0ffee01" * 8,
    x=Frame(elements=4, width_bits=8, signed=True, frac_bits=4),
    y=Frame(elements=3, width_bits=12, signed=True, frac_bits=7),
    fifos=FifoPair(),
    inputs=1,
    outputs=1,
)
"""Of the table in the manual."""
PROGRAM = mlp((5, 6, 3), seed=2, output="scores")


def test_every_text_says_what_the_description_says(tmp_path: Path):
    made = built(tmp_path, PROGRAM, ram_words=64)
    x, y = vectors(PROGRAM, 9)
    files = {
        name: data.decode() for name, data in bundle_files(made, x=x, y=y, units=Units()).items() if "npy" not in name
    }
    registers = made.block.registers
    wanted = {r.name: (r.word, r.access, r.reset) for r in registers}
    assert [r.word for r in registers] == sorted({r.word for r in registers})
    assert len(wanted) == 16 + 16 + 6 + 13

    macros = re.findall(
        r"^#define (?:CB|GW)_(\w+) (\d+)u /\* ([a-z-]+)\.", files["client/gw_registers.h"], re.MULTILINE
    )
    assert {name: (int(word), access) for name, word, access in macros} == {n: row[:2] for n, row in wanted.items()}
    masks = dict(re.findall(r"^#define (\w+) (0x[0-9a-f]+)u /\*", files["client/gw_registers.h"], re.MULTILINE))
    fields = {f"{r.macro}_{f.name}": ((1 << f.bits) - 1) << f.low for r in registers for f in r.fields}
    assert {name: int(mask, 16) for name, mask in masks.items()} == {"GW_MAGIC": 0x47570001, **fields}

    rows = re.findall(
        r"^\| (\d+) \| 0x(..) \| `.._(\w+)` \| ([a-z-]+) \| 0x(\w{8}) ", files["registers.md"], re.MULTILINE
    )
    assert {n: (int(word), a, int(reset, 16)) for word, _, n, a, reset in rows} == wanted
    assert all(int(byte, 16) == 4 * int(word) for word, byte, *_ in rows)

    rows = json.loads(files["client/block.json"])["registers"]
    assert {row["name"]: (row["word"], row["access"], row["reset"]) for row in rows} == wanted

    space = {"i": SPACE}
    root = ET.fromstring(files["component.xml"])
    found = {}
    for item in root.findall(".//i:register", space):
        name, offset, access = (item.findtext(f"i:{key}", "", space) for key in ("name", "addressOffset", "access"))
        reset = 0
        for field in item.findall("i:field", space):
            value, low = field.findtext("i:resets/i:reset/i:value", "", space), field.findtext("i:bitOffset", "", space)
            reset |= int(value.removeprefix("'h"), 16) << int(low)
        found[name] = (int(offset.removeprefix("'h"), 16) // 4, access, reset)
    assert found == wanted
    ports = {
        port.findtext("i:name", "", space): (
            port.findtext("i:wire/i:direction", "", space),
            int(port.findtext(".//i:left", "0", space)) + 1,
        )
        for port in root.findall(".//i:ports/i:port", space)
    }
    assert ports == {p.name: (p.direction.removesuffix("put"), p.bits) for p in block_ports(made.block)}
    listed = [(p.direction, p.bits, p.name) for p in top_ports(made.files[f"{made.top}.v"])]
    assert listed == [(p.direction, p.bits, p.name) for p in block_ports(made.block)]
    mapped = {item.text for item in root.findall(".//i:physicalPort/i:name", space)}
    assert mapped == {p.name for p in block_ports(made.block) if not p.name.startswith(("reg", "ram_"))}
    sources = [item.text for item in root.findall(".//i:file/i:name", space)]
    assert sources == [f"verilog/{name}" for name in files["verilog/files.f"].split()]


def test_the_command_writes_a_whole_bundle(tmp_path: Path):
    rtl_only(tmp_path)
    out = tmp_path / "bundle"
    done = CliRunner().invoke(
        main, ["deploy", str(tmp_path / "build"), "--out", str(out), "--depth", "64", "--ram", "128"]
    )
    assert done.exit_code == 0, done.output
    assert "2 words in, 2 out" in done.output
    lines = [line.split("  ") for line in (out / "SHA256SUMS").read_text().splitlines()]
    sums = {name: value for value, name in lines}
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {*sums, "SHA256SUMS"}
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == value for name, value in sums.items())
    assert np.load(out / "client" / "vectors_x.npy").shape == (40, 5)
    strict = [
        "cc",
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsyntax-only",
        "gw.c",
        "net_block.c",
        "main.c",
    ]
    example = re.search(r"```c\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert example is not None
    (out / "client" / "main.c").write_text(example[1])
    checked = subprocess.run(strict, cwd=out / "client", capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    again = CliRunner().invoke(main, ["deploy", str(tmp_path / "build"), "--out", str(out)])
    assert again.exit_code != 0
    assert "must not be there yet" in str(again.exception) + again.output
    other = CliRunner().invoke(main, ["deploy", str(tmp_path), "--out", str(tmp_path / "b2")])
    assert "must be the directory of a run or a build" in str(other.exception) + other.output


def test_the_command_writes_a_kernel(tmp_path: Path):
    rtl_only(tmp_path)
    out, build = tmp_path / "kernel", str(tmp_path / "build")
    done = CliRunner().invoke(main, ["deploy", build, "--for", "kernel", "--out", str(out), "--data-bits", "128"])
    assert done.exit_code == 0, done.output
    assert "16 bytes in, 16 out, in beats of 128 bits" in done.output
    sums = {line.split("  ")[1] for line in (out / "SHA256SUMS").read_text().splitlines()}
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {*sums, "SHA256SUMS"}
    kernel = Kernel(name="net_kernel", program_hash="c0ffee01" * 8, x=frame(5, 128), y=frame(3, 128))
    record = json.loads((out / "client" / "kernel.json").read_text())
    assert [(row["name"], row["word"]) for row in record["registers"]] == [(r.name, r.word) for r in kernel.registers]
    macros = re.findall(r"^#define GK_(\w+) (\d+)u /\* ", (out / "client" / "gw_registers.h").read_text(), re.MULTILINE)
    assert macros == [(r.name, str(r.word)) for r in kernel.registers]
    assert register_table(kernel).splitlines()[2].startswith("| 0 | 0x00 | `GK_CONTROL` | read-write | 0x00000004 |")

    root = ET.parse(out / "kernel.xml").getroot()
    ports = {port.get("name"): (port.get("mode"), port.get("dataWidth")) for port in root.iter("port")}
    assert ports == {"s_axi_control": ("slave", "32"), "m_axi_gmem": ("master", "128")}
    args = [(arg.get("name"), int(arg.get("offset", ""), 16), arg.get("port")) for arg in root.iter("arg")]
    assert args == [("x", 0x10, "m_axi_gmem"), ("y", 0x1C, "m_axi_gmem"), ("count", 0x28, "s_axi_control")]
    words = {r.name: r.offset for r in kernel.registers}
    assert [offset for _, offset, _ in args] == [words["X_LOW"], words["Y_LOW"], words["COUNT"]]

    top = (out / "verilog" / "net_kernel.v").read_text()
    listed = [(port.direction, port.bits, port.name) for port in top_ports(top)]
    assert listed == [(port.direction, port.bits, port.name) for port in kernel_ports(kernel)]
    for options, text in (
        (["--for", "kernel", "--ram", "64"], "--ram is none of --for kernel; leave it out"),
        (["--data-bits", "64"], "--data-bits is none of --for comblock; leave it out"),
    ):
        refused = CliRunner().invoke(main, ["deploy", build, *options, "--out", str(tmp_path / "other")])
        assert refused.exit_code == 2
        assert text in refused.output


def frame(elements: int, beat_bits: int) -> Frame:
    return Frame(elements=elements, width_bits=8, signed=True, frac_bits=4, beat_bits=beat_bits)


def test_the_script_for_vitis_names_every_file(tmp_path: Path):
    """Run by tclsh, with every command of Vivado's replaced by one that writes down what it was given."""
    if shutil.which("tclsh") is None:
        pytest.skip("no tclsh; apt install tcl")
    kernel = Kernel(name="net_kernel", program_hash="0" * 64, x=frame(5, 64), y=frame(3, 64))
    script = package_tcl(kernel, ["verilog/a.v", "verilog/net_kernel.v"])
    (tmp_path / "package_xo.tcl").write_text(
        'namespace eval ipx {}\nproc unknown args {puts $args; return "core"}\n'
        f"proc ipx::current_core {{}} {{return core}}\n{script}"
    )
    said = subprocess.run(
        ["tclsh", "package_xo.tcl", "xcu200"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said[0] == f"create_project -force net_kernel {tmp_path}/xo/project -part xcu200"
    assert said[1] == f"add_files -norecurse {{{tmp_path}/verilog/a.v {tmp_path}/verilog/net_kernel.v}}"
    assert [line.split()[0] for line in said[-4:]] == [
        "ipx::update_checksums", "ipx::check_integrity", "ipx::save_core", "package_xo",
    ]  # fmt: skip
    assert f"-kernel_xml {tmp_path}/kernel.xml" in said[-1]
    assert sum(line.startswith("ipx::associate_bus_interfaces -busif") for line in said) == 2


def test_a_scaling_of_another_run_is_refused(tmp_path: Path):
    rtl_only(tmp_path)
    build = tmp_path / "build"
    write_json(build / "data" / "dataset.json", {"contract": {"scaling": {"mode": "range", "scale": [1.0] * 4}}})
    write_json(build / "program" / "export.json", {"output_scale": [1.0]})
    with pytest.raises(GatewrightError, match=r"must have 5 factors, one for each code of the .* input, not 4: "):
        deploy_run(build, tmp_path / "bundle")


def test_the_manual_has_the_tables(root: Path):
    assert register_table(PAGE_BLOCK) in (root / "docs" / "deploy.md").read_text()
    kernel = Kernel(name="net_kernel", program_hash="c0ffee01" * 8, x=frame(5, 64), y=frame(3, 64))
    assert register_table(kernel) in (root / "docs" / "kernel.md").read_text()


def rtl_only(folder: Path) -> None:
    """Write what `gatewright build` leaves of the stages program and rtl."""
    build = folder / "build"
    built(build, PROGRAM)
    save_program(PROGRAM, build / "program" / "program.txt")
    write_array(build / "program" / "codes.npy", vectors(PROGRAM, 40)[0])
