"""The baseline networks: an .npz of plain integers or dyadic floats in, an exact Program and its test vectors out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import GatewrightError
from gatewright.fixedpoint import Fixed, Ints, Overflow, Rounding
from gatewright.ir import Constant, Dense, Input, Interpreter, Op, Program, Relu, Requant, ranges, verify

VARIABLE = "GATEWRIGHT_BASELINES"
HGQ = ("hgq_openml_1572", "hgq_openml_2571")
LARGE = "mlp_rand6b"
NAMES = (*HGQ, LARGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """program; x: input codes (n, inputs); y: output codes (n, outputs) at the program's output frac_bits, exact."""

    program: Program
    x: Ints
    y: Ints

    def matches(self) -> bool:
        """Return whether the interpreter gives y for x, with `==`."""
        return bool(np.array_equal(Interpreter(self.program).run(self.x), self.y))


def folder() -> Path:
    """Return the folder of the baselines; GatewrightError says where it was looked for."""
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else [Path(__file__).resolve().parents[2] / "shared" / "baselines"]
    for place in places:
        if place.is_dir():
            return place
    raise GatewrightError(
        f"the baseline networks must lie in {places[0]}, which is no folder; set {VARIABLE} to the folder of "
        f"{', '.join(f'{name}.npz' for name in NAMES)}"
    )


@cache
def load(name: str) -> Baseline:
    """Return a baseline network by its file's name without .npz."""
    path = folder() / f"{name}.npz"
    if not path.is_file():
        found = ", ".join(sorted(file.stem for file in path.parent.glob("*.npz"))) or "none"
        raise GatewrightError(f"no baseline network {path}; there are: {found}")
    with np.load(path) as file:
        data = {key: file[key] for key in file.files}
    baseline = _integer_network(name, data) if "dims" in data else _hgq_network(name, data)
    verify(baseline.program)
    return baseline


def _hgq_network(name: str, data: dict[str, NDArray[Any]]) -> Baseline:
    """Quantizer, dense layer, ReLU, quantizer, ...; the host has done the rounding of the first quantizer."""
    kept, integer, frac = (data[f"in0_{key}"].astype(np.int64) for key in "kif")
    live = kept + integer + frac > 0
    grid = int(frac[live].max())
    codes = np.where(live, _quantized_codes(data["x_test"], kept, integer, frac) << np.where(live, grid - frac, 0), 0)
    fixed = Fixed(width_bits=1 + int((integer[live] + grid).max()), frac_bits=grid)
    ops: list[Op] = [Input(name="x", layer="input", shape=(codes.shape[1],), format=fixed)]
    constants: dict[str, Constant] = {}
    layers = sum(key.startswith("W") for key in data)
    for index in range(layers):
        layer = f"fc{index + 1}"
        rounding = Rounding.TRUNCATE if index == 0 else Rounding.HALF_UP
        kif = tuple(data[f"in{index}_{key}"].astype(np.int64) for key in "kif")
        ops.append(_wrap(f"{layer}.in", "input" if index == 0 else f"fc{index}", ops[-1].name, *kif, rounding=rounding))
        constants[f"{layer}.weight"], constants[f"{layer}.bias"] = (
            _dyadic(data[f"W{index}"]),
            _dyadic(data[f"b{index}"]),
        )
        ops += _dense(layer, ops[-1].name, relu=index < layers - 1)
    program = Program(name=name, ops=tuple(ops), output=ops[-1].name, constants=constants)
    return Baseline(program=program, x=codes, y=_codes(data["y_test"], ranges(program)[program.output].frac_bits))


def _integer_network(name: str, data: dict[str, NDArray[Any]]) -> Baseline:
    """Dense layer, ReLU, floor and wrap to unsigned, ...; all integers."""
    dims = data["dims"]
    width = int(data["in_k"] + data["in_i"] + data["in_f"])
    fixed = Fixed(width_bits=width, frac_bits=int(data["in_f"]), signed=bool(data["in_k"]))
    ops: list[Op] = [Input(name="x", layer="input", shape=(int(dims[0]),), format=fixed)]
    constants: dict[str, Constant] = {}
    for index in range(len(dims) - 1):
        layer, last = f"fc{index + 1}", index == len(dims) - 2
        constants[f"{layer}.weight"] = Constant(data[f"W{index}"], int(data[f"W{index}_f"]))
        constants[f"{layer}.bias"] = Constant(data[f"b{index}"], int(data[f"b{index}_f"]))
        ops += _dense(layer, ops[-1].name, relu=not last)
        if not last:
            kif = tuple(np.full(int(dims[index + 1]), int(data[f"act{index}_{key}"])) for key in "kif")
            ops.append(_wrap(f"{layer}.act", layer, ops[-1].name, *kif, rounding=Rounding.TRUNCATE))
    program = Program(name=name, ops=tuple(ops), output=ops[-1].name, constants=constants)
    shift = ranges(program)[program.output].frac_bits - int(data["out_f"])
    return Baseline(program=program, x=data["x_test"].astype(np.int64), y=data["y_test"].astype(np.int64) << shift)


def _dense(layer: str, source: str, *, relu: bool) -> list[Op]:
    dense = Dense(name=layer, layer=layer, source=source, weight=f"{layer}.weight", bias=f"{layer}.bias")
    return [dense, Relu(name=f"{layer}.relu", layer=layer, source=layer)] if relu else [dense]


def _wrap(name: str, layer: str, source: str, k: Ints, i: Ints, f: Ints, *, rounding: Rounding) -> Requant:
    """Return the quantizer into [-k 2^i, 2^i) with f fractional bits, per element; 0 where k + i + f <= 0."""
    width = np.maximum(k + i + f, 0)
    keep = np.where(width > 0, f, f[width > 0].min())
    return Requant(
        name=name,
        layer=layer,
        source=source,
        frac_bits=int(keep.max()),
        width_bits=tuple(width.tolist()),
        keep_frac_bits=tuple(keep.tolist()),
        signed=tuple(bool(v) for v in k),
        rounding=rounding,
        overflow=Overflow.WRAP,
    )


def _quantized_codes(x: NDArray[np.float64], k: Ints, i: Ints, f: Ints) -> Ints:
    """Return the integers, at f fractional bits each, of wrap(floor(x 2^f + 1/2)) into [-k 2^(i+f), 2^(i+f))."""
    width = np.maximum(k + i + f, 0)
    q = np.floor(x * np.exp2(f) + 0.5).astype(np.int64)
    low = np.where(width > 0, -k << np.maximum(i + f, 0), 0)
    return ((q - low) & ((np.int64(1) << width) - 1)) + low


def _dyadic(values: NDArray[Any]) -> Constant:
    """Return dyadic floats as integers with the fewest fractional bits (at least 0) that hold them all."""
    for frac in range(53):
        scaled = values.astype(np.float64) * 2.0**frac
        if np.array_equal(scaled, np.rint(scaled)):
            return Constant(scaled.astype(np.int64), frac)
    raise GatewrightError("a baseline's weights must be dyadic with at most 52 fractional bits; the file is damaged")


def _codes(values: NDArray[Any], frac: int) -> Ints:
    scaled = values.astype(np.float64) * 2.0**frac
    if not np.array_equal(scaled, np.rint(scaled)):
        raise GatewrightError(f"a baseline's outputs must be multiples of 2**-{frac}; the file is damaged")
    return scaled.astype(np.int64)
