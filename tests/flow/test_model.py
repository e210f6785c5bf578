"""Models of three front ends through `run --model` to simulated hardware; their files are written here."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_iris

from gatewright.cli.main import main
from gatewright.data import Dataset
from gatewright.ir import Interpreter, load_program, ranges
from gatewright.report.schema import validate_results
from tests.importers.keras_files import layer, sequential, write_h5
from tests.importers.onnx_models import save

FORMAT = "fixed<9,4>"  # iris: 0.1 .. 7.9, on a grid of 1/32
SETTINGS = (
    "hardware.part=LFE5U-25F",
    "synthesis.families=[]",
    "synthesis.place=false",
)  # the family yosys is fastest with
ECP5 = tuple(word for setting in SETTINGS for word in ("--set", setting))


def run(*words: object) -> str:
    done = CliRunner().invoke(main, ["run", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def iris(folder: Path) -> Path:
    x, y = load_iris(return_X_y=True)
    np.savez(folder / "iris.npz", x=x, y=y)
    return folder / "iris.npz"


def scores(out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (samples as the hardware reads them, the simulated program's scores) of the test split."""
    data, program = Dataset.load(out / "data"), load_program(out / "program" / "program.txt")
    x = data.part("test")[0]
    q = Interpreter(program).run(x)
    return np.ldexp(x.astype(float), -data.format.frac_bits), np.ldexp(q, -ranges(program)[program.output].frac_bits)


def checked(out: Path, road: str) -> dict:
    """Return results.json of a finished run in which every link of the chain held."""
    results = json.loads((out / "results.json").read_text())
    validate_results(results)
    assert results["model"]["quantize"] == road
    assert results["hardware"]["mismatches"] == results["export"]["mismatches"] == 0
    assert results["hardware"]["vectors"] == results["export"]["samples_compared"] == 150
    assert results["hardware"]["confusion"] == results["student"]["confusion"]
    return results


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-7, 8, shape) / 8


def half_even(x: np.ndarray, step: float, lo: int, hi: int) -> np.ndarray:
    return np.clip(np.rint(x / step), lo, hi) * step


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.synth
def test_qkeras_to_counted_hardware(tmp_path: Path):
    """QKeras' own definition (bits, integer; halves to even), by hand, equals the simulated scores."""
    bits = {"class_name": "quantized_bits", "config": {"bits": 4, "integer": 0, "alpha": 1.0, "symmetric": True}}
    relu = {"class_name": "quantized_relu", "config": {"bits": 5, "integer": 3}}
    given = {"kernel_quantizer": bits, "bias_quantizer": bits, "activation": "linear", "use_bias": True}
    model = sequential(
        layer("QDense", "fc1", units=6, **given),
        layer("QActivation", "act", activation=relu),
        layer("QDense", "fc2", units=3, **given),
        layer("Activation", "softmax", activation="softmax"),
        shape=(4,),
    )
    w = {"fc1": (numbers(1, 4, 6), numbers(2, 6)), "fc2": (numbers(3, 6, 3), numbers(4, 3))}
    arrays = {name: {"kernel": k.astype("f4"), "bias": b.astype("f4")} for name, (k, b) in w.items()}
    write_h5(tmp_path / "net.h5", model, arrays)
    out = tmp_path / "run"
    words = (
        "--model",
        tmp_path / "net.h5",
        "--data",
        iris(tmp_path),
        "--out",
        out,
        "--set",
        f"data.input_format={FORMAT}",
    )
    run(*words, "--set", "hardware.output=scores", *ECP5)
    results = checked(out, "exact")
    x, got = scores(out)
    hidden = half_even(np.maximum(x @ w["fc1"][0] + w["fc1"][1], 0), 2.0**-2, 0, 31)
    assert (got == hidden @ w["fc2"][0] + w["fc2"][1]).all()
    assert results["synthesis"]["ecp5"]["lut"] > 0
    assert results["model"]["framework"] == "Keras 2.13.1"
    assert "softmax" in results["model"]["notes"][-1]
    page = (out / "report.html").read_text()
    assert results["model"]["sha256"] in page
    assert page.count("ranges-") > 0
    again = run(*words, "--set", "hardware.output=scores", *ECP5)
    stages = [line for line in again.splitlines() if line.startswith("[")]
    assert stages
    assert all(line.endswith("] unchanged") for line in stages), again


@pytest.mark.sim
@pytest.mark.slow
def test_onnx_with_quantizers(tmp_path: Path):
    """ONNX's own reference evaluator and the simulated hardware give the same scores."""
    steps = {"s0": np.float32(2**-4), "s1": np.float32(2**-3), "z": np.int8(0), "u": np.uint8(0)}
    tables = {
        "w1": numbers(5, 4, 5).astype("f4"),
        "b1": numbers(6, 5).astype("f4"),
        "w2": numbers(7, 5, 3).astype("f4"),
    }
    names = ["x", "q0", "d0", "m1", "a1", "r1", "q1", "d1", "y"]
    more = [["s0", "z"], ["s0", "z"], ["w1"], ["b1"], [], ["s1", "u"], ["s1", "u"], ["w2"]]
    kinds = [
        "QuantizeLinear",
        "DequantizeLinear",
        "MatMul",
        "Add",
        "Relu",
        "QuantizeLinear",
        "DequantizeLinear",
        "MatMul",
    ]
    nodes = [helper.make_node(kind, [names[i], *more[i]], [names[i + 1]], name=f"n{i}") for i, kind in enumerate(kinds)]
    path = save(tmp_path / "net.onnx", nodes, (4,), {**steps, **tables}, opset=21)
    out = tmp_path / "run"
    words = ("--model", path, "--data", iris(tmp_path), "--out", out, "--set", f"data.input_format={FORMAT}")
    run(*words, "--set", "hardware.output=scores", *ECP5)
    checked(out, "exact")
    x, got = scores(out)
    (expected,) = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x.astype(np.float32)})
    assert (got == expected).all()


