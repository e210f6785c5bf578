"""Windows: which step completes which, from which registers; checked against a model that moves pixels one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.ir.windows import windows
from gatewright.lower.streaming.window import Window


@st.composite
def drawn(draw: st.DrawFn, *, pixels: tuple[int, ...] = (1,)) -> Window:
    sizes: list[tuple[int, int, int, int, tuple[int, int]]] = []
    for _ in range(2):
        extent, step = draw(st.integers(1, 8)), draw(st.integers(1, 2))
        taps = draw(st.integers(1, max(1, min(4, (extent - 1) // step + 1))))
        before = draw(st.integers(0, (taps - 1) * step))
        after = draw(st.integers(0, (taps - 1) * step - before))
        sizes.append((extent, taps, draw(st.integers(1, 3)), step, (before, after)))
    per_beat = draw(st.sampled_from([p for p in pixels if sizes[1][0] % p == 0]))
    grid, size, strides, dilation, pads = (tuple(row) for row in zip(*sizes, strict=True))
    try:
        return Window(grid=grid, size=size, strides=strides, dilation=dilation, pads=pads, per_beat=per_beat)
    except LowerError:
        reject()


@given(drawn(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_the_registers_show_the_windows_of_the_program(window: Window, seed: int):
    """Beats of two frames back to back: what lies `age` beats behind, row by row, is the window of the program."""
    pixels = np.random.default_rng(seed).integers(1, 100, (2, *window.grid, 2))
    shown = window.gather(pixels, np.array([0, 0]))
    want = windows(pixels, window.size, window.strides, window.dilation, window.pads)
    rows = shown.reshape(2, *window.counts, window.size[0], window.columns, 2)
    assert np.array_equal(rows[..., :: window.dilation[1], :], want)
    flat = np.concatenate([pixels.reshape(2 * window.beats, 2), np.full((window.beats, 2), -1)])
    step = 0
    for frame in range(2):
        number = 0
        for t, fires in enumerate(window.fires):
            if not fires:
                continue
            step = frame * window.beats + t
            for row, column, position in window.cells():
                age, _ = window.place(column)
                behind = age + (window.size[0] - 1 - row) * window.dilation[0] * window.row_beats
                if shown[frame, number, position, 0]:
                    assert flat[step - behind, 0] == shown[frame, number, position, 0]
            number += 1
        assert number == window.counts[0] * window.fired_beats == shown.shape[1]


@given(drawn(pixels=(1, 2, 4)))
@settings(max_examples=100, deadline=None)
def test_a_column_is_in_one_place(window: Window):
    for column in range(window.columns):
        age, lane = window.place(column)
        assert 0 <= age < window.held
        assert 0 <= lane < window.per_beat
        assert window.column(age, lane) == column


def test_padding_takes_no_beats():
    """The line buffer of the issue: 3 x 3 'same' over 32 x 32 takes 1,024 steps; FINN's takes 1,156 with its pads."""
    window = Window(grid=(32, 32), size=(3, 3), strides=(1, 1), dilation=(1, 1), pads=((1, 1), (1, 1)))
    assert (window.beats, window.counts, window.lead) == (1024, (32, 32), 33)
    assert sum(window.fires) == 1024
    assert window.last_step - window.beats + 1 == 33, "steps that overlap the next frame, or flush"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": (9, 1)}, r"a window of \(9, 1\) pixels does not fit \(8, 8\)"),
        ({"pads": ((2, 2), (0, 0))}, r"padding 2 and 2 must be less than the 3 pixels that a window spans"),
        ({"per_beat": 3}, r"3 pixels a beat must divide a row of 8, and divide or be divided by the stride of 1"),
        ({"per_beat": 4}, r"4 pixels a beat make 4 of 6 windows of a row at a time, which does not divide them"),
    ],
)
def test_what_does_not_suit_is_said(changed, message):
    plain = {"grid": (8, 8), "size": (3, 3), "strides": (1, 1), "dilation": (1, 1), "pads": ((0, 0), (0, 0))}
    with pytest.raises(LowerError, match=message):
        Window(**{**plain, **changed})
