"""The report's text, its JSON, and what the judge makes of a recording; no simulator runs here."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import GatewrightError, MismatchError
from gatewright.rtl.beats import pack
from gatewright.rtl.shell import StreamPort
from gatewright.sim import (
    Bench,
    ChannelReport,
    Device,
    Mismatch,
    SimReport,
    Speed,
    Trial,
    Vectors,
    require_match,
    run_bench,
)
from gatewright.sim.judge import Phase, Recording, judge

GOOD = SimReport(
    vectors=1000,
    mismatches=0,
    latency_cycles=8,
    initiation_interval=1,
    claimed_latency_cycles=8,
    claimed_initiation_interval=1,
    transfer_latency_cycles=9,
    probes=20,
    probes_compared=40000,
    wrong_probes=0,
    simulator="Verilator 5.48.0",
    stall_fraction=0.3,
    seed=1,
    first_mismatch=None,
    faults=(),
    hint="",
    log="/run/sim.log",
)
FIRST = Mismatch(layer="fc1", element=3, phase="at full rate", cycle=17, vector=4, expected=12, got=13)
WHERE = "layer 'fc1', element 3, cycle 17 at full rate (vector 4): expected 12, got 13 (difference +1 LSB)"


def test_a_match_passes():
    require_match(GOOD)
    assert GOOD.problems == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"first_mismatch": FIRST, "mismatches": 37},
            f"{WHERE}; 37 of 1000 vectors wrong",
        ),
        (
            {"first_mismatch": FIRST, "wrong_probes": 5},
            f"{WHERE}; 5 of 40000 probed values wrong, all results right",
        ),
        (
            {"latency_cycles": 9, "initiation_interval": 2},
            "latency is 9 cycles, claimed 8; initiation interval is 2 cycles, claimed 1",
        ),
        ({"faults": ("a", "b")}, "a; b"),
    ],
)
def test_the_message(changes, message: str):
    with pytest.raises(MismatchError) as caught:
        require_match(dataclasses.replace(GOOD, **changes))
    assert str(caught.value) == f"hardware != program: {message}; log /run/sim.log"


ON_CHANNEL = dataclasses.replace(FIRST, layer="", channel="fc1 -> fc2")
ELASTIC = dataclasses.replace(
    GOOD,
    channels=(ChannelReport(channel="fc1 -> fc2", depth=4, greatest_fill=3, transfers=(1000, 1000)),),
    greatest_latency_cycles=11,
)


def test_an_elastic_core_claims_no_latency():
    require_match(dataclasses.replace(ELASTIC, latency_cycles=9))
    with pytest.raises(MismatchError, match="initiation interval is 2 cycles, claimed 1"):
        require_match(dataclasses.replace(ELASTIC, initiation_interval=2))


def test_a_difference_on_a_channel_names_it():
    with pytest.raises(MismatchError, match=r"channel 'fc1 -> fc2', lane 3, cycle 17 at full rate \(transfer 4\): exp"):
        require_match(dataclasses.replace(ELASTIC, first_mismatch=ON_CHANNEL, wrong_probes=1))


def test_channels_are_saved_for_elastic_cores_alone(tmp_path: Path):
    for report, name in ((ELASTIC, "elastic.json"), (GOOD, "rigid.json")):
        report.save(tmp_path / name)
        assert dataclasses.replace(SimReport.load(tmp_path / name), log=report.log) == report
    assert "channels" not in (tmp_path / "rigid.json").read_text()
    assert "greatest_latency" not in (tmp_path / "rigid.json").read_text()


def test_nothing_measured_is_no_match():
    with pytest.raises(MismatchError, match="too few results came out to measure latency and initiation interval"):
        require_match(dataclasses.replace(GOOD, latency_cycles=-1, initiation_interval=0))


def test_save_and_load(tmp_path: Path):
    report = dataclasses.replace(GOOD, first_mismatch=FIRST, faults=("a",))
    report.save(tmp_path / "a.json")
    timed = dataclasses.replace(
        report, speed=Speed(build_cpu_seconds=1.0, run_cpu_seconds=2.0, vectors_per_second=3.0), log="/elsewhere"
    )
    timed.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert dataclasses.replace(SimReport.load(tmp_path / "a.json"), log=report.log) == report


def test_a_file_that_is_no_report(tmp_path: Path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(
        GatewrightError, match=r"x\.json is no simulation report: 'first_mismatch'; delete the folder .* and run again"
    ):
        SimReport.load(tmp_path / "x.json")


PORT = StreamPort(elements=2, width_bits=6, signed=True, beat_bits=8)
DEVICE = Device(sources=(), top="net", source=PORT, result=PORT)
BENCH = Bench(program=Path("bench"), device=DEVICE, simulator="none", build_cpu_seconds=0.0)
TRIAL = Trial(latency_cycles=3, initiation_interval=2, stall_fraction=0.0, seed=1)


def judged(got, *, expected, tlast=None, came_out=None) -> SimReport:
    """Judge a recording in which vector k enters at 2k and leaves the core after 3, the stream after 5 cycles."""
    count = len(expected)
    when = 2 * np.arange(count)[:, None] + np.array([0, 1, 4, 6])
    last = np.ones((2, count), bool)
    words = pack(PORT, np.asarray(got))[:came_out]
    ends = np.tile(np.array([0, 1], np.uint8), count) if tlast is None else tlast
    if came_out is not None:
        when[came_out:, 2:] = -1
        ends = ends[: 2 * came_out]
    phase = Phase(results=words, tlast=ends, cycles=when)
    summary = {"faults": [], "channels": [], "first": None, "probes_compared": 0, "wrong_probes": 0}
    recording = Recording(summary=summary, phases=(phase, phase))
    return judge(BENCH, recording, np.asarray(expected), last, TRIAL, log=Path("log"), speed=None)


VALUES = np.array([[k, -k] for k in range(12)])


def test_judge_measures():
    report = judged(VALUES, expected=VALUES)
    require_match(report)
    assert (report.latency_cycles, report.initiation_interval, report.transfer_latency_cycles) == (3, 2, 6)


def test_judge_finds_the_first_wrong_element():
    got = VALUES.copy()
    got[7, 1] += 2
    got[9, 0] -= 1
    report = judged(got, expected=VALUES)
    assert report.mismatches == 2
    assert report.first_mismatch == Mismatch(
        layer="output", element=1, phase="at full rate", cycle=20, vector=7, expected=-7, got=-5
    )


def test_judge_counts_missing_results_as_wrong():
    assert judged(VALUES, expected=VALUES, came_out=9).mismatches == 3
    assert judged(VALUES, expected=VALUES, came_out=0).problems[-1].startswith("too few results came out")


def test_judge_recognises_shifted_results():
    report = judged(np.roll(VALUES, 1, 0), expected=VALUES)
    assert report.hint == "every result is that of the vector 1 before: check the core's latency"


def test_judge_checks_tlast_on_every_beat():
    tlast = np.tile(np.array([0, 1], np.uint8), 12)
    tlast[10] = 1
    assert judged(VALUES, expected=VALUES, tlast=tlast).faults[0] == (
        "m_axis_tlast is wrong once at full rate, first on beat 0 of vector 5: expected 0, got 1"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expected": VALUES[:3]}, r"same number of vectors, at least 1, not 12 and 3$"),
        ({"x": VALUES[:0], "expected": VALUES[:0]}, r"at least 1, not 0 and 0$"),
        ({"x": VALUES * 99}, r"^codes of a 6-bit signed stream must lie in -32\.\.31"),
    ],
)
def test_impossible_runs_are_refused(changes, message: str, tmp_path: Path):
    vectors = Vectors(**{"x": VALUES, "expected": VALUES, **changes})
    with pytest.raises(GatewrightError, match=message):
        run_bench(BENCH, vectors, TRIAL, out=tmp_path)


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_impossible_stalls_are_refused(share: float):
    with pytest.raises(GatewrightError, match=rf"^stall_fraction must be at least 0 and less than 1, not {share}$"):
        dataclasses.replace(TRIAL, stall_fraction=share)


def test_layer_values_must_fit(tmp_path: Path):
    bench = dataclasses.replace(BENCH, device=dataclasses.replace(DEVICE, layers=(("fc1", 4),)))
    with pytest.raises(GatewrightError, match=r"^values of layer 'fc1' must have the shape \(12, 4\), got none$"):
        run_bench(bench, Vectors(x=VALUES, expected=VALUES), TRIAL, out=tmp_path)
