"""Wilson's interval: a published value, its own equation, and no trials."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.intervals import wilson


def test_wilson_known_value():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_its_equation_and_holds_the_share(case):
    hits, total = case
    p = hits / total
    low, high = wilson(hits, total)
    assert 0 <= low <= p <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            z = abs(p - end) / math.sqrt(end * (1 - end) / total)
            assert math.isclose(z, 1.959963984540054, rel_tol=1e-6)


def test_without_trials_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)
