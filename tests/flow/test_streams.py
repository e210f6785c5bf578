"""Programs of images through the commands: estimates, and what is refused before anything is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatewright.cli.main import main
from gatewright.ir import Program, save_program
from gatewright.ir.ops import Relu
from tests.lower.test_streams import residual, signal, small


def command(tmp_path: Path, program: Program, *given: str) -> Result:
    save_program(program, tmp_path / "program.txt")
    name, *rest = given
    return CliRunner().invoke(main, [name, str(tmp_path / "program.txt"), *rest])


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        (("--stream",), 64),
        (("--stream", "--pixels-per-beat", "8", "--interval", "30"), 30),
        (("--stream", "--interval", "fit", "--part", "ICE40HX1K", "--clock-mhz", "40"), 64 * 7 * 5),
        (("--stream", "--pixels-per-beat", "8", "--frames-per-second", "5e6"), 40),
    ],
)
def test_estimates_of_streams(tmp_path, options: tuple[str, ...], interval: int):
    done = command(tmp_path, signal(64, 3, 5), "estimate", *options)
    assert done.exit_code == 0, done.output
    figures = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert int(figures["initiation_interval"]) <= interval
    assert int(figures["lut"]) > 100


@pytest.mark.parametrize(
    ("program", "settings", "message"),
    [
        (residual(), ("hardware.pixels_per_beat=5",), "pixels_per_beat must divide the 64 positions of the input"),
        (residual(), ("hardware.stream_bits=24",), "stream_bits must divide a beat of the result"),
        (
            small(Relu(name="r", layer="r", source="x"), output="r"),
            ("hardware.reuse_factor=4",),
            'reuse_factor must be 1 with architecture "stream"',
        ),
        (residual(), ("hardware.part=ICE40HX1K", "hardware.interval=fit"), "no interval fits (hardware.interval"),
        (
            residual(),
            ("hardware.interval=900", "hardware.frames_per_second=10"),
            "interval (900) and frames_per_second (10) both say how long a frame may take; leave one out",
        ),
    ],
)
def test_what_cannot_be_built_ends_with_status_2(tmp_path, program: Program, settings: tuple[str, ...], message: str):
    given = ["--set", "hardware.architecture=stream", "--out", str(tmp_path / "out")]
    done = command(tmp_path, program, "build", *given, *(word for s in settings for word in ("--set", s)))
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert not (tmp_path / "out" / "rtl").exists()


def test_an_image_that_is_folded_without_streams_says_what_to_set(tmp_path):
    given = ("--set", "hardware.reuse_factor=4", "--set", "hardware.architecture=folded")
    done = command(tmp_path, residual(), "build", "--out", str(tmp_path / "out"), *given)
    assert done.exit_code == 2
    assert 'set hardware.architecture = "stream"' in done.output
    assert not (tmp_path / "out").exists()
