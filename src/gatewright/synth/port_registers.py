"""A JSON netlist of an ECP5 design in, the same with a flip-flop at every port out: so that paths from and to ports are
timed.

nextpnr times what runs from register to register. Placed without I/O buffers, a stage that begins at a port would have
no delay at all, and a pipeline without registers inside would reach any clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gatewright.synth.netlist import read_netlist
from gatewright.tools import write_atomic

CLOCK_PINS = ("CLK", "CLKA", "CLKB", "CLKW", "CLKR", "WCK", "CLK0", "CLK1", "CLK2", "CLK3")
_FLIP_FLOP: dict[str, str] = {
    "CEMUX": "1 ",  # a word of digits alone: yosys marks it with a space
    "CLKMUX": "CLK",
    "GSR": "DISABLED",
    "LSRMUX": "LSR",
    "REGSET": "RESET",
    "SRMODE": "LSR_OVER_CE",
}


def register_ports(netlist: Path, out: Path) -> bool:
    """Write the netlist with registers at its ports to `out`; False, and nothing written, without one clock port."""
    design = json.loads(netlist.read_text())
    tops = [name for name, module in design["modules"].items() if int(module["attributes"].get("top", "0"), 2)]
    if len(tops) != 1:
        return False
    module: dict[str, Any] = design["modules"][tops[0]]
    clocks = _clock_ports(netlist, tops[0], module)
    if len(clocks) != 1:
        return False
    (clock,) = clocks
    (clock_net,) = module["ports"][clock]["bits"]
    free = 1 + max(_numbers(module))
    for name, port in module["ports"].items():
        if name == clock:
            continue
        for i, net in enumerate(port["bits"]):
            if isinstance(net, str):
                continue  # a constant output
            inward = port["direction"] == "input"
            pins = {"CLK": clock_net, "DI": free if inward else net, "Q": net if inward else free}
            module["cells"][f"gw_port_{name}_{i}"] = {
                "hide_name": 0,
                "type": "TRELLIS_FF",
                "parameters": _FLIP_FLOP,
                "attributes": {},
                "port_directions": {"CLK": "input", "DI": "input", "Q": "output"},
                "connections": {pin: [number] for pin, number in pins.items()},
            }
            port["bits"][i] = free
            free += 1
    write_atomic(out, json.dumps(design))
    return True


def _clock_ports(netlist: Path, top: str, module: dict[str, Any]) -> set[str]:
    """Return the input ports that reach a clock pin."""
    flat = read_netlist(netlist, top)
    clocked = {net for cell in flat.cells for pin, net in cell.inputs.items() if pin in CLOCK_PINS}
    inputs = [name for name, port in module["ports"].items() if port["direction"] == "input" for _ in port["bits"]]
    return {name for name, net in zip(inputs, flat.inputs, strict=True) if net in clocked}


def _numbers(module: dict[str, Any]) -> set[int]:
    groups = [*module["ports"].values(), *module["netnames"].values()]
    found = {net for group in groups for net in group["bits"]}
    found |= {net for cell in module["cells"].values() for nets in cell["connections"].values() for net in nets}
    return {net for net in found if isinstance(net, int)}
