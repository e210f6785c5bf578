"""Numbers as text."""

from __future__ import annotations

import pytest

from gatewright.report.numbers import count, difference, interval, percent, ratio, significant, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count(5464), "5\u202f464"),
        (count(1_234_567), "1\u202f234\u202f567"),
        (count(None), "–"),
        (percent(0.97222, 2), "97.22\u202f%"),
        (interval(0.957, 0.989), "95.7–98.9\u202f%"),
        (interval(None, 0.9), ""),
        (ratio(13.03), "13.0×"),
        (significant(0.0421), "0.0421"),
        (significant(1234.5), "1\u202f234"),
        (significant(111.34), "111"),
        (significant(0), "0"),
        (significant(-0.5), "−0.500"),
        (difference(9120, 9131), "−0.1\u202f%"),
        (difference(110, 100), "+10.0\u202f%"),
        (difference(0, 0), "0"),
        (difference(3, 0), "–"),
        (size(999), "999\u202fB"),
        (size(512_334), "512\u202fkB"),
        (size(5_000_000), "5.00\u202fMB"),
    ],
)
def test_text(text, expected):
    assert text == expected
