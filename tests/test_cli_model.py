"""The model commands end to end on a saved graph; bad input is one line and exit status 2."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.graph import evaluate, load_graph, save_graph
from gatewright.graph.nodes import Activation, Dense
from gatewright.ir import Interpreter, load_program
from tests.graphs import chain, dense

RNG = np.random.default_rng(2)


@pytest.fixture
def folder(tmp_path):
    graph = chain(
        (5,),
        dense("fc1", RNG.normal(size=(5, 8)), RNG.normal(size=8)),
        Activation(name="act", kind="sigmoid"),
        dense("fc2", RNG.normal(size=(8, 3))),
        name="net",
    )
    save_graph(graph, tmp_path / "m.npz")
    np.save(tmp_path / "x.npy", RNG.normal(size=(300, 5)))
    return tmp_path


def call(*words):
    result = CliRunner().invoke(main, [str(w) for w in words])
    assert result.exception is None or result.exit_code == 2, result.output
    return result


def test_a_float_model_becomes_a_program(folder):
    assert "net: graph, 4 nodes, 75 parameters, 64 multiply-accumulates" in call("import", folder / "m.npz").output
    listed = call("inspect", folder / "m.npz", "--json", folder / "rows.json").output
    assert "total" in listed
    assert json.loads((folder / "rows.json").read_text())[1]["parameters"] == 48
    data = ("--data", folder / "x.npy")
    done = call("quantize", folder / "m.npz", *data, "--out", folder / "q.npz", "--program", folder / "p.txt")
    assert "equal to the model on 300 samples" in done.output
    program, quantized = load_program(folder / "p.txt"), load_graph(folder / "q.npz")
    assert Interpreter(program).program.output == "fc2"
    x = np.load(folder / "x.npy")
    assert np.abs(evaluate(quantized, x) - evaluate(load_graph(folder / "m.npz"), x)).max() < 0.2
    worst = call("trace", folder / "m.npz", folder / "q.npz", *data).output.splitlines()
    assert worst[0].split()[:2] == ["layer", "op"]
    assert "fc1" in call("profile", folder / "q.npz", *data).output


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: np.save(p, np.zeros((3, 4))), "samples must be numbers (n, 5), not float64 (3, 4)"),
        (lambda p: np.savez(p, y=np.zeros(3)), "an array x"),
        (lambda p: p.write_bytes(b"junk"), "must be a .npy file"),
        (lambda p: np.save(p, np.array([{}], dtype=object)), "must be a .npy file"),
    ],
)
def test_bad_samples_are_one_line(folder, make, message):
    path = folder / ("bad.npz" if "array x" in message else "bad.npy")
    make(path)
    result = call("profile", folder / "m.npz", "--data", path)
    assert result.exit_code == 2
    assert message in result.output


def test_a_missing_model_is_one_line(folder):
    result = call("inspect", folder / "absent.onnx")
    assert result.exit_code == 2
    assert "cannot read model" in result.output


def test_precisions_of_a_file_are_applied(folder):
    given = folder / "precisions.json"
    given.write_text('{"LayerName": {"fc1": {"Precision": {"weight": "ap_fixed<4,2>"}}}}')
    assert call("import", folder / "m.npz", "--precision", given, "--out", folder / "p.npz").exit_code == 0
    before, after = (
        next(n.weight for n in load_graph(folder / name).nodes if isinstance(n, Dense)) for name in ("m.npz", "p.npz")
    )
    assert (after == ((np.floor(before * 4) + 8) % 16 - 8) / 4).all()  # AP_TRN, AP_WRAP
    for text, message in [
        ("[1]", "LayerName"),
        ("{", "expected a JSON or TOML file"),
        ('{"LayerNam": {}}', "Did you mean"),
    ]:
        given.write_text(text)
        result = call("import", folder / "m.npz", "--precision", given)
        assert result.exit_code == 2
        assert message in result.output


def test_ranges_are_drawn(folder):
    result = call("profile", folder / "m.npz", "--data", folder / "x.npy", "--plot", folder / "ranges.svg")
    assert f"wrote {folder / 'ranges.svg'}" in result.output
    assert (folder / "ranges.svg").read_text().startswith("<?xml")
    result = call("profile", folder / "m.npz", "--data", folder / "x.npy", "--plot", folder / "ranges.gif")
    assert result.exit_code == 2
    assert "a plot is written as .svg or .png" in result.output


def test_quantize_keeps_given_precisions(folder):
    (folder / "p.toml").write_text('[LayerName.fc1.Precision]\nweight = "ap_fixed<4,2>"\n')
    words = ("--data", folder / "x.npy", "--precision", folder / "p.toml", "--weight-bits", 6)
    done = call("quantize", folder / "m.npz", *words, "--out", folder / "q.npz")
    assert done.exit_code == 0, done.output
    before, after = (
        {n.name: n.weight for n in load_graph(folder / name).nodes if isinstance(n, Dense)}
        for name in ("m.npz", "q.npz")
    )
    assert (after["fc1"] == ((np.floor(before["fc1"] * 4) + 8) % 16 - 8) / 4).all()
    assert np.abs(after["fc2"] - before["fc2"]).max() < 0.1
