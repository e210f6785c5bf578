"""Table `bus`: LUTs and flip-flops of the blocks behind AXI4-Lite by yosys, beside what a ComBlock takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cells import Cells, count
from benchmarks.tables import BUILD, publish
from gatewright.instrument.block import COUNTERS, LEAVES, registers_module
from gatewright.instrument.registers import Block, FifoPair, Frame
from gatewright.instrument.top import RAM_LEAVES
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.netlist import Assign, Literal, Module, Register
from gatewright.rtl.verilog import module_text
from gatewright.tools import write_atomic

LUT_SITES = {"RAM32M": 4, "RAM64M": 4, "RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4}
"""LUTs that a cell of LUT RAM takes: UG474, table 2-3."""
_FRAME = Frame(elements=4, width_bits=8, signed=True, frac_bits=0)
_FIFOS = Block(name="fifos", x=_FRAME, y=_FRAME, fifos=FifoPair(), inputs=0, outputs=0)
BLOCKS = (
    ("two FIFOs of 1,024 words, no counters", _FIFOS, False, (217, 187)),
    ("the same with our four counters", _FIFOS, True, None),
    ("4 and 4 registers", Block(name="four", inputs=4, outputs=4), True, (107, 178)),
    ("16 and 16 registers", Block(name="sixteen"), True, (305, 564)),
    ("16 and 16, two FIFOs, counters", replace(_FIFOS, name="whole", inputs=16, outputs=16), True, None),
)
"""What is counted: a name, the block, whether with counters, what the original takes: LUT, FF."""


def run() -> None:
    """Synthesize the blocks for Xilinx 7, without a core, and print what they take."""
    rows: list[dict[str, Any]] = []
    for name, block, counters, theirs in BLOCKS:
        folder = BUILD / "bus" / f"{block.name}{'' if counters else '_bare'}"
        module = registers_module(block, "top")
        files = PLAIN.files(*LEAVES) | {"top.v": module_text(module if counters else _bare(module))}
        rows.append(_row(name, count(_paths(folder, files), top="top", family="xc7", out=folder / "synth"), theirs))
    folder = BUILD / "bus" / "ram"
    cells = count(_paths(folder, PLAIN.files(*RAM_LEAVES)), top="gw_axi_ram", family="xc7", out=folder / "synth")
    rows.append(_row("RAM window of 1,024 words", cells, (144, 74)))
    notes = (
        "yosys, synth_xilinx; ComBlock: Vivado on a Zedboard, as its authors publish it.",
        "RAM window: 80 of its FF are a register behind the block RAM and IDs of 16 bits.",
    )
    publish("bus", "bus: blocks behind AXI4-Lite on xc7, without a core", rows, notes)


def _paths(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files; return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        write_atomic(folder / file, text)
    return [folder / file for file in files]


def _row(name: str, cells: Cells, theirs: tuple[int, int] | None) -> dict[str, Any]:
    memory = sum(LUT_SITES.get(kind, 0) * number for kind, number in cells.by_type.items())
    return {
        "block": name,
        "LUT": cells.lut + memory,
        "of it LUT RAM": memory,
        "FF": cells.ff,
        "RAMB18": cells.by_type.get("RAMB18E1", 0) + 2 * cells.by_type.get("RAMB36E1", 0),
        "ComBlock LUT": theirs and theirs[0],
        "ComBlock FF": theirs and theirs[1],
    }


def _bare(module: Module) -> Module:
    """Return the module with counters that always read 0."""
    items = tuple(
        Assign(item.target, Literal(0, 32, False))
        if isinstance(item, Register) and item.target.name.upper() in COUNTERS
        else item
        for item in module.items
    )
    return replace(module, items=items)
