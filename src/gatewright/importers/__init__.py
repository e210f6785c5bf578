"""Model files of other frameworks in, a Graph out: the file's content says which importer reads it.

Importers are loaded when they are needed; none executes code from a file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from gatewright.errors import ModelError
from gatewright.graph.nodes import Graph
from gatewright.graph.store import is_graph_file, load_graph

__all__ = ["load_model", "model_kind"]

HDF5 = b"\x89HDF\r\n\x1a\n"  # HDF5 file format specification 3.0, section II.A
TFLITE = b"TFL3"  # the FlatBuffer's file identifier, at byte 4
LIGHTGBM = b"tree\n"  # the first line of GBDT::SaveModelToString
PICKLE = b"\x80"  # the PROTO opcode, which every pickle of protocol 2 or later starts with


def load_model(
    path: Path | str, *, weights: Path | str | None = None, example_input: Any = None, **settings: Any
) -> Graph:
    """Return the graph of a model file: .keras, .h5, Keras .json (+ weights), .onnx, .pt, trees, or our own .npz.

    Trees: XGBoost's .json, LightGBM's .txt.

    weights: the .h5 beside a .json; example_input: a batch of samples, or the shape of one, for torch modules
    whose shapes are not in the file; settings: hgq2 and rules of `load_keras`. Raises ModelError naming the file and
    the remedy for everything else, and for damaged files.
    """
    path = Path(path)
    kind = model_kind(path)
    if weights is not None and kind != "keras":
        raise ModelError(f"{path}: weights go with a Keras .json file, not with this one; leave weights out")
    if settings and kind != "keras":
        raise ModelError(f"{path}: {', '.join(settings)} is for Keras models, and this is none; leave it out")
    match kind:
        case "graph":
            return load_graph(path)
        case "keras":
            return _importer("keras", "load_keras")(path, weights=weights, **settings)
        case "onnx":
            return _importer("onnx", "load_onnx")(path)
        case "xgboost" | "lightgbm":
            return _importer("trees", f"load_{kind}")(path)
        case _:
            return _importer("torch", "load_torch")(path, example_input)


def _importer(module: str, function: str) -> Callable[..., Graph]:
    """Load one importer when it is needed; what it needs itself may be missing."""
    try:
        return getattr(import_module(f"gatewright.importers.{module}"), function)
    except ModuleNotFoundError as error:
        extra = "fit" if module == "torch" else "import"
        raise ModelError(
            f"reading {module} models needs {error.name!r}, which is not installed; pip install 'gatewright[{extra}]'"
        ) from None


def model_kind(path: Path) -> str:
    """Return which importer reads a file: "graph", "keras", "onnx", "xgboost", "lightgbm", "torch"; else ModelError."""
    if path.is_dir():
        saved = (path / "saved_model.pb").exists()
        what = "a TensorFlow SavedModel" if saved else "a folder"
        raise ModelError(f'{path} is {what}, not a model file; save it again with model.save("model.keras")')
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}; give the path of a model file") from None
    if not head:
        raise ModelError(f"{path} is empty; copy or export the model again")
    if head.startswith(HDF5):
        return "keras"
    if head[4:8] == TFLITE or path.suffix == ".tflite":
        raise ModelError(
            f"{path} is a TFLite model, whose weights are already converted; give the Keras model it was made from, "
            "or convert it with tf2onnx and give the .onnx file"
        )
    if head.startswith(b"PK"):
        return _zipped(path)
    if path.suffix in {".pt", ".pth"}:
        return "torch"  # whose importer reads a pickled Sequential without running it
    if head.startswith(PICKLE) or path.suffix in {".pkl", ".pickle", ".joblib"}:
        raise _pickled(path)
    if head.startswith(LIGHTGBM):
        return "lightgbm"
    if head[:1] == b"{" and b"learner" in head:
        if head[1:2] in b"L$#":
            raise ModelError(
                f'{path} is XGBoost\'s binary JSON; save the model as text: booster.save_model("model.json")'
            )
        return "xgboost"
    if head.lstrip()[:1] == b"{" or path.suffix == ".json":
        return "keras"
    if path.suffix == ".onnx":
        return "onnx"
    raise ModelError(
        f"{path} is no model file that gatewright reads; give .keras, .h5, .json with weights, .onnx, .pt, "
        "XGBoost's .json or LightGBM's .txt"
    )


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is a damaged zip file: {error}; copy or export the model again") from None
    if is_graph_file(path):
        return "graph"
    if "config.json" in names:
        return "keras"
    if path.suffix == ".pt2" or any("exported_program" in name for name in names):
        raise ModelError(
            f"{path} is an exported program of torch, whose loader may run code; load a file you trust yourself, "
            "load_torch(torch.export.load(path)), or give an .onnx file of torch.onnx.export"
        )
    if path.suffix in {".pt", ".pth"}:
        return "torch"
    if any(name.endswith(".pkl") for name in names):
        raise _pickled(path)
    raise ModelError(f"{path} is a zip file without a model in it; give .keras, .onnx or .pt")


def _pickled(path: Path) -> ModelError:
    return ModelError(
        f"{path} is a pickle, which can run any code when it is loaded, so it is not loaded; export the model to ONNX, "
        "or import the live module in Python: gatewright.importers.torch.load_torch(module, example)"
    )
