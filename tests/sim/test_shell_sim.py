"""Shells around stub cores: right results, measured timing, every bus rule, at several shapes and stall rates."""

from pathlib import Path

import pytest

from gatewright.rtl.shell import StreamPort, initiation_interval, transfer_latency_cycles
from gatewright.sim import Bench, Device, SimReport, Trial, Vectors, require_match, simulate
from tests.sim.stubs import TOP, Stub

pytestmark = [pytest.mark.sim, pytest.mark.slow]

STUBS = {
    # whole vectors, II 1; a TDATA of more than 64 bits on one side, 8 bits on the other
    "whole": Stub(
        StreamPort(elements=9, width_bits=8, signed=True), StreamPort(elements=1, width_bits=4, signed=False), 8
    ),
    # the smallest of everything
    "bit": Stub(
        StreamPort(elements=1, width_bits=1, signed=False), StreamPort(elements=1, width_bits=1, signed=False), 1
    ),
    # elements split over beats; input slower than output; FIFO of 2
    "bytes": Stub(
        StreamPort(elements=5, width_bits=12, signed=False, beat_bits=8),
        StreamPort(elements=3, width_bits=17, signed=True, beat_bits=16),
        3,
    ),
    # output slower than input; beats that no power of two divides; last beat padded
    "slow output": Stub(
        StreamPort(elements=3, width_bits=7, signed=True, beat_bits=32),
        StreamPort(elements=7, width_bits=9, signed=True, beat_bits=24),
        14,
    ),
    # registers on both streams; whole vectors in packets
    "registers, packets": Stub(
        StreamPort(elements=9, width_bits=8, signed=True),
        StreamPort(elements=3, width_bits=17, signed=True),
        4,
        io_registers=True,
        framing="packets",
    ),
    "registers, beats": Stub(
        StreamPort(elements=5, width_bits=12, signed=False, beat_bits=8),
        StreamPort(elements=3, width_bits=17, signed=True, beat_bits=16),
        3,
        io_registers=True,
    ),
    # vectors of several beats whose TLAST, wherever it is, cuts nothing
    "endless": Stub(
        StreamPort(elements=5, width_bits=12, signed=False, beat_bits=8),
        StreamPort(elements=3, width_bits=17, signed=True, beat_bits=16),
        3,
        framing="none",
    ),
}


@pytest.fixture(scope="module", params=STUBS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stub, Bench]:
    stub = STUBS[request.param]
    return stub, stub.build(tmp_path_factory.mktemp("stub") / "design")


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.9])
def test_hardware_equals_program_and_keeps_its_promises(built: tuple[Stub, Bench], stall: float, tmp_path: Path):
    stub, bench = built
    report = stub.run(bench, tmp_path, stall=stall, seed=int(10 * stall) + 5)
    require_match(report)
    assert report.mismatches == 0
    assert report.latency_cycles == stub.latency_cycles
    assert report.initiation_interval == initiation_interval(stub.source, stub.result)
    assert report.transfer_latency_cycles == transfer_latency_cycles(
        stub.source, stub.result, stub.latency_cycles, io_registers=stub.io_registers
    )
    assert report.probes_compared == 2 * 200 * len(stub.probes())


@pytest.mark.parametrize("change", [{"latency_cycles": 2}, {"initiation_interval": 99}], ids=str)
def test_a_wrong_claim_is_a_problem(built: tuple[Stub, Bench], change: dict[str, int], tmp_path: Path):
    stub, bench = built
    (problem,) = stub.run(bench, tmp_path, change=change).problems
    assert problem.startswith(next(iter(change)).replace("_", " ").removesuffix(" cycles"))
    assert problem.endswith(f"claimed {next(iter(change.values()))}")


def test_a_run_repeats_exactly(built: tuple[Stub, Bench], tmp_path: Path):
    stub, bench = built
    first = stub.run(bench, tmp_path / "a")
    second = stub.run(bench, tmp_path / "b")
    assert (tmp_path / "a/report.json").read_bytes() == (tmp_path / "b/report.json").read_bytes()
    for name in ("cycles_1.bin", "result_1.bin"):
        assert (tmp_path / "a/run" / name).read_bytes() == (tmp_path / "b/run" / name).read_bytes()
    assert first.speed is not None
    assert second.speed is not None


def test_one_vector_is_enough(built: tuple[Stub, Bench], tmp_path: Path):
    stub, bench = built
    report = stub.run(bench, tmp_path, count=1)
    require_match(report)
    assert report.vectors == 2  # it goes in twice, for the interval takes two


def test_simulate_does_it_all_in_one_call(tmp_path: Path):
    stub = STUBS["whole"]
    x = stub.codes(50)
    for name, text in stub.files().items():
        (tmp_path / name).write_text(text)
    device = Device(sources=tuple(sorted(tmp_path.glob("*.v"))), top=TOP, source=stub.source, result=stub.result)
    vectors = Vectors(x=x, expected=stub.values(x)["out"])
    trial = Trial(latency_cycles=8, initiation_interval=1, stall_fraction=0.5, seed=3)
    report = simulate(device, vectors, trial, out=tmp_path / "sim")
    require_match(report)
    assert SimReport.load(tmp_path / "sim/report.json") == SimReport.load(tmp_path / "sim/report.json")
    assert (tmp_path / "sim/speed.json").is_file()
    assert report.simulator.startswith("Verilator 5.")
