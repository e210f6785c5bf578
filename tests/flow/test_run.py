"""Whole runs through the command line: results, caching, hand-edited Verilog."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gatewright.data import Dataset
from gatewright.export.vectors import graph_outputs
from gatewright.graph import load_graph
from gatewright.graph.nodes import Table
from gatewright.report.schema import validate_results

pytestmark = [pytest.mark.torch, pytest.mark.sim, pytest.mark.synth, pytest.mark.place, pytest.mark.slow]
COMMAND = [sys.executable, "-m", "gatewright"]


def gatewright(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def stages_run(output: str) -> list[str]:
    return re.findall(r"^\[(\S+)\] (?!unchanged)", output, flags=re.MULTILINE)


def test_run_again_edit(small: Path, tmp_path: Path):
    # an undisturbed run
    whole = tmp_path / "whole"
    done = gatewright("run", small, "--out", whole)
    assert done.returncode == 0, done.stderr
    results = json.loads((whole / "results.json").read_text())
    validate_results(results)
    assert results["hardware"]["mismatches"] == 0
    assert results["export"]["mismatches"] == 0
    assert results["hardware"]["confusion"] == results["student"]["confusion"]
    assert results["student"]["sparsity"] >= 0.3
    assert results["hardware"]["initiation_interval"] == 2  # 4 bytes over a 16-bit bus
    assert (whole / results["bitstream"]).stat().st_size > 50_000
    assert "m_small.bit" in done.stdout
    assert "report.html" in done.stdout
    assert re.search(r"synth/ice40: about \d+ s, a guess from \d+ estimated LUTs", done.stdout)
    assert re.search(r"Seconds per stage: data \d+\.\d, teacher .*; \d+\.\d this time", done.stdout)

    # nothing changed: nothing runs; a setting of synthesis changes: only that and the report run
    assert stages_run(gatewright("run", small, "--out", whole).stdout) == []
    again = gatewright("run", small, "--out", whole, "--set", "simulation.seed=2")
    assert stages_run(again.stdout) == ["sim", "report"]
    assert re.search(r"teacher \d+\.\d \(unchanged\), .* sim \d+\.\d, ", again.stdout)
    page = (whole / "report.html").read_text()
    assert len(re.findall(r"\u202fs, kept from an earlier run", page)) == 8

    # one adder changed by hand: simulation of the files as they are names it
    layer = whole / "rtl" / "m_small_fc1.v"
    text = layer.read_text()
    line = next(line for line in text.splitlines() if re.search(r"= .* [+] \w", line) and "wire" in line)
    layer.write_text(text.replace(line, line.replace(" + ", " - ", 1)))
    broken = gatewright("sim", small, "--out", whole)
    assert broken.returncode == 2
    assert re.search(r"layer 'fc1', element \d+, cycle \d+ .*expected -?\d+, got -?\d+ \(difference", broken.stderr)
    assert "used as they are" in broken.stderr


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("output=topk", "top_k=4"), "hardware.top_k must be 1..3, the number of scores, not 4"),
        (("output=threshold", "threshold=[0.0, 1.0]"), "one number or 3, one per score, not 2"),
    ],
)
def test_an_output_that_does_not_suit_the_classes_is_refused_before_training(
    small: Path, tmp_path: Path, settings: tuple[str, ...], text: str
):
    words = [word for setting in settings for word in ("--set", f"hardware.{setting}")]
    refused = gatewright("run", small, "--out", tmp_path / "run", *words)
    assert refused.returncode == 2
    assert text in refused.stderr
    assert not (tmp_path / "run" / "teacher").exists()


@pytest.mark.parametrize(
    ("source", "task", "score", "output"),
    [
        ("sklearn:diabetes", "regression", "test_rmse", 'output = "scores"'),
        ("sklearn:wine", "classification", "test_auc", 'output = "scores"'),
        ("sklearn:wine", "classification", "test_accuracy", 'output = "topk"'),
        ("sklearn:wine", "classification", "test_auc", 'output = "threshold"\nthreshold = [0.5, 0.0, -0.5]'),
        ("sklearn:wine", "classification", "test_accuracy", 'output = "softmax"\nsoftmax_format = "ufixed<12,0>"'),
    ],
)
def test_output_stages(tmp_path: Path, source: str, task: str, score: str, output: str):
    """Whatever leaves the chip, the hardware's metrics equal the student's, and the page says what it is."""
    config = tmp_path / "c.toml"
    config.write_text(
        f"""
