"""Elastic cores in simulation: the laws of boundaries for every kind of unit, and what a broken boundary looks like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import MismatchError
from gatewright.fixedpoint import Ints
from gatewright.ir import Program, print_program
from gatewright.lower.dataflow import Dataflow
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.sim import SimReport, lint, require_match, simulate_compiled
from tests.lower.residual import JOIN, SIZE, residual
from tests.lower.test_elastic import shallower
from tests.lowering import lower_for
from tests.programs import codes, mlp
from tests.rtl.clocked import verilator
from tests.rtl.elastic_batch import simulate_elastic_batch
from tests.rtl.test_hardware import drawn

pytestmark = pytest.mark.sim

X = np.random.default_rng(0).integers(-32, 32, (400, SIZE))
Edit = Callable[[Path, RtlManifest], None]


def run(
    dataflow: Dataflow,
    x: Ints,
    out: Path,
    *,
    stream_bits: int = 0,
    seed: int = 1,
    edit: Edit | None = None,
) -> SimReport:
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=stream_bits, folder=out)
    assert RtlManifest.load(out) == manifest
    if edit is not None:
        edit(out, manifest)
    return simulate_compiled(dataflow.program, manifest, x, folder=out, stall_fraction=0.3, seed=seed, out=out / "sim")


def check(report: SimReport, dataflow: Dataflow, vectors: int) -> None:
    """Check the laws: order and values (require_match), fills, transfers, throughput, the empty design's latency."""
    require_match(report)
    assert len(report.channels) == len(dataflow.channels)
    assert all(c.greatest_fill <= c.depth and c.transfers == (vectors, vectors) for c in report.channels)
    assert report.initiation_interval == report.claimed_initiation_interval >= dataflow.initiation_interval
    assert report.latency_cycles == dataflow.latency_cycles <= report.greatest_latency_cycles


@pytest.mark.slow
@pytest.mark.parametrize(("reuse", "count", "stream_bits"), [(False, 20, 0), (True, 20, 0), (True, 10, 64)])
def test_random_programs_equal_the_interpreter(tmp_path, reuse: bool, count: int, stream_bits: int):
    """Drawn programs, parallel and folded, in one simulation: each transfer of every channel, in order."""
    batch = drawn(count)
    rng = np.random.default_rng(1)
    largest = [max(c.q.size for name, c in p.constants.items() if name.endswith(".weight")) for p in batch]
    factors = [int(rng.integers(1, size + 1)) for size in largest] if reuse else []
    report = simulate_elastic_batch(
        batch,
        out=tmp_path,
        family="xc7",
        clock_mhz=150,
        vectors=200,
        reuse=factors,
        stream_bits=stream_bits,
    )
    first = report.first_mismatch
    if first and (name := first.channel or first.layer).startswith("p"):
        pytest.fail(print_program(batch[int(name[1:].split(".")[0])]) + repr(report.problems))
    require_match(report)
    assert len(report.channels) >= 2 * len(batch)
    assert all(c.greatest_fill <= c.depth and c.transfers == (200, 200) for c in report.channels)
    assert any(c.greatest_fill == c.depth > 1 for c in report.channels), "stalls fill FIFOs"


@pytest.mark.parametrize("options", [{}, {"with_input": True, "reuse": (1, 8)}], ids=["skip", "around a folded layer"])
def test_joins_keep_the_laws(tmp_path, options):
    made = residual(X, **options)
    check(run(made, X, tmp_path), made, len(X))


def rigid_and_elastic(program: Program, x: Ints, reuse: int) -> tuple[Dataflow, Dataflow]:
    rigid = lower_for(program, x, family="ecp5", clock_mhz=60, reuse=reuse)
    return rigid, lower_for(program, x, family="ecp5", clock_mhz=60, reuse=reuse, boundaries="elastic")


