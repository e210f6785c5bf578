"""Test samples and what was answered in; pictures of how right it was out: ROC curves, predictions, residuals."""
# (matplotlib's own annotations are partial; SciPy and scikit-learn ship no type stubs)
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.report.figures import ACCENT, INK, MUTED, STUDENT, TEACHER, Picture, axes_of, svg_of
from gatewright.report.numbers import THIN, significant

MOST_DOTS = 1500  # of a scatter: more make the page large and the picture no clearer
MOST_CURVES = 5  # of classes: those that are told apart worst
MOST_TARGETS = 6
_STYLES = (
    (STUDENT, "solid"),
    (TEACHER, "solid"),
    (MUTED, "solid"),
    (STUDENT, "dashed"),
    (TEACHER, "dashed"),
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The test split and its answers.

    y: (n,) class numbers, or (n, targets) numbers; outputs: of the student, which the hardware gives bit for bit:
    scores before softmax, (n, classes), or a regression's values. targets: their names.
    """

    y: NDArray[Any]
    outputs: NDArray[np.float64]
    targets: Sequence[str] = ()


def judged_pictures(judged: Judged | None, results: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures; none where there is nothing to draw. results: as in results.json."""
    if judged is None:
        return []
    if results["task"] == "regression":
        y = judged.y.reshape(len(judged.y), -1).astype(np.float64)
        names = judged.targets or [f"target {number}" for number in range(1, y.shape[1] + 1)]
        columns = list(zip(names, y.T, judged.outputs.reshape(y.shape).T, strict=True))[:MOST_TARGETS]
        return [make(*column) for column in columns for make in (_against, _residuals)]
    from scipy.special import softmax

    return [_roc(judged.y, softmax(judged.outputs, axis=1), results["data"]["classes"])]


def _against(name: str, y: NDArray[np.float64], said: NDArray[np.float64]) -> Picture:
    """Return predictions over true values, with the line on which both are equal."""
    rows = _some(len(y))
    figure, axes = axes_of(3.2, 2.6)
    ends = [float(min(y.min(), said.min())), float(max(y.max(), said.max()))]
    axes.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle="dashed", label="equal")
    axes.scatter(y[rows], said[rows], s=9, color=STUDENT, alpha=0.5, linewidths=0, label="test samples", clip_on=False)
    axes.margins(0.05)
    axes.set_xlabel(f"true {name}")
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    title = f"Predicted {name} against true"
    few = "" if len(rows) == len(y) else f", {len(rows)} of which are drawn"
    alt = f"{title}, {len(y)} test samples{few}, from {significant(ends[0])} to {significant(ends[1])}."
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))


def _residuals(name: str, y: NDArray[np.float64], said: NDArray[np.float64]) -> Picture:
    """Return how far predictions lie from true values: a histogram in shares of the samples."""
    apart = said - y
    counts, edges = np.histogram(apart, bins=min(40, max(8, round(len(y) ** 0.5))))
    figure, axes = axes_of(3.2, 2.6)
    axes.stairs(counts / len(y), edges, fill=True, color=STUDENT, alpha=0.35)
    axes.stairs(counts / len(y), edges, color=STUDENT, linewidth=1.2)
    axes.axvline(0.0, color=ACCENT, linewidth=1.0, linestyle="dashed")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}{THIN}%")
    axes.set_xlabel("predicted less true")
    title = f"Residuals of {name}"
    alt = (
        f"{title}: mean {significant(float(apart.mean()))}, deviation {significant(float(apart.std()))}, from "
        f"{significant(float(apart.min()))} to {significant(float(apart.max()))}."
    )
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))


def _roc(y: NDArray[Any], shares: NDArray[np.float64], classes: Sequence[str]) -> Picture:
    """Return the ROC curve of each class against the rest; of two classes the second one's, of many the worst."""
    from sklearn.metrics import roc_auc_score

    from gatewright.fit.scores.roc import roc_points

    told = [k for k in range(len(classes)) if 0 < int((y == k).sum()) < len(y)]
    auc = {k: float(roc_auc_score(y == k, shares[:, k])) for k in told}
    drawn = told[1:] if len(classes) == 2 else sorted(told, key=auc.__getitem__)[:MOST_CURVES]
    figure, axes = axes_of(3.2, 2.6)
    for k, (colour, style) in zip(drawn, _STYLES, strict=False):
        curve = roc_points(shares[:, k], y == k)
        axes.plot(
            curve["false_alarms"], curve["found"], color=colour, linestyle=style, linewidth=1.3,
            label=f"{classes[k]}: {auc[k]:.3f}",
        )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.4g}{THIN}%")
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel("share of other classes taken for it")
    legend = axes.legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right", title="area", title_fontsize=8)
    legend.get_title().set_color(INK)
    title = "ROC curve" if len(drawn) == 1 else "ROC curves, each class against the rest"
    if len(drawn) < len(told) and len(classes) > 2:
        title = f"ROC curves of the {len(drawn)} classes told apart worst"
    named = ", ".join(f"{classes[k]} {auc[k]:.4f}" for k in drawn)
    alt = f"{title}: share of the class that is found, over that of other classes taken for it. Area: {named}."
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))


def _some(count: int) -> NDArray[np.int64]:
    """Return at most MOST_DOTS row numbers, evenly among all."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_DOTS)).round().astype(np.int64))
