"""An executed notebook in, a page of the manual with its pictures out. `conf.py` makes them anew for each build."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BOOKS = HERE.parent / "examples" / "notebooks"
PAGES = HERE / "notebooks"  # git ignores it


def write_pages() -> None:
    """Write a page, and its pictures, for each notebook of the examples."""
    PAGES.mkdir(exist_ok=True)
    for book in sorted(BOOKS.glob("*.ipynb")):
        cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
        parts = [part for number, cell in enumerate(cells) for part in _cell(cell, f"{book.stem}_{number}")]
        note = f"*Executed; the notebook is `examples/notebooks/{book.name}`.*"
        (PAGES / f"{book.stem}.md").write_text("\n\n".join([parts[0], note, *parts[1:]]) + "\n", encoding="utf-8")


def _cell(cell: dict[str, Any], name: str) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            (PAGES / f"{name}.png").write_bytes(base64.b64decode(data["image/png"]))
            yield f"![what the cell draws]({name}.png)"
        elif "text/html" in data:
            yield "```{raw} html\n" + "".join(data["text/html"]) + "\n```"
        else:
            yield "```text\n" + "".join(output.get("text") or data["text/plain"]).rstrip() + "\n```"
