"""A kernel with vectors and units in; the folder that is handed to whoever links it to a platform out."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gatewright.fixedpoint import Ints
from gatewright.instrument.bundle import described_record, filled, kept_vectors, npy, write_files
from gatewright.instrument.header import REGISTERS, Units, design_header, design_source, registers_header
from gatewright.instrument.kernel.description import CODES, MAGIC, Kernel
from gatewright.instrument.kernel.top import WrittenKernel
from gatewright.instrument.kernel.vitis import kernel_xml, link_cfg, package_tcl
from gatewright.instrument.markdown import register_table
from gatewright.version import __version__

CLIENT = ("gk.h", "gk.c", "gw.h", "gw_codes.h", "gw_mmio.h", "gw_client.py", "gw_kernel.py")
_CLIENTS = files("gatewright.instrument") / "client"


def write_kernel(
    made: WrittenKernel, folder: Path, *, x: Ints, y: Ints, units: Units | None = None, card: bool = False
) -> None:
    """Write the bundle; the folder appears whole or not at all. Same input, same bytes.

    x, y: codes of vectors and of the results that they must give, (n, codes); units: the user's; card: with what links
    it for an accelerator card, and hosts.
    """
    write_files(kernel_files(made, x=x, y=y, units=units or Units(), card=card), folder)


def kernel_files(made: WrittenKernel, *, x: Ints, y: Ints, units: Units, card: bool = False) -> dict[str, bytes]:
    """Return name -> content of the bundle's files, but the manifest."""
    kernel, kept = made.kernel, kept_vectors(x, y)
    verilog = {f"verilog/{name}": text for name, text in made.files.items()}
    texts = {
        **verilog,
        "verilog/files.f": "".join(f"{name}\n" for name in made.files),
        "kernel.xml": kernel_xml(kernel),
        "package_xo.tcl": package_tcl(kernel, list(verilog)),
        "registers.md": f"# Words of `{kernel.name}`\n\n{register_table(kernel)}",
        "README.md": _readme(kernel, card=card),
        **{f"client/{name}": (_CLIENTS / name).read_text(encoding="utf-8") for name in CLIENT},
        f"client/{REGISTERS}": registers_header(kernel, reasons=CODES),
        f"client/{kernel.name}.h": design_header(kernel),
        f"client/{kernel.name}.c": design_source(kernel, (kernel.x, kernel.y), units, x[:kept], y[:kept]),
        "client/kernel.json": json.dumps(kernel_record(kernel, units), indent=1) + "\n",
    }
    if card:
        named = {"name": kernel.name}
        texts |= {
            "Makefile": filled("alveo.mk", named),
            "link.cfg": link_cfg(kernel),
            "host/host_xrt.cpp": filled("host_xrt.cpp", named),
            "client/gw_opencl.py": (_CLIENTS / "gw_opencl.py").read_text(encoding="utf-8"),
        }
    found = {name: text.encode() for name, text in texts.items()}
    return found | {"client/vectors_x.npy": npy(x), "client/vectors_y.npy": npy(y)}


def kernel_record(kernel: Kernel, units: Units) -> dict[str, Any]:
    """Return the description for the Python client, JSON-able."""
    return described_record(kernel, kernel.x, kernel.y, units, magic=MAGIC) | {"codes": list(CODES)}


def _readme(kernel: Kernel, *, card: bool) -> str:
    words = {
        "name": kernel.name,
        "version": __version__,
        "bits": str(kernel.data_bits),
        "beat": str(kernel.data_bits // 8),
        "x_bytes": str(kernel.vector_bytes(kernel.x)),
        "y_bytes": str(kernel.vector_bytes(kernel.y)),
    }
    return filled("README_kernel.md", words) + (filled("README_card.md", words) if card else "")
