"""What stands behind a DMA, with vectors and units, in; the folder for a PYNQ board out."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from gatewright.fixedpoint import Ints
from gatewright.instrument.bundle import described_record, filled, npy, write_files
from gatewright.instrument.header import REGISTERS, Units, registers_header
from gatewright.instrument.markdown import register_table
from gatewright.instrument.overlay.boards import SYSTEMS, PynqBoard
from gatewright.instrument.overlay.description import MAGIC, MOST_BYTES
from gatewright.instrument.overlay.hwh import design_hwh
from gatewright.instrument.overlay.notebook import notebook
from gatewright.instrument.overlay.top import WrittenOverlay
from gatewright.instrument.overlay.vivado import build_tcl
from gatewright.version import __version__

_CLIENTS = files("gatewright.instrument") / "client"
DRIVER = ("gw_client.py", "gw_pynq.py")


def write_overlay(
    made: WrittenOverlay, board: PynqBoard, clock_mhz: float, folder: Path, *, x: Ints, y: Ints, units: Units
) -> None:
    """Write the bundle; the folder appears whole or not at all. Same input, same bytes.

    clock_mhz: of the core; x, y: codes of vectors and of the results that they must give, (n, codes); units: the
    user's.
    """
    write_files(overlay_files(made, board, clock_mhz, x=x, y=y, units=units), folder)


def overlay_files(
    made: WrittenOverlay, board: PynqBoard, clock_mhz: float, *, x: Ints, y: Ints, units: Units
) -> dict[str, bytes]:
    """Return name -> content of the bundle's files, but the manifest."""
    overlay = made.overlay
    verilog = {f"verilog/{name}": text for name, text in made.files.items()}
    words = {
        "name": overlay.name,
        "version": __version__,
        "title": board.title,
        "part": board.part,
        "clock": f"{clock_mhz:g}",
        "bits": str(overlay.data_bits),
        "x_bytes": str(overlay.vector_bytes(overlay.x)),
        "y_bytes": str(overlay.vector_bytes(overlay.y)),
    }
    record = described_record(overlay, overlay.x, overlay.y, units, magic=MAGIC) | {
        "address": SYSTEMS[board.processor].design,
        "most_bytes": MOST_BYTES,
    }
    texts = {
        **verilog,
        "verilog/files.f": "".join(f"{name}\n" for name in made.files),
        "build.tcl": build_tcl(overlay, board, clock_mhz, list(verilog)),
        "registers.md": f"# Words of `{overlay.name}`\n\n{register_table(overlay)}",
        "README.md": filled("README_pynq.md", words),
        **{f"board/{name}": (_CLIENTS / name).read_text(encoding="utf-8") for name in DRIVER},
        f"board/{overlay.name}.ipynb": notebook(filled("notebook_pynq.txt", words)),
        "board/overlay.json": json.dumps(record, indent=1) + "\n",
        f"simulation/{overlay.name}.hwh": design_hwh(overlay, board, clock_mhz),
        f"client/{REGISTERS}": registers_header(overlay),
    }
    found = {name: text.encode() for name, text in texts.items()}
    return found | {"board/vectors_x.npy": npy(x), "board/vectors_y.npy": npy(y)}
