"""Output stages in circuits: costs that can be counted by hand, products of any signs, tables that are too large."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewright.chips.luts import ALM, LUT4, LUT4_MUX7, LUT6
from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Input, Lookup, Program, Thresholds, TopK
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.softmax import product
from gatewright.lower.circuit.nodes import GreaterEqual, Ref, Source, Table, evaluate
from gatewright.lower.cost.luts import table_levels, table_luts
from gatewright.lower.rewrites.narrow import drop_dead
from tests.programs import codes


def program(op: TopK | Thresholds | Lookup, bits: int, size: int, **constants: Constant) -> Program:
    source = Input(name="x", layer="input", shape=(size,), format=Fixed(width_bits=bits, frac_bits=0))
    return Program(name="p", ops=(source, op), output=op.name, constants=constants)


@pytest.mark.parametrize(("size", "k", "comparators"), [(4, 2, 5), (8, 2, 13), (8, 8, 19), (5, 5, 9)])
def test_top_k_is_a_pruned_sorting_network(size: int, k: int, comparators: int):
    """Batcher's network for `size`, without what the first k places do not need: far fewer than a full sort's."""
    top = program(TopK(name="y", layer="y", source="x", k=k), 3, size)
    circuit = drop_dead(build(top))
    check_circuit(top, circuit, codes(top, 2000))
    assert sum(isinstance(node, GreaterEqual) for node in circuit.nodes) == comparators


def test_thresholds_become_comparators_or_one_table_by_cost():
    def lowered(bits: int, count: int, ternary: bool):
        at = np.linspace(-(2 ** (bits - 1)) + 3, 2 ** (bits - 1) - 2, count).astype(np.int64)[None]
        cut = Thresholds(name="y", layer="y", source="x", thresholds="at", start=-2, step=3, frac_bits=0)
        whole = program(cut, bits, 1, at=Constant(at, 0))
        circuit = drop_dead(build(whole, ternary=ternary))
        check_circuit(whole, circuit, codes(whole, 300))
        return circuit.nodes

    assert [type(n) for n in lowered(6, 7, True)] == [Source, Table]
    assert sum(isinstance(n, GreaterEqual) for n in lowered(16, 3, True)) == 3


@given(st.tuples(*[st.integers(-40, 40)] * 4))
@example((0, 1, 0, 2))
@settings(max_examples=150, deadline=None)
def test_product_is_exact_for_any_signs(ends: tuple[int, int, int, int]):
    (al, ah), (bl, bh) = sorted(ends[:2]), sorted(ends[2:])
    b = CircuitBuilder()
    nodes = [b.put(Source(layer="x", lo=lo, hi=hi, element=i)) for i, (lo, hi) in enumerate([(al, ah), (bl, bh)])]
    result = product(b, Ref(nodes[0], 1), Ref(nodes[1], 2))
    x = np.array(list(itertools.product({al, (al + ah) // 2, ah}, range(bl, bh + 1))), dtype=np.int64)
    values: list[np.ndarray] = []
    for node in b.nodes:
        values.append(evaluate(node, values, x))
        assert node.lo <= values[-1].min()
        assert values[-1].max() <= node.hi
    assert (values[result.node] << result.shift == (x[:, 0] << 1) * (x[:, 1] << 2)).all()
    corners = [al * bl, al * bh, ah * bl, ah * bh]
    lo, hi = b.span(result)
    assert (lo, hi) == (8 * min(corners), 8 * max(corners)) or bl == bh


def test_table_cost_counts_what_matters():
    assert table_luts([i & 1 for i in range(1024)], LUT6) == 0  # a wire
    assert table_luts([7 * (i & 1) for i in range(64)], LUT6) == 0  # three copies of a wire
    assert table_luts([int(i.bit_count() % 2) for i in range(64)], LUT6) == 1
    assert table_luts([int(i.bit_count() % 2) for i in range(64)], LUT4_MUX7) == 2  # complements
    assert table_luts([int((i & 63).bit_count() % 2) for i in range(1024)], LUT6) == 1  # four bits do not matter
    random = np.random.default_rng(0).integers(0, 2, 256).tolist()
    assert table_luts(random, LUT6) == 4
    assert table_luts(random, LUT4_MUX7) == 16 + 1
    assert table_luts(random, LUT4) == 16 + 15  # every multiplexer is a LUT
    assert table_luts(random, ALM) == 2 * (4 + 1)  # four full ALMs and one that chooses
    assert table_luts(random[:32], ALM) == 1
    assert [table_levels(bits, LUT6) for bits in (1, 6, 7, 8, 10)] == [1, 1, 2, 2, 3]


def test_a_table_too_large_for_luts_is_refused():
    look = Lookup(name="y", layer="y", source="x", table="t", first=-(1 << 15))
    wide = program(look, 16, 1, t=Constant(np.arange(1 << 16)[None] // 3, 0))
    with pytest.raises(LowerError, match=r"layer 'y': a table of 65536 entries is too large for LUTs.*requantise"):
        build(wide)


@pytest.mark.parametrize(("lo", "hi"), [(40000, 40002), ((1 << 15) - 1, (1 << 15) + 2), (-1, 2), (-5, 200), (-9, -7)])
def test_a_table_is_as_small_as_its_range(lo: int, hi: int):
    """The low bits tell the numbers of a range apart, wherever it lies."""
    b = CircuitBuilder()
    x = b.put(Source(layer="x", lo=lo, hi=hi, element=0))
    result = b.table(Ref(x), lambda value: 3 * value - lo)
    table = b.nodes[result.node]
    assert isinstance(table, Table)
    assert len(table.values) == 1 << (hi - lo).bit_length()
    values: list[np.ndarray] = []
    codes_in = np.arange(lo, hi + 1)[:, None]
    for node in b.nodes:
        values.append(evaluate(node, values, codes_in))
    assert (values[result.node] == 3 * codes_in[:, 0] - lo).all()
