"""A block with vectors and units in; the folder that is handed to whoever puts it into a system out.

Verilog, component.xml, the clients in C and Python, the map, vectors, a README, and the hash of every file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.instrument.header import REGISTERS, Units, design_header, design_source, registers_header
from gatewright.instrument.ipxact import component_xml
from gatewright.instrument.markdown import register_table
from gatewright.instrument.registers import MAGIC, Described, Frame
from gatewright.instrument.top import WrittenBlock, block_ports
from gatewright.tools import new_directory, write_atomic
from gatewright.version import __version__

CLIENT = ("gw.h", "gw.c", "gw_codes.h", "gw_mmio.h", "gw_client.py")
MANIFEST = "SHA256SUMS"
VECTORS, MOST_CODES = 200, 1 << 16
_CLIENTS = files("gatewright.instrument") / "client"


def write_bundle(
    made: WrittenBlock, folder: Path, *, x: Ints, y: Ints, units: Units | None = None, f2: bool = False
) -> None:
    """Write the bundle; the folder appears whole or not at all. Same input, same bytes.

    x, y: codes of vectors and of the results that they must give, (n, codes); units: the user's; f2: with what puts
    it on an AWS F2 card.
    """
    write_files(bundle_files(made, x=x, y=y, units=units or Units(), f2=f2), folder)


def write_files(found: Mapping[str, bytes], folder: Path) -> None:
    """Write files, by name, with a list of their hashes; the folder appears whole or not at all."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(found.items()))
    with new_directory(folder) as work:
        for name, data in {**found, MANIFEST: sums.encode()}.items():
            write_atomic(work / name, data)


def bundle_files(made: WrittenBlock, *, x: Ints, y: Ints, units: Units, f2: bool = False) -> dict[str, bytes]:
    """Return name -> content of the bundle's files, but the manifest."""
    block, kept = made.block, kept_vectors(x, y)
    x_frame, y_frame = block.x, block.y
    assert x_frame is not None, "a block with a core has frames"
    assert y_frame is not None, "a block with a core has frames"
    verilog = {f"verilog/{name}": text for name, text in made.files.items()}
    named = {"name": block.name, "version": __version__, "vectors": str(kept)}
    named |= {"inputs": str(block.inputs), "outputs": str(block.outputs)}
    texts = {
        **verilog,
        "verilog/files.f": "".join(f"{name}\n" for name in made.files),
        "component.xml": component_xml(block, block_ports(block), tuple(verilog)),
        "registers.md": f"# Words of `{block.name}`\n\n{register_table(block)}",
        "README.md": filled("README.md", named) + (filled("README_f2.md", named) if f2 else ""),
        **{f"client/{name}": (_CLIENTS / name).read_text(encoding="utf-8") for name in CLIENT},
        f"client/{REGISTERS}": registers_header(block),
        f"client/{block.name}.h": design_header(block),
        f"client/{block.name}.c": design_source(block, (x_frame, y_frame), units, x[:kept], y[:kept]),
        "client/block.json": json.dumps(described_record(block, x_frame, y_frame, units, magic=MAGIC), indent=1) + "\n",
    }
    if f2:
        texts |= {f"f2/{name}": filled(name, named) for name in ("host_f2.c", "make_cl.py")}
    found = {name: text.encode() for name, text in texts.items()}
    return found | {"client/vectors_x.npy": npy(x), "client/vectors_y.npy": npy(y)}


def kept_vectors(x: Ints, y: Ints) -> int:
    """Return how many of the vectors the client in C stores: it takes what a chip has room for."""
    return max(1, min(VECTORS, len(x), MOST_CODES // (x.shape[1] + y.shape[1])))


def described_record(block: Described, x: Frame, y: Frame, units: Units, *, magic: int) -> dict[str, Any]:
    """Return what a client must know of anything with registers and frames, JSON-able."""
    scaling = {"scale": list(units.scale), "offset": list(units.offset)} if units.scale else None
    return {
        "name": block.name,
        "magic": magic,
        "program_hash": block.program_hash,
        "x": asdict(x),
        "y": asdict(y),
        "scaling": scaling,
        "output_scale": list(units.result_scale) or None,
        "classes": list(units.classes),
        "registers": [
            {"name": r.name, "word": r.word, "access": r.access, "reset": r.reset, "description": r.description}
            for r in block.registers
        ],
    }


def npy(codes: Ints) -> bytes:
    """Return codes as a file of NumPy's."""
    data = io.BytesIO()
    np.save(data, codes.astype("<i8"), allow_pickle=False)
    return data.getvalue()


def filled(name: str, words: Mapping[str, str]) -> str:
    """Return a client's README, each @word@ replaced."""
    text = (_CLIENTS / name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
