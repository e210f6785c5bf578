"""A system's folder and its firmware in, what its program says over the UART and the cycles that it took out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gatewright.assess.firmware import Firmware
from gatewright.assess.system import CLOCKS_PER_BIT, TOP, part
from gatewright.errors import ToolError
from gatewright.sim.build import children_seconds, compile_model
from gatewright.sim.toolchain import find_verilator
from gatewright.tools import run_tool, write_atomic

LIMIT_CYCLES = 1_000_000_000
"""A program that runs longer hangs: the client's own time-out comes long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A compiled system. program: its bench, which reads the firmware's file when it starts."""

    program: Path
    build_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a simulated program printed, the cycles until it stopped, and the seconds of the CPU."""

    text: str
    cycles: int
    seconds: float


def build_system(folder: Path, firmware: Firmware, *, level: int = 1) -> System:
    """Compile the system in `folder`, as system_files wrote it, with Verilator.

    level: the compiler's -O level. Raises MissingToolError without a simulator, ToolError where it fails.
    """
    verilator, model = find_verilator(), (folder / "model").resolve()
    model.mkdir(exist_ok=True)
    sources = (folder / "verilog" / "files.f").read_text().split()
    argv = [
        verilator.program, "--cc", "--prefix", "Vsoc", "--top-module", TOP, "--Mdir", str(model), "-O3", "--flatten",
        "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD", "--output-split", "20000",
        f'-GFIRMWARE="{firmware.hex_file.resolve()}"', f"-GRAM_WORDS={firmware.ram_words}",
        f"-GCLOCKS_PER_BIT={CLOCKS_PER_BIT}",
        *(f"verilog/{name}" for name in sources),
    ]  # fmt: skip
    before = children_seconds()
    run_tool(argv, cwd=folder, log=folder / "verilator.log", env=verilator.env)
    write_atomic(model / "bench.cpp", part("bench.cpp"))
    files = [model / "bench.cpp", *sorted(model.glob("Vsoc*.cpp"))]
    program = compile_model(files, out=model, includes=[f"-I{model}"], level=level)
    return System(program=program, build_seconds=children_seconds() - before)


def run_system(system: System, folder: Path) -> Said:
    """Run the system until its program stops; the log lies in `folder`.

    Raises ToolError for a program that traps, touches an address where nothing is, or never stops.
    """
    log = folder / "uart.log"
    done = run_tool([str(system.program), str(LIMIT_CYCLES), str(CLOCKS_PER_BIT)], cwd=folder, log=log)
    found = re.search(r"^simulated (stopped|lost|limit) \d+ (\d+)\n\Z", done.stdout, re.MULTILINE)
    if found is None or found[1] != "stopped":
        what = {
            "lost": "trapped, or touched an address where nothing is",
            "limit": f"did not stop within {LIMIT_CYCLES:,} cycles",
        }.get(found[1] if found else "", "left no word of its end")
        raise ToolError(f"the simulated processor's program must come to its end, but it {what}; what it said: {log}")
    return Said(text=done.stdout[: found.start()], cycles=int(found[2]), seconds=done.seconds)
