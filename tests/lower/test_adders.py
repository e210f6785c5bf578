import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.fixedpoint import digit_count, signed_digits
from gatewright.lower.build.adders import AdderGraph, adder_graph


@given(st.integers(-(2**40), 2**40))
def test_csd_is_canonical(value: int):
    digits = signed_digits(value)
    assert sum(sign << power for power, sign in digits) == value
    powers = [power for power, _ in digits]
    assert all(b - a >= 2 for a, b in itertools.pairwise(powers))
    assert digit_count(np.array([value, -value])).tolist() == [len(digits)] * 2


def evaluate(graph: AdderGraph, x: np.ndarray) -> np.ndarray:
    terms = [x[:, i] for i in range(graph.inputs)]
    for item in graph.sums:
        a, b = terms[item.a] << item.shift_a, terms[item.b] << item.shift_b
        terms.append(a - b if item.minus else a + b)
    zero = np.zeros(len(x), dtype=np.int64)
    columns = [zero if o.term < 0 else o.sign * (terms[o.term] << o.shift) for o in graph.outputs]
    return np.stack(columns, axis=1)


def depths(graph: AdderGraph) -> list[int]:
    level = [0] * graph.inputs
    for item in graph.sums:
        level.append(1 + max(level[item.a], level[item.b]))
    return [0 if o.term < 0 else level[o.term] for o in graph.outputs]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from((0.0, 0.5, 0.9)),
    st.integers(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_computes_the_product(seed: int, n_in: int, n_out: int, bits: int, sparsity: float, extra: int):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n_in, n_out))
    matrix[rng.random(matrix.shape) < sparsity] = 0
    graph = adder_graph(matrix, extra_depth=extra)
    x = rng.integers(-128, 128, (20, n_in))
    assert (evaluate(graph, x) == x @ matrix).all()
    terms = [sum(len(signed_digits(v)) for v in column) for column in matrix.T.tolist()]
    least = max((t - 1).bit_length() if t else 0 for t in terms)
    assert max(depths(graph)) <= least + extra


def test_shares_across_columns():
    """7 = 8 - 1 and 14 = 2 * 7 need one subtractor between them."""
    graph = adder_graph(np.array([[7, 14, -28]]))
    assert len(graph.sums) == 1
    assert [(o.shift, o.sign) for o in graph.outputs] == [(0, 1), (1, 1), (2, -1)]


@pytest.mark.parametrize(("size", "bits", "sparsity", "bound"), [(16, 8, 0.0, 390), (32, 6, 0.5, 690)])
def test_adder_count_stays_near_the_peers(size: int, bits: int, sparsity: float, bound: int):
    """da4ml needs 365 and 656 on average for these kinds (measured apart); 5 % are left for the draw."""
    rng = np.random.default_rng(7)
    matrix = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (size, size))
    matrix[rng.random(matrix.shape) < sparsity] = 0
    assert len(adder_graph(matrix, extra_depth=2).sums) <= bound
