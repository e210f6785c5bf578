"""`gatewright anomaly`: the shipped example, with little training, to a score that the simulated hardware gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.config import load_config
from gatewright.ir import load_program, run

ECP5 = {"hardware.part": "LFE5U-25F", "synthesis.families": [], "synthesis.place": False}  # what yosys is fastest with
SMALL = {
    "teacher.epochs": 30,
    "student.epochs": 40,
    "student.hidden": [6],
    "data.subsample.factor": 4,
    **ECP5,
}


def compared(results):
    hardware = results["hardware"]
    return results["export"]["samples_compared"], hardware["vectors"], hardware["mismatches"]


def call(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_example(root: Path, tmp_path: Path):
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    example = root / "examples" / "anomaly" / "anomaly.toml"
    words = ("anomaly", example, "--normal", "0", "--normal", "1", "--out", tmp_path)
    done = call(*words, "--false-alarms", "0.1", *settings)
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "anomaly.json").read_text())
    assert (results["metric"], results["normal"], results["samples"]) == ("auc", ["0", "1"], 359)
    assert 0.8 < results["interval"][0] < results["value"] < results["interval"][1]
    assert compared(results) == (359, 359, 0)
    assert f"AUC                  {results['value']:.4f}" in done.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'<dd class="value ">{results["value"]:.4f}</dd>' in page
    assert all(f"<td>{row['value']:.4f}</td>" in page for row in results["baselines"].values())
    assert "config.json --normal 0 --normal 1 --kind autoencoder --false-alarms 0.1" in page
    again = load_config(tmp_path / "config.json")
    assert again == load_config(example, settings[1::2])
    assert "output" not in again.hardware.model_fields_set  # so that the command on the page is taken
    assert results["decision"]["found"]["value"] > results["decision"]["false_alarms"]["value"]
    program, codes = load_program(tmp_path / "program.txt"), np.load(tmp_path / "hardware" / "program" / "codes.npy")
    assert set(np.unique(run(program, codes))) == {0, 1}


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_variational_example(root: Path, tmp_path: Path):
    few = {"student.epochs": 20, "student.hidden": [3], "data.subsample.factor": 4, **ECP5}
    settings = [word for key, value in few.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    example = root / "examples" / "anomaly" / "anomaly.toml"
    done = call("anomaly", example, "--normal", "6", "--kind", "vae", "--out", tmp_path, *settings)
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "anomaly.json").read_text())
    assert (results["kind"], results["latents"], results["samples"]) == ("vae", 3, 359)
    assert 0.8 < results["interval"][0] < results["value"] < results["interval"][1]
    assert compared(results) == (359, 359, 0)
    assert [row["shape"] for row in results["network"]] == [[16, 6]]  # the decoder stays behind


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_front_of_learnt_widths(root: Path, tmp_path: Path):
    few = {**SMALL, "student.epochs": 60, "student.precision": "learned", "student.learned.points": 3}
    few = {**few, "student.learned.point": 0, "distill.weight": 0.0}
    settings = [word for key, value in few.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    done = call(
        "anomaly", root / "examples" / "anomaly" / "anomaly.toml", "--normal", "6", "--out", tmp_path, *settings
    )
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "anomaly.json").read_text())
    points = results["front"]["points"]
    assert results["front"]["chosen"] == 0 < len(points) - 1
    assert points[0]["lut"] < points[-1]["lut"]
    assert results["value"] == points[0]["auc"]
    assert compared(results) == (359, 359, 0)
    assert f"point 0              AUC {results['value']:.4f}, about {points[0]['lut']:,} LUT, chosen" in done.output
    assert '<section id="front">' in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--normal", "12"), "the normal classes must be among ['0', '1',"),
        (("--normal", "0", "--set", "hardware.output=softmax"), 'hardware.output = "scores" or "threshold"'),
        (
            ("--normal", "0", "--set", "task=regression", "--set", "hardware.output=scores"),
            'needs task = "classification"',
        ),
        (("--normal", "0", "--set", "student.hidden=[64]"), "student.hidden must have a layer narrower than the 64"),
        (("--normal", "0", "--beta", "2"), 'beta one of kind "vae"'),
        (("--normal", "0", "--kind", "vae", "--weighting", "equal"), "leave out the one that is not of kind 'vae'"),
        (("--normal", "0", "--kind", "vae", "--beta", "0"), "must be positive and finite, not 0.0"),
        (("--normal", "0", "--kind", "vae", "--set", "student.precision=learned"), 'student.precision = "fixed", not'),
        (("--normal", "0", "--set", "student.precision=learned", "--set", "student.learned.overflow=wrap"), "saturate"),
        (("--normal", "0", "--false-alarms", "1.5"), "the share of false alarms must be"),
    ],
)
def test_what_gives_no_score(root: Path, tmp_path: Path, words, text: str):
    done = call("anomaly", root / "examples" / "anomaly" / "anomaly.toml", "--out", tmp_path / "a", *words)
    assert done.exit_code == 2
    assert text in done.output, done.output
    assert not (tmp_path / "a").exists()
