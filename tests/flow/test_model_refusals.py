"""A bad model file, or one that does not suit the data, through `run --model`: status 2, one message, nothing left."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.graph import save_graph
from gatewright.graph.nodes import Activation
from gatewright.ir import load_program
from tests.graphs import chain, conv, dense
from tests.importers.keras_files import layer, sequential, write_h5
from tests.importers.onnx_models import node, save

RNG = np.random.default_rng(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(60, 4)), y=np.arange(60) % 3)
    return tmp_path / "d.npz"


def fails(model: Path, data: Path, *words: object) -> str:
    """Return the message of a run that left nothing behind."""
    out = data.parent / "deep" / "run"
    given = ["run", "--model", model, "--data", data, "--out", out, *words]
    done = CliRunner().invoke(main, list(map(str, given)))
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not out.parent.exists(), "something was left behind"
    return done.output


def mlp(path: Path, n_in: int = 4, n_out: int = 3) -> Path:
    layers = (
        dense("fc1", RNG.normal(size=(n_in, 5))),
        Activation(name="relu", kind="relu"),
        dense("fc2", RNG.normal(size=(5, n_out))),
    )
    save_graph(chain((n_in,), *layers), path)
    return path


def keras(path: Path, kernel: np.ndarray) -> Path:
    return write_h5(
        path, sequential(layer("Dense", "fc", units=3), shape=(4,)), {"fc": {"kernel": kernel, "bias": kernel[0]}}
    )


def test_truncated_files(tmp_path: Path, data: Path):
    whole = keras(tmp_path / "m.h5", RNG.normal(size=(4, 3))).read_bytes()
    (tmp_path / "m.h5").write_bytes(whole[: len(whole) // 2])
    assert "m.h5" in fails(tmp_path / "m.h5", data)
    path = save(tmp_path / "m.onnx", [node("MatMul", "w")], (4,), {"w": np.ones((4, 3), np.float32)})
    path.write_bytes(path.read_bytes()[:60])
    assert "truncated or not an ONNX file" in fails(path, data)
    whole = mlp(tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(whole[:-40])
    assert "m.npz is a damaged zip file" in fails(tmp_path / "m.npz", data)


def test_unknown_operator_names_node_and_nearest(tmp_path: Path, data: Path):
    path = save(tmp_path / "m.onnx", [node("Matmull", "w")], (4,), {"w": np.ones((4, 3), np.float32)})
    message = fails(path, data)
    assert "node 'the_Matmull' (Matmull): operator 'Matmull' of domain '' is not supported" in message
    assert "Did you mean 'MatMul'?" in message


def test_dynamic_shapes(tmp_path: Path, data: Path):
    model = sequential(layer("Dense", "fc", units=3), shape=(None, 4))
    write_h5(tmp_path / "m.h5", model, {"fc": {"kernel": RNG.normal(size=(4, 3)), "bias": np.zeros(3)}})
    assert "m.h5" in (message := fails(tmp_path / "m.h5", data))
    assert "None" in message


def test_nan_weights(tmp_path: Path, data: Path):
    kernel = RNG.normal(size=(4, 3))
    kernel[1, 2] = np.nan
    assert "weight 'kernel': 1 of 12 values are NaN or infinite" in fails(keras(tmp_path / "m.h5", kernel), data)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path, data: Path):
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(mark)!r}, 'w')",))

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Evil()))
    assert "is a pickle, which can run any code" in fails(tmp_path / "m.pkl", data)
    assert not mark.exists()


@pytest.mark.torch
def test_a_hostile_torch_file_runs_nothing(tmp_path: Path, data: Path):
    import torch

    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(mark)!r}, 'w')",))

    torch.save(Evil(), tmp_path / "m.pt")
    assert "nothing was executed" in fails(tmp_path / "m.pt", data)
    assert not mark.exists()


def test_two_gigabytes_claimed_by_a_kilobyte(tmp_path: Path, data: Path):
    path = keras(tmp_path / "m.h5", RNG.normal(size=(4, 3)))
    with h5py.File(path, "r+") as file:
        group = file["model_weights/fc/fc"]
        assert isinstance(group, h5py.Group)
        del group["kernel:0"]
        group.create_dataset("kernel:0", shape=(1 << 29, 1), dtype="f4", chunks=(1 << 20, 1))
    assert path.stat().st_size < 30_000
    assert "claims shape (536870912, 1) (2,147,483,648 bytes)" in fails(path, data)


def test_layers_without_hardware_are_named_before_anything_runs(tmp_path: Path, data: Path):
    layers = (conv("conv1", RNG.integers(-3, 4, (2, 1, 2)) / 4), Activation(name="relu", kind="relu"))
    save_graph(chain((4, 1), *layers), tmp_path / "m.npz")
    folds = ("--set", "hardware.architecture=folded", "--set", "hardware.reuse_factor=2")
    message = fails(
        tmp_path / "m.npz", data, "--set", "model.quantize=exact", "--set", "hardware.output=scores", *folds
    )
    assert "layer 'conv1': no hardware for Conv" in message
    assert 'model.quantize = "qat"' in message


def test_an_exact_road_needs_quantizers(tmp_path: Path, data: Path):
    message = fails(mlp(tmp_path / "m.npz"), data, "--set", "model.quantize=exact")
    assert "node 'fc1' (Dense) has no exact integer form: its weights are floats" in message


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((7, 3), ("model m.npz reads 7 inputs (7,), the data has 4 features", "data.feature_columns")),
        ((4, 5), ("model m.npz gives 5 values, the data has 3 classes (0, 1, 2)", "data.label_column")),
    ],
)
def test_a_model_that_does_not_suit_the_data(
    tmp_path: Path, data: Path, shape: tuple[int, int], parts: tuple[str, ...]
):
    """The data stage is done and stays; nothing of the model is written."""
    out = tmp_path / "run"
    words = ["run", "--model", mlp(tmp_path / "m.npz", *shape), "--data", data, "--out", out]
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 2, done.output
    assert all(part in done.output for part in parts), done.output
    assert [path.name for path in out.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.start=model", "model.quantize=qat"), 'model.start = "model" needs dense layers with ReLU between'),
        (("model.quantise=qat",), "unknown key 'model.quantise'. Did you mean 'quantize'?"),
        (("model.quantize=ptq",), "model.quantize: input should be 'auto', 'exact', 'post-training' or 'qat'"),
        (("model.precision.LayerNam={}",), "unknown key 'LayerNam'. Did you mean 'LayerName'?"),
        (("teacher.pretrained=x",), "model.file and teacher.pretrained both name the teacher; leave one out"),
        (("distill.hint_weight=1.0",), "distill.hint_weight needs hidden layers that an imported model does not show"),
        (("model.precision=absent.json",), "absent.json: expected a JSON or TOML file of precisions"),
    ],
)
def test_settings_that_do_not_suit(tmp_path: Path, data: Path, words: tuple[str, ...], message: str):
    layers = (dense("fc1", RNG.normal(size=(4, 3))), Activation(name="tanh", kind="tanh"), dense("fc2", np.eye(3)))
    save_graph(chain((4,), *layers), tmp_path / "m.npz")
    settings = [word for setting in words for word in ("--set", setting)]
    assert message in fails(tmp_path / "m.npz", data, *settings)


def test_a_study_refuses_a_model(tmp_path: Path, data: Path):
    text = f'name = "c"\n[data]\nsource = "{data.name}"\n[model]\nfile = "{mlp(tmp_path / "m.npz").name}"\n'
    (tmp_path / "c.toml").write_text(text)
    done = CliRunner().invoke(main, ["study", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2, done.output
    assert "remove the table [model], or use `gatewright run`" in done.output
    assert not (tmp_path / "out").exists()


def test_neither_configuration_nor_model():
    done = CliRunner().invoke(main, ["run"])
    assert done.exit_code == 2
    assert "run needs a configuration, CONFIG.toml, or --model FILE with --data SAMPLES" in done.output


def test_a_precision_table_of_the_configuration_is_applied(tmp_path: Path, data: Path):
    """A float model with precisions takes the exact road, through to its program."""

    mlp(tmp_path / "m.npz")
    fixed = "ap_fixed<8,3,AP_RND,AP_SAT>"
    (tmp_path / "c.toml").write_text(
        f"""
name = "c"
[data]
source = "d.npz"
input_format = "fixed<8,3>"
[model]
file = "m.npz"
[model.precision.Model]
Precision = "{fixed}"
[model.precision.LayerName.fc1.Precision]
weight = "ap_fixed<4,2>"
"""
    )
    out = tmp_path / "run"
    done = CliRunner().invoke(main, ["run", str(tmp_path / "c.toml"), "--out", str(out), "--until", "program"])
    assert done.exit_code == 0, done.output
    weight = load_program(out / "program" / "program.txt").constants["fc1.weight"]
    assert np.abs(weight.q).max() <= 8
    assert weight.frac_bits <= 2
    origin = json.loads((out / "model" / "model.json").read_text())
    assert (origin["quantize"], origin["format"]) == ("exact", "graph")
    assert next(row for row in origin["layers"] if row["name"] == "fc1")["weight_format"].startswith("fixed<")
