"""A Xilinx netlist of yosys in, its longest path by OpenSTA out: a timer of its own, for the table `timing`.

OpenSTA (apt install opensta) reads a Liberty library, made here of the specify blocks of yosys' cells_sim.v, and
structural Verilog of single bits. A wire's delay stands in the table of the cell in front, over the number of loads:
pins that a slice holds beside their driver have no capacitance. Each LUT's INIT makes a cell of its own, with arcs from
the inputs that it depends on.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gatewright.tools import run_tool, write_atomic

BASE_NS, DOUBLING_NS, CLOCK_TO_OUT_PS = 0.45, 0.17, 456  # between the near and the far wires of chips/xilinx_cells.py
_SLEWS = (("lower", 20), ("upper", 80))
_LOADS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_CLOCKS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"}
_BESIDE = {"CARRY4": ("CI", "S"), "FDRE": ("D",), "FDSE": ("D",), "MUXF7": ("I0", "I1"), "MUXF8": ("I0", "I1")}
_YOSYS = "import sys; from pyosys import libyosys as ys; ys.Design().run_pass('script ' + sys.argv[1])"
_FLATTEN = """read_json {netlist}
hierarchy -top {top}
setattr -mod -unset keep_hierarchy *
flatten
write_json flat.json
"""
_EXTRA = {  # what the library has no or no plain arcs of
    "LUT6_2": (
        [
            (f"I{i}", y, ps)
            for y in ("O6", "O5")
            for i, ps in enumerate((642, 631, 472, 407, 238, 127))
            if y == "O6" or i < 5
        ],
        [],
        [],
    ),
}


def longest_ns(netlist: Path, top: str, out: Path) -> float | None:
    """Return the longest path from register to register in ns; None without OpenSTA."""
    program = shutil.which("sta") or shutil.which("opensta")
    if program is None:
        return None
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "flat.ys", _FLATTEN.format(netlist=netlist.resolve(), top=top))
    run_tool([sys.executable, "-P", "-c", _YOSYS, "flat.ys"], cwd=out, log=out / "flat.log")
    module = json.loads((out / "flat.json").read_text())["modules"][top]
    cells = [cell for cell in module["cells"].values() if not cell["type"].startswith("$")]
    write_atomic(out / "cells.lib", _liberty(cells))
    write_atomic(out / "flat.v", _verilog(top, module, cells))
    commands = [
        "read_liberty cells.lib",
        "read_verilog flat.v",
        f"link_design {top}",
        "create_clock -name c -period 1 [get_ports n_clock]",
    ]
    commands += [
        "report_checks -from [all_registers -clock_pins] -to [all_registers -data_pins] -digits 4 -format full",
        "exit",
    ]
    write_atomic(out / "sta.tcl", "\n".join(commands) + "\n")
    text = run_tool([program, "-exit", "sta.tcl"], cwd=out, log=out / "sta.log").stdout
    slack = re.search(r"(-?[\d.]+)\s+slack", text)
    return 1.0 - float(slack[1]) if slack else None


def _library() -> dict[str, str]:
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v").read_text()
    return {m[1]: m[0] for m in re.finditer(r"^module (\w+)\s*\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)}


def _arcs(text: str) -> tuple[list[tuple[str, str, int]], list[tuple[str, int]], list[tuple[str, int]]]:
    """Return (input, output, ps), (output, ps behind the clock), (input, ps before the clock) of a cell."""
    plain = re.sub(r"//.*|/\*.*?\*/", "", text)
    arcs = [(a, y, int(ps)) for a, y, ps in re.findall(r"\(([\w\[\]]+)\s*\*?=>\s*([\w\[\]]+)\)\s*=\s*(\d+);", plain)]
    clocked = re.findall(r"\(posedge \w+\s*=>\s*\(([\w\[\]]+)\s*:.*?\)\)\s*=\s*(\d+);", plain)
    setup = re.findall(r"\$setup\(([\w\[\]]+)\s*, ?posedge [^,]*,\s*(\d+)\)", plain)
    return arcs, [(y, int(ps)) for y, ps in clocked], [(d, int(ps)) for d, ps in setup]


def _pins(cell: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return pin -> (direction, net), a pin for each bit; a name as in the library."""
    found: dict[str, tuple[str, Any]] = {}
    for pin, nets in cell["connections"].items():
        for i, net in enumerate(nets):
            found[pin if len(nets) == 1 else f"{pin}[{i}]"] = (cell["port_directions"][pin], net)
    return found


def _plain(pin: str) -> str:
    return pin.replace("[", "_").replace("]", "")


