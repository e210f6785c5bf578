"""The pipeline's register bits are as few as an independent linear program finds, chains and ReLUs respected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gatewright.chips import FAMILIES
from gatewright.ir import Program
from gatewright.lower.circuit.nodes import Circuit, Const, GreaterEqual, Source, evaluate, operands
from gatewright.lower.circuit.values import OUTPUT, values
from gatewright.lower.cost.delays import delay_ns, delays, in_register
from gatewright.lower.pipeline import asap as chains
from gatewright.lower.pipeline.schedule import register_bits, schedule
from tests.lowering import lower_for, only
from tests.programs import codes, mlp, programs

CLOCKS = (40.0, 120.0, 250.0, 500.0)


@given(programs())
@settings(max_examples=100, deadline=None)
def test_reads_name_the_bits_that_are_read(program: Program):
    """Below its own shift, what a node reads is bits low .. high-1 of the value, and nothing else."""
    x = codes(program, 64)
    circuit = only(lower_for(program, x, family="ecp5", clock_mhz=100)).circuit
    known = values(circuit)
    data: list[np.ndarray] = []
    for node in circuit.nodes:
        data.append(evaluate(node, data, x))
    for root, reads in enumerate(known.reads):
        for read in reads:
            node = None if read.reader == OUTPUT else circuit.nodes[read.reader]
            if isinstance(node, GreaterEqual) and read.high - read.low == 1:
                continue  # a sign test
            names = [ref.node for ref in circuit.outputs] if node is None else operands(node)
            mask = (1 << (read.high - read.low)) - 1
            wanted = (data[root] >> read.low) & mask
            mine = [data[name] for name in names if known.root[name] == root]
            assert any(((seen >> up) & mask == wanted).all() for seen in mine for up in range(24))


def fewest_bits(circuit: Circuit, family: str, clock_mhz: float, latency: int, *, hard: bool) -> int:
    """Solve the same question with a general solver and a constraint for every pair of nodes, not only needed ones."""
    known, model = values(circuit), delays(family)
    budget = max(1000 / clock_mhz - model.register_ns, 1e-9)
    size = len(circuit.nodes)
    cost = [min(delay_ns(circuit, node, model), budget) for node in circuit.nodes]
    chain = np.full((size, size), -np.inf)
    behind: list[tuple[int, int, int]] = []  # later, earlier, least distance
    for b, before in enumerate(known.before):
        for a in before:
            chain[:, b] = np.maximum(chain[:, b], chain[:, a] + cost[b])
            behind.append((b, a, int(hard and in_register(circuit, a))))
        chain[b, b] = cost[b]
    behind += [(int(b), int(a), 1) for a, b in np.argwhere(chain > budget)]
    price, bounds = [0] * size, [(0, latency - 1)] * size
    for index, node in enumerate(circuit.nodes):
        if isinstance(node, (Source, Const)):
            bounds[index] = (0, 0)
        for bits, readers in known.segments(index):
            kept = len(price)
            price.append(bits)
            price[index] -= bits
            bounds.append((latency if OUTPUT in readers else 0, latency))
            behind += [(kept, reader, 0) for reader in readers if reader != OUTPUT]
    matrix = np.zeros((len(behind), len(price)))
    for row, (later, earlier, _) in enumerate(behind):
        matrix[row, later], matrix[row, earlier] = -1, 1
    solved = linprog(price, A_ub=matrix, b_ub=[-least for *_, least in behind], bounds=bounds)
    assert solved.status == 0, solved.message
    return round(solved.fun)


@given(programs(max_size=5), st.sampled_from(sorted(FAMILIES)), st.sampled_from(CLOCKS))
@settings(max_examples=60, deadline=None)
def test_register_bits_are_the_fewest(program: Program, family: str, clock_mhz: float):
    lowered = lower_for(program, codes(program, 8), family=family, clock_mhz=clock_mhz)
    circuit, plan = only(lowered).circuit, only(lowered).schedule
    found = register_bits(circuit, list(plan.stages), plan.latency_cycles)
    assert found == fewest_bits(circuit, family, clock_mhz, plan.latency_cycles, hard=True)


def test_relu_waits_for_a_register_where_there_is_time():
    """With stages to spare every ReLU is in a reset; with one less, those that cost none still are."""
    program = mlp((10, 8, 6, 3), seed=2)
    circuit = only(lower_for(program, codes(program, 8), family="ecp5", clock_mhz=100)).circuit
    known = values(circuit)
    relus = [i for i in range(len(circuit.nodes)) if in_register(circuit, i)]

    def in_resets(limit: int) -> tuple[int, int]:
        plan = schedule(circuit, family="ecp5", clock_mhz=100, max_latency_cycles=limit)
        free = [all(plan.stages[user.reader] > plan.stages[i] for user in known.reads[i]) for i in relus]
        return plan.latency_cycles, sum(free)

    latency, free = in_resets(0)
    assert free == len(relus) > 0
    shorter, some = in_resets(latency - 1)
    assert shorter < latency
    assert 0 < some < len(relus)


def test_a_circuit_too_large_for_all_chains_keeps_its_stages_apart(monkeypatch: pytest.MonkeyPatch):
    program = mlp((12, 10, 8, 3), seed=4)
    circuit = only(lower_for(program, codes(program, 8), family="xc7", clock_mhz=100)).circuit
    best = schedule(circuit, family="xc7", clock_mhz=200)
    monkeypatch.setattr(chains, "MOST_CELLS", 0)
    quick = schedule(circuit, family="xc7", clock_mhz=200)
    assert quick.latency_cycles == best.latency_cycles
    assert quick.period_ns <= 5.0
    bits = [register_bits(circuit, list(plan.stages), plan.latency_cycles) for plan in (best, quick)]
    assert bits[0] < bits[1]