@pytest.fixture
def sequential_file(tmp_path: Path):
    """Return a torch Sequential with dyadic weights, and the words of a run with its file."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.tensor(numbers(seed, *parameter.shape)))
    torch.save(module, tmp_path / "net.pt")
    words = ("--model", tmp_path / "net.pt", "--data", iris(tmp_path), "--out", tmp_path / "run", *ECP5)
    return module, (*words, "--set", f"data.input_format={FORMAT}", "--set", "hardware.output=scores")


def forward(module, x: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return module(torch.tensor(x, dtype=torch.float32)).numpy()


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
def test_torch_with_weights_of_few_bits(tmp_path: Path, sequential_file):
    """torch's forward pass and the simulated hardware give the same scores."""
    module, words = sequential_file
    run(*words)
    results = checked(tmp_path / "run", "exact")
    assert results["model"]["framework"] == "torch"  # the file does not tell the version
    x, got = scores(tmp_path / "run")
    assert (got == forward(module, x)).all()


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
def test_torch_quantized_after_training(tmp_path: Path, sequential_file):
    module, words = sequential_file
    run(*words, "--set", "model.quantize=post-training", "--set", "model.activation_bits=10")
    checked(tmp_path / "run", "post-training")
    x, got = scores(tmp_path / "run")
    expected = forward(module, x)
    assert np.abs(got - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
def test_torch_as_the_start_of_a_student(tmp_path: Path, sequential_file):
    _, words = sequential_file
    out = tmp_path / "run"
    settings = ("student.epochs=40", "student.sparsity=0.2", "student.batch_size=16", "student.learning_rate=0.01")
    more = [word for setting in (*settings, "distill.weight=0") for word in ("--set", setting)]
    assert "[teacher] let the model teach" in run(*words, "--set", "model.quantize=qat", *more)
    results = checked(out, "qat")
    assert results["model"]["start"] == "model"
    assert results["student"]["shape"] == [4, 6, 3]
    assert results["student"]["test_accuracy"] > results["teacher"]["test_accuracy"]  # whose weights are random
    assert np.load(out / "teacher" / "soft_targets.npy").shape == (150, 3)


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
def test_any_graph_teaches_a_dense_student(tmp_path: Path):
    """A convolutional model has no hardware yet, but its scores teach; the start is random then."""
    import torch
    from torch import nn

    from gatewright.graph import save_graph
    from gatewright.importers.torch import load_torch

    torch.manual_seed(2)
    module = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3))
    save_graph(load_torch(module, torch.zeros(2, 4)), tmp_path / "conv.npz")
    words = ("--model", tmp_path / "conv.npz", "--data", iris(tmp_path), "--out", tmp_path / "run", *ECP5)
    run(*words, "--set", "student.hidden=[5]", "--set", "student.epochs=30", "--set", "student.batch_size=16")
    results = checked(tmp_path / "run", "qat")
    assert results["model"]["start"] == "random"
    assert results["student"]["shape"] == [4, 5, 3]


@pytest.mark.data
@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs", "road"),
    [
        ("keras/hgq_jet_classifier.h5", 16, "exact"),  # a format per element, pruned to 182 weights
        ("onnx/two_layer_keras.onnx", 10, "post-training"),
        ("pytorch/two_layer_model.pt", 10, "post-training"),  # floats; one sigmoid for two classes
    ],
)
def test_files_of_another_project(tmp_path: Path, shared_data: Path, name: str, inputs: int, road: str):
    """Labels are the model's own answers on the samples as the hardware reads them: an exact road makes no mistake."""
    from gatewright.graph import evaluate
    from gatewright.importers import load_model

    file = shared_data / "models" / "example_models" / name
    x = np.floor(np.random.default_rng(3).normal(0, 1, (400, inputs)) * 64 + 0.5) / 64
    answers = evaluate(load_model(file), x)
    y = answers[:, 0] > 0.5 if answers.shape[1] == 1 else answers.argmax(axis=1)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    words = ("--model", file, "--data", tmp_path / "own.npz", "--out", tmp_path / "run", *ECP5)
    narrow = ("--set", "model.weight_bits=4", "--set", "model.activation_bits=6")  # small to compile
    run(*words, "--set", "data.input_format=fixed<12,6>", "--set", f"model.quantize={road}", *narrow)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["hardware"]["mismatches"] == 0
    assert results["teacher"]["test_accuracy"] == 1.0
    assert results["hardware"]["test_accuracy"] >= (1.0 if road == "exact" else 0.85)
