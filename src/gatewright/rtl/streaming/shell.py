"""A core of units on streams in, a Verilog module with AXI4-Stream ports around it out (see docs/streaming.md)."""

from __future__ import annotations

from gatewright.rtl.shell import (
    ENDLESS,
    FRAMED,
    StreamPort,
    commented,
    describe,
    text_of_shell,
    transfer_latency_cycles,
)
from gatewright.rtl.shell_cells import BARE, CLOCK, Piece, Wire, Wiring, entrance, exit_cells, instance, waiting

LEAVES = ("gw_channel", "gw_frame_in", "gw_frame_out", "gw_start_delay")


def stream_shell(
    *,
    name: str,
    core: str,
    source: StreamPort,
    result: StreamPort,
    beats: tuple[int, int],
    frames: int,
    interval_cycles: int,
    latency_cycles: int,
    wiring: Wiring = BARE,
) -> str:
    """Return the Verilog text of module `name`.

    source, result: of one beat of the core; beats: of a frame that enter, and of its results that leave; frames: that
    may be in the core at once; latency_cycles: of the core. wiring: as for shell.axis_shell, a frame for a vector.
    Fixed names inside: u_core, core_in_valid.
    """
    transfer = transfer_latency_cycles(source, result, latency_cycles, io_registers=wiring.io_registers)
    framing = (FRAMED if wiring.framed else ENDLESS).replace("vector", "frame")
    framing += _NULLS if wiring.framed and beats[1] > 1 else ""
    header = commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  a frame is {beats[0]} x {describe(source)}
  m_axis  a result is {beats[1]} x {describe(result)}
  core    {latency_cycles} cycles from a frame's first beat to its last result, {transfer} from bus to bus;
          a frame every {interval_cycles} cycles, up to {frames} frames in it

{framing}""")
    frame = _frame(wiring, core, result, beats, frames)
    torn = "end_valid && end_torn"
    entered = entrance(wiring, source, torn=torn, into="beat", what="beat", room="beat_room")
    made = entered + frame + exit_cells(wiring, result)
    return text_of_shell(name, header, source, result, made, framed=wiring.framed)


_NULLS = """
Of a torn frame only the last beat of the result has TKEEP low: the others left before TLAST came."""


def _frame(wiring: Wiring, core: str, result: StreamPort, beats: tuple[int, int], frames: int) -> Piece:
    """Return the core between what keeps it in step with the frames and what ends their results."""
    marks = ("torn", "last") if wiring.framed else ("last",)
    ends, known = (", ".join(f"{which}_{mark}" for mark in marks) for which in ("end", "known"))
    wires: list[Wire] = [
        (1, "core_in_valid", ""),
        (1, "core_in_ready", ""),
        (1, "end_room", "the end of a frame can be noted"),
        (1, "end_valid", ""),
        (1, "end_last", ""),
        (1, "end_torn" if wiring.framed else "unused_end_torn", ""),
        (1, "known_valid", "what is known of the end of the frame whose results leave"),
        (1, "known_last", ""),
        *([(1, "known_torn", "")] * wiring.framed),
        (1, "known_ready", ""),
        (1, "core_y_valid", ""),
        (1, "core_y_ready", ""),
        *waiting(wiring, result),
        *([] if wiring.framed else [(1, "unused_result_torn", "")]),
    ]
    placed = (
        instance(
            "gw_frame_in",
            "u_frame_in",
            {"BEATS": beats[0], "FRAMED": int(wiring.framed)},
            {
                **CLOCK,
                **{f"s_{wire}": f"beat_{wire}" for wire in ("valid", "last")},
                "s_torn": "beat_torn" if wiring.framed else "unused_torn",
                "s_ready": "beat_room",
                "m_valid": "core_in_valid",
                "m_ready": "core_in_ready",
                **{f"end_{wire}": f"end_{wire}" for wire in ("room", "valid", "last")},
                "end_torn": "end_torn" if wiring.framed else "unused_end_torn",
            },
        ),
        instance(
            core,
            "u_core",
            {},
            {
                **CLOCK,
                "x": "core_x",
                "x_valid": "core_in_valid",
                "x_ready": "core_in_ready",
                "y": "result",
                "y_valid": "core_y_valid",
                "y_ready": "core_y_ready",
            },
        ),
        "    // What is known of the ends of the frames in the core, in order.\n"
        + instance(
            "gw_channel",
            "u_ends",
            {"WIDTH": len(marks), "DEPTH": frames},
            {
                **CLOCK,
                "reserve": "end_valid",
                "room": "end_room",
                "in_data": f"{{{ends}}}",
                "in_valid": "end_valid",
                "out_data": f"{{{known}}}",
                "out_valid": "known_valid",
                "out_ready": "known_ready",
            },
        ),
        instance(
            "gw_frame_out",
            "u_frame_out",
            {"BEATS": beats[1]},
            {
                **CLOCK,
                "s_valid": "core_y_valid",
                "s_ready": "core_y_ready",
                **{f"end_{wire}": f"known_{wire}" for wire in ("valid", "last", "ready")},
                "end_torn": "known_torn" if wiring.framed else "1'b0",
                **{f"m_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")},
                "m_torn": "result_torn" if wiring.framed else "unused_result_torn",
            },
        ),
    )
    return Piece(wires=tuple(wires), placed=placed)
