"""Students by size and merit: which of them no other beats, which few to keep of many, and which one to take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatewright.config import Config
from gatewright.errors import FitError
from gatewright.fit.scores.metrics import Merit
from gatewright.graph import Graph
from gatewright.graph.figures import ebops, figures


@dataclass(frozen=True, kw_only=True)
class Point:
    """One student. merit: on the validation split; cost: LUTs as the training counts them."""

    network: Graph
    merit: Merit
    cost: float

    @property
    def score(self) -> float:
        """Validation accuracy, or minus the validation RMSE."""
        return self.merit.score

    @property
    def row(self) -> dict[str, float]:
        """Its figures, JSON-able."""
        held = figures(self.network)
        return {
            "score": self.score,
            "loss": self.merit.loss,
            "ebops": ebops(self.network),
            "nonzero": held.nonzero,
            "bits": held.nonzero_bits,
            "cost": self.cost,
        }


def non_dominated(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other equals or beats in both merit and cost, cheapest first.

    Merit goes by score first: no score falls from one point to the next, and among points of equal score the loss does.
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.score, p.merit.loss)):
        if not kept or point.merit > kept[-1].merit:
            kept.append(point)
    return tuple(kept)


def thinned(points: Sequence[Point], count: int) -> tuple[Point, ...]:
    """Return at most `count` of a front's points: again and again the one goes that spans the least.

    What a point spans is the area that only it covers, score times the logarithm of cost (the hypervolume
    contribution). A point that does no better in score than a cheaper one spans nothing and goes before all others,
    among its like by the same area of the loss. The cheapest with the best score stays to the end, the cheapest of all
    to the last but one; of the points beyond the best score the dearest, which has the lowest loss, is their last.
    """
    kept = list(points)
    while len(kept) > max(count, 1):
        spans = _spans(kept)
        del kept[spans.index(min(spans))]
    return tuple(kept)


def _spans(front: Sequence[Point]) -> list[tuple[float, float]]:
    """Return what each point of a front spans in score, and among equal scores in loss; infinite for what stays."""
    best = next(index for index, point in enumerate(front) if point.score == front[-1].score)
    spans: list[tuple[float, float]] = []
    for index, point in enumerate(front):
        before, after = front[max(index - 1, 0)], front[min(index + 1, len(front) - 1)]
        width = math.log((after.cost + 1.0) / (point.cost + 1.0)) if after is not point else math.inf
        if index in (0, best):
            spans.append((math.inf, float(index == best)))
        elif point.score > before.score:
            spans.append(((point.score - before.score) * width, 0.0))
        else:
            spans.append((0.0, (point.merit.gain - before.merit.gain) * width))
    return spans


def choose(rows: Sequence[Mapping[str, Any]], config: Config) -> int:
    """Return the index of the front's point that config.student.learned asks for.

    rows: one per point with "score" and "lut" (or another cost that grows with it). Raises FitError where the point
    asked for does not exist.
    """
    wanted, drop = config.student.learned.point, config.student.learned.drop
    if wanted >= len(rows):
        raise FitError(f"student.learned.point must be below {len(rows)}, the points of this front, not {wanted}")
    if wanted >= 0:
        return wanted
    best = max(row["score"] for row in rows)
    floor = best - drop * (1.0 if config.task == "classification" else abs(best))
    return min((i for i, row in enumerate(rows) if row["score"] >= floor), key=lambda i: (rows[i]["lut"], i))
