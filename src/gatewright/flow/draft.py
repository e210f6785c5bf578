"""A data file in, the commented text of a configuration that runs out: what `gatewright init` writes.

It asks nothing that it can see. The reason of each guess stands beside it, and what is written has been tried: the data
were read with it.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from gatewright.config import parse_config
from gatewright.data.dataset import Dataset
from gatewright.errors import ConfigError, DataError
from gatewright.tools import write_atomic

WEIGHTS = 1500  # that stay of a drafted student: some 10,000 LUTs
_REASON = 90  # characters, at most
FILES = 5  # of a class, from which on a split by files is honest
_SPLIT = re.compile(r"(?<![a-z])(train|training|val|valid|validation|dev|test|testing)(?![a-z])", re.IGNORECASE)
IDX_LABELS = (("images-idx3", "labels-idx1"), ("idx3", "idx1"), ("images", "labels"))


@dataclass(slots=True)
class Draft:
    """A configuration in the making. data: keys of [data]; reasons: what is said of each; features: of a sample.

    unbalanced: why class_weights are "balanced"; "" where they are not.
    """

    name: str
    task: str = ""
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    features: int = 1
    unbalanced: str = ""


def write_draft(source: str, out: Path | None, *, board: str = "", task: str = "") -> tuple[Path, Dataset]:
    """Write the configuration of a data source, and return its path and the dataset that it gives.

    source: as data.source, a path from the working directory. out: the file; None: NAME.toml in the working directory.
    Raises ConfigError where the file is there, and DataError where nothing can be made of the source.
    """
    draft = _draft(source, task)
    path = out or Path(f"{draft.name}.toml")
    if path.exists():
        raise ConfigError(f"{path} is there already; remove it, or write to another file with --out")
    data, group = None, draft.data.get("group_column")
    try:
        text, data = _tried(draft, path, board)
    except DataError:
        if not group:
            raise
        del draft.data["group_column"]  # its groups leave some split without a class
        if "label_column" in draft.data:
            draft.data.setdefault("exclude_columns", []).append(group)
            draft.reasons["exclude_columns"] = (
                f"{draft.reasons.get('exclude_columns', '')} {group}: groups, too few".strip()
            )
        text, data = _tried(draft, path, board)
    write_atomic(path, text)
    return path, data


def _tried(draft: Draft, path: Path, board: str) -> tuple[str, Dataset]:
    from gatewright.data import load_dataset

    text = draft_text(draft, path.parent, board)
    return text, load_dataset(parse_config(tomllib.loads(text), where=str(path), base=path.parent))


def draft_text(draft: Draft, folder: Path, board: str) -> str:
    """Return the TOML of a draft. folder: where it will lie, from which relative paths start."""
    keys = dict(draft.data)
    for key in ("source", "labels"):
        if key in keys and ":" not in keys[key]:
            keys[key] = _relative(Path(keys[key]), folder)
    lines = [
        '# Written by `gatewright init`. The manual\'s page "Every key" lists what else can be set.',
        f"name = {_toml(draft.name)}",
        f"task = {_toml(draft.task)}",
        *([_line("class_weights", "balanced", draft.unbalanced)] if draft.unbalanced else []),
        "",
        "[data]",
        *(_line(key, value, draft.reasons.get(key, "")) for key, value in keys.items()),
        "# test_fraction = 0.2, validation_fraction = 0.15: drawn at random, each class alike",
        "",
        "[teacher]                        # stays on the computer: as large as you like",
        "hidden = [128, 64]",
        "epochs = 100",
        "",
        "[student]                        # becomes hardware",
        *_student(draft.features),
        "",
        "[hardware]",
        *_hardware(board),
    ]
    return "\n".join(lines) + "\n"


def _student(features: int) -> list[str]:
    """Return the student's keys: of many features so few weights stay that a small chip holds them."""
    hidden = 32 if features <= 64 else 16
    sparsity = max(0.5, 1 - WEIGHTS / (features * hidden))
    return [
        f"hidden = [{hidden}]",
        "epochs = 100",
        "weight_bits = 6                  # fewer bits and more sparsity: fewer LUTs",
        "activation_bits = 6",
        _line("sparsity", f"{sparsity:.3g}", "the share of the weights that end at zero", plain=True),
    ]


def _hardware(board: str) -> list[str]:
    if not board:
        return [
            'part = "XC7A35T"                 # `gatewright parts` lists chips',
            "clock_mhz = 200",
            '# board = "ulx3s_25f"            # `gatewright boards`; with one, a bitstream is made',
        ]
    from gatewright.deploy import board as find

    chosen = find(board)
    return [
        _line("board", chosen.name, chosen.title),
        _line("clock_mhz", f"{chosen.clock_mhz:g}", "its own oscillator", plain=True),
    ]


