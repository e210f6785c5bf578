"""Pages in; what a browser shows of them that overflows, is clipped, or lies on something else, out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path

WIDTHS = (1280, 390)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCRIPT = Path(__file__).with_name("looks.js")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip


def browser() -> str | None:
    """Return a browser that can run headless, None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def faults_of(pages: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the faults of each page at each width, by "NAME at WIDTH". pages: HTML by name; all in one browser."""
    frames = "".join(
        f'<iframe title="{name} at {width}" width="{width}" height="900" style="border:0" srcdoc="{escape(page)}">'
        "</iframe>"
        for name, page in pages.items()
        for width in WIDTHS
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.html"
        file.write_text(
            f'<!DOCTYPE html><meta charset="utf-8"><pre id="found"></pre>{frames}<script>{SCRIPT.read_text()}</script>',
            encoding="utf-8",
        )
        shown = subprocess.run(
            [browser() or "", *QUIET, f"--user-data-dir={folder}/profile", "--dump-dom", f"file://{file}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        ).stdout
    found = re.search(r'<pre id="found">(.*?)</pre>', shown, flags=re.DOTALL)
    assert found is not None, shown[:500]
    return json.loads(unescape(found[1]))
