"""A table in, what its columns are likely to be out: label, groups, split, what can be no feature; and the scaling.

Every guess has a reason, which `gatewright init` writes beside it; nothing here decides for a run.
"""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.data.readers.layout import Layout
from gatewright.data.readers.tables import gaps_of, values_of, with_gaps
from gatewright.data.splits import SPELLINGS
from gatewright.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LABELS = (
    "label", "labels", "class", "classes", "target", "kind", "type", "species", "category", "y", "outcome", "truth",
    "diagnosis", "particle", "is_signal", "signal", "result", "quality", "answer", "variety",
)  # fmt: skip
GROUPS = ("group", "run", "run_id", "run_no", "subject", "patient", "patient_id", "day", "station", "session", "batch")
SPLITS = ("split", "set", "part", "partition", "subset")
NUMBERS = (
    "id",
    "index",
    "row",
    "no",
    "nr",
    "number",
    "event",
    "event_id",
    "sample_id",
    "time",
    "timestamp",
    "date",
    "",
)
TIMES = {"time", "timestamp", "t", "date", "datetime", "elapsed", "epoch", "clock", "zeit", "datum", "temps", "seconds"}
MOST_CLASSES = 30  # beyond, whole numbers are taken for a quantity
MOST_WORDS = 4  # among a column's numbers, that are taken for gaps
UNBALANCED = 4  # as many rows of one class as of another, from which on they should weigh alike
LEAST = 3  # rows of a class: one for each split
RARE = "fewer than 3 rows, one for each split"
DROPPED = 0.1  # of the rows may have a gap, before gaps are filled instead
FAR = 12.0  # deviations from the mean, beyond which a feature's range is that of its outliers


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. distinct: values; gaps: empty cells; numeric: whether all others are numbers; values: of those."""

    name: str
    numeric: bool
    whole: bool
    distinct: int
    gaps: int
    values: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a table is likely to hold. keys: of the table [data]; reasons: by key, in words; task: as its label asks.

    unbalanced: why class_weights should be "balanced"; "" where they need not.
    """

    rows: int
    task: str
    keys: dict[str, Any]
    reasons: dict[str, str]
    features: tuple[str, ...]
    unbalanced: str = ""


