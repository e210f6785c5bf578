"""The windowed kernels against the definition, index by index, on random shapes."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gatewright.ir.windows import convolve, convolve_transposed, pool, upsample, window_counts


@st.composite
def problems(draw):
    """Draw an image with its window: (x, kernel sizes, strides, dilation, pads)."""
    rank = draw(st.integers(1, 2))
    several = lambda lo, hi: tuple(draw(st.integers(lo, hi)) for _ in range(rank))  # noqa: E731
    size, strides, dilation = several(1, 3), several(1, 3), several(1, 2)
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    space = tuple((k - 1) * d + draw(st.integers(1, 5)) for k, d in zip(size, dilation, strict=True))
    channels = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-9, 10, (2, *space, channels)).astype(draw(st.sampled_from((np.int64, np.float64))))
    return rng, x, size, strides, dilation, pads


def cells(x, size, strides, dilation, pads):
    """Yield (window, tap, cell or None where it lies in the padding) by the definition."""
    counts = window_counts(x.shape[1:-1], size, strides, dilation, pads)
    for window in itertools.product(*(range(c) for c in counts)):
        for tap in itertools.product(*(range(k) for k in size)):
            at = tuple(w * s + t * d - p[0] for w, s, t, d, p in zip(window, strides, tap, dilation, pads, strict=True))
            inside = all(0 <= a < n for a, n in zip(at, x.shape[1:-1], strict=True))
            yield window, tap, at if inside else None


@given(problems(), st.data())
def test_convolution_is_its_definition(problem, data):
    rng, x, size, strides, dilation, pads = problem
    groups = data.draw(st.sampled_from([g for g in (1, 2, 3, 4) if x.shape[-1] % g == 0]))
    depth, each = x.shape[-1] // groups, data.draw(st.integers(1, 3))
    weight = rng.integers(-5, 6, (*size, depth, each * groups)).astype(x.dtype)
    expected = np.zeros((2, *window_counts(x.shape[1:-1], size, strides, dilation, pads), each * groups), x.dtype)
    for window, tap, at in cells(x, size, strides, dilation, pads):
        if at is None:
            continue
        for out in range(each * groups):
            first = out // each * depth
            expected[(slice(None), *window, out)] += (
                x[(slice(None), *at, slice(first, first + depth))] @ weight[(*tap, slice(None), out)]
            )
    got = convolve(x, weight, strides, dilation, pads, groups)
    assert got.dtype == x.dtype
    assert np.array_equal(got, expected)


@given(problems())
def test_pools_are_their_definition(problem):
    _, x, size, strides, _, pads = problem
    dilation = (1,) * len(size)
    counts = window_counts(x.shape[1:-1], size, strides, dilation, pads)
    greatest, total = np.full((2, *counts, x.shape[-1]), -99.0), np.zeros((2, *counts, x.shape[-1]))
    seen = np.zeros(counts, dtype=bool)
    for window, _, at in cells(x, size, strides, dilation, pads):
        if at:
            cell, here = x[(slice(None), *at)], (slice(None), *window)
            greatest[here], total[here], seen[window] = np.maximum(greatest[here], cell), total[here] + cell, True
    assert np.array_equal(pool(x, "sum", size, strides, pads), total)
    assert np.array_equal(pool(x, "max", size, strides, pads)[:, seen], greatest[:, seen])


@given(problems(), st.integers(-2, 2), st.integers(-2, 2))
def test_transposed_convolution_is_its_definition(problem, before, after):
    rng, x, size, strides, _, _ = problem
    weight = rng.integers(-5, 6, (*size, x.shape[-1], 2)).astype(x.dtype)
    full = [(n - 1) * s + k for n, s, k in zip(x.shape[1:-1], strides, size, strict=True)]
    total = np.zeros((2, *full, 2), x.dtype)
    for at in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(*size):
            where = tuple(a * s + t for a, s, t in zip(at, strides, tap, strict=True))
            total[(slice(None), *where)] += x[(slice(None), *at)] @ weight[tap]
    grown = np.pad(total, ((0, 0), *[(2, 2)] * len(size), (0, 0)))  # crop -2..2 is a slice of this
    expected = grown[(slice(None), *(slice(2 + before, max(n + 2 - after, 0)) for n in full))]
    got = convolve_transposed(x, weight, strides, [(before, after)] * len(size))
    assert np.array_equal(got, expected)


def test_upsample_repeats_each_element():
    x = np.arange(6).reshape(1, 3, 2)
    assert upsample(x, (2, 1)).tolist() == [[[0, 1], [0, 1], [2, 3], [2, 3], [4, 5], [4, 5]]]
