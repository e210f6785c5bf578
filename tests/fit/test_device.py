"""Where training runs: the choice of the device, its errors, and that nothing is left or drawn on the wrong one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gatewright.config import Config, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.errors import ConfigError, FitError
from gatewright.fit import device as module
from gatewright.fit import train_front, train_student, train_tables, train_teacher
from gatewright.fit.anomaly.variational import train_variational
from gatewright.fit.device import CPU, device_of
from gatewright.fit.frozen import dense_layer, frozen_graph, relu
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.graph.store import checksum
from gatewright.search.drive import run_search
from tests.fit.pretend import DEVICE, Pretend

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter"),  # ours holds numbers, see pretend
]


BASE: dict[str, dict[str, Any]] = {
    "data": {"source": "sklearn:digits", "input_format": "ufixed<4,5>"},
    "teacher": {"hidden": [12], "epochs": 2, "batch_size": 256, "dropout": 0.2},
    "student": {"hidden": [8], "epochs": 4, "batch_size": 256},
}
CASES: dict[str, dict[str, Any]] = {
    "teacher": {"augment": {"noise": 0.1}},
    "student": {"distill": {"weight": 0.0}},
    "everything": {
        "student": {"dropout": 0.1, "bias_bits": 6, "weight_digits": 2, "pruning": {"regularise": 1e-4}},
        "augment": {"shift": 1, "noise": 0.1},
        "distill": {"weight": 0.5, "hint_weight": 0.1},
    },
    "binary": {"student": {"weight_bits": 1, "activation": "sign"}},
    "budget": {"student": {"epochs": 8, "pruning": {"budget_ebops": 9000}}},
    "neurons": {"student": {"hidden": [12], "sparsity": 0.4, "pruning": {"kind": "neurons"}}},
    "regression": {
        "data": {"source": "sklearn:diabetes", "input_format": "fixed<8,4>", "scaling": "standard"},
        "hardware": {"output": "scores"},
    },
    "front": {"student": {"precision": "learned", "dropout": 0.1, "epochs": 24, "learned": {"points": 3}}},
    "shared": {"student": {"precision": "learned", "epochs": 12, "learned": {"points": 2, "granularity": "channel"}}},
    "tables": {"student": {"precision": "tables", "tables": {"layers": [40, 20], "inputs": 4}}},
    "variational": {"student": {"hidden": [6, 2, 6], "weight_bits": 8, "activation_bits": 8, "epochs": 20}},
}


def _config(name: str, device: str) -> Config:
    tables = {key: {**BASE.get(key, {}), **CASES[name].get(key, {})} for key in {*BASE, *CASES[name]}}
    task = "regression" if name == "regression" else "classification"
    return parse_config({"name": name, "task": task, "device": device, **tables})


def _teacher(config: Config, data: Dataset) -> Graph | NDArray[np.float64]:
    """Return correct scores or values; for hints a network of one hidden layer."""
    if config.task == "regression":
        return data.y.reshape(-1, 1)
    if not config.distill.hint_weight:
        return np.eye(len(data.classes))[data.y] * 4.0
    rng = np.random.default_rng(1)
    sizes = (("fc1", data.x.shape[1], 12), ("out", 12, len(data.classes)))
    layers = [
        dense_layer(
            name, rng.normal(size=(n_in, n_out)), np.zeros(n_out), then=relu(name, None) if name != "out" else ()
        )
        for name, n_in, n_out in sizes
    ]
    source = Fixed(width_bits=data.format.width_bits, frac_bits=data.format.frac_bits, signed=data.format.signed)
    return frozen_graph(source, layers, classes=data.classes)


def _trained(name: str, device: str, work: Path) -> tuple[list[str], Any]:
    """Return the checksums of what is trained, and the history."""
    config = _config(name, device)
    data = load_dataset(config)
    if config.student.precision == "learned":
        front = train_front(config, data, _teacher(config, data), work=work)
        return [checksum(point.network) for point in front.points], front.history
    if name == "variational":
        coder = train_variational(config, data, ("0", "1"), work=work)
        return [checksum(coder.network)], coder.history
    if name == "teacher":
        taught = train_teacher(config, data, work=work)
        return [checksum(taught.network)], taught.history
    if name == "tables":
        trained = train_tables(config, data, _teacher(config, data), work=work)
        return [checksum(trained.network)], trained.history
    trained = train_student(config, data, _teacher(config, data), work=work)
    return [checksum(trained.network)], trained.history


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Let device = "cuda" be the pretended one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    optimizer = import_module("torch.optim.optimizer")
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: ["cpu", DEVICE.type])
    monkeypatch.setattr(module, "CUDA", DEVICE)
    return Pretend()


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = _config("teacher", "cuda")
    match = r'device = "cuda" needs a GPU that torch can use, but torch .* (is a build without CUDA|finds no GPU)'
    with pytest.raises(FitError, match=match + r'.*; set device = "cpu", or "auto"'):
        train_teacher(config, load_dataset(config), work=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_search_is_refused_before_its_first_trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(FitError, match=r'device = "cuda" needs a GPU'):
        run_search(_config("student", "cuda"), tmp_path / "search")
    assert not list(tmp_path.iterdir())


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, device in ((False, CPU), (True, module.CUDA)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=found: found)
        assert device_of("auto") == device
        assert device_of("cpu") == CPU
    with pytest.raises(ConfigError, match="device"):
        _config("teacher", "gpu")


@pytest.mark.parametrize("name", CASES)
def test_the_pretended_device_gives_the_bits_of_the_cpu(name: str, far: Pretend, tmp_path: Path) -> None:
    expected = _trained(name, "cpu", tmp_path / "cpu")
    with far:
        assert _trained(name, "cuda", tmp_path / "far") == expected


@pytest.mark.parametrize("name", ["everything", "front"])
def test_a_killed_run_resumes_on_the_device(
    name: str, far: Pretend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = _trained(name, "cpu", tmp_path / "cpu")
    saves = 0
    save = Checkpoint.save

    def killed(checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        nonlocal saves
        save(checkpoint, state)
        saves += 1
        if saves == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", killed)
    monkeypatch.setitem(BASE["student"], "checkpoint_seconds", 0.05)
    with far:
        with pytest.raises(KeyboardInterrupt):
            _trained(name, "cuda", tmp_path / "far")
        assert _trained(name, "cuda", tmp_path / "far") == expected
    assert saves > 1
