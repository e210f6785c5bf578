"""A value and the size of beats that an op asks for, in; the port that gives it, with the units that it takes, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import gcd

from gatewright.ir.program import Op
from gatewright.lower.dataflow import Unit
from gatewright.lower.stream import Port, Stream
from gatewright.lower.streaming.regrouped import Regrouped, regrouped
from gatewright.lower.tensor.beats import refused

Key = tuple[str, Stream]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrouping:
    """ports, units, makers: of the whole partition, which grow. beside: ports of values in beats of other sizes."""

    ports: dict[str, Port]
    units: list[Unit]
    makers: dict[Key, str | None]
    beside: dict[Key, Port] = field(default_factory=dict[Key, Port])

    def port(self, op: Op, name: str, per_beat: int) -> Port:
        """Return the port of a value in beats of so many elements; the units that it takes join the others."""
        units, port = self.planned(op, name, per_beat)
        self.place(units)
        return port

    def planned(self, op: Op, name: str, per_beat: int) -> tuple[list[Regrouped], Port]:
        """Return the units that give a value in beats of so many elements, which are not there yet, and its port."""
        port, units = self.ports[name], list[Regrouped]()
        self.beside.setdefault(port.key, port)  # a way back from what follows leads to it
        if port.stream.elements % per_beat:
            raise refused(op, f"on beats of {per_beat} of {port.stream.elements} elements")
        for size in (gcd(port.stream.per_beat, per_beat), per_beat):
            if port.stream.per_beat == size:
                continue
            key = (port.value, replace(port.stream, per_beat=size))
            if key in self.beside:
                port = self.beside[key]
                continue
            units.append(regrouped(f"{port.value}.by{size}", port, size))
            port = units[-1].gives[0]
        return units, port

    def place(self, units: Sequence[Regrouped]) -> None:
        """Add units that give values in other beats, for all that ask for them."""
        for unit in units:
            (port,) = unit.gives
            self.units.append(unit)
            self.beside[port.key] = port
            self.makers[port.key] = unit.name
