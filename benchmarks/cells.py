"""Verilog of any origin in, cell counts, CPU seconds and memory of one yosys script out; the same script for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gatewright.errors import ToolError
from gatewright.tools import digest, package_version, write_atomic, write_json

_CHILD = "import sys; from pyosys import libyosys as ys; ys.Design().run_pass('script ' + sys.argv[1])"
# The define lets our ternary adders be instantiated, for yosys does not infer them; it means nothing to the peers.
_READ = {"xc7": "read_verilog -sv -defer -D GW_XILINX_CELLS", "ecp5": "read_verilog -sv -defer"}
_COMMANDS = {
    "xc7": "synth_xilinx -family xc7 -flatten -nodsp -noiopad -noclkbuf",
    "ecp5": "synth_lattice -family ecp5 -nodsp",
}
_LUT = {f"LUT{n}" for n in range(1, 7)} | {"LUT6_2"}
_FF = {"FDRE", "FDSE", "FDCE", "FDPE", "TRELLIS_FF"}
_CARRY = {"CARRY4", "CCU2C"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """lut: LUT1..LUT6 and LUT6_2, one each; on ECP5 LUT4 sites: LUT4 plus two per CCU2C. inv stands apart.

    ff: flip-flops, and the bits that yosys put into `srl` shift-register LUTs, so that no delay line counts as free.
    ff_in: those of them whose D is an input port, that is an input register.
    seconds: CPU seconds of yosys; peak_mb: its memory.
    """

    lut: int
    ff: int
    ff_in: int
    inv: int
    carry: int
    srl: int
    by_type: dict[str, int]
    seconds: float
    peak_mb: float


def count(sources: Sequence[Path], *, top: str, family: Literal["xc7", "ecp5"], out: Path) -> Cells:
    """Synthesize `top` and count its cells; an earlier count of equal sources by the same yosys is taken again.

    out: directory for the script, its log, netlist.json, cells.json and cost.json (CPU seconds and memory).
    """
    out.mkdir(parents=True, exist_ok=True)
    script = "\n".join(
        [
            *(f'{_READ[family]} "{os.path.relpath(source, out)}"' for source in sources),
            f"hierarchy -top {top}",
            f"{_COMMANDS[family]} -top {top}",
            "write_json netlist.json",
        ]
    )
    key = digest(script, package_version("pyosys"), *sources)
    cost = out / "cost.json"
    used = json.loads(cost.read_text()) if cost.is_file() else {}
    if used.get("key") != key:
        write_atomic(out / "synth.ys", script + "\n")
        seconds, peak_mb = _run([sys.executable, "-P", "-c", _CHILD, "synth.ys"], out, out / "synth.log")
        used = {"key": key, "seconds": seconds, "peak_mb": peak_mb}
        write_json(cost, used)
    module = json.loads((out / "netlist.json").read_text())["modules"][top]
    cells = _count(module, family, used["seconds"], used["peak_mb"])
    write_json(out / "cells.json", asdict(cells))
    return cells


def _run(argv: Sequence[str], folder: Path, log: Path) -> tuple[float, float]:
    """Run a command to its end; return its CPU seconds and peak memory in MB."""
    with log.open("wb") as stream:
        child = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ToolError(f"{argv[-1]} in {folder} exited with {child.returncode}; last lines of {log}:\n{tail}")
    return round(used.ru_utime + used.ru_stime, 2), round(used.ru_maxrss / 1024, 1)


def _count(module: dict[str, Any], family: str, seconds: float, peak_mb: float) -> Cells:
    ports = {bit for port in module["ports"].values() if port["direction"] == "input" for bit in port["bits"]}
    by_type: dict[str, int] = {}
    ff_in, srl_bits = 0, 0
    for cell in module["cells"].values():
        kind = cell["type"]
        by_type[kind] = by_type.get(kind, 0) + 1
        if kind in _FF:
            data = cell["connections"].get("D") or cell["connections"].get("DI") or [None]
            ff_in += data[0] in ports and isinstance(data[0], int)
        elif kind == "SRL16E":
            srl_bits += 1 + sum((cell["connections"][f"A{bit}"][0] == "1") << bit for bit in range(4))
    by_type.pop("$scopeinfo", None)
    carry = sum(by_type.get(kind, 0) for kind in _CARRY)
    return Cells(
        lut=sum(by_type.get(kind, 0) for kind in _LUT) + (2 * carry if family == "ecp5" else 0),
        ff=sum(by_type.get(kind, 0) for kind in _FF) + srl_bits,
        ff_in=ff_in,
        inv=by_type.get("INV", 0),
        carry=carry,
        srl=sum(number for kind, number in by_type.items() if kind.startswith("SRL")),
        by_type=dict(sorted(by_type.items())),
        seconds=seconds,
        peak_mb=peak_mb,
    )
