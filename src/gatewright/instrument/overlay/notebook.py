"""Cells as text in, a notebook (.ipynb, format 4.5, not run) out: each cell begins with a line `%% code`, say."""

from __future__ import annotations

import json


def notebook(text: str) -> str:
    """Return the notebook of cells of kinds `code` and `markdown`."""
    listed = [_cell(number, part) for number, part in enumerate(text.split("%% ")[1:])]
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {"cells": listed, "metadata": {"kernelspec": python}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1) + "\n"


def _cell(number: int, part: str) -> dict[str, object]:
    kind, _, source = part.partition("\n")
    lines = source.rstrip("\n").splitlines(keepends=True)
    made: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines}
    more: dict[str, object] = {"execution_count": None, "outputs": []}
    return made | more if kind == "code" else made
