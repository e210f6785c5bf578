"""Folders in, Raw out: a CSV file per class, or a sub-folder per class with CSV files or images.

Sub-folders named train, validation (val) and test, each with its own classes, fix the split.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.labels import natural_key
from gatewright.data.raw import Raw
from gatewright.data.readers.layout import read_layout
from gatewright.data.readers.tables import load_table, numbers
from gatewright.data.splits import SPELLINGS
from gatewright.errors import DataError

TABLES = (".csv", ".tsv", ".csv.gz", ".csv.xz", ".tsv.gz", ".tsv.xz", ".csv.bz2", ".tsv.bz2")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".webp")


def read_folder(data: Data) -> Raw:
    """Read every sample below data.source; the class is the file's or the sub-folder's name.

    Each line of a CSV file is a sample (a first line with names is skipped); each image is one.
    """
    root = Path(data.source)
    files = _labelled_files(root)
    if not files:
        raise DataError(
            f"{root}: a data folder must hold NAME.csv per class, or sub-folders per class with CSV files or images "
            f"({', '.join(IMAGES)}); found none"
        )
    kinds = {_is_image(path) for path, _, _ in files}
    if len(kinds) > 1:
        raise DataError(f"{root}: a data folder must hold CSV files or images, not both; move one kind elsewhere")
    blocks = _images(files, data, root) if kinds == {True} else _tables(files, data)
    counts = [len(block) for block in blocks]
    splits = [split for _, _, split in files]
    return Raw(
        x=np.concatenate(blocks),
        y=np.repeat([label for _, label, _ in files], counts),
        split=np.repeat(splits, counts) if all(splits) else None,
        origin=str(root),
    )


def _labelled_files(root: Path) -> list[tuple[Path, str, str]]:
    """Return (file, class, split or "") in natural order."""
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    if folders and all(entry.name.lower() in SPELLINGS for entry in folders):
        return [(path, label, part.name) for part in folders for path, label, _ in _labelled_files(part)]
    found = [(entry, _stem(entry), "") for entry in _entries(root) if entry.is_file() and _is_table(entry)]
    for folder in folders:
        inside = [path for path in _entries(folder) if path.is_file() and (_is_table(path) or _is_image(path))]
        found += [(path, folder.name, "") for path in inside]
    return found


def _tables(files: list[tuple[Path, str, str]], data: Data) -> list[NDArray[Any]]:
    blocks: list[NDArray[Any]] = []
    for path, _, _ in files:
        layout = read_layout(path, data)
        block = numbers(load_table(path, layout), path, decimal=layout.decimal, lines=layout)
        if blocks and block.shape[1] != blocks[0].shape[1]:
            raise DataError(
                f"{path}: must have {blocks[0].shape[1]} columns like {files[0][0].name}, not {block.shape[1]}; "
                f"bring all files to one sample length"
            )
        blocks.append(block)
    return blocks


def _images(files: list[tuple[Path, str, str]], data: Data, root: Path) -> list[NDArray[Any]]:
    """Return each image as (1, height, width) or (1, height, width, 3) uint8; image_size is (height, width)."""
    from PIL import Image, UnidentifiedImageError

    blocks: list[NDArray[Any]] = []
    for path, _, _ in files:
        try:
            with Image.open(path) as picture:
                picture = picture.convert("L" if data.image_mode == "gray" else "RGB")
                if data.image_size is not None:
                    height, width = data.image_size
                    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
                pixels = np.asarray(picture, dtype=np.uint8)
        except UnidentifiedImageError:
            raise DataError(f"{path}: cannot be read as an image; replace or remove the file") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: cannot be read as an image: {error}; replace or remove the file") from None
        if blocks and pixels.shape != blocks[0].shape[1:]:
            first, this = blocks[0].shape[1:3], pixels.shape[:2]
            usual, count = _usual_size([path for path, _, _ in files])
            raise DataError(
                f"{root}: images must have one size, but {files[0][0].name} is {first[0]}x{first[1]} and {path.name} "
                f"is {this[0]}x{this[1]} (height x width); set data.image_size = [{usual[0]}, {usual[1]}], the size of "
                f"{count} of the {len(files)}, or a smaller one"
            )
        blocks.append(pixels[None])
    return blocks


def _usual_size(paths: list[Path]) -> tuple[tuple[int, int], int]:
    """Return the (height, width) that most images have, the smallest of several such, and how many have it."""
    from PIL import Image, UnidentifiedImageError

    sizes: Counter[tuple[int, int]] = Counter()
    for path in paths:
        with (
            contextlib.suppress(OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError),
            Image.open(path) as picture,
        ):  # reads the header only
            sizes[picture.height, picture.width] += 1
    most = max(sizes.values())
    return min((size for size, count in sizes.items() if count == most), key=lambda size: size[0] * size[1]), most


def _entries(folder: Path) -> list[Path]:
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
    return sorted(visible, key=lambda entry: natural_key(entry.name))


def _stem(path: Path) -> str:
    suffix = next(suffix for suffix in sorted(TABLES, key=len, reverse=True) if path.name.lower().endswith(suffix))
    return path.name[: -len(suffix)]


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith(TABLES)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(IMAGES)
