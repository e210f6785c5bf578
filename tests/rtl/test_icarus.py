"""A second opinion, four-state: generated Verilog through Icarus, all warnings on, each output compared with ==."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatewright.fixedpoint import Ints
from gatewright.ir import Interpreter, Program
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.tools import run_tool
from tests.lowering import lower_for
from tests.programs import codes, mlp

PROGRAMS = {
    "scores, ternary": (mlp((5, 4, 3), seed=2, weight_bits=5, output="scores"), "xc7"),
    "argmax": (mlp((6, 5, 4), seed=5, weight_bits=4), "ecp5"),
    "one layer": (mlp((3, 2), seed=7, weight_bits=3, sparsity=0.0, output="scores"), "ice40"),
}


def pack(values: Ints, width: int) -> list[int]:
    """Return one integer per row, element 0 lowest."""
    mask = (1 << width) - 1
    return [sum((int(v) & mask) << (i * width) for i, v in enumerate(row)) for row in values]


def bench(manifest: RtlManifest, vectors: int) -> str:
    """Return a test bench that reads x.hex, a vector per cycle, and prints y as many cycles later as it should be."""
    return f"""
module bench;
    reg clk = 0;
    reg [{manifest.source.packed_bits - 1}:0] x;
    reg [{manifest.source.packed_bits - 1}:0] rows [0:{vectors - 1}];
    wire [{manifest.result.packed_bits - 1}:0] y;
    integer i;
    {manifest.core} dut (.clk(clk), .x(x), .y(y));
    initial begin
        $readmemh("x.hex", rows);
        for (i = 0; i < {vectors + manifest.claims.latency_cycles - 1}; i = i + 1) begin
            x = rows[i < {vectors} ? i : {vectors - 1}];
            #1 clk = 1;
            #1 clk = 0;
            if (i >= {manifest.claims.latency_cycles - 1}) $display("%h", y);
        end
        $finish;
    end
endmodule
"""


def simulate(folder: Path, program: Program, family: str, x: Ints) -> tuple[RtlManifest, list[str]]:
    """Compile, build with -Wall and simulate; return the manifest and y in hexadecimal, x for unknown bits."""
    lowered = lower_for(program, x, family=family, clock_mhz=150.0)
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder / "rtl")
    (folder / "bench.v").write_text(bench(manifest, len(x)))
    (folder / "x.hex").write_text("".join(f"{row:x}\n" for row in pack(x, manifest.source.width_bits)))
    sources = [str(path.resolve()) for path in manifest.sources(folder / "rtl")]
    argv = ["iverilog", "-g2012", "-Wall", "-o", "top.vvp", "-s", manifest.top, *sources]
    assert run_tool(argv, cwd=folder, log=folder / "lint.log").stdout == ""
    run_tool(
        ["iverilog", "-g2012", "-o", "bench.vvp", "-s", "bench", "bench.v", *sources], cwd=folder, log=folder / "b.log"
    )
    return manifest, run_tool(["vvp", "-n", "bench.vvp"], cwd=folder, log=folder / "run.log").stdout.split()


@pytest.mark.icarus
@pytest.mark.parametrize("name", PROGRAMS)
def test_icarus_warns_of_nothing_and_agrees(tmp_path: Path, name: str):
    program, family = PROGRAMS[name]
    x = np.asarray(codes(program, 200, seed=1))
    manifest, got = simulate(tmp_path, program, family, x)
    digits = (manifest.result.packed_bits + 3) // 4
    want = [f"{row:0{digits}x}" for row in pack(Interpreter(program).run(x), manifest.result.width_bits)]
    assert got[: len(want)] == want
    assert len(set(want)) > 1
