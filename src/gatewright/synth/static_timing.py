"""A synthesized netlist in, its longest path from register to register as a range of clocks out.

Cells have the delays of chips/xilinx_cells.py. A LUT's input that its INIT does not depend on, constants taken in, has
no arc. Every net counts as routed, near or far by the number of its loads, but for those inside a slice: a carry chain,
a LUT in front of a carry, multiplexer or flip-flop, a multiplexer or carry in front of a flip-flop. Ports of the design
count as registers: what comes in starts at one, what goes out ends at one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatewright.chips import FAMILIES, Family
from gatewright.chips.xilinx_cells import FAR, GRADES, NEAR, SLOWEST, CellTiming, Wires, cell_timing
from gatewright.errors import GatewrightError, ToolError
from gatewright.synth.netlist import Cell, Net, Netlist, read_netlist

_LUTS = frozenset({*(f"LUT{n}" for n in range(1, 7)), "LUT6_2", "INV"})
_FLIP_FLOPS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE"})
_SILENT = frozenset({"GND", "VCC", "$scopeinfo"})
_CLOCKS = frozenset({"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "RDCLK", "WRCLK"})
# cell in front, kinds of pins behind that the same slice holds
_INSIDE: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (frozenset({"CARRY4"}), frozenset({"CARRY4"}), "CI"),
    (_LUTS, frozenset({"CARRY4"}), "S"),
    (_LUTS, frozenset({"MUXF7"}), "I"),
    (frozenset({"MUXF7"}), frozenset({"MUXF8"}), "I"),
    (frozenset({"MUXF8"}), frozenset({"MUXF9"}), "I"),
    (_LUTS | {"CARRY4", "MUXF7", "MUXF8", "MUXF9", "SRL16E", "SRLC32E"}, _FLIP_FLOPS, "D"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetlistTiming:
    """The longest path of a netlist, with near and with far wires.

    range_mhz: the lowest and the highest clock to expect after place and route, in whole MHz; None: no register, or
    nothing between two. path: the cells on the far one, in order. basis: what the range assumes. untimed: kinds of
    cells whose delays are not known; paths through them are not in the range.
    """

    near_ns: float
    far_ns: float
    path: tuple[str, ...]
    basis: str
    untimed: tuple[str, ...] = ()

    @property
    def range_mhz(self) -> tuple[int, int] | None:
        """The lowest and the highest clock to expect."""
        if not self.far_ns:
            return None
        return math.floor(1e3 / self.far_ns), math.ceil(1e3 / self.near_ns)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like dict."""
        found = self.range_mhz
        return {
            "range_mhz": list(found) if found else None,
            "near_ns": round(self.near_ns, 3),
            "far_ns": round(self.far_ns, 3),
            "path": list(self.path),
            "basis": self.basis,
            "untimed": list(self.untimed),
        }


def time_netlist(path: Path, top: str, *, family: Family, speed: str = "") -> NetlistTiming:
    """Return the timing of a JSON netlist that yosys wrote for xc7 or xcup.

    speed: a speed grade, a key of GRADES; "" stands for the slowest. The delays of a family's cells are those of 7
    series times its chips.FamilyData.netlist_scale. Raises GatewrightError for another family or grade, ToolError for a
    file that is no netlist and for a loop without a register.
    """
    scale, speed = FAMILIES[family].netlist_scale, speed or SLOWEST
    if not scale:
        timed = ", ".join(name for name, row in FAMILIES.items() if row.netlist_scale)
        raise GatewrightError(f"netlists of {family!r} cannot be timed before placement; those of {timed} can")
    if speed not in GRADES:
        raise GatewrightError(f"speed grade must be one of {', '.join(GRADES)}, not {speed!r}")
    netlist, factor = read_netlist(path, top), GRADES[speed] * scale
    (near, _), (far, cells) = (_Corner(netlist, wires).longest() for wires in (NEAR, FAR))
    unknown = {cell.kind for cell in netlist.cells if _timing(cell) is None} - _SILENT
    return NetlistTiming(
        near_ns=near * factor,
        far_ns=far * factor,
        path=cells,
        basis=_basis(speed, scale) + (f"; without {', '.join(sorted(unknown))}" if unknown else ""),
        untimed=tuple(sorted(unknown)),
    )


