"""Learnt widths: gradients, exactness of what is frozen, the front, resumption, choice."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gatewright.config import Config, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.errors import ConfigError, FitError
from gatewright.fit import Network, check_export, choose, export_program, train_front
from gatewright.fit.front import Front, Point, non_dominated
from gatewright.fit.learned import LearnedStack, _RoundWeight
from gatewright.fit.network import span_bits
from gatewright.ir import Fixed

pytestmark = pytest.mark.torch

LEARNED = {"points": 4, "cost_start": 1e-5, "cost_end": 3e-3}


def _config(**student: Any) -> Config:
    learned = {**LEARNED, **student.pop("learned", {})}
    return parse_config(
        {
            "name": "digits",
            "data": {"source": "sklearn:digits", "input_format": "ufixed<5,5>"},
            "student": {
                "precision": "learned",
                "hidden": [12],
                "epochs": 40,
                "batch_size": 128,
                "learning_rate": 0.01,
                "learned": learned,
                **student,
            },
        }
    )


def _front(config: Config, work: Path) -> tuple[Front, Dataset]:
    data = load_dataset(config)
    soft = np.eye(len(data.classes))[data.y] * 4.0
    return train_front(config, data, soft, work=work), data


def test_width_gradient_is_ln2_times_error() -> None:
    w = torch.tensor([0.3, -0.7], requires_grad=True)
    f = torch.tensor([2.0, 1.0], requires_grad=True)
    q = _RoundWeight.apply(w, f)
    assert q.tolist() == [0.25, -0.5]
    q.backward(torch.tensor([1.0, 2.0]))  # type: ignore[no-untyped-call]
    assert w.grad is not None
    assert f.grad is not None
    assert w.grad.tolist() == [1.0, 2.0]
    assert f.grad.tolist() == pytest.approx([math.log(2) * 0.05, 2 * math.log(2) * -0.2])


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_every_point_is_exact_and_costs_fall(overflow: str, tmp_path: Path) -> None:
    front, data = _front(_config(learned={"overflow": overflow}), tmp_path)
    costs = [point.network.ebops for point in front.points]
    assert len(costs) >= 2
    assert costs == sorted(costs)
    assert costs[0] < costs[-1] / 2
    assert front.points[-1].score > 0.8
    assert len(front.history) == 4
    for point in front.points:
        program = export_program(point.network, name="w", data=data, output="argmax")
        assert check_export(point.network, program, data.x) == len(data.x)


def test_frozen_network_is_what_the_module_computes() -> None:
    source = Fixed(width_bits=7, frac_bits=4, signed=True)
    stack = LearnedStack([5, 6, 3], source=source, dropout=0.0, generator=torch.Generator().manual_seed(1))
    codes = np.random.default_rng(1).integers(-64, 64, (200, 5))
    x = torch.tensor(codes * 2.0**-4, dtype=torch.float32)
    stack.layers[0].centre.copy_(torch.round(x.mean(dim=0) * 16) / 16)  # so that float32 is exact, too
    stack.start_widths(x)
    with torch.no_grad():
        stack.input_frac.copy_(torch.tensor([4.0, 1.0, -2.0, -3.0, 3.0]))  # the fourth is not read at all
        stack.layers[0].activation_frac[2] = -9.0  # a neuron of no bits
    stack.train()
    stack(x)  # sees the greatest activations
    stack.eval()
    network = stack.freeze(x, classes=(), wrap=False)
    assert network.input_bits == (7, 4, 1, 0, 6)
    with torch.no_grad():
        assert np.array_equal(network.evaluate(codes), stack(x).double().numpy())


def test_wrapped_values_return_modulo_their_range() -> None:
    network, x = _wrapping()
    # 3 bits without fraction: 5 stays, 8 becomes 0, 9.5 rounds to 10 and becomes 2, negative stays 0
    assert network.evaluate(x)[:, 0].tolist() == [5.0, 0.0, 2.0, 0.0]


def _wrapping() -> tuple[Network, NDArray[np.int64]]:
    from gatewright.fit import Grid, Layer

    one, none = np.ones((1, 1)), np.zeros(1)
    grid = Grid(width_bits=np.array([3]), frac_bits=np.array([0]), signed=False, wrap=True)
    first = Layer(name="fc1", weight=one, bias=none, relu=True, activation_grid=grid)
    last = Layer(name="out", weight=one, bias=none, relu=False)
    network = Network(input=Fixed(width_bits=6, frac_bits=1, signed=True), layers=(first, last))
    return network, np.array([[10], [16], [19], [-6]])


def test_killed_and_resumed_run_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewright.fit import front as module

    whole, _ = _front(_config(), tmp_path / "whole")
    step = module._Run._train_step

    def killed(run: Any) -> None:
        if run.step == 151:
            raise KeyboardInterrupt
        step(run)

    config = _config(checkpoint_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(module._Run, "_train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            _front(config, tmp_path / "killed")
    resumed, _ = _front(config, tmp_path / "killed")
    assert [p.network.checksum for p in resumed.points] == [p.network.checksum for p in whole.points]
    assert resumed.history == whole.history


def test_non_dominated_keeps_the_smaller_of_equals() -> None:
    class Fake:
        def __init__(self, ebops: int) -> None:
            self.ebops = ebops

    points = [Point(network=Fake(e), score=s, cost_weight=1.0) for e, s in ((9, 0.9), (5, 0.9), (4, 0.7), (6, 0.8))]  # type: ignore[arg-type]
    assert [(p.network.ebops, p.score) for p in non_dominated(points)] == [(4, 0.7), (5, 0.9)]


def test_choice_is_the_smallest_within_the_drop() -> None:
    rows = [{"score": 0.80, "lut": 10}, {"score": 0.896, "lut": 40}, {"score": 0.90, "lut": 90}]
    assert choose(rows, _config()) == 1
    assert choose(rows, _config(learned={"drop": 0.0})) == 2
    assert choose(rows, _config(learned={"point": 0})) == 0
    with pytest.raises(FitError, match=r"below 3, the points of this front, not 3"):
        choose(rows, _config(learned={"point": 3}))


def test_cost_must_rise() -> None:
    with pytest.raises(ConfigError, match=r"cost_end must not be below cost_start"):
        _config(learned={"cost_start": 1.0})


def test_span_bits() -> None:
    assert span_bits(np.array([0.0, 0.5, -3.0, 0.75, 5.0, 12.0])).tolist() == [0, 1, 2, 2, 3, 2]
