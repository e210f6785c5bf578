"""What a stream shell is to do and what is inside in, its wires and instances as Verilog text out.

From left to right: the guard of the framing, registers, unpacking; the core with its credits, marks and FIFO; packing,
registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewright.rtl.shell import StreamPort

Wire = tuple[int, str, str]
"""Bits, name and what is to be said of it."""
CLOCK = {"clk": "aclk", "rst_n": "aresetn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the shell does about its streams; see shell.axis_shell."""

    framed: bool = False
    io_registers: bool = False

    @property
    def leaves(self) -> tuple[str, ...]:
        """The cells that it needs beside those of leaves.SHELL_LEAVES."""
        return ("gw_axis_guard",) * self.framed + ("gw_axis_skid",) * self.io_registers


BARE = Wiring()
"""Neither: TLAST cuts no vector, and wires go straight to the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The core. interval: cycles that it needs from one vector to the next; the rest as for shell.axis_shell."""

    core: str
    latency_cycles: int
    interval: int
    elastic: bool
    log2_depth: int
    block_fifo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Part of a shell: the wires that it declares, and its instances and assignments."""

    wires: tuple[Wire, ...] = ()
    placed: tuple[str, ...] = ()

    def __add__(self, other: Piece) -> Piece:
        return Piece(wires=self.wires + other.wires, placed=self.placed + other.placed)


def shell_cells(wiring: Wiring, inside: Inside, source: StreamPort, result: StreamPort) -> Piece:
    """Return everything between the shell's ports, in the order of the data."""
    entered = entrance(wiring, source, torn="core_in_valid && core_in_torn")
    core = _elastic(wiring, inside, result) if inside.elastic else _rigid(wiring, inside, result)
    return entered + _room(inside.interval - source.beats) + core + exit_cells(wiring, result)


def entrance(
    wiring: Wiring, source: StreamPort, *, torn: str, into: str = "core_in", what: str = "vector", room: str = "room"
) -> Piece:
    """Return what makes vectors of the stream's beats.

    into: begins the names of their wires; what: they are; room: the wire that says that one may come; torn: what tells
    the guard that TLAST came too early.
    """
    wires: list[Wire] = []
    placed: list[str] = []
    data, valid, ready, last = (f"s_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast"))
    if wiring.framed:
        wires += [(1, "kept_tvalid", "a beat that is not dropped"), (1, "kept_tready", "")]
        ends = {"s_tvalid": valid, "s_tready": ready, "s_tlast": last}
        valid, ready = "kept_tvalid", "kept_tready"
        ends |= {"m_tvalid": valid, "m_tready": ready, "torn": torn}
        placed.append(instance("gw_axis_guard", "u_guard", {}, {**CLOCK, **ends, "error": "framing_error"}))
    if wiring.io_registers:
        names = [f"in_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")]
        wires += [(bits, name, "") for bits, name in zip((source.beat_bits, 1, 1, 1), names, strict=True)]
        ends = {"in_data": f"{{{last}, {data}}}", "in_valid": valid, "in_ready": ready}
        data, valid, ready, last = names
        ends |= {"out_data": f"{{{last}, {data}}}", "out_valid": valid, "out_ready": ready}
        placed.append(instance("gw_axis_skid", "u_in", {"WIDTH": source.beat_bits + 1}, {**CLOCK, **ends}))
    cut = f"{into}_torn" if wiring.framed else "unused_torn"
    wires += [
        (source.packed_bits, "core_x", ""),
        (1, f"{into}_valid", f"core_x is a {what} that has been accepted"),
        (1, f"{into}_last", ""),
        (1, cut, f"TLAST came before the {what}'s end" if wiring.framed else f"never: TLAST cuts no {what}"),
        (1, room, f"the core can take a {what} when the last beat of it comes"),
    ]
    settings = {"ELEMENTS": source.elements, "WIDTH": source.width_bits, "BEAT": source.beat_bits}
    ends = {"s_tdata": data, "s_tvalid": valid, "s_tready": ready, "s_tlast": last, "room": room}
    ends |= {"vector": "core_x", "vector_valid": f"{into}_valid", "vector_last": f"{into}_last", "vector_torn": cut}
    framed = {"FRAMED": int(wiring.framed)}
    placed.append(instance("gw_axis_unpack", "u_unpack", settings | framed, {**CLOCK, **ends}))
    return Piece(wires=tuple(wires), placed=tuple(placed))


def _room(pause: int) -> Piece:
    """Return what keeps vectors apart, where the core is slower than the input stream."""
    if pause <= 0:
        return Piece(wires=((1, "credit", ""),), placed=("    assign room = credit;",))
    cell = instance("gw_pace", "u_pace", {"CYCLES": pause}, {**CLOCK, "go": "core_in_valid", "ready": "rested"})
    return Piece(wires=((1, "credit", ""), (1, "rested", "")), placed=(f"    assign room = credit && rested;\n{cell}",))


