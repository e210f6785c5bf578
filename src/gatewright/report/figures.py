"""Histories and example samples in, figures as inline SVG (or a PNG in a data URI) out; colours are CSS variables.

The same numbers give the same text: no dates, no random ids. Every figure has a title that a screen reader reads.
"""
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that matplotlib draws with, and the CSS variables that replace them.
INK, MUTED, GRID, TEACHER, STUDENT, ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", TEACHER: "teacher", STUDENT: "student", ACCENT: "accent"}

MIN_PIXELS = 8  # of either side of an image; fewer are channels
_APART = (0.11, 0.12)  # of the chart's width and height, between names of points
MAX_TRACES = 12  # per class: enough to see the spread, few enough to see one


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One figure of the page. html: inline markup; alt: what it shows, in words; title: its heading."""

    title: str
    alt: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    label: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


def learning_curves(history: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Picture]:
    """Return the curves of {"teacher": rows, "student": rows}; a row has epoch, loss, validation_*, sparsity."""
    pictures: list[Picture] = []
    colours = {"teacher": TEACHER, "student": STUDENT}
    for who, rows in history.items():
        lines = [
            _line(rows, "loss", "training", colours.get(who, ACCENT)),
            _line(rows, "validation_loss", "validation", colours.get(who, ACCENT), dashed=True),
        ]
        pictures += _chart(f"Loss, {who}", [line for line in lines if line.y], percent=False)
    for key, title, percent in (
        ("validation_accuracy", "Validation accuracy", True),
        ("validation_rmse", "Validation RMSE", False),
        ("sparsity", "Weights at exactly zero", True),
    ):
        lines = [_line(rows, key, who, colours.get(who, ACCENT)) for who, rows in history.items()]
        pictures += _chart(title, [line for line in lines if line.y], percent=percent)
    return pictures


def front_picture(front: Mapping[str, Any], name: str, *, key: str = "score", percent: bool = False) -> Picture:
    """Return `key` against estimated LUTs of a front's points, the chosen one marked. front: as in results.json.

    name: of what is drawn; percent: whether it is a share.
    """
    points: list[Mapping[str, Any]] = front["points"]
    chosen: int = front["chosen"]
    lut, score = [float(p["lut"]) for p in points], [abs(float(p[key])) for p in points]
    figure, axes = axes_of(4.2, 2.4)
    axes.plot(lut, score, color=STUDENT, linewidth=1.2, marker="o", markersize=4, label="points of the front")
    mark_chosen(axes, lut[chosen], score[chosen])
    label_points(axes, lut, score, [str(p["point"]) for p in points], first=chosen)
    if max(lut) > 4 * max(min(lut), 1.0):
        logarithmic_x(axes)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}\u202f%")
    axes.set_xlabel("estimated LUTs of the core")
    legend_below(figure)
    alt = (
        f"{name} of {len(points)} students from {lut[0]:.0f} LUTs, {_word(score[0], percent)}, to {lut[-1]:.0f} LUTs, "
        f"{_word(score[-1], percent)}; chosen: {lut[chosen]:.0f} LUTs, {_word(score[chosen], percent)}."
    )
    title = f"{name} against LUTs"
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))


def mark_chosen(axes: Axes, x: float, y: float) -> None:
    """Draw the chosen point of a front: a ring that is whole wherever the point lies."""
    axes.plot(x, y, color=ACCENT, marker="o", markersize=9, linestyle="none", label="chosen", clip_on=False, zorder=5)
    axes.margins(y=0.08)


def label_points(axes: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str], *, first: int = 0) -> None:
    """Write the points' names above them, `first` before all others, and none where it would lie on another."""
    wide, high = (np.ptp(values) or 1.0 for values in (np.log(np.maximum(x, 1.0)), np.asarray(y)))
    places = list(zip(np.log(np.maximum(x, 1.0)) / wide, np.asarray(y) / high, strict=True))
    placed: list[int] = []
    for index in sorted(range(len(names)), key=lambda i: (i != first, i)):
        apart = (np.subtract(places[index], places[other]) for other in placed)
        if all(abs(dx) > _APART[0] or abs(dy) > _APART[1] for dx, dy in apart):
            axes.annotate(
                names[index], (x[index], y[index]), xytext=(0, 6), textcoords="offset points", ha="center",
                fontsize=7, color=INK, annotation_clip=False,
            )  # fmt: skip
            placed.append(index)


def legend_below(figure: Figure) -> None:
    """Put the legend below the chart, where it lies on no point."""
    figure.legend(frameon=False, labelcolor=INK, fontsize=8, loc="outside lower center", ncols=4, columnspacing=1.2)


def logarithmic_x(axes: Axes) -> None:
    """Give the chart a logarithmic x axis, labelled at 1, 2 and 5 of each decade."""
    axes.set_xscale("log")
    for kind in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        kind(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "125" else "")


def sample_pictures(examples: Mapping[str, NDArray[Any]]) -> list[Picture]:
    """Return one picture per class of samples (n, *shape): small images where the shape is an image's, else curves.

    A row of numbers is one curve whatever its length; (steps, channels) is a curve per channel.
    """
    ends = [(float(x.min()), float(x.max())) for x in examples.values() if x.size]
    if not ends:
        return []
    low, high = min(a for a, _ in ends), max(b for _, b in ends)
    return [
        (_images if is_image(x.shape[1:]) else _traces)(name, x, low, high) for name, x in examples.items() if x.size
    ]


