"""Configuration in, Dataset out: read, check, encode labels, split, condition."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config, parse_config
from gatewright.data.auto_format import auto_format
from gatewright.data.conditioning import (
    condition_counted,
    conditioned_shape,
    make_contract,
    reduced,
    triggered,
)
from gatewright.data.dataset import AUTO, SPLITS, Dataset, input_format
from gatewright.data.labels import encode_labels, leave_out
from gatewright.data.pieces import slices, wide
from gatewright.data.raw import Raw, checked
from gatewright.data.sources import read_source, source_name
from gatewright.data.splits import make_split
from gatewright.data.weights import class_weights
from gatewright.errors import DataError


def load_dataset(config: Config) -> Dataset:
    """Read config.data.source and return its conditioned, labelled and split Dataset.

    Raises DataError (source, labels, split, range) or FormatError (data.input_format), before anything is written.
    """
    return load_with_records(config)[0]


def load_with_records(config: Config) -> tuple[Dataset, NDArray[Any]]:
    """Do as load_dataset, and return the raw samples of its rows too, (n, ...)."""
    if config.data.input_format != AUTO:
        input_format(config.data.input_format)
    return _made(config, checked(read_source(config.data)))


def dataset_from_arrays(
    x: Any,
    y: Any,
    *,
    group: Any = None,
    split: Any = None,
    name: str = "arrays",
    task: str = "classification",
    **data: Any,
) -> Dataset:
    """Return the Dataset of samples in memory, split and conditioned as a file's would be.

    x: (n, ...) numbers or a frame, whose columns name the features; y: (n,) labels or (n, targets) numbers; group,
    split: (n,). data: keys of the configuration's table data; input_format is "auto" unless it is one of them.
    Raises what `load_dataset` does, and ConfigError for what is no key.
    """
    keys = {"input_format": AUTO, **data, "source": "arrays"}
    config = parse_config({"name": name, "task": task, "data": keys}, where="dataset_from_arrays")
    columns = tuple(map(str, x.columns)) if hasattr(x, "columns") else None
    given = [None if part is None else np.asarray(part) for part in (group, split)]
    named = (
        tuple(map(str, y.columns)) if hasattr(y, "columns") else (str(y.name),) if getattr(y, "name", None) else None
    )
    raw = Raw(
        x=np.asarray(x),
        y=np.asarray(y),
        group=given[0],
        split=given[1],
        feature_names=columns,
        target_names=named,
        origin=name,
    )
    return make_dataset(config, checked(raw))


def make_dataset(config: Config, raw: Raw) -> Dataset:
    """Return the Dataset of samples that were read and checked. Raises as load_dataset does."""
    return _made(config, raw)[0]


def _made(config: Config, raw: Raw) -> tuple[Dataset, NDArray[Any]]:
    data = config.data
    number = None if data.input_format == AUTO else input_format(data.input_format)
    y, classes = encode_labels(raw, config.task)
    if data.exclude_classes:
        raw, y, classes = leave_out(raw, y, classes, data.exclude_classes)
    found = triggered(raw.x, data)
    without = int((~found).sum())
    if without:
        raw, y = _rows(raw, y, found)
    split, method = make_split(y, data, origin=raw.origin, classes=classes, group=raw.group, given=raw.split)
    if classes:
        class_weights(config.class_weights, y[split == 0], classes)  # before anything is trained
    gaps = training_means(raw, split == 0)
    if gaps is not None:
        raw = replace(raw, x=np.where(np.isnan(raw.x), gaps, raw.x))
    why = ""
    if number is None:
        number, why = auto_format(reduced(raw.x, data), data.scaling)
    contract = make_contract(raw.x, split == 0, data, number)
    if why:
        contract["format"]["chosen"] = why
    if gaps is not None:
        contract["missing"] = gaps.tolist()
    codes, clipped = condition_counted(raw.x, contract)
    contract |= {
        "source": {"name": source_name(data), "sha256": _fingerprint(raw)},
        "clipped": {name: int(clipped[split == part].sum()) for part, name in enumerate(SPLITS)},
        **({"untriggered": without} if data.trigger is not None else {}),
        "split": {
            "method": method,
            "seed": data.split_seed,
            "rows": {name: int((split == part).sum()) for part, name in enumerate(SPLITS)},
        },
        "classes": list(classes),
    }
    if raw.group is not None:
        groups = {name: len(np.unique(raw.group[split == part])) for part, name in enumerate(SPLITS)}
        contract["split"]["groups"] = groups
    if raw.target_names and not classes:
        contract["targets"] = list(raw.target_names)
    names = _feature_names(raw, contract)
    dataset = Dataset(
        name=config.name,
        task=config.task,
        x=codes,
        shape=conditioned_shape(contract),
        y=y,
        split=split,
        format=number,
        classes=classes,
        feature_names=names,
        contract=contract,
    )
    return dataset, raw.x


def _rows(raw: Raw, y: NDArray[Any], kept: NDArray[np.bool_]) -> tuple[Raw, NDArray[Any]]:
    """Return the rows of records that have a window. Raises DataError where none has."""
    if not kept.any():
        raise DataError(
            f"{raw.origin}: none of {len(kept)} records has a window around an edge of data.trigger; compare its "
            f"threshold with the samples, {raw.x.min():g} .. {raw.x.max():g}"
        )
    return raw.rows(kept), y[kept]


def training_means(raw: Raw, train: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return what fills the gaps of each column: its mean over the training rows; None where there are no gaps.

    train: (n,) mask. Raises DataError for a column without any value in them.
    """
    if not raw.fill or raw.x.dtype.kind != "f" or not np.isnan(raw.x).any():
        return None
    known = ~np.isnan(raw.x[train])
    counts = known.sum(axis=0)
    if not counts.all():
        column = int(np.flatnonzero(counts == 0)[0])
        name = raw.feature_names[column] if raw.feature_names else str(column)
        raise DataError(f"{raw.origin}: column {name!r} has no value in the training rows; leave it out")
    return np.where(known, raw.x[train], 0.0).sum(axis=0) / counts


def _fingerprint(raw: Raw) -> str:
    """Return the SHA-256 of the raw samples' values and shape: the same file content gives the same, anywhere."""
    dtype = "<i8" if raw.x.dtype.kind in "bui" else "<f8"
    sha = hashlib.sha256(f"{raw.x.shape} {dtype} ".encode())
    for rows in slices(raw.x):
        sha.update(np.ascontiguousarray(wide(raw.x[rows]), dtype=dtype).data)
    return sha.hexdigest()


def _feature_names(raw: Raw, contract: dict[str, Any]) -> tuple[str, ...]:
    """Return one name per input code: the source's, or x0, x1, ... (x2_5 in row 2, column 5 of an image)."""
    shape = raw.x.shape[1:]
    names = raw.feature_names or tuple("x" + "_".join(map(str, place)) for place in np.ndindex(*shape))
    grid = np.array(names, dtype=object).reshape(shape)
    start, length = contract["window"]["start"], contract["window"]["length"]
    if "trigger" in contract:
        before = contract["trigger"]["pretrigger"]
        grid = np.array([f"t{place - before:+d}" for place in range(length)], dtype=object)
    else:
        grid = grid[..., start : start + length]
    factor = contract["subsample"]["factor"]
    if factor == 1 or contract["subsample"]["mode"] == "decimate":
        return tuple(grid[..., ::factor].reshape(-1))
    groups = length // factor
    first, last = grid[..., : groups * factor : factor], grid[..., factor - 1 : groups * factor : factor]
    return tuple(f"mean({a}..{b})" for a, b in zip(first.reshape(-1), last.reshape(-1), strict=True))
