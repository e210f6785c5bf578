"""What a layer's handler is given: its settings, weights and inputs, and how its family quantizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Builder, Floats, Value
from gatewright.importers.keras.qkeras_spec import Quantizer
from gatewright.importers.keras.settings import Settings
from gatewright.importers.keras.weights import LayerWeights

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Weight:
    """values: float64, after the quantizer; scale: broadcasts over them, values are integers or dyadic times it."""

    values: Floats
    scale: Floats

    @staticmethod
    def plain(values: Array) -> Weight:
        """Return float weights as they are."""
        return Weight(values.astype(np.float64), np.ones(()))

    def arranged(self, arrange: Callable[[Floats], Floats]) -> Weight:
        """Reshape or transpose values and scale alike."""
        return Weight(arrange(self.values), arrange(np.broadcast_to(self.scale, self.values.shape)))

    def per_output(self, where: str) -> Floats:
        """Return the scale as () or one per output channel (the last axis); ModelError where it varies within one."""
        if np.all(np.frexp(self.scale)[0] == 0.5):
            return np.ones(())
        full = np.broadcast_to(self.scale, self.values.shape).reshape(-1, self.values.shape[-1])
        if np.any(full != full[0]):
            raise ModelError(f"{where}: its weights are scaled by input channel, which has no exact counterpart")
        return full[0].astype(np.float64)


@dataclass(slots=True)
class Call(ABC):
    """One layer applied to its inputs. major: the Keras version, 2 or 3."""

    builder: Builder
    settings: Settings
    weights: LayerWeights
    inputs: tuple[Value, ...]
    major: int

    @property
    def where(self) -> str:
        """The layer as messages name it."""
        return self.settings.where

    def one_input(self) -> Value:
        """Return the only input, quantized where the family does so."""
        if len(self.inputs) != 1:
            raise ModelError(f"{self.where}: expected one input, got {len(self.inputs)}")
        return self.quantized_inputs()[0]

    def ranked_input(self, rank: int, what: str) -> Value:
        """Return the only input, of the given rank without the sample axis."""
        x = self.one_input()
        if len(x.shape) != rank:
            raise ModelError(f"{self.where}: expected {what}, got the shape {x.shape}")
        return x

    def take(self, *names: str) -> dict[str, Array]:
        """Return this layer's own weights, named in Keras' order."""
        return self.weights.take(*names)

    def check(self, array: Array, shape: tuple[int, ...], name: str) -> Array:
        """Return the array if it has the shape."""
        if array.shape != shape:
            raise ModelError(f"{self.where}: weight {name!r} must have the shape {shape}, the file has {array.shape}")
        return array

    def channels_first(self) -> bool:
        """Read data_format."""
        value = self.settings.take("data_format", "channels_last")
        if value not in ("channels_last", "channels_first", None):
            raise self.settings.refuse("data_format", value, "write channels_last or channels_first")
        return value == "channels_first"

    @abstractmethod
    def quantized_inputs(self) -> tuple[Value, ...]:
        """Return the inputs, after the family's input quantizers."""

    @abstractmethod
    def quantize_weight(self, role: str, array: Array) -> Weight:
        """Apply the quantizer of a role ("kernel", "bias", "depthwise", ...) to a stored float32 weight."""

    @abstractmethod
    def activate(self, x: Value, key: str = "activation") -> Value:
        """Apply the activation that a setting names."""

    @abstractmethod
    def quantizer_of(self, spec: Any, where: str) -> Quantizer | None:
        """Return the quantizer or function of QKeras that a setting means in this family, None for Keras' own names."""

    @abstractmethod
    def finish(self, y: Value) -> Value:
        """Apply the family's output quantizer."""