def _rigid(wiring: Wiring, inside: Inside, result: StreamPort) -> Piece:
    """Return the core that never stops, the credits against which vectors enter it, and the FIFO of its results."""
    started = {**CLOCK, "start": "core_in_valid"} if inside.interval > 1 else {"clk": "aclk"}
    marks = ("torn", "last") if wiring.framed else ("last",)
    entering, leaving, kept = ([f"{at}_{mark}" for mark in marks] for at in ("core_in", "core_out", "result"))
    wires: list[Wire] = [
        (result.packed_bits, "core_y", ""),
        (1, "core_out_valid", f"core_y is the result of the vector {count(inside.latency_cycles, 'cycle')} ago"),
        *((1, f"core_out_{mark}", "") for mark in reversed(marks)),
        *waiting(wiring, result),
    ]
    placed = (
        "    // One credit per place in the FIFO: a vector enters only if there is a place for its result.\n"
        + instance(
            "gw_credit",
            "u_credit",
            {"LOG2_DEPTH": inside.log2_depth, "START": 1 << inside.log2_depth},
            {**CLOCK, "inc": "result_valid && result_ready", "dec": "core_in_valid", "any": "credit"},
        ),
        instance(inside.core, "u_core", {}, {**started, "x": "core_x", "y": "core_y"}),
        instance(
            "gw_axis_delay",
            "u_delay",
            {"CYCLES": inside.latency_cycles, **({"MARKS": len(marks)} if len(marks) > 1 else {})},
            {
                **CLOCK,
                "in_valid": "core_in_valid",
                "in_last": _joined(entering),
                "out_valid": "core_out_valid",
                "out_last": _joined(leaving),
            },
        ),
        instance(
            "gw_fifo",
            "u_fifo",
            {
                "WIDTH": result.packed_bits + len(marks),
                "LOG2_DEPTH": inside.log2_depth,
                **({"BLOCK": 1} if inside.block_fifo else {}),
            },
            {
                **CLOCK,
                "in_data": _joined([*leaving, "core_y"]),
                "in_valid": "core_out_valid",
                "out_data": _joined([*kept, "result"]),
                "out_valid": "result_valid",
                "out_ready": "result_ready",
            },
        ),
    )
    return Piece(wires=tuple(wires), placed=placed)


def _elastic(wiring: Wiring, inside: Inside, result: StreamPort) -> Piece:
    """Return the core that waits for both of its ends; its marks are always two, the last bit the lower."""
    torn = ("core_in_torn", "result_torn") if wiring.framed else ("1'b0", "unused_result_torn")
    taken = {"x": "core_x", "x_valid": "core_in_valid", "x_last": f"{{{torn[0]}, core_in_last}}", "x_ready": "credit"}
    given = {"y": "result", "y_valid": "result_valid", "y_last": f"{{{torn[1]}, result_last}}"}
    wires = [*waiting(wiring, result), *([] if wiring.framed else [(1, "unused_result_torn", "")])]
    placed = instance(inside.core, "u_core", {}, {**CLOCK, **taken, **given, "y_ready": "result_ready"})
    return Piece(wires=tuple(wires), placed=(placed,))


def waiting(wiring: Wiring, result: StreamPort) -> list[Wire]:
    """Return the wires of the results that wait."""
    names = ("result_valid", "result_last", *(["result_torn"] * wiring.framed), "result_ready")
    return [(result.packed_bits, "result", ""), *((1, name, "") for name in names)]


def exit_cells(wiring: Wiring, result: StreamPort) -> Piece:
    """Return what makes beats of the results."""
    wires: list[Wire] = []
    placed: list[str] = []
    data, valid, ready, last = (f"m_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast"))
    torn = "result_torn"
    if wiring.io_registers:
        names = [f"out_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")]
        wires += [(bits, name, "") for bits, name in zip((result.beat_bits, 1, 1, 1), names, strict=True)]
        marks = ["result_torn"] * wiring.framed, ["out_torn"] * wiring.framed
        ends = {"out_data": _joined([*marks[1], last, data]), "out_valid": valid, "out_ready": ready}
        data, valid, ready, last = names
        ends = {"in_data": _joined([*marks[0], last, data]), "in_valid": valid, "in_ready": ready, **ends}
        width = result.beat_bits + 1 + wiring.framed
        placed.append(instance("gw_axis_skid", "u_out", {"WIDTH": width}, {**CLOCK, **ends}))
        wires += [(1, "out_torn", "")] * wiring.framed
        torn = "out_torn"
    pack = instance(
        "gw_axis_pack",
        "u_pack",
        {
            "ELEMENTS": result.elements,
            "WIDTH": result.width_bits,
            "SIGNED": int(result.signed),
            "BEAT": result.beat_bits,
        },
        {
            **CLOCK,
            "vector": "result",
            **{f"vector_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")},
            "m_tdata": data,
            "m_tvalid": valid,
            "m_tready": ready,
            "m_tlast": last,
        },
    )
    keep = [f"    assign m_axis_tkeep = {{{result.beat_bits // 8}{{!{torn}}}}};"] * wiring.framed
    return Piece(wires=tuple(wires), placed=(pack, *placed, *keep))


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


def instance(module: str, name: str, parameters: Mapping[str, int], ports: Mapping[str, str]) -> str:
    """Return the text of an instance."""
    settings = ", ".join(f".{key}({value})" for key, value in parameters.items())
    wires = ",\n".join(f"        .{key}({value})" for key, value in ports.items())
    return f"    {module} {f'#({settings}) ' if settings else ''}{name} (\n{wires}\n    );"


def count(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"
