"""The front, the choice, the budget's error, the names of points, the early end of hopeless trials, the page."""

from dataclasses import replace

import pytest

from gatewright.config import parse_config
from gatewright.errors import BudgetError, ConfigError
from gatewright.report.search_page import render_search
from gatewright.search.limits import Limits
from gatewright.search.records import Point, Record
from gatewright.search.result import choose_point, chosen_config, front_of, nothing_fits, parse_name
from gatewright.search.trial import Hopeless, Watcher, best_of

LIMITS = Limits(lut=1000, ff=5000, dsp=0, bram=0, latency_cycles=10, latency_ns=0.0, clock_mhz=200.0)


def figures(score, lut, cycles=8, dsp=0):
    costs = {"lut": lut, "ff": 100, "dsp": dsp, "bram": 0, "latency_cycles": cycles, "latency_ns": 5.0 * cycles}
    return {"score": score, **costs, "fmax_mhz": 210.0, "ebops": 500.0, "nonzero": 40.0}


def record(trial, *points, precision="learned", **values):
    made = [
        Point(trial=trial, point=index, figures=point, excess=LIMITS.excess(point))
        for index, point in enumerate(points)
    ]
    return Record(
        trial=trial,
        state="complete" if made else "failed",
        values=values,
        precision=precision,
        teacher="t",
        teacher_score=0.99,
        points=tuple(made),
        reason="" if made else "the loss must be finite",
    )


RECORDS = [
    record(0, figures(0.90, 300), figures(0.95, 700), figures(0.99, 1400)),
    record(1, figures(0.94, 800), figures(0.96, 900, cycles=11)),
    record(2, figures(0.951, 950)),
    record(3),
]
POINTS = [point for r in RECORDS for point in r.points]


def config(**search):
    return parse_config({"name": "t", "data": {"source": "sklearn:iris"}, "search": search})


def test_limits_are_shares_of_the_budget_and_a_limit_of_nothing_holds():
    excess = LIMITS.excess(figures(0.9, 1500, cycles=12, dsp=3))
    assert excess["lut"] == 0.5
    assert excess["latency_cycles"] == pytest.approx(0.2)
    assert excess["dsp"] == 3
    assert excess["clock_mhz"] == pytest.approx(-0.05)
    assert "latency_ns" not in excess


def test_a_score_may_be_asked_for():
    asked = replace(LIMITS, score=0.98)
    assert asked.excess(figures(0.49, 10))["score"] == pytest.approx(0.5)
    assert asked.excess(figures(0.99, 10))["score"] < 0
    assert replace(LIMITS, score=-0.5).excess(figures(-1.0, 10))["score"] == pytest.approx(1.0)
    found = [record(0, figures(0.9, 300))]
    found[0] = replace(found[0], points=(replace(found[0].points[0], excess=asked.excess(found[0].points[0].figures)),))
    assert "a validation score of 0.98 (search.budget.min_score): it has 0.9." in str(nothing_fits(found, asked))


def test_the_front_holds_points_of_several_trials_within_the_budget():
    assert [point.name for point in front_of(POINTS, ("metric", "lut"))] == ["0.0", "0.1", "2.0"]
    assert [point.name for point in front_of(POINTS, ("metric",))] == ["2.0"]


def test_the_choice_is_the_best_or_the_smallest_that_is_nearly_as_good():
    assert choose_point(POINTS, config()).name == "2.0"
    assert choose_point(POINTS, config(drop=0.002)).name == "0.1"
    assert choose_point(POINTS, config(drop=0.06)).name == "0.0"


def test_a_trial_is_spoken_for_by_its_best_point_in_the_budget_else_the_nearest():
    assert best_of([(p.figures, p.excess) for p in RECORDS[0].points]) == 1
    outside = [figures(0.99, 3000), figures(0.9, 1100), figures(0.95, 1100)]
    assert best_of([(point, LIMITS.excess(point)) for point in outside]) == 2


def test_a_budget_that_nothing_meets_names_the_nearest_and_what_to_relax():
    found = [record(0, figures(0.9, 1300), figures(0.95, 2400)), record(1, figures(0.9, 1250, cycles=14))]
    text = str(nothing_fits(found, LIMITS))
    assert text.startswith("no student of 2 trials keeps the budget. Nearest: trial 0.0, beyond 1,000 LUT")
    assert "beyond 1,000 LUT (search.budget.max_lut): it has 1,300." in text
    assert "Smallest: trial 1.0, 1,250 LUT, 14 cycles." in text
    assert "Relax these limits" in text
    assert isinstance(nothing_fits(found, LIMITS), BudgetError)


