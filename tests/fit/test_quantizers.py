from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.errors import FitError
from gatewright.fit.modules.quantizers import covering_grid, fake_quantize, fit_grid, grid_tensors, round_half_up
from gatewright.fixedpoint import Grid, digit_count

pytestmark = pytest.mark.torch
FLOATS = st.floats(-1e6, 1e6, allow_nan=False)


def grid(width: int, frac: int, signed: bool) -> Grid:
    return Grid.uniform(width, frac, signed=signed)


def exact(value: float, g: Grid) -> Fraction:
    step = Fraction(2) ** -int(g.frac_bits)
    if g.binary:
        return step if value >= 0 else -step
    q = floor(Fraction(value) / step + Fraction(1, 2))
    return min(max(q, int(g.lo)), int(g.hi)) * step


@given(FLOATS, st.integers(1, 20), st.integers(-8, 24), st.booleans())
def test_quantize_equals_fraction_arithmetic(value, width, frac, signed):
    g = grid(width, frac, signed)
    assert Fraction(float(g.quantize(np.array(value)))) == exact(value, g)


@given(st.floats(-1e4, 1e4, width=32), st.integers(1, 16), st.integers(-4, 12), st.booleans())
def test_fake_quantize_in_float32_equals_fraction_arithmetic(value, width, frac, signed):
    g = grid(width, frac, signed)
    got = fake_quantize(torch.tensor(value, dtype=torch.float32), *grid_tensors(g, torch.float32))
    assert Fraction(float(got)) == exact(value, g)


@pytest.mark.parametrize("value", [0.5 - 2.0**-54, -0.5 - 2.0**-53, -1e-20, 2.0**52 + 1, 0.49999999999999994])
def test_rounding_has_no_rounding_error_of_its_own(value):
    assert float(round_half_up(torch.tensor(value, dtype=torch.float64))) == floor(Fraction(value) + Fraction(1, 2))


def test_gradient_is_one_inside_and_zero_where_clipped():
    x = torch.tensor([-9.0, -1.75, -0.3, 0.0, 0.3, 1.75, 9.0], requires_grad=True)
    fake_quantize(x, *grid_tensors(grid(4, 2, True), torch.float32)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_formats_per_channel_and_per_weight():
    values = np.full((2, 3), 0.8)
    channel = Grid(width_bits=np.array([2, 4, 0]), frac_bits=np.array([0, 3, 0]), signed=True)
    assert channel.quantize(values).tolist() == [[1.0, 0.75, 0.0]] * 2
    each = Grid(width_bits=np.array([[3, 3, 3], [8, 8, 8]]), frac_bits=np.array([[1], [7]]), signed=True)
    assert each.quantize(values).tolist() == [[1.0] * 3, [102 / 128] * 3]
    assert str(each) == "2 fixed formats, 3..8 bits"
    assert str(grid(4, 3, True)) == "fixed<4,1>"
    again = Grid.from_json(each.to_json())
    assert again.to_json() == each.to_json()


@given(st.lists(FLOATS, min_size=1, max_size=20), st.integers(2, 8), st.booleans())
def test_fitted_grid_is_the_best_of_all_powers_of_two(values, width, signed):
    x = np.array(values)
    best = fit_grid(x, width, signed=signed)
    error = np.mean((best.quantize(x) - x) ** 2)
    powers = (grid(width, int(best.frac_bits) + shift, signed) for shift in range(-8, 4))
    assert all(np.mean((other.quantize(x) - x) ** 2) >= error for other in powers)


@given(st.lists(FLOATS, min_size=1, max_size=20), st.integers(2, 32), st.integers(-4, 20), st.booleans())
def test_covering_grid_never_clips_and_is_no_finer_than_asked(values, width, finest, each):
    x = np.array(values)
    g = covering_grid(x, width, finest=np.full(x.shape if each else (), finest))
    assert (g.frac_bits <= finest).all()
    assert (np.abs(g.quantize(x) - x) <= 2.0 ** -g.frac_bits.astype(float) / 2).all()


@given(st.integers(-3000, 3000), st.integers(2, 10), st.integers(1, 3))
def test_digit_limit_gives_the_nearest_allowed_integer(value, width, digits):
    g = Grid.uniform(width, 0, signed=True, digits=digits)
    top = (1 << (width - 1)) - 1
    allowed = [q for q in range(-top, top + 1) if csd_digits(abs(q)) <= digits]
    got = float(g.quantize(np.array(value / 4)))
    assert got in allowed
    assert abs(got - value / 4) == min(abs(q - value / 4) for q in allowed)
    assert int(g.hi) == max(allowed)


def csd_digits(n: int) -> int:
    """Count by the definition: an odd n leaves digit 2 - n mod 4, so that no two neighbours are non-zero."""
    count = 0
    while n:
        if n & 1:
            n -= 2 - (n & 3)
            count += 1
        n >>= 1
    return count


def test_one_digit_means_powers_of_two():
    g = Grid.uniform(5, 0, signed=True, digits=1)
    assert g.quantize(np.arange(-8.0, 8.0)).tolist() == [-8, -8, -4, -4, -4, -2, -2, -1, 0, 1, 2, 4, 4, 4, 8, 8]
    assert g.quantize(np.array([-99.0, 99.0])).tolist() == [-8, 8]
    assert str(g) == "fixed<5,5> of 1 digit"
    assert digit_count(np.array([0, 1, -3, 7, 21, 255])).tolist() == [0, 1, 2, 2, 3, 2]


def test_impossible_widths_and_values_are_refused():
    with pytest.raises(FitError, match=r"must be 0\.\.32 bits, not 33"):
        grid(33, 0, True)
    with pytest.raises(FitError, match="finite values, not nan; lower learning_rate"):
        fit_grid(np.array([np.nan]), 4, signed=True)
