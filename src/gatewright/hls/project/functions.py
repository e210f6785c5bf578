"""Elementwise layers, tables, merges, moves and pooling in; the integers that hls4ml's C++ computes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.hls.project.network import ReadLayer
from gatewright.hls.project.numbers import Floats, Loss, Signal, assign, assign_real
from gatewright.hls.project.sums import Computed

Function = Callable[[Floats], Floats]


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x))


TABLES: Mapping[str, tuple[float, Function]] = {
    "sigmoid": (8.0, _sigmoid),
    "tanh": (4.0, np.tanh),
    "softplus": (8.0, lambda x: np.logaddexp(x, 0.0)),
    "softsign": (8.0, lambda x: x / (np.abs(x) + 1)),
}
"""By hls4ml's word: the table covers -reach .. reach, and what it holds (nnet_activation.h)."""

PLAIN: Mapping[str, Function] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu1": lambda x: np.clip(x, 0, 1),
    "relu6": lambda x: np.clip(x, 0, 6),
}
"""Activations that only choose between numbers."""

MERGES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
}


def activation(layer: ReadLayer, sources: Sequence[Signal]) -> Computed | None:
    """Return an activation's result, None for one that is not predicted."""
    (source,) = sources
    word = str(layer.settings["activation"]).lower()
    if word in TABLES:
        return _looked_up(layer, source, *TABLES[word])
    if word not in PLAIN:
        return None
    frac = source.kind.fixed.frac_bits
    limits = {"relu1": 1, "relu6": 6}
    q = source.q if word == "linear" else np.maximum(source.q, 0)
    if word in limits:
        most = limits[word] << frac if frac >= 0 else limits[word] >> -frac
        q = np.minimum(q, most)
    return finished(layer, q, frac)


def exact_activation(layer: ReadLayer, x: Floats) -> Floats | None:
    """Return the same in real numbers."""
    word = str(layer.settings["activation"]).lower()
    function = TABLES[word][1] if word in TABLES else PLAIN.get(word)
    return None if function is None else function(x).reshape(len(x), *layer.shape)


def finished(layer: ReadLayer, q: Ints, frac_bits: int) -> Computed:
    """Return full-precision integers in the result's type."""
    kept, loss = assign(q, frac_bits, layer.type("result"), "result")
    return Signal(q=kept.reshape(len(kept), *layer.shape), kind=layer.type("result")), (loss,)


def _looked_up(layer: ReadLayer, source: Signal, reach: float, function: Function) -> Computed:
    """Return a table's function: trunc(x * size / (2 reach)) + size / 2, cut at the table's ends."""
    size = int(layer.settings["table_size"])
    kind = layer.type("table")
    points = (2 * reach * (np.arange(size) - size / 2) / size).astype(np.float32).astype(np.float64)
    table, _ = assign_real(function(points).astype(np.float32).astype(np.float64), kind, "table")
    index = np.trunc(source.values * size / (2 * reach)).astype(np.int64) + size // 2
    outside = (index < 0) | (index > size - 1)
    picked = table[np.clip(index, 0, size - 1)]
    exact = function(source.values)
    error = np.abs(picked * 2.0**-kind.fixed.frac_bits - exact)
    loss = Loss(
        role="table",
        kind=kind,
        of=picked.size,
        rounded=int((error > 0).sum()),
        overflowed=0,
        least=float(source.values.min(initial=np.inf)),
        greatest=float(source.values.max(initial=-np.inf)),
        worst=float(error.max(initial=0.0)),
        remark=f"{size} entries over {-reach:g} .. {reach:g}: {int(outside.sum()):,} values lie outside",
    )
    signal, (result,) = finished(layer, picked, kind.fixed.frac_bits)
    return signal, (loss, result)


def merge(layer: ReadLayer, sources: Sequence[Signal]) -> Computed | None:
    """Return an elementwise sum, difference, product, greater or lesser of two results."""
    word = str(layer.settings["op"]).lower()
    if word not in MERGES or len(sources) != 2 or sources[0].q.shape != sources[1].q.shape:
        return None
    fracs = [source.kind.fixed.frac_bits for source in sources]
    if word == "multiply":
        return finished(layer, sources[0].q * sources[1].q, sum(fracs))
    top = max(fracs)
    a, b = (source.q << top - frac for source, frac in zip(sources, fracs, strict=True))
    return finished(layer, MERGES[word](a, b), top)


def exact_merge(layer: ReadLayer, *values: Floats) -> Floats | None:
    """Return the same in real numbers."""
    word = str(layer.settings["op"]).lower()
    return MERGES[word](*values) if word in MERGES and len(values) == 2 else None


def moved(layer: ReadLayer, sources: Sequence[Signal]) -> Computed:
    """Return a reshape: in io_parallel it is no more than another view of its source."""
    (source,) = sources
    return Signal(q=source.q.reshape(len(source.q), *layer.shape), kind=source.kind), ()


def exact_moved(layer: ReadLayer, x: Floats) -> Floats:
    """Return the same in real numbers."""
    return x.reshape(len(x), *layer.shape)


def highest(layer: ReadLayer, x: np.ndarray) -> np.ndarray | None:
    """Return the greatest value of each window, None where it is padded or no such pooling. x: (n, *shape)."""
    s = layer.settings
    if str(s.get("pool_op", "")).lower() != "max" or any(
        s.get(f"pad_{side}", 0) for side in ("top", "bottom", "left", "right")
    ):
        return None
    if layer.kind.startswith("Global"):
        return x.reshape(len(x), -1, x.shape[-1]).max(axis=1).reshape(len(x), *layer.shape)
    two = "pool_height" in s
    x = x.reshape(len(x), s.get("in_height", 1) if two else 1, s["in_width"] if two else s["n_in"], s["n_filt"])
    size = (s["pool_height"], s["pool_width"]) if two else (1, s["pool_width"])
    step = (s["stride_height"], s["stride_width"]) if two else (1, s["stride_width"])
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))[:, :: step[0], :: step[1]]
    return view.max(axis=(-1, -2)).reshape(len(x), *layer.shape)


def pooled(layer: ReadLayer, sources: Sequence[Signal]) -> Computed | None:
    """Return a max pooling."""
    (source,) = sources
    q = highest(layer, source.q)
    return None if q is None else finished(layer, q, source.kind.fixed.frac_bits)
