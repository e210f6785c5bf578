"""Table `boards`: a small network behind the UART on a board of each family, placed and packed; minutes on GateMate."""

from __future__ import annotations

import json
import shutil
from typing import Any

from benchmarks.tables import BUILD, publish
from gatewright.chips import part, router
from gatewright.deploy import board
from gatewright.deploy.bitstream import build_bitstream
from gatewright.rtl.manifest import write_design
from tests.lowering import lower_for
from tests.programs import codes, mlp

BOARDS = ("ulx3s_25f", "icebreaker", "tang_nano_9k", "tang_nano_20k", "gatemate_a1_evb")
PROGRAM = mlp((4, 3), seed=1, weight_bits=3, output="scores")


def run() -> None:
    """Build a bitstream for each, at the board's own clock."""
    rows: list[dict[str, Any]] = []
    for name in BOARDS:
        own, folder = board(name), BUILD / "boards" / name
        chip = part(own.part)
        shutil.rmtree(folder, ignore_errors=True)
        lowered = lower_for(PROGRAM, codes(PROGRAM, 50), family=chip.family, clock_mhz=own.clock_mhz)
        manifest = write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder / "rtl")
        out = folder / "bitstream"
        built = build_bitstream(
            manifest=manifest, rtl=folder / "rtl", board=own, part=chip, clock_mhz=own.clock_mhz, seed=1, out=out
        )
        placed = json.loads((out / "board.json").read_text())
        rows.append(
            {
                "board": name,
                "part": chip.name,
                "clock MHz": own.clock_mhz,
                "reaches MHz": placed["fmax_mhz"] or "not known",
                "logic": sum(placed["used"].get(cell, 0) for cell in router(chip.family).comb),
                "FF": sum(placed["used"].get(cell, 0) for cell in router(chip.family).ff),
                "bitstream": built.suffix,
                "kB": built.stat().st_size // 1000,
            }
        )
    notes = ("4 inputs, 3 scores, behind the UART. On iCE40 a cell holds a LUT and a flip-flop.",)
    publish("boards", "boards: placed and packed", rows, notes)
