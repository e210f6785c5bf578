"""A finished run's results and learning curves in, what a careful reader would remark on its training out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NETWORKS = ("teacher", "student")
LEAST_RISE = 0.01  # of the best validation score, below which a rise at the end is noise


def advice(results: Mapping[str, Any], history: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each sign of too short a training: curves that still rise, networks out of order.

    results, history: as in results.json and history.json. Networks that were not trained here have no curve.
    """
    rows = results["data"]["samples"].get("validation", 0)
    curves = {who: [float(row["score"]) for row in history.get(who, ()) if "score" in row] for who in NETWORKS}
    told = [
        f"the {who}'s validation score was still rising when its training ended; raise {who}.epochs"
        for who, scores in curves.items()
        if rises(scores, rows)
    ]
    teacher: Mapping[str, Any] = results.get("teacher") or {}
    student: Mapping[str, Any] = results["student"]
    if "test_accuracy_low" not in teacher or "test_accuracy_low" not in student:
        return told
    grown: Mapping[str, Any] = results.get("trees", {})
    if "kind" in grown:
        alone, smaller = "trees.teacher_weight = 0", "trees.rounds, depth or leaf_bits"
    else:
        alone, smaller = "distill.weight = 0", "student.epochs, hidden or weight_bits, or lower student.sparsity"
    if grown.get("teacher_weight", 1.0) and teacher["test_accuracy"] < student["test_accuracy_low"]:
        told.append(
            f"the teacher ({teacher['test_accuracy']:.1%} on test) is worse than its student "
            f"({student['test_accuracy']:.1%}); raise teacher.epochs, or set {alone}"
        )
    if student["test_accuracy_high"] < teacher["test_accuracy_low"]:
        told.append(
            f"the student ({student['test_accuracy']:.1%} on test) is far below its teacher "
            f"({teacher['test_accuracy']:.1%}); raise {smaller}"
        )
    return told


def rises(scores: Sequence[float], rows: int) -> bool:
    """Say whether the last quarter of a curve is better than all before it by more than chance.

    scores: one per epoch, greater is better: accuracies, or minus errors. rows: validation samples.
    """
    start = 3 * len(scores) // 4
    if not 0 < start < len(scores):
        return False
    before, after = max(scores[:start]), max(scores[start:])
    least = LEAST_RISE * abs(before)
    if before > 0 and rows:
        least = max(least, math.sqrt(before * (1 - min(before, 1.0)) / rows))
    return after - before > least
