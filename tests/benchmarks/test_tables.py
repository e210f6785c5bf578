import pytest

from benchmarks import __main__ as command
from benchmarks import cells, peers, tables
from gatewright.errors import MissingToolError


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    rows = [{"name": "one", "n": 1, "ratio": 0.5}, {"name": "second", "n": 12345, "ratio": None}]
    assert tables.table(rows).splitlines() == [
        "  name         n  ratio",
        "  ------  ------  -----",
        "  one          1   0.50",
        "  second  12,345      -",
    ]


def test_cells_are_counted_with_input_registers_and_shift_registers_apart():
    def register(d, kind="FDRE"):
        return {"type": kind, "connections": {"D": [d]}}

    shift = {"type": "SRL16E", "connections": {"A0": ["1"], "A1": ["1"], "A2": ["0"], "A3": ["0"], "D": [9]}}
    module = {
        "ports": {"clk": {"direction": "input", "bits": [1]}, "x": {"direction": "input", "bits": [2, 3]}},
        "cells": {
            "a": register(2), "b": register(7), "c": register("0", "FDSE"), "s": shift,
            "l": {"type": "LUT6_2", "connections": {}}, "m": {"type": "LUT2", "connections": {}},
            "i": {"type": "INV", "connections": {}}, "k": {"type": "CARRY4", "connections": {}},
            "n": {"type": "$scopeinfo", "connections": {}},
        },
    }  # fmt: skip
    found = cells._count(module, "xc7", 1.0, 2.0)
    assert (found.lut, found.ff, found.ff_in, found.inv, found.carry, found.srl) == (2, 3 + 4, 1, 1, 1, 1)
    assert cells._count(module, "ecp5", 1.0, 2.0).lut == 2 + 2
    assert "$scopeinfo" not in found.by_type


def test_absent_peers_are_named_with_their_remedy(monkeypatch):
    monkeypatch.setattr(peers, "PACKAGES", ("da4ml_that_is_not_there",))
    monkeypatch.delenv(peers.VARIABLE, raising=False)
    with pytest.raises(MissingToolError, match=r"pip install da4ml_that_is_not_there.*or set GATEWRIGHT_BENCH_PYTHON"):
        peers.interpreter()


def test_an_unknown_benchmark_lists_those_there(capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "no benchmark nothing; there are: compiler," in capsys.readouterr().err
