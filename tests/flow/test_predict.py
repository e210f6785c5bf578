"""New samples to a finished run, arrays instead of files, runs side by side: exact, and without torch."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import gatewright
from gatewright import Predictor, RunResult, dataset_from_arrays, run
from gatewright.cli.main import main
from gatewright.data import Dataset
from gatewright.errors import ConfigError, DataError, GatewrightError
from gatewright.ir import Interpreter, save_program
from gatewright.report.compare import compare_text, read_runs
from gatewright.tools import write_json
from tests.programs import mlp
from tests.report.sample import classification

FEATURES = ["u", "v", "w", "z"]
RAW = np.random.default_rng(2).normal(0, 2, (60, 4)).round(2)
PROGRAM = mlp((4, 6, 3), seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what a run leaves up to its program, of data with names, scaling and gaps."""
    frame = pd.DataFrame(RAW, columns=FEATURES)
    keys: dict[str, Any] = {"input_format": "fixed<8,4>", "scaling": "standard"}
    data = dataset_from_arrays(frame, np.array(["p", "q", "r"])[np.arange(60) % 3], **keys)
    assert data.feature_names == tuple(FEATURES)
    data.save(tmp_path / "run" / "data")
    save_program(PROGRAM, tmp_path / "run" / "program" / "program.txt")
    write_json(tmp_path / "run" / "program" / "export.json", {"output_scale": [0.5], "notes": []})
    return tmp_path / "run"


def test_predictions_are_the_programs(folder: Path):
    data, predictor = Dataset.load(folder / "data"), Predictor.load(str(folder))
    found = predictor.predict(RAW)
    assert np.array_equal(found.result, Interpreter(PROGRAM).run(data.x))
    assert found.labels.tolist() == [("p", "q", "r")[i] for i in found.scores.argmax(axis=1)]
    trace = Interpreter(PROGRAM).trace(data.x)
    assert np.array_equal(found.scores * 2, trace["out"] * 2.0**-8)
    turned = pd.DataFrame(RAW[:, ::-1], columns=FEATURES[::-1]).assign(note="x")
    assert (predictor.predict(turned).labels == found.labels).all()
    done = RunResult(path=folder, ran=(), results=None)
    assert (done.predict(RAW) == found.labels).all()
    assert done.program == PROGRAM
    assert "stopped before its report" in done._repr_html_()


def test_predict_reads_files_and_writes_a_table(folder: Path, tmp_path: Path):
    expected = Predictor.load(folder).predict(RAW)
    np.save(tmp_path / "s.npy", RAW)
    np.savez(tmp_path / "s.npz", x=RAW)
    pd.DataFrame(RAW[:, ::-1], columns=FEATURES[::-1]).assign(kind="?").to_csv(tmp_path / "s.csv", sep=";", decimal=",")
    pd.DataFrame(RAW).to_csv(tmp_path / "bare.csv", index=False, header=False)
    tables = []
    for name in ("s.npy", "s.npz", "s.csv", "bare.csv"):
        done = CliRunner().invoke(main, ["predict", str(folder), str(tmp_path / name)], catch_exceptions=False)
        tables.append(done.stdout)
    assert set(tables) == {tables[0]}
    lines = tables[0].splitlines()
    assert lines[0] == "class,score p,score q,score r"
    assert lines[1] == ",".join([expected.labels[0], *map(repr, expected.scores[0].tolist())])
    done = CliRunner().invoke(main, ["predict", str(folder), str(tmp_path / "s.npy"), "--out", str(tmp_path / "p.csv")])
    assert (tmp_path / "p.csv").read_text() == tables[0]
    assert "60 samples" in done.stdout


def test_predict_says_what_does_not_fit(folder: Path, tmp_path: Path):
    predictor = Predictor.load(folder)
    (tmp_path / "a.csv").write_text("u,v,q\n1,2,3\n")
    (tmp_path / "b.csv").write_text("1,2,3\n" * 3)
    for file, text in (
        ("a.csv", "lacks 2 of the run's features: w, z"),
        ("b.csv", "has 3 columns, but a sample has 4"),
        ("c.csv", "no file of samples"),
    ):
        with pytest.raises(DataError, match=text):
            predictor.read(tmp_path / file)
    with pytest.raises(DataError, match="samples must be numbers, not "):
        predictor.predict(np.array([["a", "b", "c", "d"]]))
    with pytest.raises(GatewrightError, match="must be a run directory that has reached the stage program"):
        Predictor.load(tmp_path)


def test_arrays_run_as_a_file_would_and_can_be_repeated(tmp_path: Path):
    frame, labels = pd.DataFrame(RAW, columns=FEATURES), list("aabbaabbbbaa") * 5
    config = {"name": "mine", "data": {"input_format": "auto"}}
    done = run(config, tmp_path / "r", X=frame, y=labels, split=["train", "train", "val", "test"] * 15, until="data")
    data = Dataset.load(done.path / "data")
    assert (data.classes, data.feature_names) == (("a", "b"), tuple(FEATURES))
    assert data.contract["split"]["method"] == "source"
    assert (
        run(config, tmp_path / "r", X=frame, y=labels, split=["train", "train", "val", "test"] * 15, until="data").ran
        == ()
    )
    with pytest.raises(ConfigError, match="run needs y with X"):
        run(config, tmp_path / "r", X=frame)
    with pytest.raises(DataError, match="y must hold numbers or texts, not NoneType in an array of objects"):
        run(config, tmp_path / "r", X=frame, y=[None, "a"] * 30)
    assert set(gatewright.__all__) <= set(dir(gatewright))


def test_runs_are_compared(tmp_path: Path):
    found = classification()
    folders = []
    for name, accuracy, lut in (("small", 0.8, 100), ("large", 0.95, 900)):
        found["hardware"]["test_accuracy"] = accuracy
        found["synthesis"]["ecp5"]["sites"] = lut
        write_json(tmp_path / name / "results.json", found)
        folders.append(tmp_path / name)
    lines = compare_text(read_runs(folders)).splitlines()
    assert lines[0].split() == ["run", "score", "interval", "LUT", "FF", "DSP", "BRAM", "cycles", "MHz", "part"]
    assert [line.split()[:2] for line in lines[1:]] == [["small", "80.00%"], ["large", "*95.00%"]]
    assert ["*100" in lines[1], "*" in lines[2].split()[3]] == [True, False]
    done = CliRunner().invoke(main, ["compare", *map(str, folders), "--plot", str(tmp_path / "c.svg")])
    assert "wrote" in done.stdout
    assert "<svg" in (tmp_path / "c.svg").read_text()
    done = CliRunner().invoke(main, ["compare", str(tmp_path)])
    assert "must be a finished run, with results.json" in done.stderr
    html = RunResult(
        path=tmp_path / "large", ran=(), results=json.loads((tmp_path / "large" / "results.json").read_text())
    )._repr_html_()
    assert "Test accuracy" in html
    assert str(tmp_path / "large" / "report.html") in html


def test_predicting_needs_no_torch(folder: Path):
    before = set(sys.modules)
    Predictor.load(folder).predict(RAW)
    assert "torch" not in set(sys.modules) - before
