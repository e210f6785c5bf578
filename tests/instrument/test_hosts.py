"""Hosts of kernels and cards, compiled as their bundles say, with stand-ins for vendors' libraries and for the card."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import GatewrightError
from gatewright.flow.instrument import deploy_f2
from gatewright.instrument.bundle import filled, write_files
from gatewright.instrument.header import Units
from gatewright.instrument.kernel.bundle import kernel_files
from gatewright.instrument.kernel.top import WrittenKernel
from gatewright.rtl.beats import pack
from gatewright.sim import lint
from tests.instrument.blocks import vectors
from tests.instrument.test_bundle import rtl_only
from tests.instrument.test_kernel import SMALL, built

HOSTS = Path(__file__).parent / "hosts"
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-ffp-contract=off")


def bundle(folder: Path, **options: Any) -> WrittenKernel:
    """Write a card's bundle to `folder`/made, and `folder`/table, what the stand-in for a card knows."""
    made, _ = built(folder, SMALL, **options)
    x, y = vectors(SMALL, 60)
    write_files(kernel_files(made, x=x, y=y, units=Units(), card=True), folder / "made")
    kernel = made.kernel
    rows = [pack(frame.port, codes.reshape(-1, frame.elements)) for frame, codes in ((kernel.x, x), (kernel.y, y))]
    sizes = [kernel.vector_bytes(kernel.x), kernel.vector_bytes(kernel.y), kernel.data_bits // 8, len(x)]
    head = np.array([int(kernel.program_hash[:8], 16), int(kernel.program_hash[8:16], 16), *sizes], "<u4")
    (folder / "table").write_bytes(head.tobytes() + b"".join(np.asarray(row).astype("<u4").tobytes() for row in rows))
    return made


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenKernel, Path]:
    folder = tmp_path_factory.mktemp("card")
    return bundle(folder, data_bits=128), folder


