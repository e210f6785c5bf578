"""Plans of time-multiplexed layers: exact, within their cycles and multipliers; and what cannot be folded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.lower.estimate import estimate
from gatewright.lower.folded.plan import simulate
from gatewright.lower.folded.timetable import plan
from gatewright.lower.folded.unit import Folded
from tests.lowering import lower_for, only
from tests.programs import codes, mlp, programs


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_plan_equals_the_matrix_product(data: st.DataObject):
    """Any matrix, any factor: the timetable computes x @ W + b, within `reuse` cycles and R times fewer multipliers."""
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    matrix = rng.integers(-31, 32, (rows, columns))
    matrix[rng.random(matrix.shape) < data.draw(st.sampled_from((0.0, 0.5, 0.9)))] = 0
    matrix[0, 0] = matrix[0, 0] or 7
    bias = rng.integers(-99, 100, columns)
    ends = np.sort(rng.integers(-40, 41, (rows, 2)), axis=1)
    inputs = tuple((int(lo), int(hi) + 1) for lo, hi in ends)
    reuse = data.draw(st.integers(1, rows * columns))
    folded = plan("fc", matrix, bias, inputs, reuse=reuse, dsp=data.draw(st.booleans()))
    x = np.stack([rng.integers(lo, hi + 1, 60) for lo, hi in inputs], axis=1)
    x[0], x[1] = ([lo for lo, _ in inputs], [hi for _, hi in inputs])
    assert np.array_equal(simulate(folded, x), x @ matrix + bias)
    assert 1 <= folded.cycles <= reuse
    live = int(matrix.any(axis=0).sum())
    padded = min(-(-rows // (reuse // g)) * -(-live // g) for g in range(1, min(reuse, live) + 1))
    rotating = rows * 7 // 60 + 1  # multipliers that the registers of rotating inputs may be worth
    assert len(folded.multipliers) <= padded + rotating or folded.gather
    for output, (lo, hi) in enumerate(folded.results):
        plus, minus = np.maximum(matrix[:, output], 0), np.minimum(matrix[:, output], 0)
        low, high = np.array([lo for lo, _ in inputs]), np.array([hi for _, hi in inputs])
        assert lo == low @ plus + high @ minus + bias[output]
        assert hi == high @ plus + low @ minus + bias[output]


def test_pruned_weights_cost_neither_cycles_nor_multipliers():
    """At 90 % zeros a plan has a tenth of the work, and uses it."""
    rng = np.random.default_rng(1)
    dense = rng.integers(1, 32, (32, 16))
    pruned = np.where(rng.random(dense.shape) < 0.9, 0, dense)
    inputs = ((0, 63),) * 32
    full = plan("fc", dense, np.zeros(16, dtype=np.int64), inputs, reuse=8, dsp=True)
    few = plan("fc", pruned, np.zeros(16, dtype=np.int64), inputs, reuse=8, dsp=True)
    assert len(full.multipliers) == 32 * 16 // 8
    assert few.gather
    assert len(few.multipliers) <= 2 * -(-np.count_nonzero(pruned) // 8)


@given(programs(), st.integers(1, 36), st.sampled_from(("xc7", "ecp5")))
@settings(max_examples=40, deadline=None)
def test_random_programs_lower_exactly(program, reuse: int, family: str):
    """lower replays every unit; here that it accepts what the IR allows, and what it then claims."""
    most = max((c.q.size for name, c in program.constants.items() if name.endswith("weight")), default=1)
    lowered = lower_for(program, codes(program, 40), family=family, clock_mhz=100.0, reuse=min(reuse, most))
    if folded := [unit for unit in lowered.units if isinstance(unit, Folded)]:
        assert lowered.initiation_interval == max(unit.plan.cycles for unit in folded) > 1
        assert lowered.checked > 0


def test_area_falls_and_latency_rises_with_the_factor():
    program = mlp((16, 32, 16, 5), seed=3, sparsity=0.0)
    x = codes(program, 20)
    found = [
        lower_for(program, x, family="xc7", clock_mhz=200, reuse=r, multiplier="dsp") for r in (2, 4, 8, 16, 32, 64)
    ]
    figures = [estimate(lowered) for lowered in found]
    assert [f.dsp for f in figures] == sorted((f.dsp for f in figures), reverse=True)
    assert figures[0].dsp == (16 * 32 + 32 * 16 + 16 * 5) / 2
    assert [f.latency_cycles for f in figures] == sorted(f.latency_cycles for f in figures)
    assert [lowered.initiation_interval for lowered in found] == [2, 4, 8, 16, 32, 64]


def test_factor_one_is_the_parallel_architecture():
    program = mlp((6, 5, 3), seed=1)
    assert only(lower_for(program, codes(program, 20), family="xc7", clock_mhz=200, reuse=1)).name == "net"


def test_auto_takes_blocks_only_where_they_are_enough():
    program = mlp((6, 5, 3), seed=1)
    options = {"family": "xc7", "clock_mhz": 200, "reuse": 3, "multiplier": "auto"}
    many = lower_for(program, codes(program, 20), dsp_blocks=90, **options)
    few = lower_for(program, codes(program, 20), dsp_blocks=1, **options)
    assert (many.dsp, few.dsp) == (True, False)
    assert few.multipliers > 1


@pytest.mark.parametrize(
    ("reuse", "message"),
    [
        ((4, 31), r"layer 'out' must be 1\.\.15 \(5 inputs x 3 outputs\), not 31; the nearest legal one is 15"),
        ((0, 1), r"layer 'fc1' must be 1\.\.30 .* not 0; the nearest legal one is 1"),
        ((4,), r"one number or 2 numbers \(one per dense layer: fc1, out\), not 1"),
        (31, r"must be 1\.\.30 \(the weights of the largest layer\), not 31; the nearest legal one is 30"),
    ],
)
def test_illegal_factors(reuse, message: str):
    program = mlp((6, 5, 3), seed=1)
    with pytest.raises(LowerError, match=message):
        lower_for(program, codes(program, 20), family="xc7", clock_mhz=200, reuse=reuse)


def test_latency_limit():
    program = mlp((6, 5, 3), seed=1)
    with pytest.raises(LowerError, match=r"allowed are 5; lower hardware\.reuse_factor"):
        lower_for(program, codes(program, 20), family="xc7", clock_mhz=200, reuse=6, max_latency_cycles=5)