def survey_table(frame: pd.DataFrame, path: Path, layout: Layout | None, *, task: str = "") -> Survey:
    """Return what a table's columns are likely to be. task: "classification" or "regression", "" for what suits.

    Raises DataError for a table of one column, and where no column can be the label.
    """
    decimal = layout.decimal if layout else "."
    words, unbalanced = _gap_words(frame, decimal), ""
    frame = with_gaps(frame, words)
    columns = [_column(name, frame[name], decimal) for name in map(str, frame.columns)]
    if len(columns) < 2:
        tried = "" if layout is None else "; none of ; tab | , blank ^ ~ cuts its lines alike, so convert it to CSV"
        raise DataError(
            f"{path}: a table needs features and a label, not the single column {columns[0].name!r}{tried}, or write "
            "the configuration by hand, with data.separator"
        )
    label, why = _label(columns, len(frame), task)
    keys: dict[str, Any] = {"label_column": label.name}
    reasons = {"label_column": why}
    if not task:
        classes = not label.numeric or (label.whole and label.distinct <= min(MOST_CLASSES, len(frame) // 4))
        task = "classification" if classes else "regression"
    rest = [column for column in columns if column is not label]
    for key, names, fits in (("group_column", GROUPS, _groups), ("split_column", SPLITS, _parts)):
        hit = next((column for column in rest if _like(column.name, names) and fits(column, len(frame))), None)
        if hit is not None:
            keys[key], reasons[key] = hit.name, f"{hit.distinct} values"
            rest.remove(hit)
    out = {column.name: reason for column in rest if (reason := _no_feature(column, len(frame)))}
    if all(column.name in out for column in rest):  # what only counts may still be what a quantity follows
        out = {column.name: out[column.name] for column in rest if not column.numeric or column.distinct < 2}
    features = [column for column in rest if column.name not in out]
    if not features:
        raise DataError(f"{path}: no column beside {label.name!r} holds numbers that vary; check the separator")
    if out:
        keys["exclude_columns"] = list(out)
        reasons["exclude_columns"] = ", ".join(f"{name or 'no name'}: {reason}" for name, reason in out.items())
    holes = np.zeros(len(frame), dtype=bool)
    for column in (label, *features):
        holes |= gaps_of(frame[column.name])
    if words:
        keys["missing_values"], reasons["missing_values"] = words, "among numbers: taken for gaps"
    if task == "classification":
        names, counts = np.unique(_texts(frame[label.name][~holes], label), return_counts=True)
        unbalanced = unbalanced_classes(names.tolist(), counts.tolist())
        if rare := rare_classes(names.tolist(), counts.tolist()):
            keys["exclude_classes"], reasons["exclude_classes"] = rare, RARE
    if holes.any():
        drop = holes.mean() <= DROPPED or gaps_of(frame[label.name]).any()
        keys["missing"] = "drop" if drop else "mean"
        reasons["missing"] = f"{int(holes.sum()):,} of {len(frame):,} rows have a gap"
    keys["scaling"], reasons["scaling"] = scaling([column.values for column in features])
    keys["input_format"], reasons["input_format"] = "auto", "`gatewright data` says which it takes"
    return Survey(
        rows=len(frame),
        task=task,
        keys=keys,
        reasons=reasons,
        features=tuple(column.name for column in features),
        unbalanced=unbalanced,
    )


def rare_classes(names: Sequence[str], counts: Sequence[int]) -> list[str]:
    """Return the classes that are too few for three splits, where others are left and few rows are lost."""
    rare = [name for name, count in zip(names, counts, strict=True) if count < LEAST]
    lost = sum(count for count in counts if count < LEAST)
    return rare if len(names) - len(rare) > 1 and lost <= DROPPED * sum(counts) else []


def unbalanced_classes(names: Sequence[str], counts: Sequence[int]) -> str:
    """Return why classes should weigh alike: the most and the least frequent; "" where they are frequent enough."""
    kept = [(count, name) for name, count in zip(names, counts, strict=True) if count >= LEAST]
    (least, rarest), (most, usual) = min(kept, default=(1, "")), max(kept, default=(1, ""))
    return (
        f"{usual} has {most:,} rows, {rarest} {least:,}; else it may never be answered"
        if most > UNBALANCED * least
        else ""
    )


def _texts(labels: Any, column: Column) -> NDArray[Any]:
    """Return a label column as `encode_labels` names its classes."""
    whole = column.whole and labels.dtype.kind == "f"
    return labels.to_numpy(dtype=np.int64).astype(str) if whole else labels.to_numpy(dtype=str)


def _gap_words(frame: Any, decimal: str) -> list[str]:
    """Return what stands in columns of measured numbers and is none: a few words of few cells, as OL and Total."""
    found: dict[str, None] = {}
    for name in frame.columns:
        cells = frame[name]
        values = values_of(cells, decimal)
        bad = ~np.isfinite(values) & ~gaps_of(cells)
        if bad.any():  # a word among numbers with units or grouped digits hides these
            without = np.asarray(~cells.astype(str).str.contains(r"\d")) & bad
            values, bad = values_of(cells.mask(without, ""), decimal), bad & without
            bad |= ~np.isfinite(values) & ~gaps_of(cells)
        words = sorted(set(cells[bad].astype(str).str.strip()))
        good = values[np.isfinite(values)]
        measured = len(np.unique(good)) > MOST_CLASSES or bool((good != np.floor(good)).any())
        if words and measured and bad.mean() <= DROPPED and len(words) <= MOST_WORDS:
            found |= dict.fromkeys(words)
    return list(found)


def scaling(features: Sequence[NDArray[Any]]) -> tuple[str, str]:
    """Return data.scaling for columns of numbers, and the reason. Each (rows,), without gaps."""
    low, high = min(float(v.min()) for v in features), max(float(v.max()) for v in features)
    if all((v == np.floor(v)).all() for v in features) and max(abs(low), abs(high)) < 2**12:
        return "none", f"whole numbers, {low:g} to {high:g}: an ADC's codes are taken as they are"
    for v in features:
        spread = float(v.std())
        if spread and max(v.max() - v.mean(), v.mean() - v.min()) > FAR * spread:
            return "standard", f"{low:g} to {high:g}, with values more than {FAR:g} deviations from the mean"
    return "range", f"{low:g} to {high:g}: each feature's training range fills the format"


def _column(name: str, cells: Any, decimal: str) -> Column:
    values, gaps = values_of(cells, decimal), gaps_of(cells)
    kept = values[~gaps]
    numeric = bool(len(kept)) and bool(np.isfinite(kept).all())
    distinct = len(np.unique(kept)) if numeric else int(cells[~gaps].astype(str).nunique())
    whole = numeric and bool((kept == np.floor(kept)).all())
    if not numeric:
        kept = cells[~gaps].to_numpy(dtype=str)
    return Column(name=name, numeric=numeric, whole=whole, distinct=distinct, gaps=int(gaps.sum()), values=kept)


def _label(columns: list[Column], rows: int, task: str) -> tuple[Column, str]:
    """Return the likeliest label: by its name; of few values the last column, the first, a text; else the last."""
    named = [column for word in LABELS for column in columns if _like(column.name, (word,)) and column.distinct > 1]
    if named:
        return named[0], f"by its name; {named[0].distinct:,} values"
    few = [
        c for c in columns if 1 < c.distinct <= MOST_CLASSES and c.distinct * 4 <= rows and (c.whole or not c.numeric)
    ]
    likely = [c for c in (columns[-1], columns[0]) if c in few] or [c for c in few if not c.numeric]
    if task != "regression" and likely:
        return likely[0], f"few values, {likely[0].distinct}; say so if it is another column"
    if columns[-1].numeric and columns[-1].distinct > 1:
        return columns[-1], "the last column; say so if it is another"
    raise DataError(
        f"no column of {', '.join(c.name for c in columns)} looks like a label: few values, or numbers in the last; "
        "write the configuration by hand, with data.label_column"
    )


def _no_feature(column: Column, rows: int) -> str:
    """Return why a column is no feature; "" where it may be one."""
    if not column.numeric:
        return "text" if column.distinct else "empty"
    if column.distinct < 2:
        return "constant"
    steps = np.diff(column.values)
    if column.whole and column.distinct == rows and len(steps) and steps[0] > 0 and bool((steps == steps[0]).all()):
        return "counts the rows"
    if column.distinct == rows and _like(column.name, NUMBERS):
        return "a number of its own for each row"
    if len(steps) and bool((steps > 0).all()) and set(re.findall(r"[a-z]+", column.name.lower())) & TIMES:
        return "a time that only rises"
    return ""


def _groups(column: Column, rows: int) -> bool:
    return 5 <= column.distinct <= rows // 3 and not column.gaps


def _parts(column: Column, _rows: int) -> bool:
    found = {str(value).strip().lower() for value in np.unique(column.values.astype(str)).tolist()}
    spelt = {SPELLINGS.get(value.removesuffix(".0")) for value in found}
    return None not in spelt and {0, 2} <= spelt


def _like(name: str, words: Sequence[str]) -> bool:
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain in words or (plain.startswith("unnamed") and "" in words)
