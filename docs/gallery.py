"""A folder of finished runs in, the manual's pictures of their pages out: `python -m docs.gallery FOLDER`.

FOLDER holds the examples' runs and searches by name, as `PICTURES` lists them; headless Chromium shows their pages.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from tests.report.looks import QUIET, browser

PLACE = Path(__file__).parent / "pictures"
TALL = 5000  # pixels of the window; what is empty below is cut off
WIDE = 960  # of a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is shown. page: below FOLDER; section: its id, "" for the page's head; width; most: height, in pixels."""

    page: str
    section: str = ""
    width: int = 1280
    most: int = TALL


PICTURES = {
    "head": Picture(page="digits/report.html"),
    "phone": Picture(page="digits/report.html", width=390, most=1100),
    "training": Picture(page="digits/report.html", section="training"),
    "classes": Picture(page="digits/report.html", section="confusion", most=540),
    "resources": Picture(page="digits/report.html", section="resources", most=900),
    "table": Picture(page="measurements/report.html", section="confusion", most=700),
    "latency": Picture(page="digits/report.html", section="latency", most=900),
    "regression": Picture(page="diabetes/report.html", section="predictions"),
    "model": Picture(page="onnx/report.html", section="model", most=900),
    "anomaly": Picture(page="anomaly/report.html", section="score", most=900),
    "compare": Picture(page="compare.svg", width=640),
    "search": Picture(page="wine/search.html", section="front", most=900),
    "waves": Picture(page="waves.svg", width=1260, most=380),  # of docs/waves.py
}


def show(name: str, picture: Picture, folder: Path) -> None:
    """Write one picture, WebP."""
    text = (folder / picture.page).read_text(encoding="utf-8")
    hidden = f"header, main > :not(#{picture.section})" if picture.section else "main, nav"
    with tempfile.TemporaryDirectory() as place:
        page, shot = Path(place) / "page.html", Path(place) / "shot.png"
        page.write_text(text.replace("</head>", f"<style>{hidden}, footer {{ display: none }}</style></head>"))
        subprocess.run(
            [
                browser() or "",
                *QUIET,
                "--hide-scrollbars",
                f"--user-data-dir={place}/profile",
                f"--window-size={picture.width},{TALL}",
                f"--screenshot={shot}",
                f"file://{page}",
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        with Image.open(shot) as seen:
            whole = seen.convert("RGB")
    paper = Image.new("RGB", whole.size, whole.getpixel((0, whole.height - 1)))
    box = ImageChops.difference(whole, paper).getbbox() or (0, 0, *whole.size)
    top = max(0, box[1] - 24)
    cut = whole.crop((0, top, whole.width, top + min(box[3] + 24 - top, picture.most)))
    if cut.width > WIDE:
        cut = cut.resize((WIDE, round(cut.height * WIDE / cut.width)), Image.Resampling.LANCZOS)
    PLACE.mkdir(exist_ok=True)
    cut.save(PLACE / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    for _name, _picture in PICTURES.items():
        show(_name, _picture, Path(sys.argv[1]))
