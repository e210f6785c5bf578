"""A table's column names and the configuration's choice in, the names of features, labels, group and split out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gatewright.config import Data
from gatewright.errors import DataError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Columns by their part; group, split: "" for none.

    labels: one, or a regression's targets, or none where a file holds them.
    """

    features: tuple[str, ...]
    labels: tuple[str, ...]
    group: str
    split: str


def choose_columns(
    path: Path, columns: Sequence[str], data: Data, *, numbered: bool, usual: Sequence[str] | None = None
) -> Chosen:
    """Return which column is what, as [data] says. numbered: names are the columns' numbers, -1 then the last;
    usual: the features where the configuration names none, None for all other columns.

    Raises DataError for a name that is no column, a pattern that matches none, no label, a label among the features.
    """
    labels = tuple(data.label_columns) or ((data.label_column,) if data.label_column else ())
    if not labels and not data.labels:
        raise DataError(
            f"{path}: data.label_column must name the label's column; columns: {', '.join(columns)}"
            + ("" if not numbered else " (their numbers: the file has no header line)")
        )
    if data.label_column and data.label_columns:
        raise DataError(f"{path}: set data.label_column, or data.label_columns for several targets, not both")
    option = "data.label_columns" if data.label_columns else "data.label_column"
    found = tuple(_column(path, name, columns, option, numbered=numbered) for name in labels)
    group = _column(path, data.group_column, columns, "data.group_column", numbered=numbered)
    split = _column(path, data.split_column, columns, "data.split_column", numbered=numbered)
    special = {*found, group, split}
    excluded = _several(path, data.exclude_columns, columns, "data.exclude_columns", numbered=numbered)
    if data.feature_columns:
        features = _several(path, data.feature_columns, columns, "data.feature_columns", numbered=numbered)
        features = [name for name in features if name not in excluded]
    else:
        features = [name for name in usual or columns if name not in special and name not in excluded]
    for name in found:
        if name in features:
            raise DataError(f"{path}: data.feature_columns must not hold the label column {name!r}; remove it")
    if not features:
        beside = f" beside {found[0]!r}" if found else ""
        raise DataError(f"{path}: a table needs feature columns{beside}; columns: {list(columns)}")
    return Chosen(features=tuple(features), labels=found, group=group, split=split)


def features_only(path: Path, columns: Sequence[str], data: Data, usual: Sequence[str] | None) -> list[str]:
    """Return the features of a file whose class is its own or its folder's name; see `choose_columns`."""
    out = _several(path, data.exclude_columns, columns, "data.exclude_columns", numbered=True)
    special = {data.group_column, data.split_column, *out}
    wanted = list(usual or columns)
    if data.feature_columns:
        wanted = _several(path, data.feature_columns, columns, "data.feature_columns", numbered=True)
    found = [name for name in wanted if name not in special]
    if not found:
        raise DataError(f"{path}: no column is left for a feature; columns: {', '.join(columns)}")
    return found


def _several(path: Path, wanted: Sequence[str], columns: Sequence[str], option: str, *, numbered: bool) -> list[str]:
    """Return the columns of names, of patterns such as `adc_*`, and of ranges such as `t0:t63`, each once, in order."""
    found: list[str] = []
    for word in wanted:
        start, colon, end = word.partition(":")
        if word in columns:
            found.append(word)
        elif colon and "*" not in word:
            first = columns.index(_column(path, start, columns, option, numbered=numbered)) if start else 0
            last = columns.index(_column(path, end, columns, option, numbered=numbered)) if end else len(columns) - 1
            if first > last:
                raise DataError(f"{path}: {option}: {word!r} runs backwards; {start!r} stands right of {end!r}")
            found += columns[first : last + 1]
        elif any(sign in word for sign in "*?["):
            hits = [name for name in columns if fnmatchcase(name, word)]
            if not hits:
                raise DataError(f"{path}: {option}: no column matches {word!r}; columns: {', '.join(columns)}")
            found += hits
        else:
            found.append(_column(path, word, columns, option, numbered=numbered))
    return list(dict.fromkeys(found))


def _column(path: Path, name: str, columns: Sequence[str], option: str, *, numbered: bool) -> str:
    if not name or name in columns:
        return name
    if numbered and name.startswith("-") and name[1:].isdecimal() and 0 < int(name[1:]) <= len(columns):
        return columns[-int(name[1:])]
    raise DataError(f"{path}: has no column {name!r} ({option}).{nearest(name, list(columns))}")
