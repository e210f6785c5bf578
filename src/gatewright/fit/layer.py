"""Layer: one layer of a trained network, fixed: what it computes, what it stores, and words for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FitError
from gatewright.fit.modules.quantizers import Grid
from gatewright.fixedpoint import Fixed, Ints, digit_count, frac_bits, span_bits

Floats = NDArray[np.float64]
FLOAT_BITS = 32  # what one parameter of an unquantized network is counted as


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """y = x @ weight + bias, then ReLU and rounding to `activation_grid` where `relu`, or steps, a table, or nothing.

    thresholds: of a step activation, ascending: its value is the number of them that y reaches, 0, 1, ...
    table: (n_out, entries), 0 or 1: neuron j's value is table[j, y], y = 0, 1, ...: its inputs are bits, which its
    weights make a number.
    wired: its weights are connections and counts, which store nothing; what it stores is its table or its thresholds.
    weight: (n_in, n_out), bias: (n_out,), float64; in a quantized layer every entry is a point of its grid.
    Grids are None in a float network; bias_grid None in a quantized layer means: on the accumulator's own grid.
    """

    name: str
    weight: Floats
    bias: Floats
    relu: bool
    weight_grid: Grid | None = None
    bias_grid: Grid | None = None
    activation_grid: Grid | None = None
    thresholds: tuple[float, ...] = ()
    table: Floats | None = None
    wired: bool = False

    def __post_init__(self) -> None:
        for key in self.array_names:
            value = np.array(getattr(self, key), dtype=np.float64)
            if not np.isfinite(value).all():
                raise FitError(f"layer {self.name!r}: {key} must be finite; lower learning_rate")
            value.setflags(write=False)
            object.__setattr__(self, key, value)

    @property
    def array_names(self) -> tuple[str, ...]:
        """The attributes that hold numbers."""
        return ("weight", "bias") if self.table is None else ("weight", "bias", "table")

    def activate(self, z: Floats) -> Floats:
        """Return ReLU and rounding, the steps, or the tables' entries, of sums z: (..., n_out), same shape out."""
        if self.table is not None:
            return self.table[np.arange(z.shape[-1]), z.astype(np.int64)]
        if self.thresholds:
            return np.sum([z >= t for t in self.thresholds], axis=0).astype(np.float64)
        if not self.relu:
            return z
        z = np.maximum(z, 0.0)
        return z if self.activation_grid is None else self.activation_grid.quantize(z)

    @property
    def hidden(self) -> bool:
        """Whether an activation follows."""
        return self.relu or bool(self.thresholds) or self.table is not None

    @property
    def parameters(self) -> int:
        """Weights and biases; of a wired layer the entries of its tables, or a threshold per neuron."""
        if not self.wired:
            return self.weight.size + self.bias.size
        return self.bias.size * bool(self.thresholds) if self.table is None else self.table.size

    @property
    def weights(self) -> int:
        """Weights, zeros included; none in a wired layer."""
        return 0 if self.wired else self.weight.size

    @property
    def nonzero(self) -> int:
        """Weights that are not zero."""
        return 0 if self.wired else int(np.count_nonzero(self.weight))

    def bias_width(self) -> int:
        """Bits of the widest bias: its format's, or what the accumulator's grid needs to hold it."""
        if self.weight_grid is None:
            return FLOAT_BITS
        if self.bias_grid is not None:
            return int(self.bias_grid.width_bits.max())
        frac = frac_bits(self.bias)
        values = (self.bias * 2.0**frac).astype(np.int64)
        return Fixed.holding(int(values.min()), int(values.max()), frac).width_bits

    @property
    def bits(self) -> int:
        """Bits of all parameters, zeros included."""
        if self.weight_grid is None:
            return FLOAT_BITS * self.parameters
        if self.wired:
            return self._wired_bits
        return int(np.broadcast_to(self.weight_grid.width_bits, self.weight.shape).sum()) + (
            self.bias_width() * self.bias.size
        )

    @property
    def nonzero_bits(self) -> int:
        """Bits of the parameters but of weights that are zero."""
        if self.weight_grid is None:
            return FLOAT_BITS * (self.nonzero + self.bias.size)
        if self.wired:
            return self._wired_bits
        widths = np.broadcast_to(self.weight_grid.width_bits, self.weight.shape)
        return int(widths[self.weight != 0].sum()) + self.bias_width() * self.bias.size

    @property
    def _wired_bits(self) -> int:
        return self.parameters * (self.bias_width() if self.table is None else 1)

    def ebops(self, read_bits: Ints) -> int:
        """Return the effective bit operations of this layer for inputs of so many bits, (n_in,)."""
        if self.weight_grid is None:
            return int(read_bits.sum()) * FLOAT_BITS * self.bias.size
        bits = span_bits(self.weight) * read_bits[:, None]
        return int(bits.sum() + span_bits(self.bias).sum())

    def describe(self) -> dict[str, Any]:
        """Return the report's row of it, JSON-able."""
        return {
            "layer": self.name,
            "shape": list(self.weight.shape),
            "parameters": self.parameters,
            "weights": self.weights,
            "nonzero": self.nonzero,
            "sparsity": 1.0 - self.nonzero / self.weights if self.weights else 0.0,
            "weight_format": _weight_text(self),
            "bias_format": _bias_text(self),
            "activation_format": _activation_text(self),
            "bits": self.bits,
            "mean_digits": mean_digits(self),
        }


def mean_digits(layer: Layer) -> float:
    """Return the mean number of signed digits per non-zero weight, i.e. adder inputs of its product; 0.0 for floats."""
    if layer.weight_grid is None or not layer.nonzero:
        return 0.0
    kept = layer.weight[layer.weight != 0]
    return float(np.mean(digit_count(np.ldexp(kept, frac_bits(kept)).astype(np.int64))))


def _weight_text(layer: Layer) -> str:
    if layer.wired:
        return "connections"
    return "float32" if layer.weight_grid is None else str(layer.weight_grid)


def _bias_text(layer: Layer) -> str:
    if layer.weight_grid is None:
        return "float32"
    if layer.wired:
        return f"thresholds, {layer.bias_width()} bits" if layer.thresholds else "none"
    if layer.bias_grid is not None:
        return str(layer.bias_grid)
    return f"accumulator, {layer.bias_width()} bits"


def _activation_text(layer: Layer) -> str:
    if layer.table is not None:
        return f"table of {layer.table.shape[1]} bits"
    if layer.thresholds and layer.wired:
        return "1 bit"
    if layer.thresholds:
        return {1: "sign, 1 bit", 2: "ternary, 2 bits"}.get(len(layer.thresholds), f"{len(layer.thresholds)} steps")
    if layer.activation_grid is not None:
        return str(layer.activation_grid)
    if layer.relu:
        return "float32"
    return "float32 scores" if layer.weight_grid is None else "accumulator (scores)"
