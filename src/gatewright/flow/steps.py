"""A stage's step in, the code that makes its results out: rooms of the package, and functions of the flow itself.

A step is a method such as `_rtl`, and stands in a file with the steps of other stages. So its code is walked by the
names in it: what it imports counts with its whole room, a function of the flow (or of the study) is walked in its
turn. Names are not told apart by what they are asked of, hence rather too much is found than too little.
"""

from __future__ import annotations

import contextlib
import json
import linecache
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, cast

from gatewright.sources import PACKAGE, code_digest, is_room, rooms_of
from gatewright.tools import digest

WALKED = ("flow", "study")  # rooms that hold steps


def step_digest(step: Callable[..., object], package: Path = PACKAGE) -> str:
    """Return the hash of a step's code: every file of the rooms it reaches, and the flow's functions that it calls."""
    walk = _Walk.of(step)
    return digest(code_digest(*walk.rooms, package=package), sorted(walk.texts), sorted(walk.constants.items()))


def step_rooms(step: Callable[..., object]) -> tuple[str, ...]:
    """Return the rooms that a step reaches, sorted; those that hold steps are not among them."""
    return rooms_of(_Walk.of(step).rooms)


@dataclass(slots=True)
class _Walk:
    """What was met. texts: sources of the flow's functions; constants: its globals; owners: its objects."""

    rooms: set[str] = field(default_factory=set[str])
    texts: set[str] = field(default_factory=set[str])
    constants: dict[str, str] = field(default_factory=dict[str, str])
    owners: list[object] = field(default_factory=list[object])
    names: set[str] = field(default_factory=set[str])
    walked: set[CodeType] = field(default_factory=set[CodeType])

    @staticmethod
    def of(step: Callable[..., object]) -> _Walk:
        """Walk from a function, a lambda or a method until nothing new is met."""
        walk = _Walk()
        if isinstance(step, MethodType):
            walk._meet(step.__self__)
        walk._function(cast(FunctionType, getattr(step, "__func__", step)))
        met = -1
        while met != (met := len(walk.names) + len(walk.owners)):  # what was named before its owner was met
            for owner in list(walk.owners):
                for value in _attributes(owner, walk.names):
                    walk._meet(value)
        return walk

    def _meet(self, value: object) -> None:
        """Take up what a name stands for."""
        match value:
            case MethodType():
                self._meet(value.__self__)
                self._meet(value.__func__)
            case property():
                self._meet(value.fget)
            case FunctionType() if _room_of(value) in WALKED:
                self._function(value)
            case Mapping():
                for item in cast(Mapping[object, object], value).values():
                    self._meet(item)
            case tuple() | list():
                for item in cast(Sequence[object], value):
                    self._meet(item)
            case _:
                self._take(value)

    def _take(self, value: object) -> None:
        """Take up an object, a class, or a function of another room: the room, or one of the flow's own objects."""
        room = _room_of(value if isinstance(value, (type, FunctionType)) else type(value))
        if room in WALKED:
            if not any(value is owner for owner in self.owners):
                self.owners.append(value)
        elif room:
            self.rooms.add(room)

    def _function(self, function: FunctionType) -> None:
        if function.__code__ in self.walked:
            return
        self.texts.add(_source(function.__code__))
        self._code(function.__code__, function.__module__, function.__globals__)
        for cell in function.__closure__ or ():
            self._meet(cell.cell_contents)

    def _code(self, code: CodeType, module: str, known: Mapping[str, object]) -> None:
        """Take up the names of a function's code, and of the lambdas and comprehensions in it."""
        self.walked.add(code)
        self.names.update(code.co_names)
        for name in code.co_names:
            if name.partition(".")[0] == "gatewright":
                self._import(name, code.co_names)
            elif name in known:
                self._global(f"{module}.{name}", known[name])
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._code(inner, module, known)

    def _import(self, name: str, beside: Sequence[str]) -> None:
        """Take up an import within a function; beside: the other names of the function, those imported among them."""
        room = name.partition(".")[2].partition(".")[0]
        if room in WALKED:
            module = import_module(name)
            for wanted in set(beside) & set(vars(module)):
                self._global(f"{name}.{wanted}", vars(module)[wanted])
        else:
            self.rooms.update([room] if room else filter(is_room, beside))

    def _global(self, name: str, value: object) -> None:
        with contextlib.suppress(TypeError):  # neither numbers and texts nor a collection of them
            unordered = isinstance(value, (set, frozenset))
            self.constants[name] = json.dumps(sorted(cast(Collection[str], value)) if unordered else value)
        self._meet(value)


def _source(code: CodeType) -> str:
    """Return the lines of a function (inspect.getsource says the same, and takes a hundred times as long)."""
    last = max(end for _, end, _, _ in code.co_positions() if end is not None)
    return "".join(linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : last])


def _room_of(value: type | FunctionType) -> str:
    """Return the room that a class or function stands in; "" outside the package."""
    package, _, rest = value.__module__.partition(".")
    return rest.partition(".")[0] if package == "gatewright" else ""


def _attributes(owner: object, names: Collection[str]) -> list[object]:
    """Return those attributes of an object or a class that have one of these names; no property is asked its value."""
    found: dict[str, object] = {}
    for home in reversed(owner.__mro__ if isinstance(owner, type) else type(owner).__mro__):
        found |= {name: value for name, value in vars(home).items() if name in names}
    if not isinstance(owner, type):
        slots = [name for name, value in found.items() if isinstance(value, MemberDescriptorType)]
        held = getattr(owner, "__dict__", dict[str, object]())
        found |= {name: getattr(owner, name, None) for name in slots}
        found |= {name: value for name, value in held.items() if name in names}
    return [cast(Any, v).__func__ if isinstance(v, (staticmethod, classmethod)) else v for v in found.values()]
