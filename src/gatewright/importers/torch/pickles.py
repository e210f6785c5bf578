"""A pickled nn.Sequential (`.pt`) in, the same module built anew out; the file's code never runs.

A pickle is a program: loading one runs whatever functions it names. Here each name that it may use stands for an inert
record of ours, any other name is refused, and the module is built from those records by an allow-list of constructors
whose arguments are checked. Formats: torch's zip archive (since 1.6) and the five pickles in a row before it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.builder import MAX_ELEMENTS

_REMEDY = "build the module in Python and pass it to load_torch, or export it to ONNX"
_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, legacy files
_STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
}
SCRIPT = (
    "its operations are stored as code; save the nn.Module that it was made from, torch.save(model, 'model.pt'), or "
    "export that to ONNX"
)
_POOL = ("kernel_size", "stride", "padding")
_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
_NONE = """
ReLU ReLU6 Sigmoid Tanh SELU SiLU Softsign Identity Hardswish Hardsigmoid Mish Dropout Dropout1d Dropout2d AlphaDropout
FeatureAlphaDropout Softmax2d Tanhshrink
""".split()  # noqa: SIM905
LAYERS: dict[str, tuple[str, ...]] = {  # torch.nn classes: constructor arguments, read from the instance's attributes
    "Linear": ("in_features", "out_features"),
    **dict.fromkeys(("Conv1d", "Conv2d"), (*_CONV, "dilation", "groups")),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d"), (*_CONV, "output_padding", "groups", "dilation")),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), ("num_features", "eps", "affine", "track_running_stats")),
    **dict.fromkeys(("MaxPool1d", "MaxPool2d"), (*_POOL, "dilation", "ceil_mode")),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d"), (*_POOL, "ceil_mode", "count_include_pad")),
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d"), ("output_size",)),
    **dict.fromkeys(("AdaptiveMaxPool1d", "AdaptiveMaxPool2d"), ("output_size",)),
    **dict.fromkeys(("ZeroPad1d", "ZeroPad2d"), ("padding",)),
    **dict.fromkeys(("ConstantPad1d", "ConstantPad2d"), ("padding", "value")),
    **dict.fromkeys(("LPPool1d", "LPPool2d"), ("norm_type", "kernel_size", "stride", "ceil_mode")),
    "Upsample": ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
    "UpsamplingNearest2d": ("size", "scale_factor"),
    "Flatten": ("start_dim", "end_dim"),
    "Unflatten": ("dim", "unflattened_size"),
    "Softmax": ("dim",),
    "Softmin": ("dim",),
    "LogSoftmax": ("dim",),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "CELU": ("alpha",),
    "Hardtanh": ("min_val", "max_val"),
    "Threshold": ("threshold", "value"),
    "PReLU": ("num_parameters",),
    "GELU": ("approximate",),
    "Softplus": ("beta", "threshold"),
    **dict.fromkeys(_NONE, ()),
}
_HELPERS = frozenset(
    {
        "collections.OrderedDict",
        "collections.defaultdict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.nn.parameter.Parameter",
        "torch.nn.backends.thnn._get_thnn_function_backend",
        "torch.Size",
        "torch.device",
        "builtins.set",
        "builtins.dict",
        "__builtin__.set",
        "__builtin__.dict",
        *(f"torch.{storage}" for storage in _STORAGES),
    }
)
_WRAPPERS = {"torch.nn.parallel.data_parallel.DataParallel": "DataParallel"}  # a module that holds the module
_PRUNING = "torch.nn.utils.prune."  # hooks that multiply a weight by its mask before each call
_QDQ = "save the float module, or export the quantized one to ONNX in the QDQ format"
_FAMILIES = {  # beginnings of names: what they are, and what to do
    "torch.ao.": f"torch.ao's quantized module, whose weights are packed by its runtime; {_QDQ}",
    "torch.quantization.": f"torch's quantization tools; {_QDQ}",
    "torch.nn.quantized.": f"a quantized module, whose weights are packed by its runtime; {_QDQ}",
    "torch.nn.intrinsic.": f"a module fused for quantization; {_QDQ}",
    "torchao.": f"torchao's quantized tensor; {_QDQ}",
    "torch.jit.": f"TorchScript: {SCRIPT}",
    "torch.fx.": "a GraphModule, which is Python code stored in the file; save the module that it was traced from",
    "torch.nn.parallel.": "a wrapper for several processes; save the module inside it, model.module",
    "torch.nn.utils.": "a hook that computes a weight before each call; remove it before saving "
    "(remove_weight_norm, remove_spectral_norm, parametrize.remove_parametrizations)",
}
_PLAIN = frozenset(  # opcodes that only build data, or call what is inert here
    """
    PROTO FRAME STOP MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET NONE NEWTRUE
    NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE STRING
    BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1
    TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS GLOBAL STACK_GLOBAL REDUCE BUILD NEWOBJ
    BINPERSID
    """.split()  # noqa: SIM905
)


MODULES = frozenset({"Sequential", *_WRAPPERS.values(), *LAYERS})  # what may be the model of a file


class _Record:
    """Whatever the file calls: the name, the arguments, the state. It does nothing."""

    name = ""

    arguments: tuple[Any, ...]
    state: dict[str, Any]
    items: dict[Any, Any]

    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)  # a pickle may skip __init__
        record.arguments, record.state, record.items = arguments, {}, {}
        return record

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


def _record_class(name: str) -> type[_Record]:
    return type("Record", (_Record,), {"name": name})


def _known(module: str, name: str) -> type[_Record]:
    """The inert stand-in for a global, or a refusal."""
    full = f"{module}.{name}"
    layer = module.startswith("torch.nn.modules.") and (name in LAYERS or name == "Sequential")
    if layer or full in _WRAPPERS:
        return _record_class(name)
    if full in _HELPERS or full.startswith(_PRUNING):
        return _record_class(full)
    for start, what in _FAMILIES.items():
        if full.startswith(start):
            raise ModelError(f"the file holds {full!r}, {what}; nothing was executed")
    if module.startswith("torch.nn.modules."):
        raise ModelError(
            f"the file holds {name!r}, a layer of torch that is not read from files; nothing was executed: {_REMEDY}"
        )
    raise ModelError(
        f"the file is a pickle that calls {full!r}, which is not a layer that is known; nothing was executed: {_REMEDY}"
    )


class _Reader(pickle.Unpickler):
    """Reads one pickle into records."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")
        self.sources: set[str] = set()

    def find_class(self, module: str, name: str, /) -> Any:
        return _known(module, name)

    def persistent_load(self, pid: Any, /) -> Any:
        if not isinstance(pid, tuple) or not pid:
            raise ModelError("the file holds a reference that torch does not write")
        return pid[1] if pid[0] == "module" else pid