name = "scores"
task = "{task}"
[data]
source = "{source}"
input_format = "fixed<8,3>"
scaling = "standard"
[teacher]
hidden = [16]
epochs = 30
[student]
hidden = [5]
epochs = 40
weight_bits = [5, 6]
[hardware]
{output}
part = "LFE5U-25F"
clock_mhz = 50
stream_bits = 32
[synthesis]
families = []
place = false
"""
    )
    done = gatewright("run", config, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["hardware"][score] == results["student"][score]
    assert results["hardware"]["mismatches"] == 0
    assert results["hardware"].get("softmax_error_bound", 0.0) < 0.01
    data = Dataset.load(tmp_path / "run" / "data")
    x, y = data.part("test")
    scores = graph_outputs(load_graph(tmp_path / "run" / "student" / "graph.npz"), x)
    if results["hardware"]["output"] == "topk":
        own = [label in row for label, row in zip(y, np.argsort(-scores, kind="stable")[:, :2], strict=True)]
        assert results["hardware"]["test_top_k_accuracy"] == np.mean(own) > 0.6
    if results["hardware"]["output"] == "threshold":
        wrong = (scores >= [0.5, 0.0, -0.5]) != (y[:, None] == np.arange(3))
        assert results["hardware"]["test_decision_accuracy"] == 1.0 - np.count_nonzero(wrong) / wrong.size
    assert list(results["synthesis"]) == ["ecp5"]


def test_front_runs_and_another_point_trains_nothing(small: Path, tmp_path: Path):
    out = tmp_path / "front"
    settings = ("precision=learned", "learned.points=4", "learned.lut_start=1000", "learned.lut_end=200")
    learned = [word for setting in settings for word in ("--set", f"student.{setting}")]
    first = gatewright("run", small, "--out", out, *learned, "--until", "sim")
    assert first.returncode == 0, first.stderr
    rows = json.loads((out / "front" / "front.json").read_text())
    assert all(row["lut"] > 0 for row in rows)
    other = gatewright("run", small, "--out", out, *learned, "--set", "student.learned.point=0", "--until", "report")
    assert other.returncode == 0, other.stderr
    assert not {"data", "teacher", "front"} & set(stages_run(other.stdout))
    assert json.loads((out / "student" / "chosen.json").read_text()) == rows[0]
    results = json.loads((out / "results.json").read_text())
    validate_results(results)
    assert results["hardware"]["mismatches"] == 0
    assert results["hardware"]["confusion"] == results["student"]["confusion"]


def test_a_student_of_truth_tables_runs_from_the_data_to_the_simulated_hardware(small: Path, tmp_path: Path):
    out = tmp_path / "tables"
    settings = ("precision=tables", "tables.layers=[30]", "learning_rate=0.002")
    words = [word for setting in settings for word in ("--set", f"student.{setting}")]
    done = gatewright("run", small, "--out", out, *words, "--until", "sim")
    assert done.returncode == 0, done.stderr
    network = load_graph(out / "student" / "graph.npz")
    assert [node.name for node in network.nodes if isinstance(node, Table)] == ["tables1.act"]
    assert json.loads((out / "sim" / "report.json").read_text())["mismatches"] == 0
    assert stages_run(gatewright("run", small, "--out", out, *words, "--until", "sim").stdout) == []
    never = gatewright("run", small, "--out", tmp_path / "never", *words, "--set", "student.tables.layers=[31]")
    assert never.returncode == 2
    assert "multiple of the 3 classes, which share its tables, not 31; use 30" in never.stderr
    assert not (tmp_path / "never" / "teacher").exists()
