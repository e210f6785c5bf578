"""Every pass keeps every layer's integers; schedules keep their promises."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.chips import FAMILIES
from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Rounding
from gatewright.ir import Constant, Dense, Input, Program, Requant, run
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Add, Circuit, Const, Floor, operands, simulate, width
from gatewright.lower.cost.delays import delay_ns, delays
from gatewright.lower.passes.rounding import PASSES, fold_rounding, fuse_relu
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import period_ns, register_bits, schedule
from gatewright.lower.rewrites.narrow import drop_dead, early_floor
from gatewright.lower.rewrites.table import REWRITES, rewritten, run_rewrites
from tests.lowering import lower_for, only
from tests.programs import codes, mlp, programs


def rounded(program: Program) -> Program:
    return fuse_relu(Facts(program=fold_rounding(Facts(program=program))))


@given(programs())
@settings(max_examples=200, deadline=None)
def test_every_pass_is_exact(program: Program):
    x = codes(program, 64)
    changed = program
    for _, run_pass in PASSES:
        changed = run_pass(Facts(program=changed))
        assert (run(changed, x) == run(program, x)).all()
    circuit = build(changed)
    check_circuit(program, circuit, x)
    circuit = drop_dead(circuit)
    check_circuit(program, circuit, x)
    check_circuit(program, early_floor(circuit), x)


@given(programs(), st.sampled_from(sorted(FAMILIES)), st.sampled_from((50.0, 150.0, 300.0)))
@settings(max_examples=100, deadline=None)
def test_schedule_is_legal(program: Program, family: str, clock_mhz: float):
    lowered = lower_for(program, codes(program, 16), family=family, clock_mhz=clock_mhz)
    circuit, plan = only(lowered).circuit, only(lowered).schedule
    model = delays(family)
    arrival: list[float] = []
    for index, node in enumerate(circuit.nodes):
        for operand in operands(node):
            assert plan.stages[operand] <= plan.stages[index]
        same = [arrival[o] for o in operands(node) if plan.stages[o] == plan.stages[index]]
        arrival.append(max(same, default=0.0) + delay_ns(circuit, node, model))
    slowest = max([delay_ns(circuit, node, model) for node in circuit.nodes], default=0.0)
    assert max(arrival, default=0.0) <= max(1000 / clock_mhz - model.register_ns, slowest) + 1e-9
    assert plan.latency_cycles == 1 + max(plan.stages[ref.node] for ref in circuit.outputs)
    assert plan.period_ns == period_ns(circuit, list(plan.stages), family)


def test_rounding_and_relu_fold():
    program = mlp((4, 3, 2), seed=0)
    folded = rounded(program)
    names = [type(op).__name__ for op in folded.ops]
    assert names == ["Input", "Dense", "Requant", "Dense", "ArgMax"]
    assert all(op.rounding is Rounding.TRUNCATE for op in folded.ops if isinstance(op, Requant))


def test_floor_moves_before_the_adder():
    circuit = drop_dead(build(rounded(mlp((6, 4, 3), seed=3))))
    early = early_floor(circuit)

    def bits(c: Circuit) -> int:
        return sum(width(n) for n in c.nodes if isinstance(n, Add))

    assert bits(early) < bits(circuit)
    assert sum(isinstance(n, Floor) for n in early.nodes) > 0


def test_unread_neurons_are_not_built():
    program = mlp((5, 4, 2), seed=1, sparsity=0.0)
    constants = dict(program.constants)
    weight = constants["out.weight"].q.copy()
    weight[2] = 0  # neuron 2 of fc1 is read by nobody
    constants["out.weight"] = dataclasses.replace(constants["out.weight"], q=weight)
    circuit = drop_dead(build(dataclasses.replace(program, constants=constants)))
    assert dict(circuit.layer_values)["fc1"][2] is None
    assert None not in circuit.outputs


def test_constant_network():
    """All weights zero: the class is known, one register remains."""
    program = mlp((3, 2), seed=1, sparsity=1.0)
    lowered = lower_for(program, codes(program, 4), family="xc7", clock_mhz=200)
    assert all(isinstance(node, Const) for node in only(lowered).circuit.nodes)
    assert only(lowered).schedule.latency_cycles == 1


def test_latency_limit_names_the_need():
    program = mlp((16, 16, 4), seed=1)
    with pytest.raises(
        LowerError, match=r"'net' needs \d+ cycles at 400 MHz on xc7, allowed are 2; lower hardware.clock"
    ):
        lower_for(program, codes(program, 4), family="xc7", clock_mhz=400, max_latency_cycles=2)


def test_unknown_family():
    program = mlp((3, 2), seed=1)
    with pytest.raises(LowerError, match=r"no delay model for family 'ecp6'. Did you mean 'ecp5'\?"):
        lower_for(program, codes(program, 4), family="ecp6", clock_mhz=100)


def test_a_wrong_circuit_is_caught():
    program = mlp((6, 4, 3), seed=3)
    x = codes(program, 200)
    circuit = drop_dead(build(rounded(program)))
    victim = next(i for i, n in enumerate(circuit.nodes) if isinstance(n, Add))
    nodes = list(circuit.nodes)
    adder = nodes[victim]
    assert isinstance(adder, Add)
    nodes[victim] = dataclasses.replace(adder, minus=not adder.minus, lo=-(2**40), hi=2**40)
    loose = [dataclasses.replace(n, lo=-(2**40), hi=2**40) if isinstance(n, (Add, Floor)) else n for n in nodes]
    with pytest.raises(LowerError, match=r"layer 'fc1', element \d, sample \d+: expected"):
        check_circuit(program, dataclasses.replace(circuit, nodes=tuple(loose)), x)


def test_faster_clock_more_stages_and_registers():
    program = mlp((16, 12, 4), seed=5)
    circuit = drop_dead(build(rounded(program)))
    plans = [schedule(circuit, family="xc7", clock_mhz=mhz) for mhz in (50, 150, 350)]
    latencies = [plan.latency_cycles for plan in plans]
    registers = [register_bits(circuit, list(p.stages), p.latency_cycles) for p in plans]
    assert latencies == sorted(latencies)
    assert latencies[0] < latencies[-1]
    assert registers[0] < registers[-1]
    figures = [circuit_cost(circuit, plan, "xc7") for plan in plans]
    assert [f.ff for f in figures] == registers
    assert all(f.dsp == f.bram == 0 and f.lut > 0 for f in figures)


def test_simulate_reports_a_broken_range():
    circuit = drop_dead(build(mlp((3, 2), seed=1, output="scores")))
    nodes = tuple(dataclasses.replace(n, lo=0, hi=0) if isinstance(n, Add) else n for n in circuit.nodes)
    with pytest.raises(LowerError, match="leaves its range"):
        simulate(dataclasses.replace(circuit, nodes=nodes), np.full((1, 3), 100))


def test_ranges_beyond_int64_are_exact():
    """Bounds of 2**62 and more: the sums of a column cancel, those of their magnitudes leave int64 behind."""
    weight = (1 << 31) - sum(1 << bit for bit in range(1, 30, 2))
    matrix = np.array([[weight, 3], [-weight, weight]], dtype=np.int64)
    constants = {"w": Constant(matrix, 0), "b": Constant(np.array([1, -1]), 0)}
    ops = (
        Input(name="x", layer="input", shape=(2,), format=Fixed(width_bits=30, frac_bits=0, signed=False)),
        Dense(name="fc", layer="fc", source="x", weight="w", bias="b"),
    )
    program = Program(name="p", ops=ops, output="fc", constants=constants)
    top = (1 << 30) - 1
    circuit = build(program)
    nodes = [(circuit.nodes[ref.node], ref.shift) for ref in circuit.outputs]
    ends = [(node.lo << shift, node.hi << shift) for node, shift in nodes]
    assert ends == [(-weight * top + 1, weight * top + 1), (-1, (3 + weight) * top - 1)]
    corners = np.array([[0, 0], [0, top], [top, 0], [top, top], [top // 3, top - 5]])
    assert check_circuit(program, circuit, corners) == 4 * len(corners)
    exact = np.array([[weight * a - weight * b + 1, 3 * a + weight * b - 1] for a, b in corners.tolist()])
    assert (simulate(circuit, corners)["output"] == exact).all()


def test_every_rewrite_is_checked_once():
    circuit = build(rounded(mlp((6, 4, 3), seed=3)), ternary=True)
    seen: list[Circuit] = []

    def check(changed: Circuit) -> int:
        seen.append(changed)
        return 7

    made, checked = run_rewrites(circuit, family="xc7", truth_tables=True, check=check)
    steps = dict(rewritten(circuit, family="xc7", truth_tables=True))
    assert tuple(steps) == tuple(rewrite.name for rewrite in REWRITES)
    assert steps["tabulate"] == steps["fuse_ternary"]  # nothing to join or tabulate: no new circuit to check
    assert seen == [steps[name] for name in ("drop_dead", "early_floor", "fuse_ternary")]
    assert (made, checked) == (steps["tabulate"], 3 * 7)
