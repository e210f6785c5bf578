"""The pages as a browser shows them, on a desk and on a phone: nothing overflows, is cut, or lies on something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatewright.report.compare import Compared, compare_plot
from gatewright.report.page import render
from gatewright.report.search_page import render_search
from tests.report import sample
from tests.report.looks import faults_of
from tests.report.test_anomaly_page import page_of
from tests.search.test_result import result

VALUES = {f"student.setting_{i}": [0.123456, i] for i in range(14)}  # as many as a real search has


def search() -> dict[str, Any]:
    """Return a search whose chosen point is the best of all, far above the others, with long rows of trials."""
    found = result(chosen=True)
    for number, row in enumerate(found["trials"]):
        row["values"] = VALUES
        for point in row["points"]:
            point["score"] = 0.5 + 0.1 * number
    best = max((p for row in found["trials"] for p in row["points"]), key=lambda p: p["score"])
    best["score"] = 0.97
    found["front"] = [found["trials"][0]["points"][0], best]
    found["chosen"] = {**found["chosen"], **best}
    return found


def compared(number: int) -> Compared:
    return Compared(
        name=f"a rather long name of run {number}", regression=False, score=0.9 + number / 40, low=0.85, high=0.99,
        lut=500 * number, ff=1, dsp=0, bram=0.0, cycles=4, clock_mhz=200.0, part="XC7A35T", measured=True,
    )  # fmt: skip


@pytest.mark.browser
@pytest.mark.slow
def test_no_page_has_anything_cut_or_overflowing(tmp_path: Path):
    compare_plot([compared(1), compared(2), compared(3)], tmp_path / "compare.svg")
    svg = (tmp_path / "compare.svg").read_text(encoding="utf-8")
    pages = {
        "report": render(
            sample.classification(),
            history=sample.history(),
            examples=sample.images(),
            judged=sample.judged("classification"),
        ),
        "regression": render(sample.regression(), history=sample.history(), judged=sample.judged("regression")),
        "anomaly": page_of(sample.anomaly(front=True)),
        "search": render_search(search()),
        "compare": f"<!DOCTYPE html><style>svg {{ width: 100%; height: auto }}</style>{svg[svg.index('<svg') :]}",
    }
    found = faults_of(pages)
    assert len(found) == 2 * len(pages)
    assert {where: faults for where, faults in found.items() if faults} == {}
