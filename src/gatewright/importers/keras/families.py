"""The three families of layers: plain Keras, QKeras and HGQ2; each says what becomes of inputs, weights, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.keras import activation_layers as act
from gatewright.importers.keras import hgq2, qkeras
from gatewright.importers.keras.activations import apply_function, function_name
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call, Weight
from gatewright.importers.keras.settings import Settings

Array = NDArray[Any]
OBJECTS: dict[str, Callable[[Call], Value]] = {  # layers without weights that stand as another layer's activation
    "ReLU": act.relu,
    "LeakyReLU": act.leaky_relu,
    "ELU": act.elu,
    "Softmax": act.softmax,
    "ThresholdedReLU": act.threshold_relu,
}


@dataclass(slots=True)
class KerasCall(Call):
    """Plain Keras: nothing is quantized."""

    def quantized_inputs(self) -> tuple[Value, ...]:
        """Return the inputs as they are."""
        return self.inputs

    def quantize_weight(self, role: str, array: Array) -> Weight:  # noqa: ARG002  (other families need it)
        """Return the weight as it is stored."""
        return Weight.plain(array)

    def activate(self, x: Value, key: str = "activation") -> Value:
        """Apply the activation that a setting names."""
        return _activated(self, x, key)

    def quantizer_of(self, spec: Any, where: str) -> qkeras.Quantizer | None:
        """Return what is QKeras' and may stand in a plain layer; names that Keras has too are Keras' here."""
        return qkeras.named(spec, where, but=qkeras.KERAS_KNOWS)

    def finish(self, y: Value) -> Value:
        """Return the result as it is."""
        return y


@dataclass(slots=True)
class QKerasCall(Call):
    """QKeras: `<role>_quantizer` of each weight, quantizers as activations."""

    def quantized_inputs(self) -> tuple[Value, ...]:
        """Return the inputs as they are."""
        return self.inputs

    def quantize_weight(self, role: str, array: Array) -> Weight:
        """Apply `<role>_quantizer`; a kernel's alpha None means "auto_po2", as the layers of QKeras set it."""
        key = f"{role}_quantizer"
        spec = self.settings.take(key, None)
        self.settings.ignore(f"{role}_range")
        if spec is None:
            return Weight.plain(array)
        quantizer = qkeras.parse(spec, f"{self.where}, {key}")
        trainable = role in qkeras.TRAINABLE_ROLES
        return qkeras.quantize(quantizer, array.astype(np.float32), trainable=trainable, where=f"{self.where}, {key}")

    def activate(self, x: Value, key: str = "activation") -> Value:
        """Apply the activation that a setting names."""
        return _activated(self, x, key)

    def quantizer_of(self, spec: Any, where: str) -> qkeras.Quantizer | None:
        """Return a quantizer or function of QKeras: they come before Keras' of the same name."""
        return qkeras.named(spec, where)

    def finish(self, y: Value) -> Value:
        """Return the result as it is."""
        return y


@dataclass(slots=True)
class Hgq2Call(Call):
    """HGQ2: quantizers with trained widths per element on inputs, weights and (where enabled) the output."""

    taken: bool = False  # the layer's own weights were read

    def take(self, *names: str) -> dict[str, Array]:
        """Return the layer's own weights; beta and ebops, the cost's, come after the layer's."""
        self.taken = True
        extra = ("beta", "ebops") if self.settings.flag("enable_ebops", default=False) else ()
        return self.weights.take(*names, *(name for name in extra if name not in names))

    def quantized_inputs(self) -> tuple[Value, ...]:
        """Apply `iq`."""
        self.settings.ignore("enable_ebops", "beta0", "ebops_factor", "parallelization_factor")
        if not self.settings.flag("enable_iq", default=True):
            self.settings.ignore("iq_conf", "iq_confs")
            return self.inputs
        if self.settings.has("iq_confs"):
            confs = self.settings.take("iq_confs")
            confs = confs if isinstance(confs, list) else [confs] * len(self.inputs)
            stores = [self.weights.input_quantizer(at) for at in range(len(self.inputs))]
        else:
            confs, stores = [self.settings.take("iq_conf")], [self.weights.child("iq")]
        if len(confs) != len(self.inputs):
            raise ModelError(f"{self.where}: {len(confs)} input quantizers for {len(self.inputs)} inputs")
        return tuple(
            hgq2.quantize_value(self.builder, x, conf, store.child("quantizer"), f"{self.where}, iq")
            for x, conf, store in zip(self.inputs, confs, stores, strict=True)
        )

    def quantize_weight(self, role: str, array: Array) -> Weight:
        """Apply `kq` to a kernel, `bq` to a bias."""
        short = {"kernel": "kq", "bias": "bq"}[role]
        conf = self.settings.take(f"{short}_conf")
        store = self.weights.child(short).child("quantizer")
        return hgq2.quantize_weight(array, conf, store, f"{self.where}, {short}")

    def activate(self, x: Value, key: str = "activation") -> Value:
        """Apply the activation that a setting names."""
        return _activated(self, x, key)

    def quantizer_of(self, spec: Any, where: str) -> None:  # noqa: ARG002  (other families need it)
        """HGQ2 quantizes by its own configurations only."""
        return

    def finish(self, y: Value) -> Value:
        """Apply `oq` where it is enabled."""
        if not self.taken and self.settings.flag("enable_ebops", default=False):
            self.take()
        conf = self.settings.take("oq_conf", None)
        if not self.settings.flag("enable_oq", default=False):
            return y
        return hgq2.quantize_value(
            self.builder, y, conf, self.weights.child("oq").child("quantizer"), f"{self.where}, oq"
        )


def _activated(call: Call, x: Value, key: str) -> Value:
    """Apply a quantizer or function of QKeras where the layer's family knows the name as one, else Keras' function."""
    spec = call.settings.take(key, None)
    if isinstance(spec, dict) and spec.get("class_name") in OBJECTS and isinstance(spec.get("config"), dict):
        kind, config = str(spec["class_name"]), spec["config"]
        settings = Settings(f"{call.settings.name}/{config.get('name', kind)}", kind, config, call.settings.path)
        inner = KerasCall(call.builder, settings, call.weights, (x,), call.major)
        y = OBJECTS[kind](inner)
        settings.done()
        return y
    own = call.quantizer_of(spec, f"{call.where}, {key}")
    if own is not None:
        return qkeras.apply(call.builder, x, own, call.where)
    return apply_function(call.builder, x, function_name(spec, call.where), call.major, call.where)
