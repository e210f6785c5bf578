"""Network: the fixed result of training, layer by layer; input codes in, exact float64 outputs out."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from gatewright.errors import FitError
from gatewright.fit.layer import FLOAT_BITS, Floats, Layer
from gatewright.fixedpoint import Fixed, Grid, Ints
from gatewright.tools import digest, write_atomic, write_json

CHUNK = 8192  # samples evaluated at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Layers in order; input: format of the input codes; classes: () for a regression.

    input_bits: () or, per feature, how many of the code's leading bits are read; the rest is cut off (floor), and a
    feature of which none is left counts as 0.
    """

    input: Fixed
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ()
    input_bits: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        width = self.input.width_bits
        if self.input_bits and not all(0 <= bits <= width for bits in self.input_bits):
            raise FitError(f"input_bits must be 0..{width}, the width of {self.input}, not {self.input_bits}")

    def read(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the values that the first layer reads for input codes: cut to input_bits, times 2**-frac_bits."""
        codes = np.asarray(x_codes, dtype=np.int64)
        if self.input_bits:
            kept = np.array(self.input_bits)
            drop = self.input.width_bits - kept
            codes = np.where(kept > 0, codes >> drop << drop, 0)
        return np.ldexp(codes.astype(np.float64), -self.input.frac_bits)

    def evaluate(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the outputs (scores or values) for input codes. (n, features) -> (n, outputs).

        Float64 throughout: a quantized network's values are multiples of powers of two that fit 53 bits (export
        proves it), so each is exact whatever the order of the sums.
        """
        return self.trace(x_codes)[self.layers[-1].name]

    def trace(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return each layer's sums under its name and its activations under `name.act`.

        "x" is the input's value, "x.read" what is left of it where input_bits cuts it.
        """
        n_in = self.layers[0].weight.shape[0]
        if x_codes.ndim != 2 or x_codes.shape[1] != n_in:
            raise FitError(f"input codes must be (n, {n_in}), not {x_codes.shape}; use the dataset it was trained on")
        parts = [self._trace(x_codes[at : at + CHUNK]) for at in range(0, max(len(x_codes), 1), CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _trace(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        values: dict[str, Floats] = {"x": np.ldexp(x_codes.astype(np.float64), -self.input.frac_bits)}
        if self.input_bits:
            values["x.read"] = self.read(x_codes)
        h = torch.tensor(values.get("x.read", values["x"]))
        with torch.no_grad():
            for layer in self.layers:
                h = h @ torch.tensor(layer.weight) + torch.tensor(layer.bias)
                values[layer.name] = h.numpy()
                if not layer.hidden:
                    continue
                h = torch.tensor(layer.activate(values[layer.name]))
                values[f"{layer.name}.act"] = h.numpy()
        return values

    @property
    def quantized(self) -> bool:
        """Whether every layer has a weight grid."""
        return all(layer.weight_grid is not None for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Weights and biases, zeros included, or what wired layers store."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights without biases, zeros included; also the multiply-accumulates of one dense inference."""
        return sum(layer.weights for layer in self.layers)

    @property
    def nonzero(self) -> int:
        """Weights that are not zero; also the multiply-accumulates that hardware must do."""
        return sum(layer.nonzero for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """Share of weights that are exactly zero; 0 where there are none."""
        return 1.0 - self.nonzero / self.weights if self.weights else 0.0

    @property
    def bits(self) -> int:
        """Bits of all parameters, zeros included."""
        return sum(layer.bits for layer in self.layers)

    @property
    def nonzero_bits(self) -> int:
        """Bits of the weights that are not zero, and of the biases."""
        return sum(layer.nonzero_bits for layer in self.layers)

    @property
    def ebops(self) -> int:
        """Effective bit operations: bits of the input times bits of the weight, over all weights; plus bias bits.

        A weight's bits span its highest to its lowest set bit, so that a power of two has one (Sun et al. 2024,
        arXiv 2405.00645, section 3.2).
        """
        return sum(layer.ebops(bits) for layer, bits in zip(self.layers, self._read_bits(), strict=True))

    def _read_bits(self) -> list[Ints]:
        """Return the bits of every element that each layer reads."""
        first = np.array(self.input_bits or (self.input.width_bits,) * self.layers[0].weight.shape[0])
        rest = [
            np.broadcast_to(
                FLOAT_BITS if layer.activation_grid is None else layer.activation_grid.width_bits, layer.bias.shape
            )
            for layer in self.layers[:-1]
        ]
        return [first, *rest]

    @property
    def checksum(self) -> str:
        """SHA-256 of formats and numbers."""
        arrays = [getattr(layer, key).tobytes() for layer in self.layers for key in layer.array_names]
        return digest(self._header(), *arrays)

    def describe(self) -> list[dict[str, Any]]:
        """Return one JSON-able row per layer for the report."""
        return [layer.describe() for layer in self.layers]

    def to_state(self) -> dict[str, Any]:
        """Return plain values and tensors for a checkpoint; `from_state` is the inverse."""
        return {"header": json.dumps(self._header()), "arrays": {k: torch.tensor(v) for k, v in self._arrays().items()}}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Network:
        """Return the network that `to_state` described."""
        return _network(json.loads(state["header"]), {k: v.numpy() for k, v in state["arrays"].items()})

    def _arrays(self) -> dict[str, Floats]:
        return {f"{n.name}.{key}": getattr(n, key) for n in self.layers for key in n.array_names}

    def save(self, folder: Path) -> None:
        """Write network.json (structure, formats, checksum) and arrays.npz (float64), each atomically."""
        buffer = io.BytesIO()
        np.savez(buffer, **cast(Any, self._arrays()))
        write_atomic(folder / "arrays.npz", buffer.getvalue())
        write_json(folder / "network.json", {**self._header(), "checksum": self.checksum})

    @staticmethod
    def load(folder: Path) -> Network:
        """Read what `save` wrote. Raises FitError where a file is missing, damaged or from two different saves."""
        try:
            header = json.loads((folder / "network.json").read_text())
            with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
                network = _network(header, arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise FitError(
                f"{folder} must hold a network (network.json, arrays.npz): {error}; train it again"
            ) from None
        if network.checksum != header.get("checksum"):
            raise FitError(f"{folder}: arrays.npz does not belong to network.json (checksums differ); train it again")
        return network

    def _header(self) -> dict[str, Any]:
        source = self.input
        return {
            "input": {"width_bits": source.width_bits, "frac_bits": source.frac_bits, "signed": source.signed},
            "input_bits": list(self.input_bits),
            "classes": list(self.classes),
            "layers": [
                {
                    "name": layer.name,
                    "relu": layer.relu,
                    **({"thresholds": list(layer.thresholds)} if layer.thresholds else {}),
                    **({} if layer.table is None else {"table": list(layer.table.shape)}),
                    **({"wired": True} if layer.wired else {}),
                    **{
                        key: None if grid is None else grid.to_json()
                        for key, grid in (
                            ("weight_grid", layer.weight_grid),
                            ("bias_grid", layer.bias_grid),
                            ("activation_grid", layer.activation_grid),
                        )
                    },
                }
                for layer in self.layers
            ],
        }


def _network(header: dict[str, Any], arrays: Any) -> Network:
    return Network(
        input=Fixed(**header["input"]),
        layers=tuple(_layer(row, arrays) for row in header["layers"]),
        classes=tuple(header["classes"]),
        input_bits=tuple(header["input_bits"]),
    )


def _layer(row: dict[str, Any], arrays: Any) -> Layer:
    grids = {key: row[key] and Grid.from_json(row[key]) for key in ("weight_grid", "bias_grid", "activation_grid")}
    name = row["name"]
    return Layer(
        name=name,
        weight=arrays[f"{name}.weight"],
        bias=arrays[f"{name}.bias"],
        relu=row["relu"],
        thresholds=tuple(row.get("thresholds", ())),
        table=arrays[f"{name}.table"] if "table" in row else None,
        wired=row.get("wired", False),
        **grids,
    )
