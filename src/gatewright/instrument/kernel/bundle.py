"""A kernel with vectors and units in; the folder that is handed to whoever links it to a platform out."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gatewright.fixedpoint import Ints
from gatewright.instrument.bundle import described_record, filled, npy, write_files
from gatewright.instrument.header import REGISTERS, Units, registers_header
from gatewright.instrument.kernel.description import CODES, MAGIC, Kernel
from gatewright.instrument.kernel.top import WrittenKernel
from gatewright.instrument.kernel.vitis import kernel_xml, package_tcl
from gatewright.instrument.markdown import register_table
from gatewright.version import __version__

_CLIENTS = files("gatewright.instrument") / "client"


def write_kernel(made: WrittenKernel, folder: Path, *, x: Ints, y: Ints, units: Units | None = None) -> None:
    """Write the bundle; the folder appears whole or not at all. Same input, same bytes.

    x, y: codes of vectors and of the results that they must give, (n, codes); units: the user's.
    """
    write_files(kernel_files(made, x=x, y=y, units=units or Units()), folder)


def kernel_files(made: WrittenKernel, *, x: Ints, y: Ints, units: Units) -> dict[str, bytes]:
    """Return name -> content of the bundle's files, but the manifest."""
    kernel = made.kernel
    verilog = {f"verilog/{name}": text for name, text in made.files.items()}
    texts = {
        **verilog,
        "verilog/files.f": "".join(f"{name}\n" for name in made.files),
        "kernel.xml": kernel_xml(kernel),
        "package_xo.tcl": package_tcl(kernel, list(verilog)),
        "registers.md": f"# Words of `{kernel.name}`\n\n{register_table(kernel)}",
        "README.md": _readme(kernel),
        **{
            f"client/{name}": (_CLIENTS / name).read_text(encoding="utf-8") for name in ("gw_client.py", "gw_kernel.py")
        },
        f"client/{REGISTERS}": registers_header(kernel),
        "client/kernel.json": json.dumps(kernel_record(kernel, units), indent=1) + "\n",
    }
    found = {name: text.encode() for name, text in texts.items()}
    return found | {"client/vectors_x.npy": npy(x), "client/vectors_y.npy": npy(y)}


def kernel_record(kernel: Kernel, units: Units) -> dict[str, Any]:
    """Return the description for the Python client, JSON-able."""
    return described_record(kernel, kernel.x, kernel.y, units, magic=MAGIC) | {"codes": list(CODES)}


def _readme(kernel: Kernel) -> str:
    words = {
        "name": kernel.name,
        "version": __version__,
        "bits": str(kernel.data_bits),
        "beat": str(kernel.data_bits // 8),
        "x_bytes": str(kernel.vector_bytes(kernel.x)),
        "y_bytes": str(kernel.vector_bytes(kernel.y)),
    }
    return filled("README_kernel.md", words)