def _basis(speed: str, scale: float) -> str:
    grade = (
        f"speed grade {speed}"
        if speed == SLOWEST
        else f"speed grade {speed} as {GRADES[speed]:g} of {SLOWEST}'s delays"
    )
    other = "" if scale == 1.0 else f", all delays times {scale:g} of 7 series'"
    return (
        f"{grade}{other}; not placed: wires of one load {NEAR.base_ns:g} to {FAR.base_ns:g} ns, of 100 loads "
        f"{NEAR.delay_ns(100):.1f} to {FAR.delay_ns(100):.1f} ns"
    )


def srl_into_logic(netlist: Netlist) -> list[str]:
    """Return the names of shift-register LUTs whose output, 1.47 ns behind the clock, feeds more than registers."""
    sinks = _sinks(netlist)
    return [
        cell.name
        for cell in netlist.cells
        if cell.kind.startswith("SRL")
        for pin, net in cell.outputs.items()
        if pin == "Q" and any(reader.kind not in _FLIP_FLOPS or at != "D" for reader, at in sinks[net])
    ]


@dataclass(slots=True)
class _Corner:
    """The longest path with one kind of wires. arrival, before: of a net, in ns at the cell that drives it."""

    netlist: Netlist
    wires: Wires
    sinks: dict[Net, list[tuple[Cell, str]]] = field(init=False)
    drivers: dict[Net, Cell] = field(init=False)
    arrival: dict[Net, float] = field(default_factory=dict[Net, float])
    before: dict[Net, Net | None] = field(default_factory=dict[Net, Net | None])

    def __post_init__(self) -> None:
        self.sinks = _sinks(self.netlist)
        self.drivers = {net: cell for cell in self.netlist.cells for net in cell.outputs.values()}

    def longest(self) -> tuple[float, tuple[str, ...]]:
        """Return the longest path in ns, 0 where there is none, and the kinds of its cells."""
        arcs = self._start()
        self._propagate(arcs)
        ends: list[tuple[float, str, Net]] = []
        for cell in self.netlist.cells:
            timing = _timing(cell)
            if timing is None or not timing.setup:
                continue
            for pin, net in cell.inputs.items():
                if net in self.arrival and (setup := _of(timing.setup, pin)) is not None:
                    ends.append((self.arrival[net] + self._wire(net, cell, pin) + setup / 1e3, cell.kind, net))
        ends += [
            (self.arrival[net] + self.wires.delay_ns(1), "port", net)
            for net in self.netlist.outputs
            if net in self.arrival and net in self.drivers
        ]
        if not ends:
            return 0.0, ()
        ns, last, net = max(ends, key=lambda end: end[0])
        path = [last]
        at: Net | None = net
        while at is not None:
            path.append(self.drivers[at].kind if at in self.drivers else "port")
            at = self.before[at]
        return ns, tuple(reversed(path))

    def _start(self) -> list[tuple[Net, Net, float]]:
        """Set the arrival of all that a clock starts; return the arcs (from, to, ns) between nets, wires included."""
        for net in self.netlist.inputs:
            if not any(pin.split("[")[0] in _CLOCKS for _, pin in self.sinks[net]):
                self._arrive(net, self.wires.flip_flop_ps / 1e3, None)
        arcs: list[tuple[Net, Net, float]] = []
        for cell in self.netlist.cells:
            timing = _timing(cell)
            if timing is None:
                continue
            for pin, net in cell.outputs.items():
                if (out := _of(timing.clock_to_out, pin)) is not None:
                    ps = self.wires.flip_flop_ps if cell.kind in _FLIP_FLOPS else out
                    self._arrive(net, ps / 1e3, None)
                for source, ps in _arcs(cell, timing, pin):
                    start = cell.inputs[source]
                    if cell.kind == "INV" and not self.wires.inverters:
                        ps = 0
                    if not isinstance(start, str):
                        arcs.append((start, net, self._wire(start, cell, source) + ps / 1e3))
        return arcs

    def _propagate(self, arcs: list[tuple[Net, Net, float]]) -> None:
        ahead: dict[Net, list[tuple[Net, float]]] = defaultdict(list)
        waiting: dict[Net, int] = defaultdict(int)
        for start, end, ns in arcs:
            ahead[start].append((end, ns))
            waiting[end] += 1
        ready = [net for net in ahead if not waiting[net]]
        done = 0
        while ready:
            net = ready.pop()
            for end, ns in ahead[net]:
                done += 1
                waiting[end] -= 1
                if net in self.arrival:
                    self._arrive(end, self.arrival[net] + ns, net)
                if not waiting[end]:
                    ready.append(end)
        if done < len(arcs):
            raise ToolError(
                f"the netlist has a loop without a register, of {len(arcs) - done} arcs or fewer; report it"
            )

    def _arrive(self, net: Net, ns: float, before: Net | None) -> None:
        if ns > self.arrival.get(net, -1.0):
            self.arrival[net], self.before[net] = ns, before

    def _wire(self, net: Net, cell: Cell, pin: str) -> float:
        """Return the delay from a net's driver to one of its loads."""
        if cell.kind == "INV" and not self.wires.inverters:
            return 0.0
        driver, word = self.drivers.get(net), pin.split("[", maxsplit=1)[0]
        if driver is not None:
            for front, behind, kind in _INSIDE:
                same = word == kind or (kind == "I" and word in ("I0", "I1"))
                if driver.kind in front and cell.kind in behind and same and self._alone(net, behind, word):
                    return 0.0
        return self.wires.delay_ns(len(self.sinks[net]))

    def _alone(self, net: Net, behind: frozenset[str], word: str) -> bool:
        """Whether a net has but one load of that kind: only one can be beside its driver."""
        return sum(cell.kind in behind and pin.split("[")[0] == word for cell, pin in self.sinks[net]) == 1


