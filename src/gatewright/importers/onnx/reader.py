"""A file's bytes in, a checked ONNX model out: every tensor holds as many bytes as its shape claims, and no NaN."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.builder import MAX_ELEMENTS, Const

OPSETS = range(6, 29)  # of the standard domain: the versions whose changes the handlers know
NARROW = {"INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2}  # bits of types that NumPy has not; earlier onnx lacks two
MAX_FILE_BYTES = 2**31 - 1  # a protobuf message is no larger


def read_model(path: Path) -> tuple[Any, str]:
    """Return the onnx.ModelProto of a file and the SHA-256 of what lies in others, "" of nothing; none is executed.

    Tensors that it keeps in another file are read where that lies beside it; no link is followed and no path out of the
    folder. Raises ModelError for anything but a complete model.
    """
    onnx = _package()
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: larger than 2 GB, which no single ONNX file can be")
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        model = onnx.ModelProto.FromString(blob)
    except DecodeError:
        raise ModelError(f"{path}: truncated or not an ONNX file; export or copy it again") from None
    if not model.ir_version or not model.opset_import or not (model.graph.node or model.graph.output):
        raise ModelError(f"{path}: holds no ONNX model (no IR version, operator set or graph); export it again")
    _check_versions(path, model)
    fetched, sha = False, hashlib.sha256()
    for owner, tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            _fetch(path, owner, tensor)
            fetched = True
            sha.update(tensor.raw_data)
        _check_tensor(path, owner, tensor)
    return model, sha.hexdigest() if fetched else ""


def _package() -> Any:
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModelError("reading ONNX needs the package onnx; pip install 'gatewright[import]'") from None
    return onnx


def _check_versions(path: Path, model: Any) -> None:
    if model.functions:
        name = model.functions[0].name
        raise ModelError(
            f"{path}: defines its own function {name!r}; inline it first: "
            "onnx.save(onnx.inliner.inline_local_functions(onnx.load(MODEL)), NEW)"
        )
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version not in OPSETS:
            raise ModelError(
                f"{path}: uses operator set {opset.version}; {OPSETS.start} to {OPSETS.stop - 1} are read: "
                "convert it with onnx.version_converter.convert_version(model, 21)"
            )


def _tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor with the name of what owns it."""
    if graph.sparse_initializer:
        raise ModelError(f"initializer {graph.sparse_initializer[0].values.name!r} is sparse; store it dense")
    for tensor in graph.initializer:
        yield f"initializer {tensor.name!r}", tensor
    for node in graph.node:
        for attribute in node.attribute:
            owner = f"node {node.name or node.output[0] if node.output else ''!r}, attribute {attribute.name!r}"
            if attribute.HasField("t"):
                yield owner, attribute.t
            for tensor in attribute.tensors:
                yield owner, tensor


def _fetch(path: Path, owner: str, tensor: Any) -> None:
    """Read the bytes of a tensor that lies in another file (`model.onnx.data`, as torch writes it)."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    name = said.get("location", "")
    file = path.parent / name
    where = f"{path}: {owner} is stored in another file, {name!r}"
    if name in ("", ".", "..") or Path(name).name != name or "\\" in name or file.is_symlink() or not file.is_file():
        raise ModelError(
            f"{where}, which is no file beside the model; write one file: onnx.save(onnx.load(MODEL), NEW)"
        )
    held = file.stat().st_size
    try:
        offset = int(said.get("offset", 0))
        length = int(said.get("length", held - offset))
    except ValueError:
        raise ModelError(f"{where}, at no whole numbers of bytes; export the model again") from None
    if offset < 0 or length < 0 or offset + length > held or length > 8 * prod(tensor.dims):
        raise ModelError(f"{where}, bytes {offset:,} to {offset + length:,} of {held:,}; copy both files again")
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length)
    tensor.data_location = _package().TensorProto.DEFAULT
    tensor.ClearField("external_data")


def _check_tensor(path: Path, owner: str, tensor: Any) -> None:
    onnx = _package()
    where = f"{path}: {owner}"
    if tensor.HasField("segment"):
        raise ModelError(f"{where} is stored in segments, which no exporter writes; export the model again")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"{where} has the shape {tuple(tensor.dims)}; sizes are not negative")
    claimed = prod(tensor.dims)
    if claimed > MAX_ELEMENTS:
        raise ModelError(f"{where} claims {claimed:,} elements; at most {MAX_ELEMENTS:,} are taken")
    held = _held_elements(onnx, tensor)
    if held is None:
        raise ModelError(f"{where} has element type {_type_name(onnx, tensor.data_type)}, which is not read")
    if held != claimed:
        raise ModelError(f"{where} claims {claimed:,} elements in {tuple(tensor.dims)} but the file holds {held:,}")
    if tensor.data_type in _FLOATS(onnx) and np.isnan(to_array(tensor)).any():
        raise ModelError(f"{where} holds NaN; the training that made it diverged: train again")


def _type_name(onnx: Any, data_type: int) -> str:
    known = data_type in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(data_type) if known else str(data_type)


def _FLOATS(onnx: Any) -> tuple[int, ...]:  # noqa: N802 - a constant that needs the lazily imported package
    t = onnx.TensorProto
    return (t.FLOAT, t.DOUBLE, t.FLOAT16, t.BFLOAT16)


def _held_elements(onnx: Any, tensor: Any) -> int | None:
    """Number of elements whose data the message carries; None for a type that is not read."""
    t = onnx.TensorProto
    bits = {
        t.FLOAT: 32, t.DOUBLE: 64, t.FLOAT16: 16, t.BFLOAT16: 16, t.BOOL: 8, t.INT8: 8, t.UINT8: 8, t.INT16: 16,
        t.UINT16: 16, t.INT32: 32, t.UINT32: 32, t.INT64: 64, t.UINT64: 64,
    }.get(tensor.data_type)  # fmt: skip
    if narrow := NARROW.get(_type_name(onnx, tensor.data_type)):  # several in a byte, in the last one fewer
        claimed, held, each = prod(tensor.dims), len(tensor.raw_data) or len(tensor.int32_data), 8 // narrow
        return claimed if held == -(-claimed // each) else each * held
    if bits is None:
        return None
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data) * 8 // bits
    field = {t.FLOAT: "float_data", t.DOUBLE: "double_data", t.INT64: "int64_data"}.get(tensor.data_type)
    if tensor.data_type in (t.UINT32, t.UINT64):
        field = "uint64_data"
    return len(getattr(tensor, field or "int32_data"))


def to_array(tensor: Any) -> NDArray[Any]:
    """Return a checked tensor's values; bfloat16, which NumPy has not, as float32."""
    from onnx import numpy_helper

    array = numpy_helper.to_array(tensor)
    if array.dtype.name.upper() in NARROW:
        return array.astype(np.uint8 if array.dtype.name.startswith("u") else np.int8)
    with np.errstate(invalid="ignore"):  # of NaN, which is refused later
        return array if array.dtype.kind in "fiub" else array.astype(np.float32)


def to_const(tensor: Any) -> Const:
    """Return a checked tensor as a constant, which knows of integers of few bits how many they are."""
    return Const(value=to_array(tensor), bits=NARROW.get(_type_name(_package(), tensor.data_type), 0))
