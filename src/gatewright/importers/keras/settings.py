"""A layer's configuration in; its values out, with an error for every key that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gatewright.errors import ModelError, nearest

# Keys that change training, saving or speed, never the numbers of inference.
TRAINING_ONLY = frozenset(
    {
        "name", "trainable", "batch_input_shape", "batch_shape", "input_dim", "input_dtype", "autocast", "seed",
        "activity_regularizer", "momentum", "renorm", "renorm_clipping", "renorm_momentum", "fused", "synchronized",
        "virtual_batch_size", "adjustment", "jit_compile", "shared_object_id", "sparse", "ragged", "optional",
        "tensor_name",
    }
)  # fmt: skip
TRAINING_ONLY_ENDINGS = ("_initializer", "_regularizer", "_constraint", "_lr_multiplier")
FLOAT_TYPES = frozenset({"float32", "float64"})
FLOAT_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")
_MISSING = object()


@dataclass(slots=True)
class Settings:
    """The configuration of one layer; `kind` is its class, `path` says where it stands in the model."""

    name: str
    kind: str
    values: dict[str, Any]
    path: str = ""
    _used: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        """The layer as messages name it."""
        return f"layer {self.path + self.name!r} ({self.kind})"

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """Return a value and mark its key as understood; ModelError where it is absent and has no default."""
        self._used.add(key)
        if key in self.values:
            return self.values[key]
        if default is _MISSING:
            raise ModelError(f"{self.where}: the configuration has no {key!r}; the file is damaged or of another kind")
        return default

    def has(self, key: str) -> bool:
        """Say whether the key is there, whatever its value."""
        return key in self.values

    def ignore(self, *keys: str) -> None:
        """Mark keys as known not to change the numbers."""
        self._used.update(keys)

    def refuse(self, key: str, value: Any, remedy: str) -> ModelError:
        """Return the error for a value that has no exact counterpart."""
        return ModelError(f"{self.where}: {key} = {value!r} is not supported; {remedy}")

    def only(self, key: str, allowed: tuple[Any, ...], default: Any, remedy: str) -> Any:
        """Return the value, which must be one of `allowed`."""
        value = self.take(key, default)
        if not any(value is item or (value == item and type(value) is type(item)) for item in allowed):
            raise self.refuse(key, value, remedy)
        return value

    def integer(self, key: str, default: Any = _MISSING, *, least: int = 1) -> int:
        """Return a whole number of at least `least`."""
        value = self.take(key, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ModelError(f"{self.where}: {key} must be a whole number of at least {least}, not {value!r}")
        return value

    def number(self, key: str, default: Any = _MISSING) -> float:
        """Return a finite number (NumPy arrays saved by Keras 3 as {"class_name": "__numpy__"} included)."""
        value = self.take(key, default)
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":
            value = value.get("config", {}).get("value")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) == float("inf")
        ):
            raise ModelError(f"{self.where}: {key} must be a finite number, not {value!r}")
        return float(value)

    def flag(self, key: str, default: Any = _MISSING) -> bool:
        """Return a truth value (0 and 1 count)."""
        value = self.take(key, default)
        if value not in (True, False, 0, 1):
            raise ModelError(f"{self.where}: {key} must be true or false, not {value!r}")
        return bool(value)

    def sizes(self, key: str, rank: int, default: Any = _MISSING, *, least: int = 1) -> tuple[int, ...]:
        """Return `rank` whole numbers; a single one counts for every axis."""
        value = self.take(key, default)
        items = [value] * rank if type(value) is int else value
        if isinstance(items, list | tuple) and [type(item) is int and item >= least for item in items] == [True] * rank:
            return tuple(items)
        raise ModelError(f"{self.where}: {key} must be {rank} whole number(s) of at least {least}, not {value!r}")

    def check_dtype(self) -> None:
        """Raise ModelError where the layer does not compute in float32 or float64 with weights stored as such."""
        for name in policies(self.values.get("dtype")):
            if name in FLOAT_TYPES:
                continue
            if "_from_" in name:
                remedy = (
                    "its weights are stored as codes with scales, which only Keras' own quantized layers read: save "
                    "the model before model.quantize(), and quantize it here (gatewright quantize)"
                )
            else:
                remedy = "its arithmetic rounds differently: save the model in float32"
            raise self.refuse("dtype", name, remedy)

    def done(self) -> None:
        """Raise ModelError for the first key that was neither read nor known to be irrelevant."""
        for key, value in self.values.items():
            if key in self._used or key in TRAINING_ONLY or key == "dtype" or key.endswith(TRAINING_ONLY_ENDINGS):
                continue
            if key == "quantization_config" and value is None:
                continue
            known = sorted(self._used)
            hint = nearest(key, known) if known else ""
            raise ModelError(
                f"{self.where}: setting {key!r} = {value!r} is not understood and might change the numbers.{hint} "
                "If it does not matter, remove it from the configuration"
            )


def policies(dtype: Any) -> list[str]:
    """Return the names of the types in a layer's dtype: a name, a policy, or a map of policies by layer."""
    if dtype is None:
        return ["float32"]
    if not isinstance(dtype, dict):
        return [str(dtype)]
    kind, config = dtype.get("class_name"), dtype.get("config")
    config = config if isinstance(config, dict) else {}
    if kind in FLOAT_POLICIES:
        return [str(config.get("name"))]
    if kind == "DTypePolicyMap":
        given = config.get("policy_map")
        inner = given.get("config", given) if isinstance(given, dict) else {}
        return [name for part in (config.get("default_policy"), *inner.values()) for name in policies(part)]
    return [f"{config['mode']}_from_{config.get('source_name')}" if "mode" in config else str(kind)]
