"""A path in; the architecture (parsed JSON) and the weights' tree out, whatever the container.

`.keras`: a zip of config.json and model.weights.h5. `.h5`/`.hdf5`: an attribute `model_config` and groups of weights.
`.json`: the architecture alone, its weights in a `.h5` beside it or named by the caller.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import ModelError
from gatewright.importers.keras.hdf import Reader
from gatewright.importers.keras.shards import ShardedReader
from gatewright.importers.keras.weights import CONTAINERS, NamedWeights, NumberedWeights

MOST_JSON_BYTES = 64 << 20
MOST_WEIGHT_BYTES = 4 << 30
ZIP_FREE_BYTES = 64 << 20  # below this, any compression is believed
ZIP_RATIO = 200  # a member may not grow more than this


@dataclass(frozen=True, slots=True)
class Archive:
    """architecture: {"class_name", "config", ...}; weights: by layer, see `layer_weights`.

    version: of Keras, as the file says, or ""; major: 2 or 3.
    """

    label: str
    format: str
    architecture: dict[str, Any]
    version: str
    reader: Reader | ShardedReader

    @property
    def major(self) -> int:
        """Keras 2, which files without a version are of, or 3."""
        return 3 if self.version.startswith("3") else 2

    def numbered(self) -> NumberedWeights:
        """Return the root of weights by position (`.keras`, `.weights.h5`)."""
        return NumberedWeights(self.reader, self.label, "")

    @property
    def by_position(self) -> bool:
        """Say whether the weights are laid out by position."""
        names = self.reader.children("")
        return not {*CONTAINERS}.isdisjoint(names) and self.reader.attribute("", "layer_names") is None

    def named(self) -> dict[str, NamedWeights]:
        """Return the weights by name, of each layer that has some, in the file's order."""
        root = "model_weights" if "model_weights" in self.reader.children("") else ""
        order = self.reader.attribute(root, "layer_names") or self._chunks(root, "layer_names")
        self._check_layout(root, order)
        if order is None:
            order = [
                name
                for name in self.reader.children(root)
                if name not in {"top_level_model_weights", "optimizer_weights"}
            ]
        found: dict[str, NamedWeights] = {}
        for layer in order if isinstance(order, list) else [order]:
            names = self.reader.attribute(f"{root}/{layer}", "weight_names")
            if names is None:
                names = self._chunks(f"{root}/{layer}", "weight_names") or []
            paths = {tuple(_plain(name).split("/")): f"{root}/{layer}/{name}" for name in names}
            if paths:
                found[layer] = NamedWeights(self.reader, f"{self.label}, layer {layer!r}", paths)
        return found

    def _check_layout(self, root: str, order: Any) -> None:
        """Raise ModelError where the groups are of no layout that Keras reads."""
        groups = self.reader.children(root)
        named = order is not None or any(
            self.reader.attribute(f"{root}/{name}", key) is not None
            for name in groups
            for key in ("weight_names", "weight_names0")
        )
        if groups and not named and self.reader.arrays_below(root):
            raise ModelError(
                f"{self.label}: its weights lie in the groups {', '.join(groups[:8])}, which is none of Keras' "
                f"layouts: {' or '.join(CONTAINERS)} (.keras, .weights.h5), or layers by name with 'layer_names' (.h5)"
            )

    def _chunks(self, group: str, name: str) -> list[str] | None:
        """Return an attribute that Keras split because HDF5 limits its size: name0, name1, ..."""
        parts: list[str] = []
        for at in range(10_000):
            piece = self.reader.attribute(group, f"{name}{at}")
            if piece is None:
                break
            parts += piece if isinstance(piece, list) else [piece]
        return parts or None


def _plain(name: str) -> str:
    """Return a weight's name without TensorFlow's output number."""
    return name.rsplit(":", 1)[0] if name.rsplit(":", 1)[-1].isdigit() else name