def test_a_search_whose_trials_all_failed_says_why():
    assert str(nothing_fits([record(0), record(1)], LIMITS)) == (
        "none of 2 trials gave a student: the loss must be finite"
    )


@pytest.mark.parametrize(("text", "name"), [("0.2", "0.2"), ("0", "0.1"), ("2", "2.0")])
def test_points_are_named_by_trial_and_number(text, name):
    assert parse_name(text, RECORDS).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("best", "takes TRIAL or TRIAL.POINT, e.g. 12 or 12.3, not 'best'"),
        ("9", "no finished trial 9; there are 4, counted from 0"),
        ("3", "trial 3 has no student: the loss must be finite"),
        ("0.3", "trial 0 has the points 0 to 2"),
        ("0.-1", "not '0.-1'"),
    ],
)
def test_a_point_that_does_not_exist_is_an_error(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_name(text, RECORDS)


def test_the_chosen_configuration_names_the_point_of_its_front():
    base = config(trials=7)
    learned = record(5, figures(0.9, 1), figures(0.91, 2), **{"student.precision": "learned", "teacher.hidden": [9]})
    made = chosen_config(base, learned, learned.points[1])
    assert (made.student.precision, made.student.learned.point) == ("learned", 1)
    assert made.teacher.hidden == (9,)
    assert made.search == config().search


def test_a_training_far_behind_is_stopped_at_a_step_of_the_grid():
    watcher = Watcher([0.5] * 10)
    watcher(0.25, 0.1)  # too early to judge
    with pytest.raises(Hopeless, match=r"validation score 0.2 after 40 % of its training, others had at least 0.5"):
        watcher(0.4, 0.2)
    assert watcher.curve == [0.1, 0.1, 0.2, 0.2]


def test_a_training_that_keeps_up_or_has_no_rivals_goes_on():
    for watcher in (Watcher([0.5] * 10), Watcher([])):
        for epoch in range(1, 21):
            watcher(epoch / 20, 0.6)
        assert watcher.curve == [0.6] * 10


def result(chosen):
    rows = [{"trial": p.trial, "point": p.point, "feasible": p.feasible, **p.figures} for p in POINTS]
    test = {"metric": "accuracy", "value": 0.95, "interval": [0.93, 0.97], "samples": 500}
    return {
        "name": "<search>",
        "task": "classification",
        "seed": 1,
        "part": "XC7A35T",
        "objectives": {"metric": "maximize", "lut": "minimize"},
        "limits": [LIMITS.words("lut")],
        "max_lut": 1000,
        "space": {"student.hidden": "1 .. 2 layers of 4 .. 8"},
        "settings": {"contents": {"data": "abc"}},
        "versions": {"gatewright": "0", "optuna": None},
        "finished": {"complete": 3, "stopped": 0, "failed": 1},
        "trials": [
            {
                "trial": r.trial,
                "state": r.state,
                "reason": r.reason,
                "values": {"student.hidden": [4, 5], "distill.weight": 0.123456},
                "seconds": 1.0,
                "best": r.best.point if r.best else None,
                "points": [row for row in rows if row["trial"] == r.trial],
            }
            for r in RECORDS
        ],
        "front": [rows[0], rows[1], rows[5]],
        "importances": {"metric": {"student.hidden.1": 0.75, "distill.weight": 0.25}},
        "chosen": {**rows[1], "values": {"a": 1}, "test": test, "teacher_test": test} if chosen else None,
    }


def test_the_page_shows_front_choice_importances_and_every_trial():
    page = render_search(result(chosen=True))
    assert "&lt;search&gt;: search" in page
    assert "0.1 (chosen)" in page
    assert "95.00\u202f%" in page
    assert "What validation score depends on: student.hidden.1 75 %, distill.weight 25 %." in page
    assert "student.hidden [4, 5], distill.weight 0.1235" in page
    assert "the loss must be finite" in page
    assert page == render_search(result(chosen=True))


def test_the_page_of_a_search_without_a_choice_says_so():
    page = render_search(result(chosen=False))
    assert "no student keeps the budget" in page
    assert "gatewright run chosen.toml</code> builds it" not in page