def _liberty(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the library of the kinds of cells that are used."""
    library = _library()
    kinds: dict[str, dict[str, str]] = {}
    for cell in cells:
        kinds.setdefault(_kind(cell), {}).update({pin: direction for pin, (direction, _) in _pins(cell).items()})
    lines = [
        "library (cells) {",
        '  delay_model : table_lookup; time_unit : "1ns"; capacitive_load_unit (1, pf); voltage_unit : "1V";',
        '  current_unit : "1mA"; pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW"; nom_voltage : 1;',
        *(f"  {end}put_threshold_pct_{edge} : 50;" for end in ("in", "out") for edge in ("rise", "fall")),
        *(f"  slew_{end}_threshold_pct_{edge} : {pct};" for end, pct in _SLEWS for edge in ("rise", "fall")),
        "  nom_process : 1; nom_temperature : 25; default_max_transition : 100;",
        f'  lu_table_template (loads) {{ variable_1 : total_output_net_capacitance; index_1 ("{_row(_LOADS)}"); }}',
        '  lu_table_template (one) { variable_1 : constrained_pin_transition; index_1 ("0, 1"); }',
    ]
    for named, pins in sorted(kinds.items()):
        kind, _, table = named.partition("__")
        arcs, clocked, setup = _EXTRA.get(kind) or _arcs(library.get(kind, ""))
        arcs = [(a, y, ps) for a, y, ps in arcs if not table or _depends(int(table, 16), a, y)]
        lines.append(f"  cell ({named}) {{ area : 1;")
        if any(pin in _CLOCKS for pin in pins) and clocked:
            lines.append(f'    ff (IQ, IQN) {{ clocked_on : "{_clock(pins)}"; next_state : "{_data(pins)}"; }}')
        for pin, direction in pins.items():
            lines.append(f"    pin ({_plain(pin)}) {{ direction : {direction};")
            if direction == "input":
                beside = pin.split("[")[0] in _BESIDE.get(kind, ())
                lines.append(f"      capacitance : {0 if beside or pin in _CLOCKS else 1};")
                lines += ["      clock : true;"] * (pin in _CLOCKS)
                for _, ps in [row for row in setup if row[0] in (pin, pin.split("[")[0])][:1]:
                    lines.append(_setup(_clock(pins), ps))
            else:
                lines += ['      function : "IQ";'] * bool(clocked)
                for source, ps in {a: ps for a, y, ps in arcs if y in (pin, pin.split("[")[0]) and a in pins}.items():
                    lines.append(_timing(_plain(source), ps, "combinational"))
                behind = [ps for y, ps in clocked if y in (pin, pin.split("[")[0])]
                if behind:
                    ps = CLOCK_TO_OUT_PS if kind.startswith("FD") else max(behind)
                    lines.append(_timing(_clock(pins), ps, "rising_edge"))
            lines.append("    }")
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _kind(cell: Mapping[str, Any]) -> str:
    """Return the name of a cell's library cell: a LUT's holds its table."""
    if not cell["type"].startswith("LUT"):
        return cell["type"]
    return f"{cell['type']}__{int(cell['parameters']['INIT'].replace('x', '0'), 2):x}"


def _depends(table: int, source: str, output: str) -> bool:
    """Whether a LUT's output depends on an input."""
    step, size = 1 << int(source[1]), 32 if output == "O5" else 64
    return any((table >> at ^ table >> (at ^ step)) & 1 for at in range(size) if not at & step)


def _clock(pins: Mapping[str, str]) -> str:
    return next(pin for pin in pins if pin in _CLOCKS)


def _data(pins: Mapping[str, str]) -> str:
    return next((pin for pin in ("D", "DIA[0]", "DIADI[0]") if pin in pins), "D").replace("[", "_").replace("]", "")


def _row(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _timing(source: str, ps: int, kind: str) -> str:
    wires = [0.0, *(BASE_NS + DOUBLING_NS * math.log2(loads) for loads in _LOADS[1:])]
    delays = _row([ps / 1e3 + wire for wire in wires])
    tables = " ".join(f'{edge} (loads) {{ values ("{delays}"); }}' for edge in ("cell_rise", "cell_fall"))
    flat = _row([0.0] * len(_LOADS))
    tables += "".join(f' {edge}_transition (loads) {{ values ("{flat}"); }}' for edge in ("rise", "fall"))
    return f'      timing () {{ related_pin : "{source}"; timing_type : {kind}; {tables} }}'


def _setup(clock: str, ps: int) -> str:
    tables = " ".join(f'{edge}_constraint (one) {{ values ("{_row([ps / 1e3] * 2)}"); }}' for edge in ("rise", "fall"))
    return f'      timing () {{ related_pin : "{clock}"; timing_type : setup_rising; {tables} }}'


def _verilog(top: str, module: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> str:
    """Return structural Verilog of single bits; the clock's port is n_clock."""
    clock = next(net for cell in cells for pin, (_, net) in _pins(cell).items() if pin in _CLOCKS)
    inputs = [net for port in module["ports"].values() if port["direction"] == "input" for net in port["bits"]]

    def name(net: Any) -> str:
        return f"1'b{1 if net == '1' else 0}" if isinstance(net, str) else "n_clock" if net == clock else f"n{net}"

    ports = [name(net) for net in dict.fromkeys([clock, *inputs])]
    nets = {name(net) for cell in cells for _, net in _pins(cell).values() if not isinstance(net, str)} - set(ports)
    lines = [f"module {top} ({', '.join(ports)});", *(f"  input {port};" for port in ports)]
    lines += [f"  wire {net};" for net in sorted(nets)]
    for number, cell in enumerate(cells):
        pins = ", ".join(
            f".{_plain(pin)}({name(net)})" for pin, (_, net) in _pins(cell).items() if net not in ("x", "z")
        )
        lines.append(f"  {_kind(cell)} u{number} ({pins});")
    return "\n".join([*lines, "endmodule"]) + "\n"