@contextmanager
def open_archive(path: Path, weights: Path | None) -> Iterator[Archive]:
    """Open a model; ModelError says what is wrong with the file."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PK"):
        with _from_zip(path, weights) as archive:
            yield archive
    elif magic.startswith(b"\x89HDF"):
        _no_weights(path, weights)
        with Reader(path, path.name) as reader:
            text = reader.attribute("", "model_config")
            if text is None:
                raise ModelError(
                    f"{path.name}: holds weights but no architecture; "
                    "give the model's .json and name this file as weights"
                )
            yield _archive(path.name, "keras-h5", text, reader, reader.attribute("", "keras_version"))
    elif path.suffix.lower() == ".json":
        file = weights or weights_beside(path)
        _no_checkpoint(file)
        with ShardedReader(file) if file.suffix == ".json" else Reader(file, file.name) as reader:
            if path.stat().st_size > MOST_JSON_BYTES:
                raise ModelError(f"{path.name}: {path.stat().st_size:,} bytes of architecture; refused")
            yield _archive(path.name, "keras-json", path.read_bytes(), reader, reader.attribute("", "keras_version"))
    else:
        raise ModelError(
            f"{path.name}: neither a Keras .keras (zip), .h5 (HDF5) nor .json file; it starts with {magic!r}. "
            "A file cut short looks like this too: copy or download it again"
        )


def _no_weights(path: Path, weights: Path | None) -> None:
    if weights is not None:
        raise ModelError(f"{path.name}: holds its own weights; weights={str(weights)!r} is for a .json architecture")


def _no_checkpoint(file: Path) -> None:
    """Refuse TensorFlow's own format of weights, which is read by the prefix of its names."""
    if file.suffix == ".index" or ".data-" in file.name or file.with_name(f"{file.name}.index").is_file():
        raise ModelError(
            f"{file.name}: a TensorFlow checkpoint, which only TensorFlow reads; load it into the model and save it "
            'again: model.save("model.h5")'
        )


def weights_beside(path: Path) -> Path:
    """Find the weights of an architecture: NAME_weights.h5, NAME.weights.h5, NAME.h5 or NAME.weights.json."""
    ends = ("_weights.h5", ".weights.h5", ".h5", "_weights.hdf5", ".weights.json")
    tried = [path.with_name(path.stem + end) for end in ends]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    names = ", ".join(item.name for item in tried)
    raise ModelError(f"{path.name}: no weights beside it (looked for {names}); name them: weights=FILE")


@contextmanager
def _from_zip(path: Path, weights: Path | None) -> Iterator[Archive]:
    _no_weights(path, weights)
    try:
        with zipfile.ZipFile(path) as archive:
            config = _member(archive, path.name, "config.json", MOST_JSON_BYTES)
            data = _member(archive, path.name, "model.weights.h5", MOST_WEIGHT_BYTES)
            metadata = (
                _member(archive, path.name, "metadata.json", MOST_JSON_BYTES)
                if "metadata.json" in archive.namelist()
                else b"{}"
            )
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path.name}: not a complete .keras file ({error}); copy or download it again") from None
    with Reader(data, path.name) as reader:
        version = _json(metadata, path.name).get("keras_version")
        yield _archive(path.name, "keras-v3", config, reader, version)


def _member(archive: zipfile.ZipFile, label: str, name: str, most: int) -> bytes:
    """Return a member of the zip whose size is believable."""
    if name not in archive.namelist():
        if "model.weights.npz" in archive.namelist():
            raise ModelError(
                f"{label}: its weights are pickled in model.weights.npz, which could run code; load it in Keras and "
                "save it again, which writes model.weights.h5"
            )
        raise ModelError(
            f"{label}: a .keras file must hold {name!r}; this one holds {', '.join(archive.namelist()[:8])}"
        )
    info = archive.getinfo(name)
    if info.file_size > most or (info.file_size > ZIP_FREE_BYTES and info.file_size > ZIP_RATIO * info.compress_size):
        raise ModelError(
            f"{label}: {name!r} claims {info.file_size:,} bytes out of {info.compress_size:,} compressed; refused"
        )
    return archive.read(info)


def _archive(label: str, kind: str, text: bytes | str, reader: Reader | ShardedReader, version: Any) -> Archive:
    architecture = _json(text, label)
    if "config" not in architecture or "class_name" not in architecture:
        raise ModelError(
            f"{label}: expected an architecture with 'class_name' and 'config', got keys {sorted(architecture)}"
        )
    return Archive(label, kind, architecture, str(architecture.get("keras_version", version) or ""), reader)


def _json(text: bytes | str, label: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{label}: the architecture is not JSON ({type(error).__name__}: {error})") from None
    if not isinstance(value, dict):
        raise ModelError(f"{label}: expected a JSON object, got {type(value).__name__}")
    return value
