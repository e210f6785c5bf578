"""A folder of images in, what `gatewright init` proposes for it out: which files are masks of others, and one size.

Image sets come with masks beside the images (`cell (3).png`, `cell (3)_mask.png`) or in a folder of their own, and with
pictures of hundreds of pixels of every size; neither says what the samples of a small network should be.
"""

from __future__ import annotations

import re
from collections import Counter
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

from gatewright.data.readers.folders import image_sizes, is_image, labelled_files

MOST_PIXELS = 1024  # of a sample, that a small network takes whole
_WORD = r"masks?|seg|segmentations?|gt|ground_?truth|annotations?|overlay"
_BESIDE = re.compile(rf"(?P<of>.*[^ _.-])(?P<how>[ _.-]+(?:{_WORD}))(?:[ _.-]?\d+)?", re.IGNORECASE)
_FOLDER = re.compile(_WORD, re.IGNORECASE)


def survey_pictures(root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return keys of [data] for a folder of images, and a reason for each; none for a folder of other files."""
    files = [path for path, _, _ in labelled_files(root)]
    keys: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    if not files or not all(map(is_image, files)):
        return keys, reasons
    patterns = _masks(files, root)
    if patterns:
        kept = [path for path, _, _ in labelled_files(root, patterns)]
        keys["exclude_files"] = patterns
        reasons["exclude_files"] = f"{len(files) - len(kept):,} masks beside {len(kept):,} images"
        files = kept
    sizes = image_sizes(files)
    if sizes:
        size, why = _size(sizes)
        if len(sizes) > 1 or size not in sizes:
            keys["image_size"], reasons["image_size"] = list(size), why
    return keys, reasons


def _masks(files: list[Path], root: Path) -> list[str]:
    """Return patterns of the files that are masks of others: by a word behind the name of one, or by their folder."""
    stems = {(path.parent, path.stem) for path in files}
    found = (path for path in files if (hit := _BESIDE.fullmatch(path.stem)) and (path.parent, hit["of"]) in stems)
    patterns = dict.fromkeys(f"*{_BESIDE.fullmatch(path.stem)['how']}*" for path in found)  # type: ignore[index]
    folders = dict.fromkeys(
        path.parent for path in files if path.parent != root and _FOLDER.fullmatch(path.parent.name)
    )
    if len({path.parent for path in files} - set(folders)) > 1:
        patterns |= dict.fromkeys(f"{folder.relative_to(root).as_posix()}/*" for folder in folders)
    return list(patterns)


def _size(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], str]:
    """Return the (height, width) that most images have, or the middle of all, made smaller where it is large."""
    size, count = sizes.most_common(1)[0]
    why = "height, width: most have it; all are brought to it"
    if count * 2 <= sizes.total():
        high, wide = (median([size[axis] for size in sizes.elements()]) for axis in (0, 1))
        size, why = (round(high), round(wide)), f"height, width: the middle of {len(sizes)} sizes"
    pixels = size[0] * size[1]
    if pixels <= MOST_PIXELS:
        return size, why
    shrink = sqrt(MOST_PIXELS / pixels)
    small = (max(1, int(size[0] * shrink)), max(1, int(size[1] * shrink)))
    return small, f"height, width: of {size[0]} x {size[1]}, as many pixels as a small network takes"
