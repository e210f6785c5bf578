"""Every cell that remembers, through yosys, family by family: which primitive it becomes, and what stands beside it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from gatewright.chips import Family
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.netlist import Module, Name, Port, Rom, ram_style
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import module_text
from gatewright.synth.yosys import synthesize
from tests.rtl.test_memory import around, memory

LEAVES = {  # what stands in the table -> leaf cell, its parameters, its ports' widths where they are not 1
    "fifo 16 x 8": ("gw_fifo", {"WIDTH": 8, "LOG2_DEPTH": 4}, {"in_data": 8, "out_data": 8}),
    "block fifo 512 x 16": (
        "gw_fifo",
        {"WIDTH": 16, "LOG2_DEPTH": 9, "BLOCK": 1},
        {"in_data": 16, "out_data": 16},
    ),
    "counted fifo 512 x 32": (
        "gw_counted_fifo",
        {"WIDTH": 32, "LOG2_DEPTH": 9},
        {"in_data": 32, "out_data": 32, "words": 10},
    ),
    "capture 1024 x 12": ("gw_capture", {"LOG2_DEPTH": 10}, {"s_tdata": 16, "m_tdata": 16}),
}
MORE = ("gw_credit", "gw_channel", "gw_starts")  # what these instantiate
# family -> for each memory its primitives, and the flip-flops that stand in for one, or beside it
MAPPED: dict[str, dict[str, tuple[dict[str, int], int]]] = {
    "xc7": {
        "rows 1024 x 16": ({"RAMB18E1": 1}, 0),
        "row 64 x 8": ({"RAMB18E1": 1}, 0),
        "short 16 x 8": ({"RAM32M": 2}, 0),
        "rom 512 x 8": ({"RAMB18E1": 1}, 0),
        "fifo 16 x 8": ({"RAM32M": 2}, 17),
        "block fifo 512 x 16": ({"RAMB18E1": 1}, 63),
        "counted fifo 512 x 32": ({"RAMB18E1": 1}, 29),
        "capture 1024 x 12": ({"RAM32M": 5, "RAMB18E1": 1, "SRL16E": 1}, 140),
    },
    "xcup": {
        "rows 1024 x 16": ({"RAMB18E2": 1}, 0),
        "row 64 x 8": ({"RAMB18E2": 1}, 0),
        "short 16 x 8": ({"RAM32M16": 1}, 0),
        "rom 512 x 8": ({"RAMB18E2": 1}, 0),
        "fifo 16 x 8": ({"RAM32M16": 1}, 17),
        "block fifo 512 x 16": ({"RAMB18E2": 1}, 63),
        "counted fifo 512 x 32": ({"RAMB18E2": 1}, 29),
        "capture 1024 x 12": ({"RAM32M16": 2, "RAMB18E2": 1, "SRL16E": 1}, 140),
    },
    "ecp5": {
        "rows 1024 x 16": ({"DP16KD": 1}, 0),
        "row 64 x 8": ({"DP16KD": 1}, 0),
        "short 16 x 8": ({"TRELLIS_DPR16X4": 2}, 0),
        "rom 512 x 8": ({"DP16KD": 1}, 0),
        "fifo 16 x 8": ({"TRELLIS_DPR16X4": 2}, 17),
        "block fifo 512 x 16": ({"DP16KD": 1}, 63),
        "counted fifo 512 x 32": ({"DP16KD": 1}, 29),
        "capture 1024 x 12": ({"DP16KD": 1, "TRELLIS_DPR16X4": 7}, 144),
    },
    "gowin": {
        "rows 1024 x 16": ({"DPX9B": 1}, 0),
        "row 64 x 8": ({"DPX9B": 1}, 0),
        "short 16 x 8": ({"RAM16SDP4": 2}, 0),
        "rom 512 x 8": ({"SPX9": 1}, 0),
        "fifo 16 x 8": ({"RAM16SDP4": 2}, 17),
        "block fifo 512 x 16": ({"DPX9B": 1}, 63),
        "counted fifo 512 x 32": ({"SDPX9B": 1}, 29),
        "capture 1024 x 12": ({"DPX9B": 1, "RAM16SDP4": 7}, 144),
    },
    "ice40": {
        "rows 1024 x 16": ({"SB_RAM40_4K": 4}, 0),
        "row 64 x 8": ({"SB_RAM40_4K": 1}, 0),
        "short 16 x 8": ({}, 128),
        "rom 512 x 8": ({"SB_RAM40_4K": 1}, 0),
        "fifo 16 x 8": ({"SB_RAM40_4K": 1}, 22),
        "block fifo 512 x 16": ({"SB_RAM40_4K": 2}, 63),
        "counted fifo 512 x 32": ({"SB_RAM40_4K": 4}, 29),
        "capture 1024 x 12": ({"SB_RAM40_4K": 4}, 200),
    },
    "gatemate": {
        "rows 1024 x 16": ({"CC_BRAM_20K": 1}, 0),
        "row 64 x 8": ({"CC_BRAM_20K": 1}, 0),
        "short 16 x 8": ({}, 128),
        "rom 512 x 8": ({"CC_BRAM_20K": 1}, 0),
        "fifo 16 x 8": ({}, 145),
        "block fifo 512 x 16": ({"CC_BRAM_20K": 1}, 63),
        "counted fifo 512 x 32": ({"CC_BRAM_20K": 1}, 29),
        "capture 1024 x 12": ({"CC_BRAM_20K": 1}, 300),
    },
}


def modules(family: Family) -> dict[str, str]:
    """Return title -> the Verilog of a module around each memory; the module's name is the title in letters."""
    block, near = ram_style(family, "block"), ram_style(family, "distributed")
    items = {
        "rows 1024 x 16": memory("ram", depth=1024, width=16, clocked=True, style=block, start=4),
        "row 64 x 8": memory("ram", depth=64, width=8, clocked=True, style=block),
        "short 16 x 8": memory("ram", depth=16, width=8, clocked=False, style=near),
    }
    texts = {title: module_text(replace(around(item), name=name_of(title))) for title, item in items.items()}
    words = np.random.default_rng(1).integers(0, 256, 512).tolist()
    word, place = Name("word", 8, False), Name("place", 9, False)
    title, y = "rom 512 x 8", Name("y", 8, False)
    rom = Rom(target=word, words=tuple(words), address=place, block=True)
    texts[title] = module_text(
        Module(
            name=name_of(title),
            header=(),
            ports=(Port(place, False), Port(y, True)),
            items=(rom,),
            drives=((y, word),),
        )
    )
    for title, (leaf, settings, widths) in LEAVES.items():
        head = re.findall(r"^ +(input|output) +(?:wire|reg) .*?(\w+),?$", PLAIN.text(leaf), re.MULTILINE)
        ports = [f"{way} wire [{widths.get(port, 1) - 1}:0] {port}" for way, port in head]
        body = instance(leaf, "u_cell", settings, {port: port for _, port in head})
        texts[title] = f"module {name_of(title)} ({', '.join(ports)});\n{body}\nendmodule\n"
    return texts


