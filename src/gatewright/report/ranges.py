"""Ranges of a model's layers in, box-and-whisker pictures over powers of two out: values against their formats."""
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.errors import ConfigError
from gatewright.report.figures import GRID, INK, MUTED, STUDENT, TEACHER, Picture, panels_of, svg_of
from gatewright.tools import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
SHOWN = 40  # rows of one picture
ROLES = {"weights": "Weights and biases", "values": "Results"}
PAPER = {INK: "#1a1a1a", MUTED: "#555555", GRID: "#bbbbbb", TEACHER: "#9aa7b4", STUDENT: "#1f5fa8"}
SUFFIXES = (".svg", ".png")


def range_pictures(rows: Rows) -> list[Picture]:
    """Return a picture of the weights and one of the results; rows: `gatewright.export.profile`'s, as dicts."""
    pictures: list[Picture] = []
    for role, title in ROLES.items():
        shown = _shown(rows, role)
        if shown:
            alt = f"{title} of {len(shown)} layers: magnitudes from {_least(shown):.3g} to {_greatest(shown):.3g}."
            pictures.append(Picture(title=title, alt=alt, html=svg_of(_figure({role: shown}), f"ranges {role}", alt)))
    return pictures


def save_ranges(rows: Rows, path: Path) -> None:
    """Write both pictures side by side to a .svg or .png file, atomically. ConfigError for another suffix."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a plot is written as {' or '.join(SUFFIXES)}, not {path.name!r}; change the file's suffix")
    import matplotlib as mpl

    figure = _figure({role: shown for role in ROLES if (shown := _shown(rows, role))}, PAPER)
    data = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "ranges", "svg.fonttype": "none"}):
        undated = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(data, format=path.suffix[1:], dpi=150, metadata=undated)
    write_atomic(path, data.getvalue())


def _shown(rows: Rows, role: str) -> list[Mapping[str, Any]]:
    wanted = {"weights": ("weights", "bias"), "values": ("values",)}[role]
    return [row for row in rows if row["role"] in wanted and row["magnitudes"]][:SHOWN]


def _figure(parts: Mapping[str, Rows], colours: Mapping[str, str] | None = None) -> Figure:
    colour = {name: (colours or {}).get(name, name) for name in (INK, MUTED, GRID, TEACHER, STUDENT)}
    most = max((len(rows) for rows in parts.values()), default=1)
    figure, panels = panels_of(4.4 * max(len(parts), 1), 0.9 + 0.24 * most, max(len(parts), 1), colour)
    for axes, (role, rows) in zip(panels, parts.items(), strict=False):
        for at, row in enumerate(rows):
            if row["fixed_step"] is not None:
                ends = [row["fixed_step"], max(abs(row["fixed_least"]), row["fixed_greatest"], row["fixed_step"])]
                low, high = np.log2(ends)
                axes.barh(at, high - low, left=low, height=0.82, color=colour[TEACHER], alpha=0.45, linewidth=0)
        for at, row in enumerate(rows):
            least, first, middle, third, greatest = np.log2(row["magnitudes"])
            axes.hlines(at, least, greatest, color=colour[STUDENT], linewidth=1.2)
            axes.vlines([least, greatest], at - 0.15, at + 0.15, color=colour[STUDENT], linewidth=1.2)
            axes.barh(at, third - first, left=first, height=0.45, color=colour[STUDENT], linewidth=0)
            axes.vlines(middle, at - 0.225, at + 0.225, color=colour[INK], linewidth=1.6)
        axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(lambda value, _: f"2$^{{{value:g}}}$" if colours else f"2^{value:g}")
        axes.set_xlabel(f"{ROLES[role]}: magnitude", color=colour[MUTED], fontsize=8)
        axes.grid(axis="x", color=colour[GRID], linewidth=0.6)
        axes.grid(axis="y", visible=False)
    return figure


def _label(row: Mapping[str, Any]) -> str:
    name = row["layer"] if len(row["layer"]) <= 26 else f"…{row['layer'][-25:]}"
    return f"{name} bias" if row["role"] == "bias" else name


def _least(rows: Rows) -> float:
    return min(row["magnitudes"][0] for row in rows)


def _greatest(rows: Rows) -> float:
    return max(row["magnitudes"][-1] for row in rows)
