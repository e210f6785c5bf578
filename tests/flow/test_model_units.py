"""Models of other units and kinds through the first stages of a run: raw samples, regressions, two classes."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.data import Dataset
from gatewright.export.vectors import graph_outputs
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate, load_graph, save_graph
from gatewright.graph.nodes import Activation, Affine
from gatewright.ir import Interpreter, load_program
from tests.graphs import chain, dense

RNG = np.random.default_rng(1)


def ran(tmp_path: Path, until: str, *settings: str) -> Path:
    """Run m.npz on d.npz up to a stage; return the run directory."""
    words = [word for setting in settings for word in ("--set", setting)]
    out = tmp_path / "run"
    given = ["run", "--model", tmp_path / "m.npz", "--data", tmp_path / "d.npz", "--out", out, "--until", until, *words]
    done = CliRunner().invoke(main, list(map(str, given)))
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize("scaling", ["standard", "range"])
def test_a_model_of_raw_samples_reads_them_through_any_scaling(tmp_path: Path, scaling: str):
    """Weights and bias take the units in: the same scores, but for the rounding of the samples."""
    x = RNG.normal(size=(60, 4))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(60) % 3)
    relu = Activation(name="relu", kind="relu")
    layers = (dense("fc1", RNG.normal(size=(4, 5))), relu, dense("fc2", RNG.normal(size=(5, 3))))
    save_graph(chain((4,), *layers), tmp_path / "m.npz")
    settings = (f"data.scaling={scaling}", "data.input_format=fixed<20,5>", "model.quantize=post-training")
    out = ran(tmp_path, "model", *settings, "model.inputs=raw", "model.input_scale=2", "model.input_offset=[0,1,0,-1]")
    kept, fitted = Dataset.load(out / "data"), load_graph(out / "model" / "graph.npz")
    want = evaluate(load_graph(tmp_path / "m.npz"), 2 * x + np.array([0, 1, 0, -1]))
    got = graph_outputs(fitted, kept.x, Fixed.parse("fixed<20,5>"))
    train = kept.split == 0  # others may lie outside the training split's range
    assert len(fitted.nodes) == 4
    np.testing.assert_allclose(got[train], want[train], atol=2e-3)


def test_a_regression_keeps_its_last_function_as_a_table(tmp_path: Path):
    x = RNG.normal(size=(60, 4))
    np.savez(tmp_path / "d.npz", x=x, y=RNG.uniform(size=60))
    layers = (dense("fc", RNG.integers(-7, 8, (4, 1)) / 8), Activation(name="s", kind="sigmoid"))
    save_graph(chain((4,), *layers), tmp_path / "m.npz")
    common = ("task=regression", "hardware.output=scores", "data.input_format=fixed<9,4>")
    message = fails_late(tmp_path, *common)
    assert 'set model.output_format, e.g. "fixed<12,4>"' in message
    out = ran(tmp_path, "program", *common, "model.output_format=ufixed<8,0>")
    program = load_program(out / "program" / "program.txt")
    codes = Dataset.load(out / "data").x
    got = Interpreter(program).run(codes) / 256
    want = 1 / (1 + np.exp(-np.ldexp(codes, -5) @ layers[0].weight))
    assert np.abs(got - want).max() <= 0.5 / 256 + 1e-6


def fails_late(tmp_path: Path, *settings: str) -> str:
    """Return the message of a run that ends with status 2."""
    words = [word for setting in settings for word in ("--set", setting)]
    given = ["run", "--model", tmp_path / "m.npz", "--data", tmp_path / "d.npz", "--out", tmp_path / "late", *words]
    done = CliRunner().invoke(main, list(map(str, given)))
    assert done.exit_code == 2, done.output
    return done.output


def test_real_numbers_at_the_output_need_a_format(tmp_path: Path):
    """A batch normalisation after the last quantized layer: refused with the remedy, exact with it."""
    bn = Affine(name="bn", scale=np.array([0.3, 0.7, 1.1]), offset=np.array([0.1, 0.0, -0.2]))
    weight = RNG.integers(-7, 8, (4, 3)) / 8
    save_graph(chain((4,), dense("fc", weight), bn), tmp_path / "m.npz")
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(60, 4)), y=np.arange(60) % 3)
    common = ("data.input_format=fixed<9,4>",)
    message = fails_late(tmp_path, *common)
    assert "m.npz: node 'bn'" in message
    assert 'in a run: model.output_format = "fixed<12,4>" for real numbers at the output' in message
    assert not (tmp_path / "late").exists()
    out = ran(tmp_path, "program", *common, "model.output_format=fixed<12,4>")
    x = np.ldexp(Dataset.load(out / "data").x, -5)
    got = Interpreter(load_program(out / "program" / "program.txt")).run(Dataset.load(out / "data").x)[:, 0]
    scores = (x @ weight) * bn.scale + bn.offset
    assert (got == np.floor(scores.astype(np.float32) * 256 + 0.5).argmax(axis=1)).mean() > 0.95


def test_two_classes_of_one_output(tmp_path: Path):
    """z > 0 is the second class: what a sigmoid above one half says."""
    x = RNG.normal(size=(60, 4))
    weight = RNG.integers(-7, 8, (4, 1)) / 8
    np.savez(tmp_path / "d.npz", x=x, y=(x @ weight)[:, 0] > 0)
    save_graph(chain((4,), dense("fc", weight), Activation(name="s", kind="sigmoid")), tmp_path / "m.npz")
    out = ran(tmp_path, "program", "data.input_format=fixed<9,4>")
    codes = Dataset.load(out / "data").x
    got = Interpreter(load_program(out / "program" / "program.txt")).run(codes)[:, 0]
    assert (got == ((codes @ weight)[:, 0] > 0)).all()
