"""Units on streams in simulation: drawn programs with stalls and torn frames, real networks, and broken designs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError, MismatchError
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program, load_program, print_program
from gatewright.ir.ops import Conv, Input
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.streaming.tokens import steady
from gatewright.lower.target import Engine
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.sim import SimReport, lint, require_match, simulate_compiled
from gatewright.synth.yosys import synthesize
from tests.images import divisors, image_programs
from tests.lower.test_recurrent import recurrent
from tests.lower.test_streams import moving, residual, signal, stream
from tests.lowering import lower_for
from tests.rtl.stream_batch import simulate_streams
from tests.rtl.test_elastic import Edit

pytestmark = pytest.mark.sim

FAMILIES = (("xc7", 200.0), ("ice40", 40.0), ("ecp5", 80.0))


def drawn(count: int, start: int) -> list[Program]:
    found: list[Program] = []

    @seed(start)
    @given(st.one_of(image_programs(layers=3), image_programs(layers=3, moves=True)))
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    def grow(program: Program) -> None:
        found.append(dataclasses.replace(program, name=f"d{len(found)}"))

    grow()
    return found


@pytest.mark.parametrize(
    ("count", "start"),
    [(4, 11), pytest.param(40, 13, marks=pytest.mark.slow)],
)
def test_drawn_programs_equal_the_interpreter(tmp_path, count: int, start: int):
    """Every result beat and TLAST, at full rate and with stalls; torn frames give null beats; intervals as claimed."""
    designs: list[Dataflow] = []
    for number, program in enumerate(drawn(count, start)):
        family, clock_mhz = FAMILIES[number % 3]
        x = random_codes(program, 8, seed=1)
        settings: tuple[dict[str, Any], ...] = (
            {"pixels_per_beat": divisors(program)[-1]},
            {"engine": "folded", "interval": (0, 600)[number % 4 > 1], "multiplier": ("dsp", "lut")[number % 8 > 3]},
        )
        try:
            made = lower_for(program, x, family=family, clock_mhz=clock_mhz, stream="always", **settings[number % 2])
        except LowerError:  # what so many pixels a beat do not suit, or so few cycles
            made = lower_for(program, x, family=family, clock_mhz=clock_mhz, stream="always")
        designs.append(made)
    inputs = [random_codes(made.program, 8, seed=2) for made in designs]
    for made, seen in zip(designs, simulate_streams(designs, inputs, tmp_path), strict=True):
        assert not seen.wrong, f"{seen.wrong}\n{print_program(made.program)}"
        gaps = [b - a for a, b in pairwise(seen.ends)]
        assert max(steady(gaps)) == made.initiation_interval, print_program(made.program)


def run(made: Dataflow, out: Path, *, frames: int = 12, edit: Edit | None = None) -> SimReport:
    manifest = write_design(made, program_hash="0" * 64, stream_bits=0, folder=out)
    assert RtlManifest.load(out) == manifest
    if edit is not None:
        edit(out, manifest)
    x = random_codes(made.program, frames, seed=3)
    return simulate_compiled(made.program, manifest, x, folder=out, stall_fraction=0.3, seed=1, out=out / "sim")


def skip() -> Dataflow:
    program = residual()
    return lower_for(program, random_codes(program, 6), family="xc7", clock_mhz=200, stream="always")


def test_beats_are_regrouped_for_steps(tmp_path):
    """Beats of 8 samples, steps of 6: what is left over waits, and the last step has fewer."""
    program = signal(64, 3, 5)
    made = lower_for(program, random_codes(program, 6), family="xc7", clock_mhz=200, stream="always", pixels_per_beat=8)
    report = run(made, tmp_path)
    require_match(report)
    assert report.initiation_interval == made.initiation_interval


@pytest.mark.parametrize("program", [residual, pytest.param(moving, marks=pytest.mark.slow)])
def test_every_beat_on_every_channel_is_the_programs(tmp_path, program: Callable[[], Program]):
    made = stream(program())
    report = run(made, tmp_path)
    require_match(report)
    assert [c.transfers for c in report.channels] == [(12 * c.stream.beats,) * 2 for c in made.channels]
    assert all(c.greatest_fill <= c.depth for c in report.channels)
    assert (report.latency_cycles, report.initiation_interval) == (made.latency_cycles, made.initiation_interval)


@pytest.mark.parametrize(
    ("kind", "clock_mhz", "fields", "interval"),
    [
        ("rnn", 1.0, {"sequences": False}, 0),
        pytest.param("lstm", 200.0, {"backwards": True}, 0, marks=pytest.mark.slow),
        pytest.param("lstm", 40.0, {"units": 4}, 5 * 40, marks=pytest.mark.slow),
    ],
)
def test_recurrent_cells(tmp_path, kind: str, clock_mhz: float, fields: dict[str, Any], interval: int):
    """A state that stays for a cycle, one that goes through a pipeline, one of units that take turns; backwards too."""
    program = recurrent(kind, **fields)
    engine = "folded" if interval else "parallel"
    made = lower_for(
        program,
        random_codes(program, 6),
        family="ice40",
        clock_mhz=clock_mhz,
        stream="always",
        interval=interval,
        engine=engine,
    )
    report = run(made, tmp_path, frames=50)
    require_match(report)
    assert (report.latency_cycles, report.initiation_interval) == (made.latency_cycles, made.initiation_interval)
    manifest = RtlManifest.load(tmp_path)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")


@pytest.mark.parametrize("family", ["xc7", "ice40"])
def test_lint_is_clean(tmp_path, family: str):
    program = drawn(6, 21)[5]
    cases: tuple[tuple[Program, Engine], ...] = (
        (program, "auto"),
        (residual(), "auto"),
        (residual(), "folded"),
        (moving(), "auto"),
    )
    for number, (each, engine) in enumerate(cases):
        x, tables = random_codes(each, 6), False
        made = lower_for(
            each, x, family=family, clock_mhz=40, stream="always", truth_tables=tables, engine=engine, interval=2000
        )
        folder = tmp_path / str(number)
        manifest = write_design(made, program_hash="0" * 64, stream_bits=0, folder=folder)
        lint(sources=manifest.sources(folder), top=manifest.top, out=folder / "lint")


def test_narrow_buses_must_divide_a_beat(tmp_path):
    made = skip()
    with pytest.raises(
        LowerError, match=r"stream_bits must divide a beat of the result, 2 lanes of 16 bits, not be 24"
    ):
        write_design(made, program_hash="0" * 64, stream_bits=24, folder=tmp_path / "no")
    manifest = write_design(made, program_hash="0" * 64, stream_bits=8, folder=tmp_path / "yes")
    x = random_codes(made.program, 6, seed=3)
    folder = tmp_path / "yes"
    report = simulate_compiled(made.program, manifest, x, folder=folder, stall_fraction=0.3, seed=1, out=folder / "sim")
    require_match(report)
    assert report.initiation_interval == manifest.stream_interval == 64 * 4


# what is broken -> (file, from, to, what the message must say)
MUTANTS: dict[str, tuple[str, str, str, str]] = {
    "a mask at the left": (
        "residual_a_window.v",
        "& (column == 3'd1);",
        "& (column == 3'd2);",
        "channel 'a.relu -> b'",
    ),
    "a line that is read late": ("residual_b_window.v", "_ram[column];", "_ram[column + 1'b1];", "channel 'b -> sum'"),
    "a window too few": (
        "residual_a_window.v",
        "assign will = row_fires;",
        "assign will = row_fires && row != 3'd5;",
        "channel 'a.relu -> b'",
    ),
    "a skip that forgets a place": ("gw_channel.v", ".inc(out_valid && out_ready),", ".inc(1'b0),", "time-out"),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", MUTANTS)
def test_a_broken_design_is_caught(tmp_path, broken: str):
    name, old, new, message = MUTANTS[broken]

    def edit(folder: Path, manifest: RtlManifest) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text, f"{name} holds no {old!r}"
        path.write_text(text.replace(old, new, 1))

    report = run(skip(), tmp_path, edit=edit)
    with pytest.raises(MismatchError, match=f"^hardware != program: .*{message}"):
        require_match(report)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.torch
@pytest.mark.parametrize(
    ("model", "input_format", "pixels", "beats", "interval"),
    [
        ("ravel/cnn_for_arianna.keras", "", 1, 1024, 1024),
        ("ravel/cnn_for_arianna.keras", "", 32, 32, 43),  # 8 frames of 4 channels a beat; RAVEL's own: 51
        ("example_models/keras/qkeras_mnist_cnn.json", "ufixed<8,0>", 1, 784, 784),
    ],
)
def test_real_networks_from_file_to_simulation(
    tmp_path, shared_data, model: str, input_format: str, pixels: int, beats: int, interval: int
):
    from click.testing import CliRunner

    from gatewright.cli.main import main

    given = ["import", str(shared_data / "models" / model), "--program", str(tmp_path / "program.txt")]
    done = CliRunner().invoke(main, [*given, *(["--input-format", input_format] if input_format else [])])
    assert done.exit_code == 0, done.output
    program = load_program(tmp_path / "program.txt")
    x = random_codes(program, 4)
    made = lower_for(program, x, family="xc7", clock_mhz=200, stream="always", pixels_per_beat=pixels)
    assert (made.source.stream.beats, made.initiation_interval) == (beats, interval)
    require_match(run(made, tmp_path / "rtl", frames=12))
    assert np.array_equal(made.replay(x), Interpreter(program).run(x))


@pytest.mark.synth
@pytest.mark.parametrize(
    ("channels", "columns", "padding", "sites", "ff"),
    [(16, 32, 0, 229, 1323), (16, 32, 1, 229, 1600), (3, 34, 0, 112, 295)],
)
def test_a_line_buffer_takes_what_it_must(tmp_path, channels: int, columns: int, padding: int, sites: int, ff: int):
    """Windows of 3 x 3, 8 bit, all at once: at most 0.8 of the LUT sites and 0.9 of the flip-flops of FINN's library.

    FINN's, without padding, through the same yosys: 287 and 1,470 for 16 channels, 140 and 328 for 3.
    """
    constants = {"w": Constant(np.ones((3, 3, channels, 1), np.int64), 0), "b": Constant(np.zeros(1, np.int64), 0)}
    fixed = Fixed(width_bits=8, frac_bits=0, signed=True)
    pads = ((padding, padding),) * 2
    conv = Conv(
        name="c", layer="c", source="x", weight="w", bias="b", strides=(1, 1), dilation=(1, 1), pads=pads, groups=1
    )
    ops = (Input(name="x", layer="input", shape=(columns, columns, channels), format=fixed), conv)
    program = Program(name="lines", ops=ops, output="c", constants=constants)
    made = lower_for(program, random_codes(program, 2), family="xc7", clock_mhz=100, stream="always")
    assert made.initiation_interval == columns * columns
    write_design(made, program_hash="0" * 64, stream_bits=0, folder=tmp_path)
    sources = [tmp_path / "lines_c_window.v"]
    report = synthesize(sources=sources, top="lines_c_window", family="xc7", out=tmp_path / "synth")
    assert report.lut + report.lutram + report.srl <= sites
    assert report.ff <= ff
    assert report.bram == 0