def _draft(source: str, task: str) -> Draft:
    """Look at a source; see the module."""
    from gatewright.data.readers.arrays import is_idx
    from gatewright.data.readers.formats import ARCHIVES, format_of
    from gatewright.data.readers.tables import read_csv
    from gatewright.data.sources import SUFFIXES, check_source, suffix_of

    plain = parse_config({"name": "draft", "data": {"source": source}}).data
    scheme = check_source(plain)
    path = Path(source)
    draft = Draft(name=_name(source.rpartition(":")[2] if scheme else path.name), data={"source": source})
    if scheme:
        _raw(draft, task)
    elif path.is_dir():
        _folder(draft, path, task)
    elif is_idx(path) or suffix_of(path) == ".npy":
        draft.data["labels"] = _labels_beside(path)
        _raw(draft, task)
    elif format_of(path) is not None:
        _format(draft, path, task)
    elif suffix_of(path) == ".npz" or suffix_of(path) in ARCHIVES:
        _archive(draft, path)
        _raw(draft, task)
    elif SUFFIXES[suffix_of(path)] is read_csv:
        _table(draft, path, task)
    else:
        _raw(draft, task)
    return draft


def _table(draft: Draft, path: Path, task: str) -> None:
    from gatewright.config import Data
    from gatewright.data.readers.layout import BLANKS, read_layout
    from gatewright.data.readers.tables import load_table
    from gatewright.data.survey import survey_table

    layout = read_layout(path, Data(source=str(path)))
    frame = load_table(path, layout)
    found = survey_table(frame, path, layout, task=task)
    separators = {"\t": "tab", BLANKS: "blanks"}
    separator = separators.get(layout.separator, layout.separator)
    how = f"{found.rows:,} rows, {len(found.features)} features; separator {separator}"
    how += ", decimal commas" if layout.decimal == "," else ""
    how += "" if layout.header else ", no header: columns have numbers from 0"
    draft.task, draft.data, draft.features = found.task, {**draft.data, **found.keys}, len(found.features)
    draft.reasons |= {"source": how, **found.reasons}
    draft.unbalanced = found.unbalanced


def _folder(draft: Draft, path: Path, task: str) -> None:
    """Look at a folder: masks and sizes of images; whether each of its files holds several samples."""
    import numpy as np

    from gatewright.data.pictures import survey_pictures
    from gatewright.data.readers.folders import FILE
    from gatewright.data.sources import read_source

    keys, reasons = survey_pictures(path)
    if not keys:
        raw = read_source(parse_config({"name": "draft", "data": {**draft.data, "group_column": FILE}}).data)
        if raw.group is not None:
            files = [len(np.unique(raw.group[raw.y == label])) for label in np.unique(raw.y)]
            if min(files) >= FILES and sum(files) < len(raw.x):
                keys, reasons = {"group_column": FILE}, {"group_column": "the samples of one file stay together"}
    draft.data |= keys
    draft.reasons |= reasons
    _raw(draft, task)


def _format(draft: Draft, path: Path, task: str) -> None:
    """Look at a file of one of the formats: its columns as a text table's, its records with labels beside it."""
    from gatewright.config import Data
    from gatewright.data.readers.formats import format_of
    from gatewright.data.survey import survey_table

    kind = format_of(path)
    if kind is None:
        raise DataError(f"{path}: is of no known format")
    if kind.waveforms:
        draft.data["labels"] = _labels_beside(path)
        draft.reasons["source"] = f"{kind.name}: each record is a sample"
        _raw(draft, task)
        return
    table = kind.read(path, Data(source=str(path), rows="lines"))
    found = survey_table(table.frame, path, table.layout, task=task)
    draft.task, draft.features = found.task, len(found.features)
    draft.data |= found.keys
    draft.unbalanced = found.unbalanced
    draft.reasons |= {
        "source": f"{kind.name}: {found.rows:,} rows, {len(found.features)} features",
        **found.reasons,
    }


