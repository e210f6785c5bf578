"""One place tells the compiler what [hardware] says: estimates, fronts, budgets and search cost what is built."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright import estimate_program
from gatewright.chips import part
from gatewright.cli.main import main
from gatewright.config import Config, parse_config
from gatewright.errors import ConfigError, LowerError
from gatewright.fixedpoint import Ints
from gatewright.flow.build import build_program
from gatewright.flow.lowering import choices_of, cost_as_built, lowering_settings, target_of
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.hardware import Hardware
from gatewright.ir import Const, Constant, Mul, Program, save_program
from gatewright.lower.target import Room
from tests.programs import codes, mlp, sparse_mlp

TABLES = sparse_mlp((9, 8, 6, 3), seed=3, fan_in=3)  # three layers of 2-bit values
DENSE = mlp((8, 10, 4), seed=3, output="scores")


def config(**hardware: Any) -> Config:
    return parse_config({"name": "net", "data": {"source": "x.csv"}, "hardware": hardware})


def built(program: Program, settings: Config, x: Ints, folder: Path) -> dict[str, Any]:
    """Return the stage rtl's estimate of a program, and its claims."""
    directory = RunDirectory(folder)
    directory.folder("program").mkdir(parents=True)
    save_program(program, directory.folder("program") / "program.txt")
    stages = Hardware(
        config=settings, directory=directory, part=part("XC7A35T"), board=None, vectors=lambda: x, reads=("program",)
    )
    (folder / "rtl").mkdir()
    stages.stages()[0].run(folder / "rtl")
    manifest = json.loads((folder / "rtl" / "design.json").read_text())
    return manifest["claims"] | json.loads((folder / "rtl" / "estimate.json").read_text())


class _StopError(Exception):
    """The Verilog is written: no simulation."""


def _until_sim(stage: Stage, _status: str) -> None:
    if stage.name == "sim":
        raise _StopError


def test_an_estimate_compiles_the_program_as_a_build_does(tmp_path: Path):
    """x * 3 becomes a dense layer, which may be folded; both are costed so."""
    ops = (DENSE.ops[0], Const(name="c", layer="c", value="c"), Mul(name="s", layer="s", left="x", right="c"))
    rest = tuple(replace(op, source="s") if getattr(op, "source", "") == "x" else op for op in DENSE.ops[1:])
    program = replace(DENSE, ops=(*ops, *rest), constants={**DENSE.constants, "c": Constant(np.full(8, 3), 0)})
    save_program(program, tmp_path / "program.txt")
    hardware = {"part": "XC7A35T", "clock_mhz": 100, "architecture": "folded", "reuse_factor": 4}
    printed = estimate_program(tmp_path / "program.txt", **hardware)
    out = tmp_path / "out"
    with pytest.raises(_StopError):
        build_program(tmp_path / "program.txt", out, codes=codes(program, 20), hardware=hardware, notify=_until_sim)
    saved = json.loads((out / "rtl" / "estimate.json").read_text())
    assert {key: saved[key] for key in ("lut", "ff", "adders", "latency_cycles")} == {
        key: printed[key] for key in ("lut", "ff", "adders", "latency_cycles")
    }


@pytest.mark.parametrize(
    ("program", "hardware"),
    [
        (TABLES, {"truth_tables": "auto"}),
        (TABLES, {"truth_tables": "never"}),
        (DENSE, {"architecture": "folded", "reuse_factor": (8, 1), "multiplier": "dsp"}),
        (DENSE, {"architecture": "folded", "reuse_factor": 20, "multiplier": "lut"}),
        (DENSE, {"clock_mhz": 0, "max_latency_cycles": 4}),
    ],
)
def test_every_cost_is_that_of_what_is_built(tmp_path: Path, program: Program, hardware: dict[str, Any]):
    settings, x = config(**hardware), codes(program, 200)
    found = built(program, settings, x, tmp_path)
    cost = cost_as_built(program, x, settings, part("XC7A35T"))
    save_program(program, tmp_path / "program.txt")
    printed = estimate_program(tmp_path / "program.txt", **hardware)
    for key in ("lut", "ff", "dsp", "bram", "adders", "latency_cycles", "latency_ns"):
        assert getattr(cost, key) == printed[key] == found[key]
    assert printed["clock_mhz"] == found["clock_mhz"]
    assert printed["initiation_interval"] == found["initiation_interval"]


def test_truth_tables_and_folding_change_the_cost():
    """Else the test above could not fail."""
    x, chip = codes(TABLES, 200), part("XC7A35T")
    tables, sums = (cost_as_built(TABLES, x, config(truth_tables=word), chip).lut for word in ("auto", "never"))
    assert tables < sums
    dense = codes(DENSE, 200)
    unrolled = cost_as_built(DENSE, dense, config(), chip)
    folded = cost_as_built(DENSE, dense, config(architecture="folded", reuse_factor=20), chip)
    assert (folded.lut, folded.dsp > 0) != (unrolled.lut, False)


def test_a_limit_that_cannot_be_kept_is_costed_without():
    x, chip = codes(DENSE, 50), part("XC7A35T")
    free = cost_as_built(DENSE, x, config(clock_mhz=400), chip)
    assert cost_as_built(DENSE, x, config(clock_mhz=400, max_latency_cycles=2), chip) == free
    with pytest.raises(
        LowerError, match=r"hardware\.reuse_factor must be 1\.\.80 .* not 81; the nearest legal one is 80"
    ):
        cost_as_built(DENSE, x, config(architecture="folded", reuse_factor=81), chip)
    chosen = cost_as_built(DENSE, x, config(clock_mhz=0, max_latency_ns=0.5), chip)
    assert chosen == cost_as_built(DENSE, x, config(clock_mhz=200), chip)


def test_keys_hold_what_lowering_is_told():
    """A stage that costs networks runs again where the chip, the clock or the architecture changes."""
    keys = [
        json.dumps(lowering_settings(settings, part(chip)))
        for settings, chip in (
            (config(), "XC7A35T"),
            (config(), "LFE5U-25F"),
            (config(clock_mhz=100), "XC7A35T"),
            (config(truth_tables="never"), "XC7A35T"),
            (config(architecture="folded", reuse_factor=2), "XC7A35T"),
            (config(architecture="folded", multiplier="dsp"), "XC7A35T"),
            (config(max_latency_ns=90), "XC7A35T"),
        )
    ]
    assert len(set(keys)) == len(keys)
    assert target_of(config(), part("XC7A35T")).room == Room(lut=20_800, ff=41_600, dsp=90, bram=100)
    assert choices_of(config()).boundaries == "rigid"


def test_estimate_on_the_command_line(tmp_path: Path):
    save_program(TABLES, tmp_path / "program.txt")

    def lut(*words: str) -> int:
        done = CliRunner().invoke(main, ["estimate", str(tmp_path / "program.txt"), *words])
        assert done.exit_code == 0, done.output
        return int(dict(line.split(maxsplit=1) for line in done.output.splitlines())["lut"])

    assert lut() == lut("--truth-tables", "auto") < lut("--truth-tables", "never")


def test_unknown_settings_are_named(tmp_path: Path):
    save_program(TABLES, tmp_path / "program.txt")
    with pytest.raises(ConfigError, match=r"unknown key 'hardware\.truth_table'. Did you mean 'truth_tables'"):
        estimate_program(tmp_path / "program.txt", truth_table="never")
    assert np.isfinite(estimate_program(tmp_path / "program.txt")["fmax_mhz"])
