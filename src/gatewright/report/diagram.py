"""The units of a core and what joins them in, a drawing as SVG out: units below each other, skips beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from gatewright.report.numbers import count

_BOX, _HIGH, _STEP = 380, 46, 84  # pixels: a unit's width and height, and from one to the next
_LANE, _EDGE, _LETTERS = 96, 12, 44  # from one skip to the next, around all, and of a name


def dataflow_picture(units: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the drawing of results' hardware.units, for people who see and, as a title, for those who do not."""
    places = {unit["name"]: number for number, unit in enumerate(units)}
    edges = [(places[feed["source"]], number, feed) for number, unit in enumerate(units) for feed in unit["feeds"]]
    skips = [edge for edge in edges if edge[1] - edge[0] > 1]
    lanes = _lanes(skips)
    slow = bottleneck(units)["name"]
    width = _BOX + 2 * _EDGE + _LANE * max(lanes, default=-1) + _LANE * bool(lanes)
    height = _STEP * (len(units) - 1) + _HIGH + 2 * _EDGE
    parts = [_unit(unit, number, unit["name"] == slow) for number, unit in enumerate(units)]
    parts += [_down(number, feed) for begin, number, feed in edges if number - begin == 1]
    parts += [_skip(*edge, lane) for edge, lane in zip(skips, lanes, strict=True)]
    title = f"{len(units) - 2} units between the input and the output; {slow} takes most cycles"
    head = f'<svg class="dataflow" role="img" viewBox="0 0 {width} {height}" style="width:{width}px"><title>'
    return Markup(head) + escape(title) + Markup("</title>") + Markup("").join(parts) + Markup("</svg>")


def bottleneck(units: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what takes most cycles for a vector or a frame; of equals the first."""
    return max(units, key=lambda unit: unit["cycles"])


def unit_rows(units: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the rows of the table beside the drawing: unit, how it works, cycles, latency, cells."""
    keys = ("cycles", "latency_cycles", "lut", "ff", "dsp", "bram")
    return [[unit["name"], unit["kind"], *(count(unit[key]) for key in keys)] for unit in units]


def channel_rows(channels: Sequence[Mapping[str, Any]], units: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the rows of the table of FIFOs: channel, words, greatest fill, why it has them, what one less would do."""
    readers = {f"{feed['value']} -> {unit['name']}": (unit, feed) for unit in units for feed in unit["feeds"]}
    rows: list[list[str]] = []
    for channel in channels:
        unit, feed = readers.get(channel["name"], ({"name": "", "feeds": ()}, {"less": ""}))
        several, deep = len(unit["feeds"]) > 1, channel["depth"] > 1
        why = f"early, {unit['name']} waits for another" if several else f"what comes while {unit['name']} is busy"
        less = {"": "", "slower": "frames take longer", "stops": "nothing moves any more"}[feed["less"]]
        filled = (count(channel["depth"]), count(channel["greatest_fill"]))
        rows.append([channel["name"], *filled, why if deep and unit["name"] else "", less])
    return rows


def _lanes(skips: Sequence[tuple[int, int, Any]]) -> list[int]:
    """Return for each skip the place beside the units in which no other one runs along."""
    taken: list[list[tuple[int, int]]] = []
    found: list[int] = []
    for begin, end, _ in skips:
        free = (n for n, lane in enumerate(taken) if all(end <= a or b <= begin for a, b in lane))
        number = next(free, len(taken))
        if number == len(taken):
            taken.append([])
        taken[number].append((begin, end))
        found.append(number)
    return found


def _unit(unit: Mapping[str, Any], number: int, slow: bool) -> Markup:
    top, name = _EDGE + number * _STEP, unit["name"]
    shown = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}\u2026"
    cells = [f"{count(unit[key])}\u202f{key.upper()}" for key in ("lut", "dsp", "bram") if unit[key]]
    facts = "  \u00b7  ".join([unit["kind"], f"{count(unit['cycles'])} cycles", *cells])
    return Markup(
        '<g class="unit{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text x="{}" y="{}" class="name">{}</text><text x="{}" y="{}">{}</text></g>'
    ).format(
        " slow" if slow else "",
        name,
        *(_EDGE, top, _BOX, _HIGH),
        *(_EDGE + 12, top + 19, shown),
        *(_EDGE + 12, top + 37, facts),
    )


def _down(number: int, feed: Mapping[str, Any]) -> Markup:
    """Draw what a unit reads of the one above."""
    x, top = _EDGE + 40, _EDGE + (number - 1) * _STEP + _HIGH
    end = top + _STEP - _HIGH
    line = f"M{x} {top}V{end}m-4 -6l4 6l4 -6"
    return Markup('<path d="{}"/><text x="{}" y="{}">{}</text>').format(line, x + 12, (top + end) // 2 + 4, _text(feed))


def _skip(begin: int, end: int, feed: Mapping[str, Any], lane: int) -> Markup:
    """Draw what a unit reads of one further up, along a place of its own."""
    right, x = _EDGE + _BOX, _EDGE + _BOX + 18 + lane * _LANE
    top, bottom = (_EDGE + number * _STEP + _HIGH // 2 for number in (begin, end))
    line = f"M{right} {top + 8}H{x}V{bottom - 8}H{right}m6 -4l-6 4l6 4"
    return Markup('<path d="{}"/><text x="{}" y="{}">{}</text>').format(line, x + 6, (top + bottom) // 2, _text(feed))


def _text(feed: Mapping[str, Any]) -> str:
    """Say how many words wait, and of how many bits."""
    return f"{count(feed['words'])} \u00d7 {count(feed['bits'])} bit" if feed["words"] else f"{count(feed['bits'])} bit"
