"""A core of units on streams in, a Verilog module with AXI4-Stream ports around it out (see docs/streaming.md)."""

from __future__ import annotations

from gatewright.rtl.shell import StreamPort, commented, describe, text_of_shell
from gatewright.rtl.shell_cells import CLOCK, Piece, Wire, instance

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
) -> str:
    """Return the Verilog text of module `name`.

    source, result: of one beat of the core; beats: of a frame that enter, and of its results that leave; frames: that
    may be in the core at once. Fixed names inside: u_core, core_in_valid.
    """
    header = commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  a frame is {beats[0]} x {describe(source)}
  m_axis  a result is {beats[1]} x {describe(result)}
  core    {latency_cycles} cycles from a frame's first beat to its last result, a frame every {interval_cycles} cycles;
          up to {frames} frames in it

TLAST with a frame's last beat comes out with the last beat of its result; on an earlier beat it tears the frame.""")
    wires: list[Wire] = [
        (source.packed_bits, "core_x", ""),
        (1, "beat_valid", "core_x is a beat that has been accepted"),
        (1, "beat_last", ""),
        (1, "beat_torn", "TLAST came before the beat was whole"),
        (1, "beat_room", ""),
        (1, "core_in_valid", ""),
        (1, "core_in_ready", ""),
        (1, "end_room", "the end of a frame can be noted"),
        (1, "end_valid", ""),
        (1, "end_last", ""),
        (1, "end_torn", ""),
        (1, "known_valid", "what is known of the end of the frame whose results leave"),
        (1, "known_last", ""),
        (1, "known_torn", ""),
        (1, "known_ready", ""),
        (result.packed_bits, "core_y", ""),
        (1, "core_y_valid", ""),
        (1, "core_y_ready", ""),
        (1, "result_valid", ""),
        (1, "result_last", ""),
        (1, "result_ready", ""),
    ]
    cells = [
        instance(
            "gw_axis_unpack",
            "u_unpack",
            {"ELEMENTS": source.elements, "WIDTH": source.width_bits, "BEAT": source.beat_bits, "FRAMED": 1},
            {
                **CLOCK,
                **{f"s_{wire}": f"s_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")},
                "room": "beat_room",
                "vector": "core_x",
                **{f"vector_{wire}": f"beat_{wire}" for wire in ("valid", "last", "torn")},
            },
        ),
        instance(
            "gw_frame_in",
            "u_frame_in",
            {"BEATS": beats[0]},
            {
                **CLOCK,
                **{f"s_{wire}": f"beat_{wire}" for wire in ("valid", "last", "torn")},
                "s_ready": "beat_room",
                "m_valid": "core_in_valid",
                "m_ready": "core_in_ready",
                **{f"end_{wire}": f"end_{wire}" for wire in ("room", "valid", "last", "torn")},
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
                "y": "core_y",
                "y_valid": "core_y_valid",
                "y_ready": "core_y_ready",
            },
        ),
        "    // What is known of the ends of the frames in the core, in order.\n"
        + instance(
            "gw_channel",
            "u_ends",
            {"WIDTH": 2, "DEPTH": frames},
            {
                **CLOCK,
                "reserve": "end_valid",
                "room": "end_room",
                "in_data": "{end_torn, end_last}",
                "in_valid": "end_valid",
                "out_data": "{known_torn, known_last}",
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
                **{f"end_{wire}": f"known_{wire}" for wire in ("valid", "last", "torn", "ready")},
                **{f"m_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")},
            },
        ),
        instance(
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
                "vector": "core_y",
                **{f"vector_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")},
                **{f"m_{wire}": f"m_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")},
            },
        ),
    ]
    return text_of_shell(name, header, source, result, Piece(wires=tuple(wires), placed=tuple(cells)))
