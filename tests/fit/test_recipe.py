"""Students of every kind of pruning: the structure promised, budgets kept, errors, resumption."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.config import Config
from gatewright.data import Dataset
from gatewright.errors import ConfigError, FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import train_student
from gatewright.fit.frozen import dense_layers, is_quantized
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.graph import Graph
from gatewright.graph.figures import ebops, figures
from gatewright.graph.store import checksum

from .conftest import make_config, make_data
from .networks import proved

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def soft(data: Dataset) -> Any:
    return np.eye(3)[data.y] * 4.0


def config_for(**student: Any) -> Config:
    return make_config(student={"hidden": (12,), **student})


def exact(network: Graph, data: Dataset) -> bool:
    return proved(network, data.x).output == "class"


def correct(network: Graph, data: Dataset) -> float:
    x, y = data.part("test")
    return float((graph_outputs(network, x).argmax(axis=1) == y).mean())


@pytest.mark.parametrize("schedule", ["cubic", "constant", "one_shot"])
def test_neurons_that_are_pruned_are_gone(schedule: str, data: Dataset, soft: Any, tmp_path: Path) -> None:
    config = config_for(hidden=(12, 8), sparsity=0.6, pruning={"kind": "neurons", "schedule": schedule})
    network = train_student(config, data, soft, work=tmp_path).network
    first, second, last = dense_layers(network)
    assert first.bias.size + second.bias.size <= 8  # 40 % of 20
    assert second.weight.shape == (first.bias.size, second.bias.size)
    assert last.weight.shape == (second.bias.size, 3)
    assert exact(network, data)
    assert correct(network, data) > 0.6


def test_blocks_and_groups_of_m_hold_in_the_result(data: Dataset, soft: Any, tmp_path: Path) -> None:
    config = config_for(sparsity=0.5, pruning={"kind": "blocks", "block": (2, 3), "regularise": 1e-3})
    network = train_student(config, data, soft, work=tmp_path / "blocks").network
    assert figures(network).sparsity >= 0.5
    weight = dense_layers(network)[0].weight
    empty = [not weight[r : r + 2, c : c + 3].any() for r in range(0, 6, 2) for c in range(0, 12, 3)]
    assert sum(empty) >= 3
    assert exact(network, data)
    assert correct(network, data) > 0.6

    config = config_for(pruning={"kind": "n_of_m", "n": 1, "m": 3})
    network = train_student(config, data, soft, work=tmp_path / "groups").network
    for layer in dense_layers(network):
        for row in range(0, len(layer.weight), 3):
            assert (np.count_nonzero(layer.weight[row : row + 3], axis=0) <= 1).all()
    assert exact(network, data)
    assert correct(network, data) > 0.6


def test_regularisation_draws_weights_to_zero_before_pruning(data: Dataset, soft: Any, tmp_path: Path) -> None:
    networks = [
        train_student(
            config_for(sparsity=0.0, weight_bits=8, epochs=60, prune_end=1.0, pruning={"regularise": weight}),
            data,
            soft,
            work=tmp_path / str(weight),
        ).network
        for weight in (0.0, 0.1)
    ]
    totals = [sum(np.abs(layer.weight).sum() for layer in dense_layers(network)[1:]) for network in networks]
    assert totals[1] < 0.7 * totals[0]


@pytest.mark.parametrize("pruning", [{}, {"kind": "neurons"}, {"schedule": "one_shot"}])
def test_a_budget_sets_the_sparsity(pruning: dict[str, Any], data: Dataset, soft: Any, tmp_path: Path) -> None:
    dense = train_student(config_for(sparsity=0.0), data, soft, work=tmp_path / "dense").network
    budget = ebops(dense) // 2
    config = config_for(sparsity=0.0, pruning={"budget_ebops": budget, **pruning})
    network = train_student(config, data, soft, work=tmp_path / "slim").network
    assert 0.6 * budget < ebops(network) <= budget
    assert exact(network, data)
    calls: list[Graph] = []

    def luts(network: Graph) -> float:
        calls.append(network)
        return 3.0 * figures(network).nonzero

    config = config_for(sparsity=0.0, pruning={"budget_lut": 120, **pruning})
    assert 70 < luts(train_student(config, data, soft, work=tmp_path / "lut", estimate=luts).network) <= 120
    assert len(calls) < 60


def test_a_budget_that_nothing_meets_names_the_least_found(
    data: Dataset, soft: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(pruning={"budget_ebops": 5})
    with pytest.raises(FitError, match=r"budget of 5 EBOPs cannot be met: with 99% pruned \d+ are left.*raise student"):
        train_student(config, data, soft, work=tmp_path)
    with pytest.raises(FitError, match=r"budget_lut needs a cost function; give train_student estimate="):
        train_student(config_for(pruning={"budget_lut": 100}), data, soft, work=tmp_path)
    with pytest.raises(FitError, match=r"has a budget, which needs formats; train with quantize=True"):
        train_student(config, data, soft, work=tmp_path, quantize=False)
    monkeypatch.setattr("gatewright.fit.training.recipe.LATE_LOOKS", 0)
    never = config_for(pruning={"budget_lut": 100})
    rising = itertools.chain([1.0] * 16, itertools.repeat(200.0))  # two searches of eight looks each, then all epochs
    with pytest.raises(FitError, match=r"the last epoch costs 200 LUT, and no epoch kept the budget of 100; raise"):
        train_student(never, data, soft, work=tmp_path, estimate=lambda _: next(rising))


def test_a_student_without_formats_is_pruned_in_float(data: Dataset, soft: Any, tmp_path: Path) -> None:
    network = train_student(config_for(sparsity=0.5), data, soft, work=tmp_path, quantize=False).network
    assert not is_quantized(network)
    assert figures(network).sparsity == pytest.approx(0.5, abs=0.01)
    assert correct(network, data) > 0.9


@pytest.mark.parametrize(
    "student",
    [
        {"pruning": {"budget_ebops": 1000, "regularise": 1e-3}},
        {"weight_bits": 1, "activation": "sign", "dropout": 0.1},
    ],
)
def test_an_interrupted_run_gives_the_same_bits(
    student: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the recipe keeps in the module: the budget's sparsity, the penalty, binary scales, a hint's map."""
    data = make_data(n=120)
    soft = np.eye(3)[data.y] * 4.0
    config = make_config(
        student={"hidden": (12,), "epochs": 10, "batch_size": 16, "checkpoint_seconds": 0.0, **student},
        distill={"hint_weight": 0.5},
    )
    features = data.x[:, :2] * 0.1
    whole = train_student(config, data, soft, features=features, work=tmp_path / "whole")
    save, left = Checkpoint.save, [0]

    def stopping_save(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", stopping_save)
    for count in (3, 17, 26, 40):
        left[0] = count
        with pytest.raises(KeyboardInterrupt):
            train_student(config, data, soft, features=features, work=tmp_path / str(count))
        left[0] = -1
        again = train_student(config, data, soft, features=features, work=tmp_path / str(count))
        assert checksum(again.network) == checksum(whole.network)
        assert again.history == whole.history


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"pruning": {"kind": "n_of_m", "n": 4, "m": 4}}, r"pruning: n must be below m, not 4 of 4; 2 of 4 halves"),
        ({"pruning": {"budget_ebops": 5, "budget_lut": 5}}, r"set budget_ebops or budget_lut, not both"),
        ({"pruning": {"kind": "n_of_m", "budget_lut": 5}}, r'"n_of_m" fixes the sparsity, a budget sets it'),
        ({"pruning": {"kind": "channels"}}, r"pruning.kind: input should be 'weights', 'neurons', 'blocks' or"),
        ({"hidden": (), "pruning": {"kind": "neurons"}}, r'"neurons" needs hidden layers; set hidden'),
        ({"precision": "learned", "pruning": {"kind": "blocks"}}, r'"learned" prunes by its widths'),
    ],
)
def test_settings_that_do_not_go_together(student: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_for(**student)
