"""Numbers in, text for people out: thin spaces, units, percentages, intervals."""

from __future__ import annotations

import math

THIN = "\u202f"
"""Narrow no-break space: between groups of three digits, and between number and unit."""
DASH = "–"


def count(value: float | None) -> str:
    """Return a whole number with thin spaces between groups of three digits; a dash for None."""
    return DASH if value is None else f"{round(value):,}".replace(",", THIN)


def fixed(value: float | None, digits: int = 1) -> str:
    """Return a number with that many decimals, grouped; a dash for None."""
    return DASH if value is None else f"{value:,.{digits}f}".replace(",", THIN).replace("-", "−")


def significant(value: float | None, digits: int = 3) -> str:
    """Return a number with about that many significant digits and no exponent."""
    if value is None:
        return DASH
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def unit(text: str, name: str) -> str:
    """Return number and unit, kept on one line."""
    return text if text == DASH else f"{text}{THIN}{name}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share 0..1 as per cent."""
    return DASH if share is None else unit(fixed(100 * share, digits), "%")


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return the ends of an interval of shares as per cent, or nothing where one is unknown."""
    if low is None or high is None:
        return ""
    return f"{fixed(100 * low, digits)}{DASH}{unit(fixed(100 * high, digits), '%')}"


def ratio(value: float | None) -> str:
    """Return a ratio, e.g. 12.3×."""
    return DASH if value is None else f"{significant(value)}×"


def difference(estimate: float, measured: float) -> str:
    """Return how far an estimate is from what was measured, e.g. +4.2 %."""
    if measured == 0:
        return "0" if estimate == 0 else DASH
    share = estimate / measured - 1
    return f"{'+' if share > 0 else ''}{percent(share)}"


def size(number: int) -> str:
    """Return a file size."""
    if number < 1000:
        return unit(str(number), "B")
    if number < 1_000_000:
        return unit(significant(number / 1e3), "kB")
    return unit(significant(number / 1e6), "MB")