def is_image(shape: tuple[int, ...]) -> bool:
    """Return whether samples are pictures: (height, width) of 8 and more each, or (height, width, 1 or 3).

    Narrower ones of two axes are series: steps of a few channels.
    """
    return (len(shape) == 2 and min(shape) >= MIN_PIXELS) or (len(shape) == 3 and shape[2] in (1, 3))


def _line(rows: Sequence[Mapping[str, Any]], key: str, label: str, colour: str, *, dashed: bool = False) -> _Line:
    points = [(float(row["epoch"]), float(row[key])) for row in rows if row.get(key) is not None]
    return _Line(label=label, colour=colour, x=[x for x, _ in points], y=[y for _, y in points], dashed=dashed)


def _chart(title: str, lines: Sequence[_Line], *, percent: bool) -> list[Picture]:
    """Return the chart, or nothing where there is nothing to draw."""
    if not lines:
        return []
    from matplotlib.ticker import NullFormatter

    figure, axes = axes_of(2.75, 2.0)
    for line in lines:
        style = (0, (3, 2)) if line.dashed else "solid"
        axes.plot(line.x, line.y, color=line.colour, linewidth=1.4, linestyle=style, label=line.label)
    if percent:
        values = [y for line in lines for y in line.y]
        room = max(0.02, 0.06 * (max(values) - min(values)))
        axes.set_ylim(min(values) - room, max(values) + room)
        axes.yaxis.set_major_formatter(_share)
    elif max(y for line in lines for y in line.y) > 10 * min(y for line in lines for y in line.y) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xmargin(0.04)  # no curve touches its frame
    if not percent:
        axes.set_ymargin(0.08)
    axes.set_xlabel("epoch")
    if len(lines) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8, handlelength=1.6, borderaxespad=0.2)
    ends = "; ".join(f"{line.label} {_word(line.y[0], percent)} to {_word(line.y[-1], percent)}" for line in lines)
    alt = f"{title} over {int(max(lines[0].x))} epochs: {ends}."
    return [Picture(title=title, alt=alt, html=svg_of(figure, title, alt))]


def _share(value: float, _place: float) -> str:
    """Return the label of an axis of shares: none where a line has room above all or below nothing."""
    return f"{100 * value:.4g}\u202f%" if 0 <= round(value, 9) <= 1 else ""


def _word(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3g}"


def _traces(name: str, x: NDArray[Any], low: float, high: float) -> Picture:
    channels = x.shape[2] if x.ndim == 3 else 1
    shown = x[: max(1, MAX_TRACES // channels)]
    figure, axes = axes_of(2.1, 1.45)
    for trace in shown if x.ndim == 3 else shown.reshape(len(shown), -1):
        axes.plot(np.arange(len(trace)), trace, color=STUDENT, linewidth=0.8, alpha=0.55)
    margin = 0.05 * (high - low or 1.0)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel("input" if channels == 1 else "step")
    each = f"{x[0].size} inputs" if channels == 1 else f"{x.shape[1]} steps of {channels} channels"
    alt = f"{len(shown)} samples of class {name}, {each} each, as codes from {low:g} to {high:g}."
    return Picture(title=name, alt=alt, html=svg_of(figure, f"samples {name}", alt))


def _images(name: str, x: NDArray[Any], low: float, high: float) -> Picture:
    from PIL import Image

    shown = x[:6, ..., 0] if x.shape[3:] == (1,) else x[:6]
    codes = np.round((shown - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
    gap = np.zeros((codes.shape[1], 1, *codes.shape[3:]), dtype=np.uint8)
    strip = np.concatenate([part for image in codes for part in (image, gap)][:-1], axis=1)
    data = io.BytesIO()
    Image.fromarray(strip).save(data, "PNG")
    alt = f"{len(shown)} samples of class {name}, {x.shape[1]} by {x.shape[2]} pixels."
    source = base64.b64encode(data.getvalue()).decode()
    html = f'<img class="pixels" alt="{escape(alt)}" src="data:image/png;base64,{source}">'
    return Picture(title=name, alt=alt, html=html)


def axes_of(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty chart of this size in inches, in the page's style."""
    figure, (axes,) = panels_of(width, height, 1)
    return figure, axes


def panels_of(
    width: float, height: float, count: int, colours: Mapping[str, str] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure, in inches, with so many axes side by side; colours: in place of the page's own."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    grid, muted = ((colours or {}).get(name, name) for name in (GRID, MUTED))
    figure = Figure(figsize=(width, height), layout="constrained")
    found: list[Axes] = []
    for index in range(count):
        axes = figure.add_subplot(1, count, index + 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(grid)
        axes.tick_params(which="both", color=grid, labelcolor=muted, labelsize=8, length=3)
        axes.grid(axis="y", color=grid, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.label.set(color=muted, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        found.append(axes)
    return figure, found


def svg_of(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an inline SVG element whose ids are its own and whose colours follow the page."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    slug = re.sub(r"\W+", "-", name.lower()).strip("-")
    body = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{slug}-", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    view = re.search(r'viewBox="[^"]*"', body)
    assert view is not None, "matplotlib writes a viewBox"
    head = f'<svg {view[0]} role="img" aria-label="{escape(alt)}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: head, body, count=1).strip()