def _read(stream: io.BytesIO) -> Any:
    """Read one pickle; its opcodes and sizes are checked first."""
    start = stream.tell()
    try:
        for opcode, _, _ in pickletools.genops(stream):
            if opcode.name not in _PLAIN:
                raise ModelError(f"the file uses the pickle opcode {opcode.name}, which no torch model does")
        stream.seek(start)
        return _Reader(stream).load()
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged pickle fails in many ways
        raise ModelError(f"the file is truncated or no torch file ({type(error).__name__})") from None


def read_sequential(path: Path) -> Any:
    """Return an nn.Sequential equal to the pickled one, in eval mode. Raises ModelError for anything else."""
    if path.suffix == ".pt2":
        raise ModelError(
            f"{path}: torch.export.load may run code from a .pt2 file (it falls back to full unpickling); load it "
            "yourself if you trust it and pass the ExportedProgram to load_torch, or export the model to ONNX"
        )
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    root, storages = _zipped(blob) if blob[:2] == b"PK" else _legacy(blob)
    if isinstance(root, dict) or getattr(root, "name", "") == "collections.OrderedDict":
        root = _model_in(_items(root))
    return _build(root, storages).eval()


def _model_in(checkpoint: dict[Any, Any]) -> Any:
    """Return the one module among a checkpoint's entries; refuse one that holds weights only."""
    modules = {key: value for key, value in checkpoint.items() if getattr(value, "name", "") in MODULES}
    if len(modules) > 1:
        raise ModelError(f"the file holds {len(modules)} modules, {sorted(map(str, modules))}; save one of them alone")
    if modules:
        return next(iter(modules.values()))
    keys = ", ".join(repr(key) for key in list(checkpoint)[:4])
    raise ModelError(
        f"the file holds weights only (a state_dict; entries {keys}), not the layers that use them; {_REMEDY}"
    )


