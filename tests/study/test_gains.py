"""Figures of cells in; intervals, paired gains and sentences out. NumPy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from gatewright.config import Config, parse_config
from gatewright.errors import ConfigError
from gatewright.study import COMBINATIONS, Combination, Summary, summarise
from gatewright.study.cells import check, of_seed, with_ingredients
from gatewright.study.gains import interval
from gatewright.study.plot import svg
from gatewright.study.text import markdown, sentences

SAMPLES = {"train": 600, "validation": 150, "test": 250}


def config(**sections: Any) -> Config:
    return parse_config({"name": "s", "data": {"source": "x.csv"}, **sections})


def summary_of(
    effects: dict[str, float],
    *,
    seeds: int = 5,
    noise: float = 0.001,
    metric: str = "accuracy",
    resplit: bool = False,
    draw: int = 0,
) -> Summary:
    """Return the summary of invented cells: 0.9 plus each ingredient's effect, plus what the seed gives, plus noise."""
    rng = np.random.default_rng(draw)
    common = rng.normal(0, 0.02, seeds)

    def row(value: float) -> dict[str, Any]:
        return {"metric": metric, "test": value, "parameters": 10, "nonzero": 7, "bits": 320}

    def cell(chosen: Combination) -> list[dict[str, Any]]:
        rows = [row(0.9 + sum(effects[n] for n in chosen) + c + rng.normal(0, noise)) for c in common]
        return [{**r, "lut": 100, "ebops": 50} if "quantization" in chosen else r for r in rows]

    return summarise(
        seeds=range(1, seeds + 1),
        samples=SAMPLES,
        resplit=resplit,
        teacher=[row(0.95 + c) for c in common],
        cells={chosen: cell(chosen) for chosen in COMBINATIONS},
    )


def test_interval_is_students_t_and_wider_where_splits_overlap() -> None:
    values = [0.91, 0.93, 0.92, 0.95]
    found = interval(values, 0.0)
    want = ttest_rel(values, [0.0] * 4).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    wider = interval(values, 0.4)
    assert (wider.high - wider.mean) / (found.high - found.mean) == pytest.approx(math.sqrt((0.25 + 0.4) / 0.25))
    assert interval([0.5], 0.0).low == interval([0.5], 0.0).high == 0.5


def test_pairs_take_the_seed_away_and_the_last_gain_is_the_mean_of_the_four() -> None:
    summary = summary_of({"pruning": -0.01, "quantization": 0.0, "distillation": 0.008})
    assert summary.rows[0].test.deviation > 0.006
    gains = summary.of("distillation")
    assert [gain.base for gain in gains] == ["none", "pruning", "quantization", "pruning-quantization", None]
    for gain in gains:
        assert gain.gain.mean == pytest.approx(0.008, abs=0.002)
        assert gain.gain.deviation < 0.003
    assert gains[-1].values == pytest.approx(np.mean([gain.values for gain in gains[:-1]], axis=0))


def test_sentences_follow_from_the_numbers() -> None:
    summary = summary_of({"pruning": -0.01, "quantization": 0.0, "distillation": 0.008})
    pruning, quantization, distillation = sentences(summary)
    assert pruning.startswith("Pruning costs: -")
    assert "percentage points" in pruning
    assert quantization.startswith("Quantization makes no difference that these seeds can tell from zero: ")
    assert distillation.startswith("Distillation helps: +0.")
    assert "Told apart from zero: +0." in distillation
    assert "added to pruning and quantization" in distillation
    noisy = summary_of({"pruning": 0.0, "quantization": 0.0, "distillation": 0.008}, noise=0.05, draw=3)
    assert "no difference that these seeds can tell from zero" in sentences(noisy)[2]
    assert sentences(noisy)[2].endswith("none of the four alone can be told from zero.")
    single = summary_of({"pruning": 0.0, "quantization": 0.0, "distillation": 0.3}, seeds=1)
    assert all("one seed gives no interval; nothing is claimed" in text for text in sentences(single))


def test_an_error_that_falls_is_a_gain() -> None:
    summary = summary_of({"pruning": 0.05, "quantization": 0.0, "distillation": -0.05}, metric="rmse")
    pruning, _, distillation = sentences(summary)
    assert pruning.startswith("Pruning costs: -0.0")
    assert distillation.startswith("Distillation helps: +0.0")
    assert "points" not in markdown(summary, "s")


def test_page_and_picture() -> None:
    summary = summary_of({"pruning": -0.01, "quantization": 0.0, "distillation": 0.008}, resplit=True)
    page = markdown(summary, "toy")
    assert page.startswith("# Study of toy\n")
    assert "mean over 5 seeds" in page
    assert "600 training, 150 validation, 250 test samples" in page
    assert "Nadeau and Bengio" in page
    row = next(line for line in page.splitlines() if line.startswith("| pruning + quantization + distillation |"))
    assert row.endswith("| 7 | 320 | 50 | 100 |")
    assert "Nadeau" not in markdown(summary_of(dict.fromkeys(("pruning", "quantization", "distillation"), 0.0)), "s")
    picture = svg(summary, "toy")
    assert picture == svg(summary, "toy")
    assert "pruning + quantization + distillation" in picture
    assert "<dc:date>" not in picture


def test_leaving_ingredients_out() -> None:
    full = config(student={"sparsity": 0.7, "pruning": {"kind": "n_of_m"}}, distill={"weight": 0.8})
    assert with_ingredients(full, COMBINATIONS[-1]) == full
    none = with_ingredients(full, ())
    assert none.student.sparsity == 0.0
    assert none.student.pruning.kind == "weights"
    assert none.distill.weight == 0.0
    assert with_ingredients(full, ("pruning",)).student == full.student
    third = of_seed(full, 3)
    assert (third.seed, third.data.split_seed) == (3, full.data.split_seed + 2)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"student": {"precision": "learned"}}, r'needs student.precision = "fixed", not "learned": learnt widths'),
        ({"student": {"pruning": {"budget_lut": 9}}}, r"prunes networks without formats too.*set student.sparsity"),
        ({"student": {"sparsity": 0.0}}, r"needs student.sparsity above 0, not 0"),
        ({"distill": {"weight": 0.0}}, r"needs distill.weight above 0, not 0"),
    ],
)
def test_nothing_to_compare(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(config(**sections))
