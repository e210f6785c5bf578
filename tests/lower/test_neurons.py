"""Truth tables in place of adders: the same integers for every pattern, and the cheapest choice of nodes."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.chips import FAMILIES
from gatewright.chips.luts import ALM, LUT4, LUT4_MUX7, LUT6, Luts
from gatewright.errors import LowerError
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.circuit.nodes import Add, Add3, Circuit, Clamp, Table, operands
from gatewright.lower.cost.delays import delays
from gatewright.lower.cost.luts import packed
from gatewright.lower.cost.sites import node_sites
from gatewright.lower.estimate import estimate
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.rewrites import neurons
from gatewright.lower.rewrites.decompose import Cell, Network, Signal, decompose
from gatewright.lower.rewrites.narrow import drop_dead, early_floor
from gatewright.lower.rewrites.neurons import tabulate
from gatewright.lower.rewrites.ternary import fuse_ternary
from tests.lowering import lower_for, only
from tests.programs import codes, programs, sparse_mlp

BUILT_OF = {"LUT6": LUT6, "LUT4": LUT4, "LUT4 with multiplexers": LUT4_MUX7, "ALM": ALM}


def evaluated(network: Network, inputs: int) -> np.ndarray:
    """Return the network's value for every index."""
    index, known = np.arange(1 << inputs), dict[Cell, np.ndarray]()

    def read(signal: Signal | int) -> np.ndarray:
        if isinstance(signal, int):
            return np.full_like(index, signal)
        if signal.cell is None:
            return index >> signal.bit & 1
        if signal.cell not in known:
            at = sum(read(s) << i for i, s in enumerate(signal.cell.inputs))
            known[signal.cell] = np.array(signal.cell.values)[at]
        return known[signal.cell] >> signal.bit & 1

    return np.sum([read(bit) << i for i, bit in enumerate(network.bits)], axis=0)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(1, 4), st.sampled_from(sorted(BUILT_OF)), st.booleans()
)
@settings(max_examples=120, deadline=None)
def test_a_network_equals_its_function(seed: int, inputs: int, width: int, built_of: str, neuron: bool):
    rng, index = np.random.default_rng(seed), np.arange(1 << inputs)
    if neuron:
        total = sum((index >> i & 1) * int(rng.integers(-9, 10)) for i in range(inputs))
        entries = np.clip(total >> int(rng.integers(0, 3)), 0, (1 << width) - 1)
    else:
        entries = rng.integers(0, 1 << width, 1 << inputs)
    network = decompose(entries.tolist(), width, BUILT_OF[built_of], 10**9)
    if network is None:  # it has no cut that saves a wire, and is too large for one table
        assert inputs > BUILT_OF[built_of].inputs + 2
    else:
        assert (evaluated(network, inputs) == entries).all()
        assert decompose(entries.tolist(), width, BUILT_OF[built_of], network.sites) is None


@pytest.mark.parametrize(("inputs", "most"), [(6, 3), (10, 13), (12, 14)])
def test_a_count_of_ones_is_cut_as_by_hand(inputs: int, most: int):
    """Six ones are counted in three LUTs; a compressor tree of six-input counters does the rest."""
    entries = [i.bit_count() for i in range(1 << inputs)]
    network = decompose(entries, inputs.bit_length(), LUT6, 10**9)
    assert network is not None
    assert network.sites <= most


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 5), st.sampled_from((LUT6, ALM)))
@settings(max_examples=100, deadline=None)
def test_packed_luts_equal_the_table(seed: int, inputs: int, width: int, luts: Luts):
    rng = np.random.default_rng(seed)
    used = rng.integers(0, 1 << inputs)
    entries = rng.integers(-(1 << width), 1 << width, 1 << inputs)[np.arange(1 << inputs) & used].tolist()
    copies, made = packed(entries, luts, width + 1)
    for index, entry in enumerate(entries):
        for bit, source in copies.items():
            assert entry >> bit & 1 == index >> source & 1
        for lut in made:
            at = sum((index >> i & 1) << k for k, i in enumerate(lut.inputs))
            assert len(lut.tables) == 1 or len(lut.inputs) < luts.inputs
            for table, bits in zip(lut.tables, lut.bits, strict=True):
                assert all(entry >> bit & 1 == table >> at & 1 for bit in bits)
    named = {bit for lut in made for bits in lut.bits for bit in bits} | set(copies)
    assert all(len({entry >> bit & 1 for entry in entries}) == 1 for bit in set(range(width + 1)) - named)