def _legacy(blob: bytes) -> tuple[Any, dict[str, bytes]]:
    stream = io.BytesIO(blob)
    if _read(stream) != _MAGIC:
        raise ModelError(f"the file is no torch file; {_REMEDY}")
    _read(stream)  # protocol
    _read(stream)  # sizes of the machine's integers
    root, keys = _read(stream), _read(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ModelError("the file is damaged: its list of storages is no list of names")
    storages: dict[str, bytes] = {}
    widths = _element_sizes(root)
    for key in keys:  # each: element count, 8 bytes, then the elements
        count = int.from_bytes(stream.read(8), "little")
        data = stream.read(min(count * widths.get(key, 0), len(blob)))
        if len(data) != count * widths.get(key, 0):
            raise ModelError(f"the file is truncated: storage {key!r} claims {count:,} elements")
        storages[key] = data
    return root, storages


def _element_sizes(root: Any) -> dict[str, int]:
    """Bytes per element of every storage that the records use."""
    sizes: dict[str, int] = {}
    stack, seen = [root], set[int]()
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tuple) and value and value[0] == "storage":
            sizes[str(value[2])] = _dtype(value).itemsize
        elif isinstance(value, (list, tuple, set)):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, _Record):
            stack.extend([*value.arguments, value.state, value.items])
    return sizes


def _zipped(blob: bytes) -> tuple[Any, dict[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            names = {info.filename: info for info in archive.infolist()}
            if sum(info.file_size for info in names.values()) > 2 * len(blob) + 4096:
                raise ModelError("the archive claims to unpack to more than it can hold; torch stores without packing")
            if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
                raise ModelError(f"the file is TorchScript (torch.jit.save): {SCRIPT}")
            (data,) = (name for name in names if name.endswith("/data.pkl"))
            root = _read(io.BytesIO(archive.read(data)))
            prefix = data.removesuffix("data.pkl") + "data/"
            held = {n.removeprefix(prefix): archive.read(n) for n in names if n.startswith(prefix)}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError) as error:
        raise ModelError(f"the file is truncated or no torch file ({type(error).__name__})") from None
    return root, held


def _dtype(reference: tuple[Any, ...]) -> np.dtype[Any]:
    kind = getattr(reference[1], "name", "").removeprefix("torch.")
    if len(reference) < 5 or kind not in _STORAGES:
        raise ModelError(f"the file stores elements of type {kind!r}, which is not read")
    return _STORAGES[kind]


def _array(value: Any, storages: dict[str, bytes]) -> NDArray[Any]:
    """The values of a recorded tensor or parameter."""
    while isinstance(value, _Record) and ("Parameter" in value.name or "_rebuild_parameter" in value.name):
        value = value.arguments[0] if value.arguments else None
    if not isinstance(value, _Record) or "_rebuild_tensor" not in value.name or len(value.arguments) < 4:
        raise ModelError("the file holds a parameter that is no tensor")
    reference, offset, size, stride = value.arguments[:4]
    if not isinstance(reference, tuple) or reference[0] != "storage":
        raise ModelError("the file holds a tensor without a storage")
    numbers = [offset, *size, *stride]
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or prod(size) > MAX_ELEMENTS or len(size) != len(stride):
        raise ModelError(f"the file holds a tensor of the shape {size}, strides {stride}, offset {offset}")
    data = np.frombuffer(storages.get(str(reference[2]), b""), dtype=_dtype(reference))
    index = np.asarray(offset)
    for axis, (count, step) in enumerate(zip(size, stride, strict=True)):
        index = index + (np.arange(count) * step).reshape(-1, *(1 for _ in size[axis + 1 :]))
    if index.size and int(index.max()) >= data.size:
        raise ModelError(f"the file is truncated: a tensor of the shape {tuple(size)} reaches past its storage")
    return data[np.broadcast_to(index, tuple(size))]


def _build(record: Any, storages: dict[str, bytes]) -> Any:
    """Build the module of a record."""
    import torch

    name = getattr(record, "name", "")
    if name == "Sequential":
        children = _items(record.state.get("_modules"))
        _no_hooks(record)
        return torch.nn.Sequential(*(_build(child, storages) for child in children.values()))
    if name in _WRAPPERS.values():
        _no_hooks(record)
        return _build(_items(record.state.get("_modules")).get("module"), storages)
    if name not in LAYERS:
        raise ModelError(f"the file holds {name or type(record).__name__!r}, not an nn.Sequential of layers; {_REMEDY}")
    state = record.state
    if not all(isinstance(key, str) for key in state):
        raise ModelError(f"the file is damaged: layer {name} has a setting without a name")
    _no_hooks(record)
    arguments = {key: _setting(name, key, state[key]) for key in LAYERS[name] if key in state}
    held = {
        k: v for k, v in (_items(state.get("_parameters")) | _items(state.get("_buffers"))).items() if v is not None
    }
    if not all(isinstance(key, str) for key in held):
        raise ModelError(f"the file is damaged: layer {name} has a parameter without a name")
    arrays = _unpruned({key: _array(value, storages) for key, value in held.items()})
    if name == "Linear" or name.startswith("Conv"):
        arguments["bias"] = "bias" in arrays
    try:
        module = getattr(torch.nn, name)(**arguments, **({"device": "meta"} if arrays else {}))
        tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
        if "num_batches_tracked" in module.state_dict():  # younger than some files, and not read in inference
            tensors["num_batches_tracked"] = torch.zeros((), dtype=torch.long)
        module.load_state_dict(tensors, strict=True, assign=True)  # checks names and shapes
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"layer {name}({arguments}) does not fit its weights: {str(error).splitlines()[0]}") from None
    for key, value in state.items():
        if key.startswith("_") or key in ("training", "inplace", "p", "momentum", "name") or key in arrays:
            continue  # parts, settings of training, and what pruning computed last
        expected = 0 if name == "ReLU" and key in ("threshold", "value") else getattr(module, key, None)  # torch < 1.2
        plain = isinstance(value, (int, float, str, tuple)) or value is None
        if not plain or expected != value:
            raise ModelError(f"layer {name}: setting {key} = {value!r} is not supported; expected {expected!r}")
    return module


