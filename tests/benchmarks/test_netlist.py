import json

import numpy as np
import pytest

from benchmarks.netlist import Lane, latency
from gatewright.errors import ToolError

TABLE = "0" * 32 + "".join(str(int(i.bit_count() >= 2)) for i in reversed(range(32)))  # O5: at least two of five


def adder(width=4, *, xor="0110", kind="CARRY4"):
    """Return a registered adder of two packed `width`-bit numbers, from LUTs, a carry chain and flip-flops."""
    a, b = range(10, 10 + width), range(20, 20 + width)
    s, o, q = range(30, 30 + width), range(40, 40 + width), range(50, 50 + width)
    cells = {
        f"l{i}": {"type": "LUT2", "parameters": {"INIT": xor}, "connections": {"I0": [a[i]], "I1": [b[i]], "O": [s[i]]}}
        for i in range(width)
    }
    chain = {"CI": ["0"], "CYINIT": ["0"], "S": [*s], "DI": [*a], "O": [*o], "CO": [60, 61, 62, 63]}
    cells["c"] = {"type": kind, "parameters": {}, "connections": chain}
    for i in range(width):
        wires = {"C": [1], "CE": ["1"], "D": [o[i]], "R": ["0"], "Q": [q[i]]}
        cells[f"f{i}"] = {"type": "FDRE", "parameters": {}, "connections": wires}
    ports = {
        "clk": {"direction": "input", "bits": [1]},
        "x": {"direction": "input", "bits": [*a, *b]},
        "y": {"direction": "output", "bits": [*q]},
    }
    return {"modules": {"top": {"ports": ports, "cells": cells}}}


def check(tmp_path, netlist):
    (tmp_path / "n.json").write_text(json.dumps(netlist))
    x = np.random.default_rng(0).integers(0, 16, (50, 2))
    y = (x.sum(axis=1, keepdims=True)) & 15
    port, result = (Lane(4, False),) * 2, (Lane(4, False),)
    return latency(tmp_path / "n.json", top="top", x=x, y=y, inputs=port, outputs=result)


def test_a_registered_adder_is_exact_after_one_cycle(tmp_path):
    assert check(tmp_path, adder()) == 1


def test_a_wrong_table_is_caught(tmp_path):
    netlist = adder()
    netlist["modules"]["top"]["cells"]["l3"]["parameters"]["INIT"] = "1110"
    assert check(tmp_path, netlist) is None


def test_unbalanced_registers_are_caught(tmp_path):
    netlist = adder()
    cells = netlist["modules"]["top"]["cells"]
    cells["l2"]["connections"]["I0"] = [70]
    wires = {"C": [1], "CE": ["1"], "D": [12], "R": ["0"], "Q": [70]}
    cells["late"] = {"type": "FDRE", "parameters": {}, "connections": wires}
    assert check(tmp_path, netlist) is None


def test_both_outputs_of_a_double_lut(tmp_path):
    lut = {f"I{i}": [10 + i] for i in range(5)} | {"I5": ["1"], "O6": [20], "O5": [21]}
    table = "".join(str(i.bit_count() & 1) for i in reversed(range(32))) + TABLE[32:]  # O6: parity
    cells = {"l": {"type": "LUT6_2", "parameters": {"INIT": table}, "connections": lut}}
    ports = {"x": {"direction": "input", "bits": [10, 11, 12, 13, 14]}, "y": {"direction": "output", "bits": [20, 21]}}
    (tmp_path / "n.json").write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    x = np.arange(32).reshape(-1, 1)
    ones = np.array([v.bit_count() for v in range(32)])
    y = np.stack([ones & 1, ones >= 2], axis=1).astype(np.int64)
    lanes = (Lane(1, False), Lane(1, False))
    assert latency(tmp_path / "n.json", top="top", x=x, y=y, inputs=(Lane(5, False),), outputs=lanes) == 0


def test_an_unknown_cell_is_named(tmp_path):
    with pytest.raises(ToolError, match="knows no cell 'RAM'"):
        check(tmp_path, adder(kind="RAM"))