def narrow(seed: int = 0, fan_in: int = 3, bits: int = 2) -> Circuit:
    program = sparse_mlp((8, 8, 6, 3), seed=seed, fan_in=fan_in, activation_bits=bits)
    return early_floor(drop_dead(build(program)))


@given(programs(), st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=100, deadline=None)
def test_tables_are_exact(program, family: str):
    circuit = early_floor(drop_dead(build(program, ternary=delays(family).ternary)))
    circuit = fuse_ternary(circuit) if delays(family).ternary else circuit
    check_circuit(program, tabulate(circuit, family=family), codes(program, 64))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(3))
def test_narrow_neurons_become_tables(family: str, seed: int):
    program = sparse_mlp((8, 8, 6, 3), seed=seed, fan_in=3, activation_bits=2)
    x = codes(program, 300)
    both = [lower_for(program, x, family=family, clock_mhz=50, truth_tables=tables) for tables in (True, False)]
    tables, sums = (only(lowered).circuit.nodes for lowered in both)
    assert not any(isinstance(node, Table) for node in sums)
    assert sum(isinstance(node, Table) for node in tables) >= 8
    assert not any(isinstance(node, Clamp) for node in tables)
    first, second = (estimate(lowered) for lowered in both)
    assert first.lut < 0.6 * second.lut
    assert first.latency_cycles <= second.latency_cycles


def test_wide_neurons_stay_adders():
    program = sparse_mlp((8, 8, 3), seed=1, fan_in=6, activation_bits=8, input_bits=8)
    circuit = early_floor(drop_dead(build(program)))
    assert tabulate(circuit, family="ecp5") is circuit


def cost_of(circuit: Circuit, cost: Callable[[int], int], found: dict[int, neurons.Candidate], chosen: set[int]) -> int:
    """Return the sites of what the outputs need where the chosen nodes are tables."""
    needed, stack, total = set[int](), [ref.node for ref in circuit.outputs], 0
    while stack:
        index = stack.pop()
        if index in needed:
            continue
        needed.add(index)
        if index in chosen:
            total += found[index].network.sites
            stack += [value for value, _ in found[index].bits]
        else:
            total += cost(index)
            stack += operands(circuit.nodes[index])
    return total


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_the_cheapest(seed: int):
    """Against every choice there is, where neurons share adders."""
    program = sparse_mlp((4, 5, 2), seed=seed, fan_in=3, activation_bits=2, input_bits=3)
    circuit = early_floor(drop_dead(build(program)))
    cost = functools.partial(node_sites, circuit, family="ecp5", registered=True)
    found = neurons._candidates(circuit, cost, delays("ecp5").luts)
    found = dict(sorted(found.items(), key=lambda item: -item[1].network.sites)[:9])
    chosen = neurons._choose(circuit, cost, found, 8)
    subsets = itertools.chain.from_iterable(itertools.combinations(found, k) for k in range(len(found) + 1))
    best = min(cost_of(circuit, cost, found, set(subset)) for subset in subsets)
    assert found
    assert cost_of(circuit, cost, found, chosen) == best


def test_a_wrong_network_is_caught(monkeypatch: pytest.MonkeyPatch):
    circuit = narrow()
    right = neurons.decompose

    def wrong(entries: list[int], width: int, luts: Luts, below: int) -> Network | None:
        return right([entries[0] ^ 1, *entries[1:]], width, luts, below)

    monkeypatch.setattr(neurons, "decompose", wrong)
    with pytest.raises(LowerError, match="the tables of a neuron do not equal it"):
        tabulate(circuit, family="xc7")


def test_tables_schedule_like_logic():
    """A table of one LUT level needs one level's time, wherever its inputs come from."""
    circuit = tabulate(narrow(), family="xc7")
    plans = [schedule(circuit, family="xc7", clock_mhz=mhz) for mhz in (50, 400)]
    assert plans[0].latency_cycles == 1
    assert plans[1].latency_cycles > 1
    assert any(isinstance(node, Table) and len(node.reads) > 1 for node in circuit.nodes)
    assert not any(isinstance(node, Add | Add3) for node in circuit.nodes if node.layer == "fc1")