@pytest.mark.parametrize(("reuse", "stream_bits"), [(1, 0), (6, 8)])
def test_a_rigid_group_equals_its_elastic_form(tmp_path, reuse: int, stream_bits: int):
    """The same results in the same order under random stalls, and the same interval without, with beats or not."""
    program = mlp((6, 5, 4), seed=3)
    x = codes(program, 200)
    rigid, waits = rigid_and_elastic(program, x, reuse)
    first = run(rigid, x, tmp_path / "rigid", stream_bits=stream_bits)
    second = run(waits, x, tmp_path / "elastic", stream_bits=stream_bits)
    require_match(first)
    check(second, waits, len(x))
    assert first.channels == ()
    assert first.initiation_interval == second.initiation_interval
    assert "channels" not in (tmp_path / "rigid" / "sim" / "report.json").read_text()
    assert SimReport.load(tmp_path / "elastic" / "sim" / "report.json").channels == second.channels


@pytest.mark.parametrize(("reuse", "stream_bits"), [(1, 8), (4, 0)])
def test_lint_is_clean(tmp_path, reuse: int, stream_bits: int):
    made = residual(X[:20], reuse=(1, reuse), with_input=True, family="ecp5")
    manifest = write_design(made, program_hash="0" * 64, stream_bits=stream_bits, folder=tmp_path)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")


def replaced(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path, manifest: RtlManifest) -> None:
        path = folder / (name or f"{manifest.core}.v")
        text = path.read_text()
        assert text.count(old) == 1, f"{path.name} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))

    return edit


