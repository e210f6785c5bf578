"""A block with stored vectors in; the system's Verilog and its firmware's sources as files out."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from gatewright.assess.tools import find_processor
from gatewright.fixedpoint import Ints
from gatewright.instrument.bundle import bundle_files, kept_vectors
from gatewright.instrument.header import Units
from gatewright.instrument.registers import Block
from gatewright.instrument.top import WrittenBlock
from gatewright.rtl.leaves import PLAIN

TOP = "soc"
FIRMWARE = ("start.S", "soc.ld", "main.c")
CLOCKS_PER_BIT = 16
"""Of the UART, in simulation."""
_PARTS = files("gatewright.assess") / "parts"


def part(name: str) -> str:
    """Return the text of a hand-written part of the system."""
    return (_PARTS / name).read_text(encoding="utf-8")


def system_files(made: WrittenBlock, *, x: Ints, y: Ints) -> dict[str, bytes]:
    """Return name -> content: `verilog/` with the system's top last in files.f, and `firmware/` with the client.

    made: a block without registers of the user's. x, y: codes of vectors and of what they must give, (n, codes); as
    many as `kept_vectors` says are stored. Raises MissingToolError without the processor's package.
    """
    bundle = bundle_files(made, x=x, y=y, units=Units())
    block, vectors = made.block, kept_vectors(x, y)
    verilog = {name: data for name, data in bundle.items() if name.startswith("verilog/") and name.endswith(".v")}
    verilog |= {f"verilog/{name}": text.encode() for name, text in PLAIN.files("gw_uart_tx").items()}
    verilog["verilog/picorv32.v"] = find_processor().read_bytes()
    verilog[f"verilog/{TOP}.v"] = part("soc.v").replace("@block@", made.top).encode()
    listed = "".join(f"{Path(name).name}\n" for name in verilog)
    client = {
        f"firmware/{Path(name).name}": data
        for name, data in bundle.items()
        if name.startswith("client/") and Path(name).suffix in {".c", ".h"}
    }
    own = {f"firmware/{name}": part(name).encode() for name in FIRMWARE}
    design = {"firmware/soc_design.h": design_header(block, vectors).encode()}
    return {**verilog, "verilog/files.f": listed.encode(), **client, **own, **design}


def bulk_vectors(block: Block, vectors: int) -> int:
    """Return how many vectors, with their results, both FIFOs hold at once; of `vectors` at most."""
    assert block.x is not None, "a block with a core has frames"
    assert block.y is not None, "a block with a core has frames"
    assert block.fifos is not None, "a block with a core has FIFOs"
    return min(vectors, block.fifos.output_depth // block.x.words, block.fifos.input_depth // block.y.words)


def design_header(block: Block, vectors: int) -> str:
    """Return what main.c must know of the design at compile time."""
    assert block.x is not None, "a block with a core has frames"
    assert block.y is not None, "a block with a core has frames"
    sizes = {
        "DESIGN": block.name,
        "VECTORS": f"{vectors}u",
        "X_CODES": f"{block.x.total}u",
        "Y_CODES": f"{block.y.total}u",
        "X_WORDS": f"{block.x.words}u",
        "Y_WORDS": f"{block.y.words}u",
        "BULK": f"{bulk_vectors(block, vectors)}u",
    }
    lines = [f'#include "{block.name}.h"', *(f"#define {name} {value}" for name, value in sizes.items())]
    return "\n".join(["/* SPDX-License-Identifier: Apache-2.0 */", *lines, ""])
