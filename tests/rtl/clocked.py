"""A clocked module and the values of its inputs in every cycle in, those of its outputs out: Verilator and Icarus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.rtl.netlist import Module, Name
from gatewright.rtl.verilog import module_text
from gatewright.sim.build import compile_model
from gatewright.sim.toolchain import find_verilator
from gatewright.tools import run_tool

Ports = Mapping[str, int]  # name -> bits, 64 at most
Drive = Callable[[Path, str, Ports, Ports, Mapping[str, Ints]], dict[str, Ints]]


def drive_module(drive: Drive, folder: Path, module: Module, values: Mapping[str, Ints]) -> dict[str, Ints]:
    """Write a netlist module's text and drive it; signed outputs are read as signed."""
    (folder / f"{module.name}.v").write_text(module_text(module))
    inputs, outputs = (
        {p.signal.name: p.signal.width for p in module.ports if p.output is out} for out in (False, True)
    )
    found = drive(folder, module.name, inputs, outputs, values)
    return {p.signal.name: _signed(p.signal, found[p.signal.name]) for p in module.ports if p.output}


def icarus(folder: Path, top: str, inputs: Ports, outputs: Ports, values: Mapping[str, Ints]) -> dict[str, Ints]:
    """Drive `top` of the .v files in `folder`: inputs change before an edge, outputs are read before it too."""
    rows = _rows(inputs, values)
    width, count = sum(inputs.values()), len(rows)
    (folder / "rows.hex").write_text("".join(f"{row:x}\n" for row in rows))
    wires = "".join(f"    wire [{bits - 1}:0] {name};\n" for name, bits in outputs.items())
    bound = ", ".join(f".{name}({name})" for name in (*inputs, *outputs))
    split, low = "", 0
    for name, bits in inputs.items():
        split += f"    wire [{bits - 1}:0] {name} = row[{low} +: {bits}];\n"
        low += bits
    shown = " ".join(["%h"] * len(outputs))
    bench = (
        f"module bench;\n    reg clk = 0;\n    reg [{width - 1}:0] row;\n"
        f"    reg [{width - 1}:0] rows [0:{count - 1}];\n"
        f"    integer i;\n{split}{wires}    {top} dut (.clk(clk), {bound});\n    initial begin\n"
        f'        $readmemh("rows.hex", rows);\n        for (i = 0; i < {count}; i = i + 1) begin\n'
        f'            row = rows[i];\n            #1 $display("{shown}", {", ".join(outputs)});\n'
        "            clk = 1;\n            #1 clk = 0;\n        end\n        $finish;\n    end\nendmodule\n"
    )
    sources = sorted(str(path.resolve()) for path in folder.glob("*.v"))
    (folder / "bench.sv").write_text(bench)
    argv = ["iverilog", "-g2012", "-o", "bench.vvp", "-s", "bench", "bench.sv", *sources]
    run_tool(argv, cwd=folder, log=folder / "icarus.log")
    return _columns(run_tool(["vvp", "-n", "bench.vvp"], cwd=folder, log=folder / "run.log").stdout, outputs)


def verilator(folder: Path, top: str, inputs: Ports, outputs: Ports, values: Mapping[str, Ints]) -> dict[str, Ints]:
    """Drive `top` as icarus does; registers without reset start at random."""
    rows = _rows(inputs, values)
    tool = find_verilator()
    (folder / "rows.txt").write_text(
        "".join(" ".join(str(int(values[name][i]) & ((1 << bits) - 1)) for name, bits in inputs.items()) + "\n"
                for i in range(len(rows)))
    )  # fmt: skip
    sets = "".join(f'        std::fscanf(rows, "%llu", &v); top.{name} = v;\n' for name in inputs)
    gets = "".join(f'        std::printf("%llx ", (unsigned long long)top.{name});\n' for name in outputs)
    (folder / "main.cpp").write_text(
        '#include <cstdio>\n#include "Vdut.h"\nint main() {\n    VerilatedContext context;\n'
        "    context.randReset(2); context.randSeed(7);\n    Vdut top{&context};\n"
        '    FILE* rows = std::fopen("rows.txt", "r");\n    unsigned long long v;\n'
        f"    for (int i = 0; i < {len(rows)}; ++i) {{\n{sets}        top.clk = 0; top.eval();\n{gets}"
        '        std::printf("\\n");\n        top.clk = 1; top.eval();\n    }\n}\n'
    )
    sources = sorted(str(path.resolve()) for path in folder.glob("*.v"))
    argv = [tool.program, "--cc", "--prefix", "Vdut", "--top-module", top, "--Mdir", "model", "-Wno-lint"]
    argv += ["--x-initial", "unique", *sources]
    run_tool(argv, cwd=folder, log=folder / "verilator.log", env=tool.env)
    files = [folder / "main.cpp", *sorted((folder / "model").glob("*.cpp"))]
    bench = compile_model(files, out=folder, includes=[f"-I{folder}", f"-I{folder / 'model'}"], level=0)
    return _columns(run_tool([str(bench)], cwd=folder, log=folder / "run.log").stdout, outputs)


def _rows(inputs: Ports, values: Mapping[str, Ints]) -> Sequence[int]:
    assert set(inputs) == set(values)
    count = len(next(iter(values.values())))
    rows = [0] * count
    low = 0
    for name, bits in inputs.items():
        rows = [row | (int(v) & ((1 << bits) - 1)) << low for row, v in zip(rows, values[name], strict=True)]
        low += bits
    return rows


def _columns(text: str, outputs: Ports) -> dict[str, Ints]:
    """Return the printed values; an unknown bit, which only Icarus has, becomes -1 << 62."""
    words = [line.split() for line in text.splitlines() if line.strip()]
    return {
        name: np.array([-(1 << 62) if set(row[k].lower()) & {"x", "z"} else int(row[k], 16) for row in words], np.int64)
        for k, name in enumerate(outputs)
    }


def _signed(signal: Name, found: Ints) -> Ints:
    if not signal.signed:
        return found
    return np.where(found >= 1 << (signal.width - 1), found - (1 << signal.width), found)
