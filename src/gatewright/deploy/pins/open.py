"""Pads in; constraints of nextpnr for iCE40 (PCF), Gowin (CST) and GateMate (CCF) out."""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.deploy.pads import Pad

_PULL_UP = "input"  # idle-high: what hangs loose must read 1


def pcf(pads: Sequence[Pad], *, clock_mhz: float, comment: str) -> str:
    """Return the file's text. clock_mhz: of every clock input."""
    lines = [f"# {comment}"]
    for pad in pads:
        pull = " -pullup yes" if pad.kind == _PULL_UP else ""
        lines.append(f"set_io{pull} {pad.port} {pad.pin}")
    lines += [f"set_frequency {pad.port} {clock_mhz:g}" for pad in pads if pad.kind == "clock"]
    return "\n".join(lines) + "\n"


def cst(pads: Sequence[Pad], *, clock_mhz: float, comment: str) -> str:
    """Return the file's text, which says nothing of clocks. clock_mhz: written into the comment."""
    lines = [f"// {comment}. Clock {clock_mhz:g} MHz"]
    for pad in pads:
        pull = " PULL_MODE=UP" if pad.kind == _PULL_UP else " DRIVE=8" if pad.kind == "output" else ""
        lines.append(f'IO_LOC "{pad.port}" {pad.pin};')
        lines.append(f'IO_PORT "{pad.port}" IO_TYPE=LVCMOS{10 * pad.volts:.0f}{pull};')
    return "\n".join(lines) + "\n"


def ccf(pads: Sequence[Pad], *, clock_mhz: float, comment: str) -> str:
    """Return the file's text, which says nothing of clocks. clock_mhz: written into the comment."""
    options = {"clock": " | SCHMITT_TRIGGER=true", "input": " | PULLUP=true", "output": ""}
    lines = [f"# {comment}. Clock {clock_mhz:g} MHz"]
    lines += [f'Net "{_net(pad, pads)}" Loc = "{pad.pin}"{options[pad.kind]};' for pad in pads]
    return "\n".join(lines) + "\n"


def _net(pad: Pad, pads: Sequence[Pad]) -> str:
    """Return a port's name behind yosys' iopadmap: the only bit of a vector has no index there."""
    base = pad.port.removesuffix("[0]")
    return pad.port if any(other.port == f"{base}[1]" for other in pads) else base
