"""Runs with a table [trees]: the stages with and without a teacher, the report, and what is refused before any work."""

import json
from pathlib import Path

import pytest

from gatewright.config import parse_config
from gatewright.errors import ConfigError
from gatewright.flow.advice import advice
from gatewright.flow.anomaly import run_anomaly
from gatewright.flow.run import Flow, run
from gatewright.flow.rundir import unheard
from gatewright.search.drive import run_search
from gatewright.study.cells import check

TINY = {
    "name": "iris",
    "data": {"source": "sklearn:iris", "input_format": "ufixed<6,3>"},
    "trees": {"rounds": 2, "depth": 2},
    "hardware": {"part": "LFE5U-25F"},
    "synthesis": {"families": [], "place": False},
}


@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_a_run_to_the_report(tmp_path: Path):
    done = run(TINY, tmp_path)
    assert done.ran == ("data", "teacher", "student", "program", "rtl", "sim", "synth/ecp5", "report")
    assert done.results is not None
    grown, student = done.results["trees"], done.results["student"]
    assert (grown["kind"], grown["trees"], grown["leaf_bits"], grown["teacher_weight"]) == ("boosted", 6, 6, 0.0)
    assert student["layers"][0]["shape"] == [6, grown["splits"], 3]
    assert grown["splits"] < student["parameters"]
    assert done.results["hardware"]["mismatches"] == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"3 classes: 6 decision trees that ask {grown['comparators']} different questions, compiled for" in page
    assert "Test accuracy, trees before rounding" in page


def test_a_teacher_is_trained_where_it_has_a_weight(tmp_path: Path):
    def stages(**trees) -> list[str]:
        config = parse_config({**TINY, "trees": {**TINY["trees"], **trees}})
        flow = Flow.prepare(config, tmp_path, progress=False, notify=unheard)
        return [f"{stage.name}: {stage.title}" for stage in flow.stages()[1:3]]

    assert stages() == ["teacher: grow decision trees", "student: round the leaves of the trees"]
    assert stages(teacher_weight=0.5) == [
        "teacher: train the teacher",
        "student: grow decision trees that the teacher teaches, and round their leaves",
    ]


def test_advice_names_the_keys_of_trees():
    low = {"test_accuracy": 0.6, "test_accuracy_low": 0.55, "test_accuracy_high": 0.65}
    high = {"test_accuracy": 0.9, "test_accuracy_low": 0.85, "test_accuracy_high": 0.95}
    results = {"data": {"samples": {}}, "trees": {"kind": "boosted", "teacher_weight": 0.5}}
    assert advice({**results, "teacher": low, "student": high}, {})[0].endswith("or set trees.teacher_weight = 0")
    assert advice({**results, "teacher": high, "student": low}, {})[0].endswith("trees.rounds, depth or leaf_bits")
    results["trees"]["teacher_weight"] = 0.0
    assert advice({**results, "teacher": low, "student": high}, {}) == []


def test_what_has_no_trees(tmp_path: Path):
    config = parse_config(TINY)
    with pytest.raises(ConfigError, match="a search tries students that are networks, no trees; take the table trees"):
        run_search(config, tmp_path)
    with pytest.raises(ConfigError, match="a study prunes and quantizes networks, no trees; take the table trees out"):
        check(parse_config({**TINY, "trees": None}).model_copy(update={"trees": config.trees}))
    forest = parse_config({**TINY, "trees": {"kind": "isolation"}})
    with pytest.raises(ConfigError, match="gives an anomaly score; run `gatewright anomaly CONFIG --normal CLASS`"):
        run(forest, tmp_path)
    said = r'set trees\.kind = "isolation", not .*, and leave --kind out; or take'
    with pytest.raises(ConfigError, match=said):
        run_anomaly(config, ("setosa",), tmp_path)
    with pytest.raises(ConfigError, match=said):
        run_anomaly(forest, ("setosa",), tmp_path, kind="vae")
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
