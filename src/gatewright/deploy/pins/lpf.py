"""Pads in, a Lattice Preference File, which nextpnr-ecp5 reads, out."""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.deploy.pads import Pad

_OPTIONS = {"clock": "PULLMODE=NONE", "input": "PULLMODE=UP", "output": "DRIVE=4"}


def lpf(pads: Sequence[Pad], *, clock_mhz: float, comment: str) -> str:
    """Return the file's text. clock_mhz: of every clock input."""
    lines = [f"# {comment}", "BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    for pad in pads:
        lines.append(f'LOCATE COMP "{pad.port}" SITE "{pad.pin}";')
        lines.append(f'IOBUF PORT "{pad.port}" IO_TYPE=LVCMOS33 {_OPTIONS[pad.kind]};')
    lines += [f'FREQUENCY PORT "{pad.port}" {clock_mhz:g} MHZ;' for pad in pads if pad.kind == "clock"]
    return "\n".join(lines) + "\n"
