"""Folders in, Raw out: a table or recording per class, or a sub-folder per class with such files or images.

Sub-folders named train, validation (val) and test, each with its own classes, fix the split.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.labels import natural_key
from gatewright.data.raw import Raw
from gatewright.data.readers.columns import features_only
from gatewright.data.readers.formats import COMPRESSED, check_format, format_of, suffix_of
from gatewright.data.readers.layout import read_layout
from gatewright.data.readers.table import Table
from gatewright.data.readers.tables import load_table, numbers
from gatewright.data.splits import SPELLINGS
from gatewright.errors import DataError, nearest

TABLES = (".csv", ".tsv", ".csv.gz", ".csv.xz", ".tsv.gz", ".tsv.xz", ".csv.bz2", ".tsv.bz2")
FILE = "file"  # as data.group_column: each file is a group
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".webp")


def read_folder(data: Data) -> Raw:
    """Read every sample below data.source; the class is the file's or the sub-folder's name.

    Each line of a text table is a sample (a first line with names is skipped), each record of a recording, each image.
    data.group_column "file" makes each file a group.
    """
    root = Path(data.source)
    files = labelled_files(root, data.exclude_files)
    if not files:
        raise DataError(
            f"{root}: a data folder must hold NAME.csv per class, or sub-folders per class with CSV files, "
            f"recordings or images ({', '.join(IMAGES)}); found none"
        )
    kinds = {is_image(path) for path, _, _ in files}
    if len(kinds) > 1:
        raise DataError(f"{root}: a data folder must hold tables or images, not both; move one kind elsewhere")
    groups = None
    if kinds == {True}:
        blocks = _images(files, data, root)
    else:
        blocks, groups = _tables(files, data, root)
    counts = [len(block) for block in blocks]
    splits = [split for _, _, split in files]
    return Raw(
        x=np.concatenate(blocks),
        y=np.repeat([label for _, label, _ in files], counts),
        split=np.repeat(splits, counts) if all(splits) else None,
        group=groups,
        origin=str(root),
    )


def check_folder(root: Path) -> None:
    """Raise MissingToolError where a package that reads a folder's files is not installed; one file of each suffix."""
    for path in {suffix_of(path): path for path, _, _ in labelled_files(root)}.values():
        check_format(path)


def labelled_files(root: Path, exclude: Sequence[str] = ()) -> list[tuple[Path, str, str]]:
    """Return (file, class, split or "") in natural order.

    exclude: patterns, of files' names or of their paths below root. Raises DataError for one that matches no file.
    """
    files = _all_files(root)
    out: set[Path] = set()
    for word in exclude:
        hits = [
            p for p, _, _ in files if fnmatchcase(p.name, word) or fnmatchcase(p.relative_to(root).as_posix(), word)
        ]
        if not hits:
            raise DataError(
                f"{root}: no file matches {word!r} (data.exclude_files), e.g. {files[0][0].name if files else 'none'}"
            )
        out |= set(hits)
    return [row for row in files if row[0] not in out]


def _all_files(root: Path) -> list[tuple[Path, str, str]]:
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    if folders and all(entry.name.lower() in SPELLINGS for entry in folders):
        return [(path, label, part.name) for part in folders for path, label, _ in _all_files(part)]
    found = [(entry, _stem(entry), "") for entry in _entries(root) if entry.is_file() and _is_table(entry)]
    for folder in folders:
        inside = [path for path in _entries(folder) if path.is_file() and (_is_table(path) or is_image(path))]
        found += [(path, folder.name, "") for path in inside]
    return found


def _tables(
    files: list[tuple[Path, str, str]], data: Data, root: Path
) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Return each file's samples, and all samples' groups where the configuration names them."""
    blocks: list[NDArray[Any]] = []
    groups: list[NDArray[Any]] = []
    for path, _, _ in files:
        table = _table(path, data)
        whole: Any = table.frame
        layout, columns = table.layout, [str(name) for name in whole.columns]
        if data.group_column == FILE:
            groups.append(np.full(len(whole), str(path.relative_to(root))))
        elif data.group_column and data.group_column in columns:
            groups.append(whole[data.group_column].to_numpy(dtype=str))
        elif data.group_column:
            raise DataError(
                f"{path}: has no column {data.group_column!r} (data.group_column)."
                f"{nearest(data.group_column, [FILE, *columns])}"
            )
        frame: Any = whole[features_only(path, columns, data, table.features)]
        block = numbers(frame, path, decimal=layout.decimal if layout else ".", lines=layout)
        if blocks and block.shape[1] != blocks[0].shape[1]:
            raise DataError(
                f"{path}: must have {blocks[0].shape[1]} columns like {files[0][0].name}, not {block.shape[1]}; "
                f"bring all files to one sample length (of waveforms data.record_length does)"
            )
        blocks.append(block)
    return blocks, np.concatenate(groups) if groups else None


def _table(path: Path, data: Data) -> Table:
    kind = format_of(path)
    if kind is not None:
        check_format(path)
        return kind.read(path, data)
    layout = read_layout(path, data)
    return Table(frame=load_table(path, layout), layout=layout)


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
            sizes = image_sizes(path for path, _, _ in files)
            count = max(sizes.values())
            usual = min((size for size in sizes if sizes[size] == count), key=lambda size: size[0] * size[1])
            raise DataError(
                f"{root}: images must have one size, but {files[0][0].name} is {first[0]}x{first[1]} and {path.name} "
                f"is {this[0]}x{this[1]} (height x width); set data.image_size = [{usual[0]}, {usual[1]}], the size of "
                f"{count} of the {len(files)}, or a smaller one"
            )
        blocks.append(pixels[None])
    return blocks


def image_sizes(paths: Iterable[Path]) -> Counter[tuple[int, int]]:
    """Return how many images have each (height, width); those that cannot be read are left out."""
    from PIL import Image, UnidentifiedImageError

    sizes: Counter[tuple[int, int]] = Counter()
    for path in paths:
        with (
            contextlib.suppress(OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError),
            Image.open(path) as picture,
        ):  # reads the header only
            sizes[picture.height, picture.width] += 1
    return sizes


def _entries(folder: Path) -> list[Path]:
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
    return sorted(visible, key=lambda entry: natural_key(entry.name))


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (*COMPRESSED, suffix_of(path)):
        name = name[: -len(suffix)] if suffix and name.lower().endswith(suffix) else name
    return name


def _is_table(path: Path) -> bool:
    """Say whether a file is a table or a recording; of suffixes that say little only what looks like a recording."""
    if path.name.lower().endswith(TABLES):
        return True
    return not (path.suffix == ".dat" and path.with_suffix(".hea").exists()) and format_of(path) is not None


def is_image(path: Path) -> bool:
    """Say whether a file is called as an image."""
    return path.name.lower().endswith(IMAGES)
