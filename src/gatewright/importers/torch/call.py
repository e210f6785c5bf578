"""A call of an exported torch graph in, its arguments by name out: what a handler leaves unread must be a default."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gatewright.importers.builder import Builder, Const, Tensor, Value


class Call:
    """One ATen call, its arguments bound to the names of the operator's schema."""

    def __init__(self, b: Builder, node: Any, values: dict[str, Any], outputs: frozenset[str]) -> None:
        self.b, self.name, self.users = b, node.name, len(node.users)
        self.is_output = node.name in outputs
        arguments = node.target._schema.arguments
        self._defaults = {a.name: a.default_value if a.has_default_value() else None for a in arguments}
        given = dict(zip((a.name for a in arguments), node.args, strict=False)) | dict(node.kwargs)
        self._given = {name: _resolved(value, values) for name, value in given.items()}
        self._unread = set(self._given)

    def fail(self, text: str) -> NoReturn:
        """Refuse the model at this call."""
        self.b.fail(text)

    def get(self, name: str) -> Any:
        """An argument as given or by default."""
        self._unread.discard(name)
        return self._given.get(name, self._defaults.get(name))

    def ignore(self, *names: str) -> None:
        """Arguments without an influence on inference."""
        self._unread -= set(names)

    def value(self, name: str) -> Value:
        """An argument that is a tensor, a constant or a number."""
        value = self.get(name)
        if isinstance(value, (bool, int, float)):
            return Const(value=np.array(value))
        if not isinstance(value, (Tensor, Const)):
            self.fail(f"argument {name} is {getattr(value, 'what', value)!r}; a tensor is expected")
        return value

    def tensor(self, name: str = "self") -> Tensor:
        """An argument that depends on the model's input."""
        value = self.value(name)
        if isinstance(value, Const):
            self.fail(f"argument {name} is a constant where the model's data are expected")
        return value

    def const(self, name: str) -> Const:
        """An argument that is known at import."""
        value = self.value(name)
        if isinstance(value, Tensor):
            self.fail(f"argument {name} is computed from the model's input; a constant is supported here")
        return value

    def array(self, name: str) -> NDArray[Any] | None:
        """A constant's values, or None where absent."""
        return None if self.get(name) is None else self.const(name).value

    def ints(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """A list of integers; a single one stands for `count` of them."""
        value = self.get(name)
        values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        if not all(isinstance(v, int) for v in values):
            self.fail(f"argument {name} = {value!r}; fixed integers are expected")
        return values * count if count is not None and len(values) == 1 else values

    def finish(self) -> None:
        """Refuse what the handler did not read and what is not the default."""
        for name in sorted(self._unread):
            if self._given[name] != self._defaults[name]:
                self.fail(
                    f"argument {name} = {self._given[name]!r} is not supported; expected {self._defaults[name]!r}"
                )


def _resolved(value: Any, values: dict[str, Any]) -> Any:
    import torch.fx

    if isinstance(value, torch.fx.Node):
        return values[value.name]
    if isinstance(value, (list, tuple)):
        return [_resolved(v, values) for v in value]
    return value
