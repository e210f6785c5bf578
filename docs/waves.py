"""A design's `rtl/handover` in, a picture of its streams' first cycles out: `python -m docs.waves HANDOVER waves.svg`.

Icarus runs the handed test bench as it is; a second top beside it dumps its signals. wavedrom draws them, and
`python -m docs.gallery` takes the picture into the manual.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import wavedrom  # pyright: ignore[reportMissingImports]  (made by hand, with the gallery: pip install wavedrom pyvcd)
from vcd.reader import TokenKind, tokenize  # pyright: ignore[reportMissingImports]

CYCLES = 14
SENT = ("s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast")
CAME = ("m_axis_tdata", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast")


def dump(folder: Path, top: str) -> list[dict[str, str]]:
    """Return the bench's signals in each cycle after reset, as they are just before its rising edge."""
    with tempfile.TemporaryDirectory() as place:
        beside, built, trace = (Path(place) / name for name in ("dump.v", "tb", "tb.vcd"))
        beside.write_text(f'module dump; initial begin $dumpfile("{trace}"); $dumpvars(1, {top}); end endmodule\n')
        sources = ["-f", "files.f", f"{top}.v", str(beside)]
        tops = ["-s", top, "-s", "dump"]
        subprocess.run(["iverilog", "-g2005", *tops, "-o", str(built), *sources], cwd=folder, check=True)
        subprocess.run(["vvp", str(built)], cwd=folder, check=True, capture_output=True)
        return [cycle for cycle in _cycles(trace) if cycle["aresetn"] == "1"]


def _cycles(trace: Path) -> Iterator[dict[str, str]]:
    """Yield the values of all signals before each rising edge of `aclk`."""
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    changed: dict[str, str] = {}
    with trace.open("rb") as file:
        for token in tokenize(file):
            match token.kind:
                case TokenKind.VAR:
                    names[token.var.id_code] = token.var.reference
                case TokenKind.CHANGE_SCALAR | TokenKind.CHANGE_VECTOR:
                    change = token.scalar_change if token.kind is TokenKind.CHANGE_SCALAR else token.vector_change
                    changed[names[change.id_code]] = str(change.value)
                case TokenKind.CHANGE_TIME:
                    if changed.get("aclk") == "1" and values:
                        yield dict(values)
                    values |= changed
                    changed.clear()
                case _:
                    pass


def drawing(cycles: list[dict[str, str]]) -> Mapping[str, object]:
    """Return WaveJSON: a beat that goes in carries its number, one that comes out the number and its value."""
    clock = {"name": "aclk", "wave": "p" + "." * (len(cycles) - 1)}
    return {
        "signal": [clock, {}, *_stream(cycles, SENT, "x{0}"), {}, *_stream(cycles, CAME, "y{0} = {1}")],
        "foot": {"tock": 0},
        "config": {"hscale": 2},
    }


def _stream(cycles: list[dict[str, str]], names: tuple[str, ...], label: str) -> list[Mapping[str, object]]:
    data, valid, ready, last = names
    wave, labels, beat, idle, waits = "", list[str](), 0, False, False
    for cycle in cycles:
        if cycle[valid] == "1":
            wave += "." if waits else "3"
            if not waits:
                labels.append(label.format(beat, cycle[data]))
            waits = cycle[ready] != "1"
            beat += not waits
        else:
            wave += "." if idle else "x"
        idle = cycle[valid] != "1"
    rows: list[Mapping[str, object]] = [{"name": data, "wave": wave, "data": labels}]
    return [*rows, *({"name": name, "wave": _bits([cycle[name] for cycle in cycles])} for name in (valid, ready, last))]


def _bits(values: list[str]) -> str:
    return "".join("." if at and value == values[at - 1] else value for at, value in enumerate(values))


def main() -> None:
    """Draw the folder that was named into the file that was named."""
    folder, picture = map(Path, sys.argv[1:])
    top = next(folder.glob("*_tb.v")).stem
    drawn = wavedrom.render(json.dumps(drawing(dump(folder, top)[:CYCLES])))
    picture.write_text(drawn.tostring(), encoding="utf-8")


if __name__ == "__main__":
    main()