def name_of(title: str) -> str:
    """Return a title as a module's name."""
    return title.replace(" ", "_")


def around_all(texts: dict[str, str]) -> str:
    """Return a top that holds every module and joins nothing but their clocks."""
    ports, placed = ["input wire clk"], []
    for title, text in texts.items():
        head = text[text.index("module ") : text.index(");")]
        pins = re.findall(r"(input|output)\s+wire\s*((?:signed)?\s*(?:\[\d+:0\])?)\s*(\w+)", head)
        own = {pin: "clk" if pin == "clk" else f"{name_of(title)}_{pin}" for _, _, pin in pins}
        ports += [f"{way} wire {bits} {own[pin]}" for way, bits, pin in pins if pin != "clk"]
        placed.append(instance(name_of(title), f"u_{name_of(title)}", {}, own))
    return f"module top ({', '.join(ports)});\n{chr(10).join(placed)}\nendmodule\n"


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(MAPPED))
def test_memories_become_the_primitives_that_are_meant(tmp_path: Path, family: Any):
    assert family in get_args(Family)
    texts = modules(family)
    files = PLAIN.files(*(leaf for leaf, _, _ in LEAVES.values()), *MORE) | {"top.v": "".join(texts.values())}
    files["top.v"] += around_all(texts)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    kept = tuple(map(name_of, texts))
    report = synthesize(
        sources=[tmp_path / name for name in files], top="top", family=family, out=tmp_path / "synth", keep=kept
    )
    found = json.loads((tmp_path / "synth" / "stat.json").read_text())["modules"]
    seen = {}
    for title in texts:
        (cells,) = (row["num_cells_by_type"] for key, row in found.items() if key.strip("\\") == name_of(title))
        memories = {
            kind: int(count["count"])
            for kind, count in cells.items()
            if re.search(r"RAM|DPR|DP16|DP?X9|SPX9|SRL", kind)
        }
        seen[title] = (memories, report.modules[name_of(title)]["ff"])
    assert seen == MAPPED[family]
