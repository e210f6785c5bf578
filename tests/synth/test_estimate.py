"""The estimate beside yosys' counts on small networks; `python -m benchmarks estimate` has the large ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewright.chips import Family
from gatewright.lower.cost.sites import adder_sites
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import estimate
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.synth import SynthReport, synthesize
from tests.lowering import lower_for
from tests.programs import codes, mlp

# relative errors of LUT sites and flip-flops that hold for this network
ALLOWED: dict[Family, tuple[float, float]] = {"xc7": (0.05, 0.10), "ecp5": (0.05, 0.10), "gowin": (0.05, 0.10)}


def compiled(folder: Path, family: Family) -> tuple[Dataflow, RtlManifest]:
    program = mlp((8, 8, 4), seed=4, weight_bits=4, sparsity=0.4)
    lowered = lower_for(program, codes(program, 50), family=family, clock_mhz=100.0)
    hashed = "0" * 64
    return lowered, write_design(lowered, program_hash=hashed, stream_bits=0, folder=folder)


def synthesized(folder: Path, manifest: RtlManifest, family: Family, out: Path) -> SynthReport:
    return synthesize(sources=manifest.sources(folder), top=manifest.core, family=family, out=out)


@pytest.mark.synth
@pytest.mark.parametrize("family", ALLOWED)
def test_estimate_is_near_what_yosys_counts(tmp_path: Path, family: Family):
    lowered, manifest = compiled(tmp_path, family)
    report = synthesized(tmp_path, manifest, family, tmp_path / "out")
    guess = estimate(lowered)
    lut = report.lut if family == "xc7" else report.sites
    assert abs(guess.lut / lut - 1) <= ALLOWED[family][0], (guess.lut, lut)
    assert abs(guess.ff / report.ff - 1) <= ALLOWED[family][1], (guess.ff, report.ff)


@pytest.mark.synth
def test_kept_sums_take_fewer_sites_on_ecp5(tmp_path: Path):
    _, manifest = compiled(tmp_path, "ecp5")
    kept = synthesized(tmp_path, manifest, "ecp5", tmp_path / "kept")
    for path in manifest.sources(tmp_path):
        path.write_text(path.read_text().replace("`define GW_KEEP (* keep *)", "`define GW_KEEP"))
    merged = synthesized(tmp_path, manifest, "ecp5", tmp_path / "merged")
    assert kept.sites < merged.sites
    assert kept.ff == merged.ff


@pytest.mark.parametrize("family", ["ecp5", "xc7", "intel"])
def test_sums_are_kept_for_yosys_only(tmp_path: Path, family: Family):
    _, manifest = compiled(tmp_path, family)
    text = "".join(path.read_text() for path in manifest.sources(tmp_path))
    assert ("`GW_KEEP wire" in text) == (family == "ecp5")
    assert text.count("(* keep *)") == text.count("`ifdef YOSYS\n`define GW_KEEP (* keep *)\n`else\n")


def test_adder_sites_of_each_family():
    assert [adder_sites("ecp5", bits) for bits in (3, 4, 5, 6, 7)] == [3, 10, 6, 6, 8]
    assert adder_sites("ecp5", 4, constant=True) == 4
    assert adder_sites("nexus", 6) == 8
    assert [adder_sites(family, 6, minus=True) for family in ("ice40", "gatemate", "gowin")] == [11, 11, 6]