# what is broken -> (the edit, what the message must say)
MUTANTS: dict[str, tuple[Edit, str]] = {
    "a wrong lane": (
        replaced("", "c1_fc1_relu_3 = c1_fc1_relu_word[37:29]", "c1_fc1_relu_3 = c1_fc1_relu_word[8:0]"),
        r"channel 'fc1\.relu -> residual_after_fc1\.relu', lane 3, cycle \d+ at full rate \(transfer \d+\): expected ",
    ),
    "a credit, never given back": (
        replaced("gw_channel.v", ".inc(out_valid && out_ready),", ".inc(1'b0),"),
        r"time-out: .* nothing moves",
    ),
    "a credit too many": (
        replaced("gw_channel.v", ".START(DEPTH)", ".START(DEPTH + 1)"),
        r"channel '[^']+' holds more than the \d+ words of its depth \(",
    ),
    "a word, lost where it was to be written": (
        replaced("gw_channel.v", ".in_valid(in_valid),", ".in_valid(in_valid && in_data[3:0] != 4'd5),"),
        r"channel '[^']+' made \d+ transfers, expected 400",
    ),
    "a start that does not wait for all that it reads": (
        replaced("", "(c2_fc1_relu_valid & c3_fc2_valid) & ", "c2_fc1_relu_valid & "),
        r"channel 'sum -> output', lane \d, cycle \d+ at full rate \(transfer \d+\): expected ",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTANTS)
def test_a_broken_boundary_is_caught(tmp_path, broken: str):
    edit, message = MUTANTS[broken]
    report = run(residual(X), X, tmp_path, edit=edit)
    with pytest.raises(MismatchError, match=f"^hardware != program: .*{message}"):
        require_match(report)


@pytest.mark.slow
def test_a_skip_one_word_too_shallow_is_caught(tmp_path):
    """Nothing is wrong or lost: it costs throughput, which the judge compares with the claim."""
    made = residual(X)
    (skip,) = (c for c in made.channels if c.value == "fc1.relu" and c.consumer == JOIN)
    report = run(shallower(made, skip), X, tmp_path)
    assert (report.mismatches, report.wrong_probes) == (0, 0)
    with pytest.raises(MismatchError, match=r"^hardware != program: initiation interval is 2 cycles, claimed 1; log"):
        require_match(report)


DEPTHS = (1, 2, 3, 5, 8)


@pytest.mark.slow
@pytest.mark.parametrize("block", [0, 1], ids=["read without a clock", "block RAM"])
def test_channels_promise_and_keep(tmp_path, block: int):
    """gw_channel against its contract, cycle by cycle: room, order, no word before it was written, places freed."""
    ports = "\n".join(
        f"    input wire reserve{d}, in_valid{d}, out_ready{d}, input wire [7:0] in{d}, output wire room{d}, valid{d}, "
        f"output wire [7:0] out{d}{',' * (d != DEPTHS[-1])}"
        for d in DEPTHS
    )
    cells = "\n".join(
        f"    gw_channel #(.WIDTH(8), .DEPTH({d}), .BLOCK({block})) u{d} (.clk(clk), .rst_n(rst_n), "
        f".reserve(reserve{d}), .room(room{d}), .in_data(in{d}), .in_valid(in_valid{d}), "
        f".out_data(out{d}), .out_valid(valid{d}), .out_ready(out_ready{d}));"
        for d in DEPTHS
    )
    for name in ("gw_channel", "gw_credit", "gw_fifo"):
        source = Path(__file__).parents[2] / "src" / "gatewright" / "rtl" / "leaf" / f"{name}.v"
        (tmp_path / f"{name}.v").write_text(source.read_text())
    (tmp_path / "top.v").write_text(f"module top (\n    input wire clk, rst_n,\n{ports}\n);\n{cells}\nendmodule\n")
    cycles, rng = 1500, np.random.default_rng(5)
    inputs, outputs = {"rst_n": 1}, {}
    values: dict[str, Ints] = {"rst_n": np.ones(cycles, np.int64)}
    values["rst_n"][:3] = values["rst_n"][700:702] = 0
    want: dict[str, list[int | None]] = {}
    for d in DEPTHS:
        inputs |= {f"reserve{d}": 1, f"in_valid{d}": 1, f"out_ready{d}": 1, f"in{d}": 8}
        outputs |= {f"room{d}": 1, f"valid{d}": 1, f"out{d}": 8}
        drawn_values, seen = channel_meaning(d, values["rst_n"], rng)
        values |= {f"{name}{d}": column for name, column in drawn_values.items()}
        want |= {f"{name}{d}": column for name, column in seen.items()}
    got = verilator(tmp_path, "top", inputs, outputs, values)
    for name, column in want.items():
        known = np.array([value is not None for value in column])
        assert known.sum() > cycles // 4, name
        assert got[name][known].tolist() == [value for value in column if value is not None], name


def channel_meaning(
    depth: int, rst_n: Ints, rng: np.random.Generator
) -> tuple[dict[str, Ints], dict[str, list[int | None]]]:
    """Draw a user that keeps the contract; return its inputs, and outputs by the contract: None where any will do."""
    given = {name: np.zeros(len(rst_n), np.int64) for name in ("reserve", "in_valid", "out_ready", "in")}
    seen: dict[str, list[int | None]] = {"room": [], "valid": [], "out": []}
    used, stored, on_the_way = 0, list[int](), list[int]()
    room = valid = False
    started = False
    for cycle, running in enumerate(rst_n):
        started = started or not running
        known = started and cycle > 0
        seen["room"].append(int(room) if known else None)
        seen["valid"].append(int(valid) if known else None)
        seen["out"].append(stored[0] if known and valid else None)
        ready = rng.random() < (0.2 if cycle // 200 % 2 else 0.7)
        reserve = bool(running) and room and rng.random() < 0.7
        write = bool(running) and bool(on_the_way) and on_the_way[0] <= cycle
        word = int(rng.integers(0, 256))
        given["reserve"][cycle], given["in_valid"][cycle] = reserve, write
        given["out_ready"][cycle], given["in"][cycle] = ready, word
        if valid and ready:
            stored.pop(0)
            used -= 1
        if reserve:
            used += 1
            on_the_way.append(
                cycle + 1 + int(rng.integers(0, 3)) if not on_the_way else max(cycle + 1, on_the_way[-1] + 1)
            )
        if write:
            on_the_way.pop(0)
            stored.append(word)
        if not running:
            used, stored, on_the_way = 0, [], []
        room, valid = bool(running) and used < depth, bool(stored)
    return given, seen


def test_the_dataflow_of_a_manifest_stays_whole(tmp_path):
    """Channels survive design.json, and what a rigid design writes has none of it."""
    program = mlp((6, 5, 4), seed=3)
    rigid, waits = rigid_and_elastic(program, codes(program, 20), 1)
    for made, name in ((rigid, "rigid"), (waits, "elastic")):
        manifest = write_design(made, program_hash="0" * 64, stream_bits=16, folder=tmp_path / name)
        assert RtlManifest.load(tmp_path / name) == manifest
        assert manifest.elastic is (name == "elastic")
    assert "channels" not in (tmp_path / "rigid" / "design.json").read_text()
    assert not (tmp_path / "rigid" / "lowered.txt").exists()
    assert dataclasses.replace(waits, channels=rigid.channels).elastic is False
