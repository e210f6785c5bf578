"""Writes small Keras files for tests, from their published layout, with h5py alone."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Weights = dict[str, dict[str, np.ndarray]]  # layer -> weight's name -> array


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def sequential(*layers: dict[str, Any], shape: tuple[int | None, ...]) -> dict[str, Any]:
    start = {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, *shape], "name": "x", "dtype": "float32"},
    }
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [start, *layers]}}


def functional(layers: list[dict[str, Any]], output: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """layers: each with a key `of`: the names it reads."""
    start = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, *shape], "name": "x"}}
    entries = [{**start, "name": "x", "inbound_nodes": []}]
    for entry in layers:
        inbound = [[[source, 0, 0, {}] for source in entry["of"]]]
        rest = {key: value for key, value in entry.items() if key != "of"}
        entries.append({**rest, "name": entry["config"]["name"], "inbound_nodes": inbound})
    config = {"name": "net", "layers": entries, "input_layers": [["x", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": config}


def write_groups(group: Any, weights: Weights) -> None:
    group.attrs["layer_names"] = np.array([name.encode() for name in weights])
    group.attrs["keras_version"] = "2.13.1"
    for name, arrays in weights.items():
        inner = group.create_group(name)
        inner.attrs["weight_names"] = np.array([f"{name}/{key}:0".encode() for key in arrays])
        for key, array in arrays.items():
            inner.create_dataset(f"{name}/{key}:0", data=array)


def write_h5(path: Path, model: dict[str, Any], weights: Weights, version: str = "2.13.1") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = version
        write_groups(file.create_group("model_weights"), weights)
    return path


def write_json(path: Path, model: dict[str, Any], weights: Weights | None, suffix: str = "_weights.h5") -> Path:
    path.write_text(json.dumps({**model, "keras_version": "2.13.1", "backend": "tensorflow"}))
    if weights is not None:
        with h5py.File(path.with_name(path.stem + suffix), "w") as file:
            write_groups(file, weights)
    return path


def write_v3(
    path: Path,
    model: dict[str, Any],
    arrays: dict[str, list[np.ndarray]],
    names: dict[str, str],
    container: str = "layers",
    slash: str = "/",
) -> Path:
    """arrays: group below `layers/` (as dense_1, lstm/cell) -> variables in order; names: group -> layer's name.

    container, slash: what Keras 2.12 to 2.14, and these on Windows, wrote in their place.
    """
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for group, variables in arrays.items():
            inner = file.create_group(f"{container}/{group}".replace("/", slash) + "/vars")
            if group in names:
                inner.attrs["name"] = names[group]
            for at, array in enumerate(variables):
                inner.create_dataset(str(at), data=array)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", data.getvalue())
    return path


def singles(seed: int, *shape: int) -> np.ndarray:
    """Return float32 numbers with few bits, so that float64 sums of products are exact in any order."""
    return (np.random.default_rng(seed).integers(-64, 64, shape) / 32).astype(np.float32)