def said(argv: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


CLIENT_SAYS = """\
nothing there 1
other hash 2
other shape 3
open 0
self-test 0
caches 1
run 0
differing codes 0
counted 1 1
infer 0
differing values 0
no vector 0
bad count 4
bad value 5
at 1
no room 6
failed 9
because an address is no multiple of a beat's bytes
open 0
mismatch 10
at 1
time-out 8
message the run has ended early: see gk_reason, vectors_in and results_out
"""


def test_the_client_in_c_of_a_kernel(card: tuple[WrittenKernel, Path], tmp_path: Path):
    kernel, folder = card[0].kernel, card[1]
    client = folder / "made" / "client"
    (tmp_path / "DESIGN.h").write_text(f'#include "{kernel.name}.h"\n')
    sources = [client / "gk.c", client / f"{kernel.name}.c", HOSTS / "card_table.c", HOSTS / "client.c"]
    argv = ["cc", *STRICT, "-DCARD_HANGS", f"-DDESIGN={kernel.name}", f"-I{client}", f"-I{HOSTS}", f"-I{tmp_path}"]
    subprocess.run([*argv, *map(str, sources), "-o", "client"], cwd=tmp_path, check=True)
    done = said(["./client"], tmp_path, CARD_TABLE=str(folder / "table"))
    assert (done.stdout, done.returncode) == (CLIENT_SAYS, 0)


def test_the_example_of_the_readme_compiles(card: tuple[WrittenKernel, Path]):
    made = card[1] / "made"
    example = re.search(r"```c\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    assert example is not None
    (made / "client" / "example.c").write_text(example[1])
    argv = ["cc", *STRICT, "-fsyntax-only", "example.c"]
    assert said(argv, made / "client", PATH="/usr/bin:/bin").stderr == ""


@pytest.mark.slow
def test_the_host_for_xrt(card: tuple[WrittenKernel, Path], tmp_path: Path):
    """Built by the bundle's Makefile, with a stand-in for XRT where XILINX_XRT says."""
    name, folder = card[0].kernel.name, card[1]
    xrt = tmp_path / "xrt"
    shutil.copytree(HOSTS / "xrt", xrt / "include" / "xrt")
    shutil.copy(HOSTS / "card.h", xrt / "include")
    (xrt / "lib").mkdir()
    subprocess.run(["cc", "-c", f"-I{HOSTS}", str(HOSTS / "card_table.c"), "-o", "card.o"], cwd=xrt, check=True)
    subprocess.run(["ar", "rc", "lib/libxrt_coreutil.a", "card.o"], cwd=xrt, check=True)
    made = folder / "made"
    built = said(["make", "host_xrt", f"XILINX_XRT={xrt}"], made, PATH="/usr/bin:/bin")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "warning" not in built.stderr
    (made / f"{name}.xclbin").touch()
    done = said(["./host_xrt", f"{name}.xclbin"], made, CARD_TABLE=str(folder / "table"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("60 vectors, 0 codes differ, 600 cycles in the kernel, ")
    wrong = bytearray((folder / "table").read_bytes())
    wrong[-card[0].kernel.vector_bytes(card[0].kernel.y)] ^= 1  # the last result's first code
    (tmp_path / "wrong").write_bytes(wrong)
    done = said(["./host_xrt", f"{name}.xclbin"], made, CARD_TABLE=str(tmp_path / "wrong"))
    assert (done.returncode, done.stdout[:27]) == (1, "60 vectors, 1 codes differ,")
    wrong[0] ^= 1
    (tmp_path / "wrong").write_bytes(wrong)
    done = said(["./host_xrt", f"{name}.xclbin"], made, CARD_TABLE=str(tmp_path / "wrong"))
    assert done.stderr == "open: the bitstream is of another run than this client: load the one of this bundle\n"
    for words, text in ((["other.xclbin"], "XRT: no file other.xclbin"), ([f"{name}.xclbin", "3"], "XRT: no device 3")):
        done = said(["./host_xrt", *words], made, CARD_TABLE=str(folder / "table"))
        assert (done.returncode, done.stderr) == (1, f"{text}\n")


def test_the_bundle_links_one_kernel(card: tuple[WrittenKernel, Path]):
    name, made = card[0].kernel.name, card[1] / "made"
    assert (made / "link.cfg").read_text().splitlines()[-2:] == ["[connectivity]", f"nk={name}:1:{name}_1"]
    dry = said(["make", "-n", "-B", f"{name}.xclbin", "PLATFORM=x.xpfm"], made, PATH="/usr/bin:/bin").stdout
    assert "vivado -mode batch -source package_xo.tcl -tclargs xcu55c-fsvh2892-2L-e" in dry
    assert f"v++ --link -t hw --platform x.xpfm --config link.cfg {name}.xo -o {name}.xclbin" in dry


def test_the_host_for_opencl(card: tuple[WrittenKernel, Path], monkeypatch: pytest.MonkeyPatch):
    client = card[1] / "made" / "client"
    monkeypatch.setenv("CARD_TABLE", str(card[1] / "table"))
    for folder in (client, HOSTS / "opencl"):
        monkeypatch.syspath_prepend(str(folder))
    for name in ("pyopencl", "gw_opencl", "gw_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    host, opencl = importlib.import_module("gw_opencl"), importlib.import_module("pyopencl")
    opened = host.OpenclKernel(client / "kernel.json", b"xclbin")
    assert opened.self_test() == 60
    assert opened.run(np.zeros((0, 5), np.int64)).shape == (0, 3)
    monkeypatch.setattr(opencl, "get_platforms", list)
    with pytest.raises(host.BlockError, match="OpenCL must have a device, but lists none"):
        host.OpenclKernel(client / "kernel.json", b"xclbin")
    for name in ("pyopencl", "gw_opencl", "gw_client"):
        monkeypatch.delitem(sys.modules, name)


def test_a_slow_design_is_refused_on_f2(tmp_path: Path):
    rtl_only(tmp_path)
    with pytest.raises(
        GatewrightError, match=r"must run at 250 MHz, the clock that its shell gives, but .* was built for 60"
    ):
        deploy_f2(tmp_path / "build", tmp_path / "out")
    refused = CliRunner().invoke(main, ["deploy", str(tmp_path / "build"), "--for", "aws-f2", "--ram", "64"])
    assert "--ram is none of --for aws-f2; leave it out" in refused.output


TEMPLATE = """\
module cl_net_block (
    input logic clk_main_a0, input logic rst_main_n,
    input logic [31:0] ocl_cl_awaddr, input logic ocl_cl_awvalid, output logic cl_ocl_awready,
    input logic [31:0] ocl_cl_wdata, input logic [3:0] ocl_cl_wstrb, input logic ocl_cl_wvalid,
    output logic cl_ocl_wready, output logic [1:0] cl_ocl_bresp, output logic cl_ocl_bvalid, input logic ocl_cl_bready,
    input logic [31:0] ocl_cl_araddr, input logic ocl_cl_arvalid, output logic cl_ocl_arready,
    output logic [31:0] cl_ocl_rdata, output logic [1:0] cl_ocl_rresp, output logic cl_ocl_rvalid,
    input logic ocl_cl_rready, output logic [31:0] cl_sh_status0
);
  always_comb begin
    cl_sh_status0 = 'b0;
  end
  // Tied
  always_comb begin
    cl_ocl_bresp   = 'b0;
    cl_ocl_rresp   = 'b0;
    cl_ocl_rvalid  = 'b0;
  end
  always_comb begin
    cl_ocl_awready = 'b0;
    cl_ocl_wready  = 'b0;

    cl_ocl_bvalid = 'b0;

    cl_ocl_arready = 'b0;

    cl_ocl_rdata   = 'b0;
  end
endmodule // cl_net_block
"""
"""Of the shape that a new CL of the kit has: ports that matter here, ties in two blocks."""


@pytest.mark.sim
def test_the_block_takes_the_place_of_the_ties(tmp_path: Path):
    rtl_only(tmp_path)
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["deploy", str(tmp_path / "build"), "--out", str(out), "--registers", "2"])
    assert done.exit_code == 0
    names = {"name": "net_block", "inputs": "2", "outputs": "2"}
    (out / "f2").mkdir()
    (out / "f2" / "make_cl.py").write_text(filled("make_cl.py", names))
    design = tmp_path / "cl_net_block" / "design"
    design.mkdir(parents=True)
    top = design / "cl_net_block.sv"
    top.write_text(TEMPLATE)
    argv = [sys.executable, str(out / "f2" / "make_cl.py"), str(design.parent)]
    assert said(argv, tmp_path).stderr == ""
    text = top.read_text()
    assert text.count("always_comb") == 1
    listed = (design / name for name in (out / "verilog" / "files.f").read_text().split())
    (design / "wide.vlt").write_text(
        '`verilator_config\nlint_off -rule UNUSEDSIGNAL -file "*cl_net_block.sv"\n'
        'lint_off -rule PINCONNECTEMPTY -file "*cl_net_block.sv"\n'
    )
    lint(sources=[design / "wide.vlt", *listed, top], top="cl_net_block", out=tmp_path / "lint")
    again = said(argv, tmp_path)
    assert again.returncode == 1
    assert "each once, as a new one of the kit does, but ties none: make it anew with create_new_cl.py" in again.stderr
