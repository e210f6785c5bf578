"""A synthesized xc7 netlist and test vectors in, the outputs cycle by cycle out: what was counted is what is checked.

The designs are pipelines without feedback, so every net is one array over time, evaluated once, in topological order:
a flip-flop is a shift by one cycle, a shift register by several, and the latency is where outputs equal the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ToolError
from gatewright.fixedpoint import Ints

Wave = NDArray[np.uint8]  # one bit per cycle
Get = Callable[[str, int], Wave]
Put = Callable[[str, int, Wave], None]

_OUTPUTS = {"O", "O5", "O6", "CO", "Q", "Q15"}


@dataclass(frozen=True, slots=True)
class Lane:
    """One element of a packed port: its bits, and how far its code stands above the vectors' binary point."""

    width: int
    signed: bool
    up: int = 0


def latency(path: Path, *, top: str, x: Ints, y: Ints, inputs: Sequence[Lane], outputs: Sequence[Lane]) -> int | None:
    """Return after how many cycles every output equals y, a new vector each cycle; None where it never does.

    x: (n, inputs), y: (n, outputs). The module's ports are a clock, one packed input and one packed output, the
    first element lowest.
    """
    module = json.loads(path.read_text())["modules"][top]
    ports = {
        name: port for name, port in module["ports"].items() if len(port["bits"]) > 1 or port["direction"] == "output"
    }
    source = next(port["bits"] for port in ports.values() if port["direction"] == "input")
    result = next(port["bits"] for port in ports.values() if port["direction"] == "output")
    limit = 64
    held = np.concatenate([x, np.repeat(x[-1:], limit, axis=0)])
    nets: dict[Any, Wave] = dict(zip(source, _pack(held, inputs), strict=True))
    _evaluate(module["cells"].values(), nets, len(held))
    got = _unpack([_net(nets, bit, len(held)) for bit in result], outputs)
    return next((late for late in range(limit) if np.array_equal(got[late : late + len(y)], y)), None)


def _pack(values: Ints, lanes: Sequence[Lane]) -> list[Wave]:
    return [
        (values[:, i] >> (lane.up + bit) & 1).astype(np.uint8)
        for i, lane in enumerate(lanes)
        for bit in range(lane.width)
    ]


def _unpack(bits: Sequence[Wave], lanes: Sequence[Lane]) -> Ints:
    columns: list[Ints] = []
    at = 0
    for lane in lanes:
        value = np.zeros(len(bits[0]), dtype=np.int64)
        for bit in range(lane.width):
            weight = -(1 << bit) if lane.signed and bit == lane.width - 1 else 1 << bit
            value += weight * bits[at + bit].astype(np.int64)
        columns.append(value << lane.up)
        at += lane.width
    return np.stack(columns, axis=1)


def _net(nets: Mapping[Any, Wave], bit: Any, cycles: int) -> Wave:
    if isinstance(bit, str):
        return np.full(cycles, bit == "1", dtype=np.uint8)
    return nets[bit]


def _evaluate(cells: Sequence[dict[str, Any]], nets: dict[Any, Wave], cycles: int) -> None:
    """Fill `nets` with every cell's outputs."""
    listed = [cell for cell in cells if cell["type"] != "$scopeinfo"]
    driver: dict[Any, int] = {}
    for number, cell in enumerate(listed):
        for name, bits in cell["connections"].items():
            if name in _OUTPUTS:
                driver |= dict.fromkeys(bits, number)
    order: TopologicalSorter[int] = TopologicalSorter()
    for number, cell in enumerate(listed):
        reads = (b for name, bits in cell["connections"].items() if name not in _OUTPUTS for b in bits)
        order.add(number, *{driver[bit] for bit in reads if bit in driver})
    for number in order.static_order():
        cell = listed[number]
        connections = cell["connections"]

        def get(name: str, index: int = 0, connections: Any = connections) -> Wave:
            bits = connections.get(name)
            return _net(nets, bits[index] if bits else "0", cycles)

        def put(name: str, index: int, wave: Wave, connections: Any = connections) -> None:
            if name in connections:
                nets[connections[name][index]] = wave

        _cell(cell["type"], cell["parameters"], get, put)


def _cell(kind: str, parameters: Mapping[str, str], get: Get, put: Put) -> None:
    match kind:
        case "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6":
            put("O", 0, _table(parameters["INIT"], [get(f"I{i}", 0) for i in range(int(kind[3]))]))
        case "LUT6_2":
            inputs = [get(f"I{i}", 0) for i in range(6)]
            put("O6", 0, _table(parameters["INIT"], inputs))
            put("O5", 0, _table(parameters["INIT"], inputs[:5]))
        case "INV":
            put("O", 0, _not(get("I", 0)))
        case "MUXF7" | "MUXF8":
            put("O", 0, np.where(get("S", 0), get("I1", 0), get("I0", 0)))
        case "CARRY4":
            carry = get("CI", 0) | get("CYINIT", 0)
            for bit in range(4):
                select = get("S", bit)
                put("O", bit, select ^ carry)
                carry = np.where(select, carry, get("DI", bit))
                put("CO", bit, carry)
        case "FDRE":
            put("Q", 0, _late(get("D", 0) & _not(get("R", 0)), 1))
        case "FDSE":
            put("Q", 0, _late(get("D", 0) | get("S", 0), 1))
        case "SRL16E":
            put("Q", 0, _late(get("D", 0), 1 + sum(int(get(f"A{bit}", 0)[0]) << bit for bit in range(4))))
        case _:
            raise ToolError(f"the netlist check knows no cell {kind!r}; add its meaning to {__name__}")


def _not(wave: Wave) -> Wave:
    return np.bitwise_xor(wave, np.uint8(1))


def _table(init: str, inputs: Sequence[Wave]) -> Wave:
    table = np.array([bit == "1" for bit in reversed(init)], dtype=np.uint8)
    index = np.zeros(len(inputs[0]), dtype=np.uint8)
    for place, wave in enumerate(inputs):
        index |= wave << place
    return table[index]


def _late(wave: Wave, cycles: int) -> Wave:
    return np.concatenate([np.zeros(cycles, dtype=np.uint8), wave[:-cycles]])