def _no_hooks(record: Any) -> None:
    """Refuse hooks, which are code, but for those of pruning, whose product is taken here."""
    for key, hooks in record.state.items():
        held = _items(hooks).values() if str(key).endswith("_hooks") else ()
        if any(not getattr(hook, "name", "").startswith(_PRUNING) for hook in held):
            raise ModelError(f"layer {record.name} has hooks ({key}), which are code; remove them before saving")


def _unpruned(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a layer with each `NAME_orig` times its `NAME_mask` as NAME."""
    pruned = [key.removesuffix("_orig") for key in arrays if key.endswith("_orig")]
    done = {key: value for key, value in arrays.items() if not key.endswith(("_orig", "_mask"))}
    for key in pruned:
        weight, mask = arrays[f"{key}_orig"], arrays.get(f"{key}_mask")
        if mask is None or mask.shape != weight.shape:
            raise ModelError(f"the file is damaged: a pruned {key} of the shape {weight.shape} has no mask like it")
        done[key] = weight * mask
    return done


def _items(value: Any) -> dict[Any, Any]:
    """Entries of a recorded dict or OrderedDict."""
    if isinstance(value, dict):
        return value
    if isinstance(value, _Record):
        pairs = value.arguments[0] if value.arguments else []
        return {pair[0]: pair[1] for pair in pairs} | value.items
    return {}


def _setting(layer: str, key: str, value: Any) -> Any:
    """A constructor's argument: a number, a word, None, or a tuple of numbers."""
    if isinstance(value, _Record) and value.name == "torch.Size":
        value = tuple(value.arguments[0]) if value.arguments else ()
    plain = isinstance(value, (int, float, str)) or value is None
    if plain or (isinstance(value, (tuple, list)) and all(isinstance(v, (int, float)) or v is None for v in value)):
        return tuple(value) if isinstance(value, list) else value
    raise ModelError(f"layer {layer}: {key} is {type(value).__name__}; a number is expected")