def _archive(draft: Draft, path: Path) -> None:
    """Choose the arrays of an archive: those called x and y, else the largest, and one of as many rows."""
    from gatewright.data.readers.arrays import STAR, opener_of, split_arrays

    with opener_of(path)(path) as archive:
        arrays = {name: archive[name] for name in archive.files if archive[name].dtype.kind in "biufSU"}
    if not arrays:
        raise DataError(f"{path}: has no array of numbers; save it with numpy.savez(file, x=..., y=...)")
    draft.reasons["source"] = f"arrays {', '.join(f'{name} {array.shape}' for name, array in arrays.items())}"
    starred = dict.fromkeys(
        name[: at.start()] + STAR + name[at.end() :] for name in arrays for at in _SPLIT.finditer(name)
    )
    pairs = [key for key in starred if len(split_arrays(list(arrays), key)) > 1]
    pairs.sort(key=lambda key: -sum(arrays[name].size for name in split_arrays(list(arrays), key).values()))
    if len(pairs) == 2:
        draft.data |= {"x_key": pairs[0], "y_key": pairs[1]}
        draft.reasons["x_key"] = "its own split: " + ", ".join(split_arrays(list(arrays), pairs[0]).values())
        return
    rows = max(arrays.values(), key=lambda array: array.size)
    x = next((name for name in arrays if name.lower() in ("x", "data", "samples", "x_train")), "")
    x = x or next(name for name, array in arrays.items() if array is rows)
    fits = [name for name, array in arrays.items() if name != x and len(array.shape) and len(array) == len(arrays[x])]
    if not fits:
        raise DataError(
            f"{path}: no array has as many rows as {x!r}; labels go into the same archive, or into data.labels"
        )
    known = ("y", "label", "labels", "target", "targets", "y_train", "class")
    y = next((name for name in fits if name.lower() in known), fits[0])
    draft.data |= {key: name for key, name in (("x_key", x), ("y_key", y)) if name != key[0]}
    for key, names in (("group_key", ("group", "run", "subject")), ("split_key", ("split", "set"))):
        if (hit := next((name for name in fits if name.lower() in names), None)) is not None:
            draft.data[key] = hit


def _raw(draft: Draft, task: str) -> None:
    """Read a source that is no table and choose its task and scaling."""
    import numpy as np

    from gatewright.data.labels import one_hot
    from gatewright.data.pieces import wide
    from gatewright.data.raw import checked
    from gatewright.data.sources import read_source
    from gatewright.data.survey import MOST_CLASSES, RARE, rare_classes, scaling, unbalanced_classes

    read = parse_config({"name": "draft", "data": draft.data}).data
    raw = checked(read_source(read))
    y = raw.y
    few = y.dtype.kind in "SUbO" or (y.dtype.kind in "iu" and y.size <= len(raw.x) and int(y.max()) < 4 * MOST_CLASSES)
    draft.task = task or ("classification" if few or raw.classes or one_hot(y) else "regression")
    flat = wide(raw.x).reshape(len(raw.x), -1)
    draft.features = flat.shape[1]
    if draft.task == "classification" and y.ndim == 1:
        names, counts = np.unique(y.astype(str), return_counts=True)
        draft.unbalanced = unbalanced_classes(names.tolist(), counts.tolist())
        if rare := rare_classes(names.tolist(), counts.tolist()):
            draft.data["exclude_classes"], draft.reasons["exclude_classes"] = rare, RARE
    draft.data["scaling"], draft.reasons["scaling"] = scaling([flat.ravel()] if raw.x.ndim > 2 else list(flat.T))
    draft.data["input_format"] = "auto"
    draft.reasons["input_format"] = "`gatewright data` says which it takes"


def _labels_beside(path: Path) -> str:
    """Return the label file that lies beside an array file. Raises DataError where none does."""
    for old, new in IDX_LABELS:
        beside = path.with_name(path.name.replace(old, new))
        if beside != path and beside.is_file():
            return str(beside)
    stem = path.name.split(".")[0]
    for name in (re.sub(r"(?<![^_])[xX](?![^_])", "y", stem), "y", "labels", f"{stem}_labels"):
        if (beside := path.with_name(f"{name}.npy")) != path and beside.is_file():
            return str(beside)
    raise DataError(f"{path}: holds samples only, and no labels lie beside it, e.g. labels.npy; put them there")


def _name(text: str) -> str:
    word = re.sub(r"\W+", "_", text.split(".", maxsplit=1)[0], flags=re.ASCII).strip("_")[:40]
    return word if word[:1].isalpha() else f"run_{word}".rstrip("_")[:40]


def _relative(path: Path, folder: Path) -> str:
    try:
        return str(path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path.resolve())


def _line(key: str, value: Any, reason: str, *, plain: bool = False) -> str:
    text = f"{key} = {value if plain else _toml(value)}"
    return f"{text:<32} # {shorten(reason, _REASON, placeholder=' ...')}" if reason else text


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
