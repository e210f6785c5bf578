"""Sphinx settings: Markdown pages in, the manual out. Warnings are errors (`make docs`)."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

runpy.run_path(str(Path(__file__).with_name("notebooks.py")))["write_pages"]()
_project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

project = _project["name"]
version = release = _project["version"]
copyright = "the gatewright authors"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_typehints = "none"  # signatures in words: NumPy's and pydantic's types have no page here
autodoc_member_order = "bysource"
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"gatewright {version}"
html_show_sphinx = False
html_copy_source = False


def setup(app: Any) -> None:
    """Tell Sphinx how docstrings are written: sentences, `code` as in Markdown, stars as they stand."""
    app.connect("autodoc-process-docstring", _as_written)


def _as_written(*given: Any) -> None:
    lines: list[str] = given[-1]
    for number, line in enumerate(lines):
        parts = line.split("`")
        told = (f"``{part}``" if odd % 2 else part.replace("*", "\\*") for odd, part in enumerate(parts))
        lines[number] = "".join(told) if len(parts) % 2 else line
