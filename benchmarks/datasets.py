"""Real data sets of ../shared/data as functions for `python:benchmarks.datasets:NAME`: samples, labels, splits out."""

from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import GatewrightError

VARIABLE = "GATEWRIGHT_DATA"
WINDOW, HOP, CHUNK = 1024, 64, 64  # samples of a volcano window, between windows, and of one energy, at 100 Hz


def path(name: str) -> Path:
    """Return a file of the shared data by its path there; GatewrightError says where it was looked for."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / name).is_file():
        raise GatewrightError(
            f"the data set must lie at {folder / name}, which is no file; set {VARIABLE} to its folder"
        )
    return folder / name


def mnist() -> dict[str, Any]:
    """Return all 70,000 digits, (n, 28, 28), with the official test set; a tenth of the rest validates."""
    parts = [_digits(prefix) for prefix in ("train", "t10k")]
    split = np.array(["train"] * len(parts[0][1]) + ["test"] * len(parts[1][1]), dtype=object)
    held = np.random.default_rng(0).permutation(len(parts[0][1]))[: len(parts[0][1]) // 10]
    split[held] = "validation"
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return {"x": x, "y": y, "split": split}


def mnist14() -> dict[str, Any]:
    """Return `mnist` with every 2 x 2 pixels averaged, rounded down: (n, 14, 14)."""
    whole = mnist()
    pixels = whole["x"].reshape(-1, 14, 2, 14, 2).sum(axis=(2, 4), dtype=np.int64) // 4
    return {**whole, "x": pixels.astype(np.uint8)}


def mnist14_small() -> dict[str, Any]:
    """Return `mnist14` with 2,000 images to train with and 500 to validate with; all 10,000 test images."""
    whole = mnist14()
    split: NDArray[Any] = whole["split"]
    parts = [np.flatnonzero(split == name)[:count] for name, count in (("train", 2000), ("validation", 500))]
    kept = np.concatenate([*parts, np.flatnonzero(split == "test")])
    return {key: values[kept] for key, values in whole.items()}


def _digits(prefix: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = gzip.decompress(path(f"mnist/{prefix}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress(path(f"mnist/{prefix}-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return x, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def magic() -> dict[str, Any]:
    """Return the 19,020 showers of MAGIC: ten numbers each, 1 of gammas and 0 of hadrons; a fifth tests."""
    lines = lzma.decompress(path("magic04/magic04.data.xz").read_bytes()).decode().split()[1:]
    rows = [line.split(",") for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    split = np.full(len(rows), "train", dtype=object)
    split[order[: len(rows) // 5]] = "test"
    x = np.array([row[:-1] for row in rows], dtype=np.float64)
    return {"x": x, "y": np.array([row[-1] == "g" for row in rows], dtype=np.int64), "split": split}


def volcano() -> dict[str, Any]:
    """Return windows of a volcano's seismic network as 32 short-term energies, labelled quiet or event, by record.

    A window is 10.24 s; an energy is log2 of the mean magnitude over 0.64 s, relative to the level below which a tenth
    of that station's trace stays: 16 means over the eight stations, then 16 maxima over them. A window counts as event
    where most of its samples carry an event class other than tremor, as quiet where none does. Those in between, and
    those with tremor (which has no onset), are left out.
    """
    with np.load(path("volcano_seg/volcano_seg_windows.npz")) as file:
        traces, masks = file["x"].astype(np.float64), file["mask"]
    x: list[NDArray[np.float64]] = []
    y: list[str] = []
    group: list[int] = []
    for record, (stations, mask) in enumerate(zip(traces, masks, strict=True)):
        event, tremor = mask[[1, 2, 4, 5]].any(axis=0), mask[3]
        centred = stations - stations.mean(axis=1, keepdims=True)
        energy = np.abs(centred).reshape(len(stations), -1, CHUNK).mean(axis=2).clip(min=1e-12)
        level = np.log2(energy / np.quantile(energy, 0.1, axis=1, keepdims=True))
        network = np.stack((level.mean(axis=0), level.max(axis=0)))
        for at in range(0, stations.shape[1] - WINDOW + 1, HOP):
            share = event[at : at + WINDOW].mean()
            if 0.0 < share <= 0.5 or tremor[at : at + WINDOW].any():
                continue
            x.append(network[:, at // CHUNK : (at + WINDOW) // CHUNK].ravel())
            y.append("event" if share else "quiet")
            group.append(record)
    return {"x": np.array(x), "y": np.array(y), "group": np.array(group)}
