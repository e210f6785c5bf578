"""A JSON netlist of yosys in, its cells without hierarchy out: each pin bound to one net of the whole design."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from gatewright.errors import ToolError

Net = int | str
"""A number, or the constant "0", "1", "x" or "z"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell. inputs, outputs: pin -> net, where bit i of a vector is "S[i]"; parameters: as yosys writes them."""

    name: str
    kind: str
    inputs: Mapping[str, Net]
    outputs: Mapping[str, Net]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Netlist:
    """A flat design. inputs, outputs: nets of the top's ports."""

    cells: tuple[Cell, ...]
    inputs: tuple[Net, ...]
    outputs: tuple[Net, ...]


def read_netlist(path: Path, top: str) -> Netlist:
    """Return the design `top` of a file that write_json wrote. Raises ToolError where it is none."""
    try:
        modules: Mapping[str, Any] = json.loads(path.read_text())["modules"]
        return _Flat(modules).netlist(top)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"{path} must be a netlist of yosys with module {top!r}: {error!r}; synthesize again"
        ) from error


@dataclass(slots=True)
class _Flat:
    modules: Mapping[str, Any]
    cells: list[tuple[str, Mapping[str, Any], dict[str, Net], dict[str, Net]]] = field(default_factory=list[Any])
    same: dict[Net, Net] = field(default_factory=dict[Net, Net])
    numbers: count[int] = field(default_factory=count)

    def netlist(self, top: str) -> Netlist:
        ports: Mapping[str, Any] = self.modules[top]["ports"]
        outside = {name: [next(self.numbers) for _ in port["bits"]] for name, port in ports.items()}
        self._module(top, "", outside)
        return Netlist(
            cells=tuple(
                Cell(
                    name=name,
                    kind=cell["type"],
                    inputs=self._found(inputs),
                    outputs=self._found(outputs),
                    parameters=cell["parameters"],
                )
                for name, cell, inputs, outputs in self.cells
            ),
            inputs=self._ports(ports, outside, "input"),
            outputs=self._ports(ports, outside, "output"),
        )

    def _ports(self, ports: Mapping[str, Any], nets: Mapping[str, list[int]], direction: str) -> tuple[Net, ...]:
        chosen = [name for name, port in ports.items() if port["direction"] == direction]
        return tuple(self._find(net) for name in chosen for net in nets[name])

    def _module(self, kind: str, path: str, outside: Mapping[str, list[Any]]) -> None:
        """Take up a module's cells. outside: port -> the nets that it is connected to."""
        module = self.modules[kind]
        inside: dict[Net, Net] = {}
        for name, port in module["ports"].items():
            for own, net in zip(port["bits"], outside.get(name, []), strict=False):
                if isinstance(own, str):
                    self._join(own, net)
                elif own in inside:
                    self._join(inside[own], net)
                else:
                    inside[own] = net
        for name, cell in module["cells"].items():
            nets = {
                pin: [net if isinstance(net, str) else self._net(inside, net) for net in bits]
                for pin, bits in cell["connections"].items()
            }
            below = self.modules.get(cell["type"])
            if below is not None and not {"blackbox", "whitebox"} & set(below["attributes"]):
                self._module(cell["type"], f"{path}{name}.", nets)
                continue
            ends: dict[str, dict[str, Net]] = {"input": {}, "output": {}}
            for pin, bits in nets.items():
                for i, net in enumerate(bits):
                    ends[cell["port_directions"][pin]][pin if len(bits) == 1 else f"{pin}[{i}]"] = net
            self.cells.append((path + name, cell, ends["input"], ends["output"]))

    def _net(self, inside: dict[Net, Net], own: int) -> Net:
        if own not in inside:
            inside[own] = next(self.numbers)
        return inside[own]

    def _found(self, pins: Mapping[str, Net]) -> dict[str, Net]:
        return {pin: self._find(net) for pin, net in pins.items()}

    def _find(self, net: Net) -> Net:
        while net in self.same:
            net = self.same[net]
        return net

    def _join(self, a: Net, b: Net) -> None:
        """Make two nets one; a constant stays."""
        a, b = self._find(a), self._find(b)
        if a != b:
            a, b = (b, a) if isinstance(a, str) else (a, b)
            self.same[a] = b
