"""A bundle's notebook under cocotbpynq, which others wrote (GPL), as it is: a module of cocotb's; see overlay.py.

It runs in an environment of its own, with cocotbpynq in it; nothing of gatewright imports it.
"""

# Of the two worlds this file joins, this environment has neither.
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cocotbpynq

BOOK = Path(os.environ["GATEWRIGHT_BOOK"])


def notebook(dut: object = None) -> None:  # noqa: ARG001  # as synctest calls it
    """Run the cells; each compares what it got by ==."""
    sys.modules["pynq"] = cocotbpynq
    sys.path.insert(0, str(BOOK.parent))
    os.chdir(BOOK.parent)
    space: dict[str, object] = {}
    for cell in json.loads(BOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)  # noqa: S102  # the bundle's own


notebook = cocotbpynq.synctest(notebook)
