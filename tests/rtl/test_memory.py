"""Memories and registers with enable and reset: text, meaning under random stimulus, and what yosys makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.rtl.netlist import Item, Memory, MemoryStyle, Module, Name, Port, Register, ram_style
from gatewright.rtl.verilog import module_text
from gatewright.sim import lint
from tests.rtl.clocked import Drive, drive_module, icarus, verilator

CYCLES = 600


REGISTERS = (
    Register(Name("plain", 4, False), Name("d", 4, True)),
    Register(Name("held", 4, True), Name("d", 4, True), enable=Name("en", 1, False)),
    Register(Name("cleared", 4, True), Name("d", 4, True), reset=Name("rst", 1, False), reset_value=-8),
    Register(
        Name("both", 4, False),
        Name("d", 4, True),
        enable=Name("en", 1, False),
        reset=Name("rst", 1, False),
        reset_value=9,
    ),
)


def memory(
    name: str,
    *,
    depth: int,
    width: int,
    clocked: bool,
    style: MemoryStyle = "auto",
    enabled: bool = False,
    start: int = 0,
) -> Memory:
    """Return a memory that writes with <name>_we and reads (with <name>_re); `start` words of initial contents."""
    address, rng = (depth - 1).bit_length(), np.random.default_rng(start)
    return Memory(
        target=Name(name, width, True),
        depth=depth,
        write_enable=Name(f"{name}_we", 1, False),
        write_address=Name(f"{name}_wa", address, False),
        write_data=Name(f"{name}_d", width, True),
        read_address=Name(f"{name}_ra", address, False),
        clocked=clocked,
        read_enable=Name(f"{name}_re", 1, False) if enabled else None,
        contents=tuple(rng.integers(-(1 << width - 1), 1 << width - 1, start).tolist()),
        style=style,
    )


def inputs_of(item: Item) -> list[Name]:
    assert isinstance(item, Memory)
    names = [item.write_enable, item.write_address, item.write_data, item.read_address, item.read_enable]
    return [name for name in names if isinstance(name, Name)]


def around(*items: Memory | Register) -> Module:
    """Return a module whose ports are all inputs of the items, and o_<target> for each."""
    memories = [item for item in items if isinstance(item, Memory)]
    inputs = [name for item in memories for name in inputs_of(item)]
    if len(memories) < len(items):
        inputs += [Name("en", 1, False), Name("rst", 1, False), Name("d", 4, True)]
    outputs = [replace(item.target, name=f"o_{item.target.name}") for item in items]
    return Module(
        name="dut",
        header=("Memories and registers for tests.",),
        ports=(*(Port(signal, False) for signal in inputs), *(Port(o, True) for o in outputs)),
        items=items,
        drives=tuple((o, item.target) for o, item in zip(outputs, items, strict=True)),
    )


def stimulus(module: Module) -> dict[str, Ints]:
    """Draw inputs; the word being written is never read at the same edge, and addresses stay below the depth."""
    rng = np.random.default_rng(3)
    values: dict[str, Ints] = {}
    for port in module.ports:
        if port.output:
            continue
        bits = port.signal.width
        ends = (-(1 << bits - 1), 1 << bits - 1) if port.signal.signed else (0, 1 << bits)
        values[port.signal.name] = rng.integers(*ends, CYCLES)
    for item in module.items:
        if isinstance(item, Memory):
            write, read = (values[name.name] for name in (item.write_address, item.read_address))
            write %= item.depth
            read %= item.depth
            read[write == read] = (read[write == read] + 1) % item.depth
    values["rst"][0], values["rst"][1], values["en"][1] = 1, 0, 1
    return values


def memory_meaning(item: Memory, values: Mapping[str, Ints]) -> list[int | None]:
    """Return the target in every cycle; None where it is not known: no word was written there, nothing read yet."""
    known: list[int | None] = [*item.contents, *[None] * (item.depth - len(item.contents))]
    we, wa, d, ra = (values[name.name] for name in inputs_of(item)[:4])
    found: list[int | None] = []
    word: int | None = None
    for cycle in range(CYCLES):
        found.append(word if item.clocked else known[ra[cycle]])
        if item.read_enable is None or values[f"{item.target.name}_re"][cycle]:
            word = known[ra[cycle]]
        if we[cycle]:
            known[wa[cycle]] = int(d[cycle])
    return found


def register_meaning(item: Register, values: Mapping[str, Ints]) -> list[int | None]:
    """Return the target in every cycle: the reset goes before the enable, and before either nothing is known."""
    state: int | None = None
    found: list[int | None] = []
    for cycle in range(CYCLES):
        found.append(state)
        if item.reset is not None and values["rst"][cycle]:
            state = item.reset_value
        elif item.enable is None or values["en"][cycle]:
            value = int(values["d"][cycle])
            state = value if item.target.signed else value & 15
    return found


MEMORIES = (
    memory("pair", depth=2, width=1, clocked=False),
    memory("odd", depth=5, width=9, clocked=False, start=3),
    memory("full", depth=32, width=8, clocked=True, start=32),
    memory("wide", depth=48, width=33, clocked=True, enabled=True, start=7),
)


@pytest.mark.parametrize(
    "drive",
    [
        pytest.param(verilator, marks=(pytest.mark.sim, pytest.mark.slow)),
        pytest.param(icarus, marks=pytest.mark.icarus),
    ],
)
def test_each_equals_its_meaning(tmp_path: Path, drive: Drive):
    module = around(*MEMORIES, *REGISTERS)
    values = stimulus(module)
    got = drive_module(drive, tmp_path, module, values)
    for item in (*MEMORIES, *REGISTERS):
        want = memory_meaning(item, values) if isinstance(item, Memory) else register_meaning(item, values)
        known = np.array([w is not None for w in want])
        assert known.sum() > CYCLES // 2
        assert got[f"o_{item.target.name}"][known].tolist() == [w for w in want if w is not None], item.target


def test_plain_registers_keep_their_text():
    text = module_text(around(*REGISTERS))
    assert (
        "        plain <= d;\n        if (en)\n            held <= d;\n        if (rst)\n            cleared <= 4'd8;"
        in text
    )
    assert (
        "        if (rst)\n            both <= 4'd9;\n        else if (en)\n            both <= d;\n    end\n" in text
    )


@pytest.mark.sim
def test_lint_is_clean(tmp_path: Path):
    block = memory("block", depth=64, width=8, clocked=True, style="block")
    (tmp_path / "dut.v").write_text(module_text(around(*MEMORIES, block, *REGISTERS)))
    lint(sources=[tmp_path / "dut.v"], top="dut", out=tmp_path / "lint")


def test_style_where_there_is_no_lut_ram():
    assert [ram_style(family, "distributed") for family in ("xc7", "ecp5", "gowin", "ice40", "gatemate")] == [
        "distributed",
        "distributed",
        "distributed",
        "auto",
        "auto",
    ]
    assert ram_style("ice40", "block") == "block"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 1}, r"memory 'word' must have at least 2 words, not 1; one word is a register"),
        ({"depth": 4, "start": 5}, r"memory 'word' of 4 words cannot start with 5 of them"),
        ({"clocked": False, "style": "block"}, r"memory 'word': style 'block' needs a clocked read; set clocked"),
        ({"clocked": False, "enabled": True}, r"memory 'word': a read enable needs a clocked read; set clocked"),
    ],
)
def test_a_memory_that_cannot_be_is_an_error(change, message: str):
    with pytest.raises(LowerError, match=message):
        memory("word", **({"depth": 8, "width": 4, "clocked": True} | change))
