"""A latency budget chooses the clock: the fastest there is, and an error that names the best where there is none."""

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.chips import FAMILIES
from gatewright.cli.main import main
from gatewright.config import parse_config
from gatewright.errors import ConfigError, LowerError
from gatewright.ir import Program, save_program
from gatewright.lower.circuit.nodes import Circuit, Const
from gatewright.lower.cost.delays import delay_ns, delays
from gatewright.lower.pipeline.clock import HIGHEST_MHZ, reachable_mhz
from gatewright.lower.pipeline.schedule import schedule
from tests.lowering import lower_for, only
from tests.programs import codes, mlp, programs


def circuit_of(program: Program, family: str) -> Circuit:
    return only(lower_for(program, codes(program, 8), family=family, clock_mhz=100)).circuit


@given(programs(), st.sampled_from(sorted(FAMILIES)), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_no_faster_clock_keeps_the_cycles(program: Program, family: str, cycles: int):
    circuit = circuit_of(program, family)
    plan = schedule(circuit, family=family, clock_mhz=0, max_latency_cycles=cycles)
    assert plan.latency_cycles <= cycles
    assert plan.period_ns <= 1e3 / plan.clock_mhz + 1e-3
    slowest = max(delay_ns(circuit, node, delays(family)) for node in circuit.nodes) + delays(family).register_ns
    if plan.clock_mhz + 0.1 > min(1e3 / slowest, HIGHEST_MHZ):
        return  # no pipeline at all is faster
    with pytest.raises(LowerError, match="allowed are"):
        schedule(circuit, family=family, clock_mhz=plan.clock_mhz + 0.1, max_latency_cycles=cycles)


@given(programs(), st.sampled_from(sorted(FAMILIES)), st.sampled_from((4.0, 15.0, 40.0)), st.sampled_from((0, 2, 5)))
@settings(max_examples=60, deadline=None)
def test_nanoseconds_choose_the_fastest_clock_that_keeps_them(program: Program, family: str, ns: float, cycles: int):
    circuit = circuit_of(program, family)
    kept: list[float] = []
    for count in range(1, (cycles or 40) + 1):
        plan = schedule(circuit, family=family, clock_mhz=0, max_latency_cycles=count)
        if 1e3 * plan.latency_cycles / plan.clock_mhz <= ns:
            kept.append(plan.clock_mhz)
    if not kept:
        with pytest.raises(LowerError, match=r"cannot meet max_latency_ns \S+: the least is \S+ ns \(\d+ cycles at"):
            schedule(circuit, family=family, clock_mhz=0, max_latency_cycles=cycles, max_latency_ns=ns)
        return
    plan = schedule(circuit, family=family, clock_mhz=0, max_latency_cycles=cycles, max_latency_ns=ns)
    assert plan.clock_mhz == max(kept)
    assert 1e3 * plan.latency_cycles / plan.clock_mhz <= ns


def test_nanoseconds_beside_a_clock_are_a_limit_of_cycles():
    circuit = circuit_of(mlp((16, 12, 4), seed=5), "xc7")
    free = schedule(circuit, family="xc7", clock_mhz=200)
    exact = free.latency_cycles * 5.0
    assert schedule(circuit, family="xc7", clock_mhz=200, max_latency_ns=exact).latency_cycles == free.latency_cycles
    shortest = min(range(1, free.latency_cycles + 1), key=lambda n: (not _fits(circuit, n), n))
    with pytest.raises(LowerError, match=rf"needs {shortest} cycles at 200 MHz on xc7, allowed are {shortest - 1}; "):
        schedule(circuit, family="xc7", clock_mhz=200, max_latency_ns=shortest * 5.0 - 0.1)
    with pytest.raises(LowerError, match="max_latency_ns 4 is shorter than one cycle at 200 MHz; allow 5 ns"):
        schedule(circuit, family="xc7", clock_mhz=200, max_latency_ns=4)


def _fits(circuit: Circuit, cycles: int) -> bool:
    try:
        schedule(circuit, family="xc7", clock_mhz=200, max_latency_cycles=cycles)
    except LowerError:
        return False
    return True


def test_the_error_names_a_clock_that_works():
    circuit = circuit_of(mlp((16, 16, 4), seed=1), "xc7")
    with pytest.raises(LowerError, match=r"allowed are 2; lower hardware.clock_mhz \(2 cycles are enough at ") as error:
        schedule(circuit, family="xc7", clock_mhz=400, max_latency_cycles=2)
    clock_mhz = float(str(error.value).split("enough at ")[1].split(" MHz")[0])
    assert schedule(circuit, family="xc7", clock_mhz=clock_mhz, max_latency_cycles=2).latency_cycles == 2


def test_the_error_names_a_clock_that_keeps_nanoseconds():
    """Fewer cycles at a lower clock are no less time: the advice is tried, and where no clock helps that is said."""
    circuit = circuit_of(mlp((16, 16, 4), seed=1), "xc7")
    least = schedule(circuit, family="xc7", clock_mhz=0, max_latency_ns=60)
    limit = 1e3 * least.latency_cycles / least.clock_mhz + 0.1
    with pytest.raises(LowerError, match=r"allowed are \d+; hardware.clock_mhz = [\d.]+ keeps the limit \(") as error:
        schedule(circuit, family="xc7", clock_mhz=900, max_latency_ns=limit)
    clock_mhz = float(str(error.value).split("clock_mhz = ")[1].split(" ")[0])
    found = schedule(circuit, family="xc7", clock_mhz=clock_mhz, max_latency_ns=limit)
    assert 1e3 * found.latency_cycles / clock_mhz <= limit
    with pytest.raises(LowerError, match=r"allowed are \d; it cannot meet max_latency_ns 9: the least is [\d.]+ ns"):
        schedule(circuit, family="xc7", clock_mhz=900, max_latency_ns=9)


@pytest.mark.parametrize("clock_mhz", [33.33333, 0.0004, 200.00001, 1000 / 7])
def test_a_clock_of_many_digits_that_is_reached_is_reached(clock_mhz):
    assert reachable_mhz(clock_mhz, 2.0) == clock_mhz
    dataflow = lower_for(mlp((4, 3), seed=1), codes(mlp((4, 3), seed=1), 8), family="xc7", clock_mhz=clock_mhz)
    assert dataflow.claims.reachable_mhz == dataflow.claims.clock_mhz == clock_mhz


def test_a_network_of_constants_takes_the_highest_clock():
    circuit = circuit_of(mlp((3, 2), seed=1, sparsity=1.0), "xc7")
    assert all(isinstance(node, Const) for node in circuit.nodes)
    assert schedule(circuit, family="xc7", clock_mhz=0, max_latency_ns=5).clock_mhz == HIGHEST_MHZ


def test_a_goal_without_clock_and_limit_is_refused(tmp_path):
    circuit = circuit_of(mlp((3, 2), seed=1), "xc7")
    with pytest.raises(LowerError, match="give a clock_mhz, or with clock_mhz 0 a max_latency_cycles"):
        schedule(circuit, family="xc7", clock_mhz=0)
    with pytest.raises(LowerError, match="must not be negative, not -1"):
        schedule(circuit, family="xc7", clock_mhz=-1)
    with pytest.raises(ConfigError, match="hardware: clock_mhz 0 needs max_latency_cycles or max_latency_ns"):
        parse_config({"name": "n", "data": {"source": "sklearn:iris"}, "hardware": {"clock_mhz": 0}})


def test_estimate_prints_the_chosen_clock(tmp_path):
    save_program(mlp((16, 12, 4), seed=5), tmp_path / "program.txt")
    command = ["estimate", str(tmp_path / "program.txt"), "--clock-mhz", "0", "--max-latency-ns", "30"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    lines = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert float(lines["latency_ns"]) <= 30
    assert float(lines["latency_ns"]) == round(1e3 * int(lines["latency_cycles"]) / float(lines["clock_mhz"]), 3)
    assert float(lines["fmax_mhz"]) >= float(lines["clock_mhz"]) - 1
    assert CliRunner().invoke(main, [*command[:-1], "0.5"]).exit_code == 2


def test_no_nanoseconds_at_a_clock_out_of_reach(tmp_path):
    save_program(mlp((16, 12, 4), seed=5), tmp_path / "program.txt")
    done = CliRunner().invoke(main, ["estimate", str(tmp_path / "program.txt"), "--clock-mhz", "900"])
    assert done.exit_code == 0, done.output
    assert "warning: hardware.clock_mhz 900 is out of reach on xc7: by its delay model one operation" in done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    reachable = float(lines["reachable_mhz"])
    assert reachable < 900
    assert float(lines["latency_ns"]) == pytest.approx(1e3 * int(lines["latency_cycles"]) / reachable, abs=1e-3)
    low, high = map(int, lines["clock_range_mhz"].split(" to "))
    assert low < reachable < high


def test_a_limit_in_nanoseconds_counts_at_the_clock_that_is_reached():
    circuit = circuit_of(mlp((16, 12, 4), seed=5), "xc7")
    free = schedule(circuit, family="xc7", clock_mhz=900)
    assert free.fmax_mhz < 900
    kept = 1e3 * free.latency_cycles / free.fmax_mhz
    assert schedule(circuit, family="xc7", clock_mhz=900, max_latency_ns=kept + 0.01) == free
    with pytest.raises(LowerError, match="allowed are"):
        schedule(circuit, family="xc7", clock_mhz=900, max_latency_ns=1e3 * free.latency_cycles / 900)


@pytest.mark.parametrize("hardware", [{"architecture": "folded", "reuse_factor": 8}, {"boundaries": "elastic"}])
def test_folded_and_elastic_limits_too(hardware):
    program = mlp((16, 12, 4), seed=5)
    asked = {"family": "xc7", "clock_mhz": 900.0}
    asked |= {"reuse": 8} if "reuse_factor" in hardware else hardware
    free = lower_for(program, codes(program, 8), **asked)
    assert free.reachable_mhz < 900
    with pytest.raises(LowerError, match=f"at {free.reachable_mhz:g} MHz on xc7, allowed are"):
        lower_for(program, codes(program, 8), **asked, max_latency_ns=1e3 * free.latency_cycles / 900)