def _sinks(netlist: Netlist) -> dict[Net, list[tuple[Cell, str]]]:
    found: dict[Net, list[tuple[Cell, str]]] = defaultdict(list)
    for cell in netlist.cells:
        for pin, net in cell.inputs.items():
            if not isinstance(net, str):
                found[net].append((cell, pin))
    return found


def _timing(cell: Cell) -> CellTiming | None:
    return cell_timing(
        cell.kind, {name: _number(value) != 0 for name, value in cell.parameters.items() if "REG" in name}
    )


def _number(value: Any) -> int:
    """Return a parameter as a number; yosys writes binary digits."""
    text = str(value)
    return int(text, 2) if text and set(text) <= {"0", "1"} else 0


def _of(table: Mapping[str, int], pin: str) -> int | None:
    """Return the entry of a pin, or of the vector that it is a bit of."""
    return table.get(pin, table.get(pin.split("[", maxsplit=1)[0]))


def _arcs(cell: Cell, timing: CellTiming, output: str) -> list[tuple[str, int]]:
    """Return the inputs that an output depends on, with their delays in ps."""
    into = timing.arcs.get(output, timing.arcs.get(output.split("[", maxsplit=1)[0]))
    if into is None:
        return []
    found = [(pin, ps) for pin in cell.inputs if (ps := _of(into, pin)) is not None]
    if cell.kind not in _LUTS or cell.kind == "INV":
        return found
    used = lut_inputs(cell, output)
    return [(pin, ps) for pin, ps in found if pin in used]


def lut_inputs(cell: Cell, output: str) -> set[str]:
    """Return the inputs that a LUT's output depends on, constants taken in. O5 is the lower half's, whatever I5 is."""
    count = 6 if cell.kind == "LUT6_2" else int(cell.kind[3])
    table = int(str(cell.parameters["INIT"]).replace("x", "0"), 2)
    if output == "O5":
        count, table = 5, table & 0xFFFFFFFF
    fixed = {i: net for i in range(count) if isinstance(net := cell.inputs.get(f"I{i}", "0"), str)}
    places = [place for place in range(1 << count) if all((place >> i & 1) == (net == "1") for i, net in fixed.items())]
    return {
        f"I{i}"
        for i in range(count)
        if i not in fixed and any((table >> place ^ table >> (place ^ (1 << i))) & 1 for place in places)
    }
