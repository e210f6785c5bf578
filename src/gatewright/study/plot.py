"""A summary in, its plot as SVG text out: test results and paired gains with their 95 % intervals."""
# pyright: reportUnknownMemberType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

import io

from gatewright.study.gains import Summary

INK, GREY, BLUE, ORANGE = "#1f2933", "#9aa5b1", "#2563a8", "#c2571a"


def svg(summary: Summary, name: str) -> str:
    """Return the picture; the same numbers give the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    scale, unit = (100.0, " (%)") if summary.metric == "accuracy" else (1.0, "")
    with mpl.rc_context({"svg.hashsalt": "gatewright", "font.size": 8.5, "svg.fonttype": "none"}):
        figure = Figure(figsize=(9.0, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        rows = list(reversed(summary.rows))
        for at, row in enumerate(rows):
            left.plot([scale * v for v in row.values], [at] * len(row.values), "o", color=GREY, markersize=3)
            left.plot([scale * row.test.low, scale * row.test.high], [at, at], color=BLUE, linewidth=1.6)
            left.plot(scale * row.test.mean, at, "o", color=BLUE, markersize=5)
        left.axvline(scale * summary.teacher.test.mean, color=ORANGE, linewidth=1.0, linestyle="--")
        left.set_yticks(range(len(rows)), [row.name.replace("-", " + ") for row in rows])
        left.set_xlabel(f"test {summary.metric}{unit}; grey: seeds, dashed: teacher")
        left.set_title(f"{name}: mean and 95 % interval", fontsize=9.5, color=INK)
        gains = list(reversed(summary.gains))
        for at, gain in enumerate(gains):
            colour = INK if gain.base is None else BLUE
            right.plot([scale * gain.gain.low, scale * gain.gain.high], [at, at], color=colour, linewidth=1.6)
            right.plot(scale * gain.gain.mean, at, "D" if gain.base is None else "o", color=colour, markersize=5)
        right.axvline(0.0, color=ORANGE, linewidth=1.0)
        bases = {None: "mean of the four", "none": "alone"}
        labels = [f"{g.ingredient}, {bases.get(g.base, 'with ' + (g.base or '').replace('-', ' + '))}" for g in gains]
        right.set_yticks(range(len(gains)), labels)
        right.set_xlabel(f"paired gain{' (points)' if unit else ''}, positive is better")
        right.set_title("what each ingredient adds", fontsize=9.5, color=INK)
        for axes in (left, right):
            axes.grid(axis="x", color=GREY, linewidth=0.4, alpha=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
