"""Sphinx settings: Markdown pages in, the manual out. Warnings are errors (`make docs`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

project = _project["name"]
version = release = _project["version"]
copyright = "the gatewright authors"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"gatewright {version}"
html_show_sphinx = False
html_copy_source = False
