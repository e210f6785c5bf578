"""A NodeProto and its operands in, an Op out: whoever handles it must read every attribute and every operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatewright.importers.builder import Builder, Const, Tensor, Value

Setting = TypeVar("Setting", int, float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """Which results of the model are read: by nodes, and as its outputs."""

    by_nodes: frozenset[str]
    outputs: frozenset[str]


class Op:
    """One node. What a handler leaves unread is an error in `finish`: nothing is ignored unless it says so."""

    def __init__(self, b: Builder, node: Any, operands: list[Any], opset: int, uses: Uses) -> None:
        self.b, self.opset, self.operands = b, opset, operands
        self.uses = uses
        self.type, self.outputs = node.op_type, list(node.output)
        self._attributes = {str(a.name): a for a in node.attribute}
        self._unread = set(self._attributes)
        self._unread_operands = {i for i, value in enumerate(operands) if value is not None}

    def fail(self, text: str) -> NoReturn:
        """Refuse the model at this node."""
        self.b.fail(text)

    def has(self, name: str) -> bool:
        """Whether the node sets this attribute."""
        return name in self._attributes

    def raw(self, name: str) -> Any:
        """An attribute's value (None where absent): int, float, str, list, TensorProto, ..."""
        from onnx import helper

        self._unread.discard(name)
        if name not in self._attributes:
            return None
        value = helper.get_attribute_value(self._attributes[name])
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def get(self, name: str, default: Setting) -> Setting:
        """An attribute of the default's type."""
        value = self.raw(name)
        if value is None:
            return default
        if type(value) is not type(default):
            self._bad(name, value, f"one {type(default).__name__}")
        return value

    def ints(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
        """A list of integers."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(v, int) for v in value):
            if value == []:
                return ()
            self._bad(name, value, "a list of integers")
        return tuple(value)

    def flag(self, name: str, default: bool) -> bool:
        """An attribute that is 0 or 1."""
        value = self.get(name, int(default))
        if value not in (0, 1):
            self._bad(name, value, "0 or 1")
        return bool(value)

    def only(self, name: str, *allowed: Any) -> None:
        """An attribute that must be absent or one of these."""
        value = self.raw(name)
        if value is not None and value not in allowed:
            self._bad(name, value, " or ".join(map(repr, allowed)))

    def ignore(self, *names: str) -> None:
        """Attributes without an influence on inference."""
        self._unread -= set(names)

    def _bad(self, name: str, value: Any, expected: str) -> NoReturn:
        self.fail(f"attribute {name} = {value!r} is not supported; expected {expected}")

    def used(self, index: int) -> bool:
        """Whether anything reads this result of the node."""
        return index < len(self.outputs) and self.outputs[index] in self.uses.by_nodes | self.uses.outputs

    def any_operand(self, index: int) -> Any:
        """An operand of any kind, results between quantizers included; None where absent."""
        self._unread_operands.discard(index)
        return self.operands[index] if index < len(self.operands) else None

    def operand(self, index: int) -> Value | None:
        """An operand, or None where absent."""
        value = self.any_operand(index)
        if value is None or isinstance(value, (Tensor, Const)):
            return value
        return self.fail(f"operand {index} is {value.what}")

    def value(self, index: int) -> Value:
        """An operand that must be there."""
        value = self.operand(index)
        if value is None:
            self.fail(f"operand {index} is missing")
        return value

    def tensor(self, index: int = 0) -> Tensor:
        """An operand that depends on the model's input."""
        value = self.value(index)
        if isinstance(value, Const):
            self.fail(f"operand {index} is a constant where the model's data are expected; fold it before export")
        return value

    def const(self, index: int) -> Const:
        """An operand known at import."""
        value = self.value(index)
        if isinstance(value, Tensor):
            self.fail(f"operand {index} is computed from the model's input; a constant is supported here")
        return value

    def array(self, index: int) -> NDArray[Any]:
        """A constant's values."""
        return self.const(index).value

    def maybe_array(self, index: int) -> NDArray[Any] | None:
        """A constant's values, or None where absent."""
        return None if self.operand(index) is None else self.array(index)

    def scalar(self, index: int) -> float | None:
        """A constant of one element, or None where absent."""
        array = self.maybe_array(index)
        if array is None:
            return None
        if array.size != 1:
            self.fail(f"operand {index} has the shape {array.shape}; one element is expected")
        return float(array.reshape(()))

    def int_list(self, index: int) -> tuple[int, ...] | None:
        """A constant list of integers, or None where absent."""
        array = self.maybe_array(index)
        if array is None:
            return None
        if not np.issubdtype(array.dtype, np.integer) or array.ndim > 1 or array.size > 64:
            self.fail(f"operand {index} must be a list of integers, not {array.dtype} of the shape {array.shape}")
        return tuple(int(v) for v in array.reshape(-1))

    def listed(self, attribute: str, index: int, since: int) -> tuple[int, ...] | None:
        """Integers that were an attribute before operator set `since` and are an operand from it on."""
        return self.int_list(index) if self.opset >= since else self.ints(attribute)

    def finish(self) -> None:
        """Refuse what the handler did not read."""
        for name in sorted(self._unread):
            self.fail(f"attribute {name} = {self.raw(name)!r} is not understood in operator set {self.opset}")
        for index in sorted(self._unread_operands):
            self.fail(f"operand {index} is not understood in operator set {self.opset}")
