"""What a design's leaf cells are called and which form they take in, their Verilog out: the hand-written modules.

Designs of one gatewright may stand in one project: cells of one name have one text. So the forms that
`hardware.mapping` chooses between have names of their own (`gw_add3`, `gw_add3_cells`, `gw_add3_plain`), and none
defines or undefines a macro. `hardware.prefix` keeps all modules of a design apart, from those of another gatewright
too.
"""

from __future__ import annotations

import importlib.resources
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable

from gatewright.config import CellMapping
from gatewright.version import __version__

SHELL_LEAVES = ("gw_axis_delay", "gw_axis_pack", "gw_axis_unpack", "gw_credit", "gw_fifo")
"""Cells that every stream shell instantiates."""

_FORMS = {"auto": "", "cells": "_cells", "behavioural": "_plain"}
# A cell of two forms holds them once, between lines of their own.
_TWO_FORMS = re.compile(
    r"^`ifdef GW_XILINX_CELLS\n(?P<cells>.*?)^`else\n(?P<plain>.*?)^`endif\n", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """The leaf cells of one design. prefix: in front of their names; mapping: which form, see config.Hardware."""

    prefix: str = ""
    mapping: CellMapping = "auto"

    def name(self, leaf: str) -> str:
        """Return the module that a design has for a cell, and so its file's stem."""
        form = _FORMS[self.mapping] if _TWO_FORMS.search(_source(leaf)) else ""
        return f"{self.prefix}{leaf}{form}"

    def renamed(self, text: str) -> str:
        """Return a text with every cell's name as this design has it."""
        return re.sub(r"\bgw_\w+", lambda found: self.name(found[0]) if found[0] in _files() else found[0], text)

    def text(self, leaf: str) -> str:
        """Return the Verilog of a cell."""
        body = _source(leaf)
        if self.mapping != "auto":
            body = _TWO_FORMS.sub(_plain_form if self.mapping == "behavioural" else _cells_form, body)
        return f"// {self.name(leaf)}: a cell of gatewright {__version__}\n{self.renamed(body)}"

    def files(self, *leaves: str) -> dict[str, str]:
        """Return file name -> text of these cells, in the order given."""
        return {f"{self.name(leaf)}.v": self.text(leaf) for leaf in leaves}


PLAIN = Leaves()
"""The cells as they are called here, in both forms."""


def leaf_sources(*more: str) -> dict[str, str]:
    """Return file name -> text of the hand-written cells that every shell needs, and of the modules named in `more`."""
    return PLAIN.files(*SHELL_LEAVES, *more)


@cache
def leaf_names() -> frozenset[str]:
    """Return the names of all cells, in all forms."""
    forms = {f"{leaf}{form}" for leaf in _files() for form in _FORMS.values() if _TWO_FORMS.search(_source(leaf))}
    return _files() | forms


def _plain_form(found: re.Match[str]) -> str:
    return found["plain"]


def _cells_form(found: re.Match[str]) -> str:
    """Instantiated cells for every tool but simulators, which know none of the vendors'."""
    plain = found["plain"]
    return f"`ifdef VERILATOR\n{plain}`elsif __ICARUS__\n{plain}`else\n{found['cells']}`endif\n"


@cache
def _files() -> frozenset[str]:
    return frozenset(entry.name.removesuffix(".v") for entry in _folder().iterdir() if entry.name.endswith(".v"))


@cache
def _source(leaf: str) -> str:
    return (_folder() / f"{leaf}.v").read_text()


def _folder() -> Traversable:
    return importlib.resources.files("gatewright.rtl") / "leaf"
