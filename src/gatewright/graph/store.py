"""A Graph to one .npz file and back: arrays as arrays, everything else as JSON inside; nothing is ever unpickled."""

from __future__ import annotations

import io
import json
import types
import zipfile
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from gatewright.errors import FitError, ModelError
from gatewright.fixedpoint import Grid
from gatewright.graph.check import check
from gatewright.graph.nodes import AnyNode, Graph, Stored
from gatewright.tools import DAMAGE, digest, open_npz, write_atomic

VERSION = 1
KINDS: dict[str, type[AnyNode]] = {kind.__name__: kind for kind in get_args(AnyNode)}
PARTS: dict[str, type[Any]] = {**KINDS, "Stored": Stored, "Grid": Grid}  # nodes, and what their fields hold


def save_graph(graph: Graph, path: Path) -> None:
    """Write the graph to `path` (conventionally *.npz), atomically."""
    write_atomic(path, to_bytes(graph))


def load_graph(path: Path) -> Graph:
    """Read and verify what `save_graph` wrote. Raises ModelError naming the file for anything else."""
    try:
        return from_bytes(path.read_bytes())
    except (OSError, ModelError) as error:
        raise ModelError(f"{path} must be a graph that gatewright saved: {error}; import the model again") from None


def checksum(graph: Graph) -> str:
    """Return the SHA-256 of all that the graph says and of its numbers."""
    text, arrays = _packed(graph)
    return digest(text, *(f"{array.dtype}{array.shape}".encode() + array.tobytes() for array in arrays.values()))


def to_bytes(graph: Graph) -> bytes:
    """Return the content of the graph's file; equal graphs give equal bytes."""
    text, arrays = _packed(graph)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> Graph:
    """Return the verified graph that `to_bytes` wrote; ModelError says what is wrong with anything else."""
    try:
        with open_npz(content) as arrays:
            header = json.loads(bytes(arrays["header"]).decode())
            if header.get("gatewright-graph") != VERSION:
                raise ModelError(f"version {header.get('gatewright-graph')!r}, this gatewright reads {VERSION}")
            nodes = tuple(_unpack(row, arrays) for row in header["nodes"])
            given = {key: header[key] for key in ("name", "output", "format", "metadata")}
            notes, classes = tuple(header["notes"]), tuple(header.get("classes", ()))
            precision = header.get("precision", "single")
            graph = Graph(**given, nodes=nodes, notes=notes, classes=classes, precision=precision)
    except (
        *DAMAGE,
        TypeError,
        AttributeError,
        FitError,
    ) as error:
        raise ModelError(str(error)) from None
    check(graph)
    return graph


def is_graph_file(path: Path) -> bool:
    """Tell whether a file is one of ours, by its content."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "header.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _packed(graph: Graph) -> tuple[str, dict[str, Any]]:
    """Return the header as JSON, and the arrays that it names."""
    arrays: dict[str, Any] = {}
    header = {
        "gatewright-graph": VERSION,
        "name": graph.name,
        "output": graph.output,
        "format": graph.format,
        "notes": list(graph.notes),
        "metadata": graph.metadata,
        "classes": list(graph.classes),
        "precision": graph.precision,
        "nodes": [_pack(node, arrays) for node in graph.nodes],
    }
    return json.dumps(header, sort_keys=True, allow_nan=True), arrays


def _pack(node: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"node": type(node).__name__}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            key = f"a{len(arrays)}"
            arrays[key] = value
            row[field.name] = {"array": key}
        elif isinstance(value, Enum):
            row[field.name] = value.value
        elif isinstance(value, Graph):
            inner = [_pack(node, arrays) for node in value.nodes]
            row[field.name] = {"graph": value.name, "output": value.output, "nodes": inner}
        elif type(value).__name__ in PARTS:
            row[field.name] = _pack(value, arrays)
        else:
            row[field.name] = value
    return row


def _unpack(row: dict[str, Any], arrays: Any) -> Any:
    kind = PARTS[row["node"]]
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    if unknown := set(row) - known - {"node"}:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{key: _value(value, hints[key], arrays) for key, value in row.items() if key != "node"})


def _value(value: Any, hint: Any, arrays: Any) -> Any:
    if isinstance(value, dict):
        row = cast("dict[str, Any]", value)
        if "graph" in row:
            nodes = tuple(_unpack(inner, arrays) for inner in row["nodes"])
            return Graph(name=row["graph"], nodes=nodes, output=row["output"])
        return arrays[row["array"]] if "array" in row else _unpack(row, arrays)
    if get_origin(hint) in (Union, types.UnionType):
        return None if value is None else value
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in cast("list[Any]", value)) if isinstance(value, list) else value
