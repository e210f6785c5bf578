"""Registers of many readers are copied: what is computed stays, and no register has more readers than allowed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gatewright.chips import FAMILIES
from gatewright.ir import Program
from gatewright.rtl.copies import _names, with_copies  # pyright: ignore[reportPrivateUsage]
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.manifest import stream_ports, write_core
from gatewright.rtl.netlist import Assign, Binary, Design, Module, Name, Port, Register, Slice
from gatewright.rtl.verilog import module_text
from gatewright.sim import lint, require_match, simulate_compiled
from gatewright.synth import synthesize
from tests.lowering import lower_for
from tests.programs import codes, mlp

X, R = Name("x", 4, False), Name("r", 4, False)
SUMS = tuple(Assign(Name(f"s{i}", 5, False), Binary("+", R, Slice(R, 3, 1))) for i in range(5))
MODULE = Module(
    name="m", header=(), ports=(Port(X, False), Port(Name("o", 4, False), True)), items=(Register(R, X), *SUMS),
    drives=((Name("o", 4, False), R),),
)  # fmt: skip


def readers(module: Module) -> Counter[str]:
    """Return how many items read each register."""
    registers = {item.target for item in module.items if isinstance(item, Register)}
    return Counter(name.name for item in module.items for name in _names(item) & registers)


def test_readers_are_shared_out_evenly_and_in_order():
    made = with_copies(MODULE, 2)
    assert readers(made) == {"r": 2, "r_copy1": 2, "r_copy2": 1}
    text = module_text(made)
    updates = "".join(f"        {name} <= x;\n" for name in ("r", "r_copy1", "r_copy2"))
    assert f"    `GW_KEEP always @(posedge clk) begin\n{updates}    end" in text
    assert "wire [4:0] s4 = r_copy2 + r_copy2[3:1];" in text
    assert "assign o = r;" in text


def test_few_readers_change_nothing():
    assert with_copies(MODULE, 5) is MODULE
    assert with_copies(MODULE, 0) is MODULE


def design(program: Program, limit: int, **options: object) -> tuple[Design, Design, tuple[object, ...]]:
    lowered = lower_for(program, codes(program, 30), family="xc7", clock_mhz=200, **options)  # pyright: ignore[reportArgumentType]
    made = compile_dataflow(lowered, program_hash="0" * 64)
    modules = tuple(with_copies(module, limit) for module in made.modules)
    return made, Design(name=made.name, modules=modules, claims=made.claims, watch=made.watch), stream_ports(lowered, 0)


@pytest.mark.sim
@pytest.mark.parametrize("options", [{}, {"reuse": 6, "multiplier": "lut"}])
def test_copies_compute_the_same(tmp_path: Path, options: dict[str, object]):
    program = mlp((10, 8, 4), seed=5, output="scores")
    before, after, ports = design(program, 3, **options)
    most, fewer = (max(readers(m).most_common(1)[0][1] for m in d.modules if readers(m)) for d in (before, after))
    assert fewer < most
    assert options or fewer == 3  # inputs that rotate are registers in a loop
    manifest = write_core(after, *ports, program_hash="0" * 64, folder=tmp_path)  # pyright: ignore[reportArgumentType]
    report = simulate_compiled(
        program, manifest, codes(program, 200), folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim"
    )
    require_match(report)
    assert report.latency_cycles == before.claims.latency_cycles
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")


@pytest.mark.synth
def test_yosys_keeps_the_copies(tmp_path: Path):
    (tmp_path / "m.v").write_text(module_text(with_copies(MODULE, 2)).replace("assign o = r;", TAIL))
    report = synthesize(sources=[tmp_path / "m.v"], top="m", family="xc7", out=tmp_path / "out")
    assert report.ff == 12


TAIL = "assign o = r ^ s0[3:0] ^ s1[4:1] ^ {s2[2:0], s2[4]} ^ s3[3:0] ^ s4[4:1];"


def test_only_families_whose_netlists_are_timed_have_copies():
    assert {name for name, row in FAMILIES.items() if row.register_readers} == {"xc7", "xcup"}
