"""Learnt widths: gradients, exactness of what is frozen, the front, resumption, choice."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gatewright.config import Config, Granularity, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.errors import ConfigError, FitError
from gatewright.export import export_graph
from gatewright.export.vectors import graph_outputs
from gatewright.fit import choose, train_front
from gatewright.fit.front import Front, _Candidate
from gatewright.fit.frozen import dense_layer, frozen_graph, read_node, relu
from gatewright.fit.modules.packed import Packed
from gatewright.fit.modules.stacks import learned_stack
from gatewright.fit.scores.metrics import Merit, merit_of, validation_merit
from gatewright.fit.scores.pareto import Point, non_dominated, thinned
from gatewright.fixedpoint import Fixed, Grid, span_bits
from gatewright.graph import Graph
from gatewright.graph.figures import element_formats
from gatewright.graph.nodes import Quantize
from gatewright.graph.store import checksum
from tests.lowering import lower_for

from .networks import proved

pytestmark = pytest.mark.torch

LEARNED = {"points": 4, "lut_start": 1500.0, "lut_end": 400.0, "width_rate": 4.0}


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


def _straight_through(w: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Return round(w 2^f) 2^-f with the gradients of the paper: 1 to w, ln2 (w - q) to f."""
    q = torch.floor(w * torch.exp2(torch.floor(f + 0.5)) + 0.5) / torch.exp2(torch.floor(f + 0.5))
    error = (w - q).detach()
    return q.detach() + (w - w.detach()) + math.log(2) * error * (f - f.detach())


def _adder_inputs(q: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Return 1 + (bits - 1) / 3 of each weight, 0 for 0; bits = floor(log2 |q| 2^f) + 1 with log2's gradients."""
    whole = (q.detach() * torch.exp2(torch.floor(f.detach() + 0.5))).abs()
    used = whole > 0
    bits = torch.where(used, torch.floor(torch.log2(whole.clamp(min=1.0))) + 1.0, torch.zeros(()))
    slope = torch.where(bits > 1, 1.0 / 3.0, 1.0) * used
    safe = torch.where(used, q, torch.ones(()))
    smooth = torch.log2(safe.abs()) + f
    return torch.where(used, 1.0 + (bits - 1.0) / 3.0, torch.zeros(())) + slope * (smooth - smooth.detach())


def _reference(stack: Packed, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return outputs and cost as autograd has them from the definitions, layer by layer; biases are not rounded."""
    shape, units, widths = stack.shape, stack.units(), stack.all_widths()
    weights = shape.matrices(stack.numbers[: shape.weights] * units.weight)
    biases = shape.biases(torch.cat((stack.numbers[: shape.weights], stack.numbers[shape.weights :] * units.bias)))
    fracs, activation_fracs = shape.matrices(widths), shape.per_layer(shape.activations(widths))
    least = shape.frac_bits - shape.width_bits
    inside = shape.features(widths).clamp(least, shape.frac_bits)
    whole = torch.floor(inside.detach() + 0.5)
    read = whole - least + (inside - inside.detach()) * (whole > least)
    scale, cell = torch.exp2(whole), torch.exp2(-1.0 - whole) - 2.0 ** (-shape.frac_bits - 1)
    centred = x - units.centre
    h = torch.where(read > 0, torch.floor(x * scale) / scale + cell - units.centre, torch.zeros(()))
    h = h.detach() + math.log(2) * (centred - h).detach() * (inside - inside.detach())
    cost = torch.zeros(())
    for index, (weight, frac, bias) in enumerate(zip(weights, fracs, biases, strict=True)):
        q = _straight_through(weight, frac)
        cost = cost + 0.4 * ((read + 2.8) @ _adder_inputs(q, frac)).sum()
        z = h @ q + bias
        if index == len(weights) - 1:
            return z, cost
        f = activation_fracs[index]
        top = shape.per_layer(stack.top)[index] * torch.exp2(torch.floor(f.detach() + 0.5))
        bits = torch.frexp(torch.floor(top + 0.5))[1].float()
        read = bits + (f - f.detach()) * (bits > 0)
        h = torch.relu(z)
        h = torch.where(z > 0, _straight_through(h, f), torch.zeros(()))
    raise AssertionError


@pytest.mark.parametrize("granularity", ["weight", "channel", "tensor"])
def test_outputs_cost_and_gradients_are_those_of_the_definition(
    granularity: Granularity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gatewright.fit.modules import learned_step

    def unrounded(bias: torch.Tensor, *_: object) -> torch.Tensor:
        return bias

    monkeypatch.setattr(learned_step, "rounded_biases", unrounded)
    generator = torch.Generator().manual_seed(3)
    source = Fixed(width_bits=7, frac_bits=4, signed=True)
    stack = learned_stack([5, 8, 6, 3], source=source, dropout=0.0, generator=generator, granularity=granularity)
    packed = stack.packed
    assert packed is not None
    x = torch.randint(-64, 64, (48, 5), generator=generator) * 2.0**-4
    stack.fold_inputs(x.mean(dim=0).double(), torch.rand(5, 1, generator=generator) + 0.5)
    stack.calibrate(x, first=True)
    with torch.no_grad():
        packed.widths.add_(torch.randn(packed.widths.shape, generator=generator) * 1.5)
        if granularity != "tensor":
            packed.widths[-5:-2] = torch.tensor([4.0, -3.0, 0.3])  # of features
        packed.numbers.add_(torch.randn(packed.numbers.shape, generator=generator) * 0.1)
        stack(x)  # sees the greatest activations
    stack.eval()
    target = torch.randn(48, 3, generator=generator)
    found: list[list[torch.Tensor]] = []
    for outputs, cost in (stack.outputs_and_cost(x), _reference(packed, x)):
        stack.zero_grad()
        ((outputs - target).square().mean() + 0.01 * cost).backward()  # type: ignore[no-untyped-call]
        assert packed.numbers.grad is not None
        assert packed.widths.grad is not None
        found.append([outputs.detach(), cost.detach(), packed.numbers.grad, packed.widths.grad])
    for ours, reference in zip(*found, strict=True):
        torch.testing.assert_close(ours, reference, rtol=2e-4, atol=2e-5)


def test_training_cost_is_the_estimated_lut_count(tmp_path: Path) -> None:
    from gatewright.lower.estimate import estimate

    front, data = _front(_config(), tmp_path)
    for point in front.points[-2:]:
        program = export_graph(point.network, name="w").program
        lowered = lower_for(program, data.x[:100].astype(np.int64), family="xc7", clock_mhz=200.0)
        found = estimate(lowered).lut
        assert 0.75 * found <= point.cost <= 1.25 * found  # widths of neurons are those that training has seen


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_every_point_is_exact_and_costs_fall(overflow: str, tmp_path: Path) -> None:
    front, data = _front(_config(learned={"overflow": overflow}), tmp_path)
    costs = [point.cost for point in front.points]
    assert 2 <= len(costs) <= 4
    assert costs == sorted(costs)
    assert costs[0] < costs[-1] / 2
    assert all(a.merit < b.merit for a, b in pairwise(front.points))
    assert [p.merit for p in front.points] == [validation_merit(p.network, data) for p in front.points]
    assert front.points[-1].score > 0.8
    assert len(front.history) == 4
    for point in front.points:
        proved(point.network, data.x, "argmax")


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_shared_widths_are_shared_and_exact(granularity: str, tmp_path: Path) -> None:
    front, data = _front(_config(learned={"granularity": granularity}), tmp_path)
    assert front.points[-1].score > 0.8
    for point in front.points:
        proved(point.network, data.x, "argmax")
        for node in point.network.nodes:
            if granularity == "tensor" and isinstance(node, Quantize) and node.name.endswith(".act"):
                width, frac = np.broadcast_arrays(*element_formats(node))
                assert len(set(frac[width > 0].tolist())) <= 1


def test_sharing_counts_what_is_learnt() -> None:
    def packed(granularity: Granularity) -> Packed:
        generator, source = torch.Generator(), Fixed(width_bits=7, frac_bits=4, signed=True)
        stack = learned_stack([5, 8, 3], source=source, dropout=0.0, generator=generator, granularity=granularity)
        assert stack.packed is not None
        return stack.packed

    counts: dict[Granularity, int] = {"channel": 8 + 3 + 8 + 5, "tensor": 2 + 1 + 1}
    for granularity, count in counts.items():
        share = packed(granularity).share
        assert share is not None
        assert (share.shape, int(share.max()) + 1, len(share.unique())) == ((77,), count, count)
        assert packed(granularity).widths.shape == (count,)
    assert packed("weight").share is None  # each its own: 64 weights, 8 activations, 5 features
    assert packed("weight").widths.shape == (64 + 8 + 5,)
    share = packed("channel").share
    assert share is not None
    first, second = packed("channel").shape.matrices(share)
    assert (first == torch.arange(8)).all()
    assert (second == torch.arange(8, 11)).all()


def test_frozen_network_is_what_the_module_computes() -> None:
    source = Fixed(width_bits=7, frac_bits=4, signed=True)
    stack = learned_stack([5, 6, 3], source=source, dropout=0.0, generator=torch.Generator().manual_seed(1))
    packed = stack.packed
    assert packed is not None
    codes = np.random.default_rng(1).integers(-64, 64, (200, 5))
    x = torch.tensor(codes * 2.0**-4, dtype=torch.float32)
    centre = torch.round(x.mean(dim=0) * 16) / 16  # so that float32 is exact, too
    stack.fold_inputs(centre.double(), torch.ones(()))
    stack.calibrate(x, first=True)
    with torch.no_grad():
        widths = torch.tensor([4.0, 1.0, -2.0, -3.0, 3.0])  # the fourth is not read at all
        packed.shape.features(packed.widths).copy_(widths)
        packed.shape.activations(packed.widths)[2] = -9.0  # a neuron of no bits
    stack.train()
    stack(x)  # sees the greatest activations
    stack.eval()
    network = stack.freeze(classes=(), x=x)
    cut = read_node(network)
    assert cut is not None
    assert element_formats(cut)[0].tolist() == [7, 4, 1, 0, 6]
    with torch.no_grad():
        assert np.array_equal(graph_outputs(network, codes), stack(x).double().numpy())


def test_wrapped_values_return_modulo_their_range() -> None:
    network, x = _wrapping()
    # 3 bits without fraction: 5 stays, 8 becomes 0, 9.5 rounds to 10 and becomes 2, negative stays 0
    assert graph_outputs(network, x)[:, 0].tolist() == [5.0, 0.0, 2.0, 0.0]


def _wrapping() -> tuple[Graph, NDArray[np.int64]]:
    one, none = np.ones((1, 1)), np.zeros(1)
    grid = Grid(width_bits=np.array([3]), frac_bits=np.array([0]), signed=False, wrap=True)
    layers = [dense_layer("fc1", one, none, then=relu("fc1", grid)), dense_layer("out", one, none)]
    network = frozen_graph(Fixed(width_bits=6, frac_bits=1, signed=True), layers, classes=())
    return network, np.array([[10], [16], [19], [-6]])


def test_killed_and_resumed_run_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewright.fit import front as module

    whole, _ = _front(_config(), tmp_path / "whole")
    step = module.Descent.train_step

    def killed(run: Any) -> None:
        if run.step == 151:
            raise KeyboardInterrupt
        step(run)

    config = _config(checkpoint_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(module.Descent, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            _front(config, tmp_path / "killed")
    resumed, _ = _front(config, tmp_path / "killed")
    assert [checksum(p.network) for p in resumed.points] == [checksum(p.network) for p in whole.points]
    assert resumed.history == whole.history


def _points(*figures: tuple[float, ...]) -> list[Point]:
    """Return points of (cost, score) or (cost, score, loss)."""
    network = _wrapping()[0]
    return [Point(network=network, merit=Merit(score, -sum(loss)), cost=cost) for cost, score, *loss in figures]


def test_non_dominated_keeps_the_smaller_of_equals() -> None:
    points = _points((9, 0.9), (5, 0.9), (4, 0.7), (6, 0.8))
    assert [(p.cost, p.score) for p in non_dominated(points)] == [(4, 0.7), (5, 0.9)]


def test_non_dominated_keeps_a_dearer_point_of_equal_score_only_for_a_lower_loss() -> None:
    points = _points((4, 0.7, 0.6), (5, 0.9, 0.5), (6, 0.9, 0.4), (7, 0.9, 0.45), (8, 0.8, 0.1), (9, 0.9, 0.3))
    assert [p.cost for p in non_dominated(points)] == [4, 5, 6, 9]
    assert [p.cost for p in non_dominated(_points((5, 0.9, 0.5), (5, 0.9, 0.4)))] == [5]
    assert non_dominated(_points((5, 0.9, 0.5), (5, 0.9, 0.4)))[0].merit.loss == 0.4


def test_a_candidate_is_beaten_by_equal_score_only_with_no_higher_loss() -> None:
    none = torch.zeros(0)
    found = _Candidate(learnt=[none], merit=Merit(0.9, -0.4), cost=10.0)
    beats = [(10, 0.9, 0.4), (9, 0.91, 0.8), (9, 0.9, 0.3)]
    leaves = [(9, 0.9, 0.5), (9, 0.89, 0.1), (11, 0.95, 0.1)]
    assert all(found.beaten_by(point) for point in _points(*beats))
    assert not any(found.beaten_by(point) for point in _points(*leaves))


def test_thinning_drops_what_only_lowers_the_loss_first() -> None:
    points = _points(
        *[(10, 0.5, 0.9), (20, 0.8, 0.8), (30, 0.8, 0.75), (60, 0.8, 0.5), (90, 0.85, 0.6)],
        *[(100, 0.9, 0.7), (200, 0.9, 0.69), (400, 0.9, 0.3), (900, 0.9, 0.29)],
    )
    real = [10, 20, 90, 100]
    found = [[p.cost for p in thinned(points, count)] for count in range(1, 10)]
    assert found[3] == real  # all that without the losses would be the front
    assert found[4] == [*real, 900]
    assert found[5] == [*real, 400, 900]
    assert found[6] == [10, 20, 60, 90, 100, 400, 900]
    assert found[7] == [10, 20, 30, 60, 90, 100, 400, 900]
    assert found[:3] == [[100], [10, 100], [10, 20, 100]]


@pytest.mark.parametrize("seed", range(20))
def test_the_loss_only_adds_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = np.stack((rng.permutation(60) + 1.0, rng.integers(0, 12, 60) / 10, rng.random(60)), axis=1)
    points = _points(*drawn.tolist())
    front = non_dominated(points)
    by_score = non_dominated([replace(p, merit=Merit(p.score, 0.0)) for p in points])
    assert {p.cost for p in by_score} <= {p.cost for p in front}
    assert len(front) > len(by_score)
    assert all(a.merit < b.merit and a.cost < b.cost for a, b in pairwise(front))
    for count in range(1, 20):
        kept = {p.cost for p in thinned(front, count)}
        assert len(kept) == min(count, len(front))
        assert {p.cost for p in thinned(by_score, count)} <= kept


def test_merit_is_the_accuracy_then_the_cross_entropy() -> None:
    data = load_dataset(_config())
    y = data.part("validation")[1]
    sure, unsure = np.eye(10)[y] * 4.0, np.eye(10)[y]
    a, b = merit_of(sure, data), merit_of(unsure, data)
    assert a.score == b.score == 1.0
    assert a > b
    assert a.loss == pytest.approx(math.log(1 + 9 * math.exp(-4.0)), rel=1e-12)
    assert merit_of(np.roll(sure, 1, axis=1), data) < b
    assert merit_of(sure * 1e6, data).loss == 0.0  # no overflow


def test_thinning_keeps_the_ends_and_what_spans_most() -> None:
    points = _points((10, 0.5), (11, 0.8), (12, 0.81), (40, 0.85), (50, 0.9), (1000, 0.91))
    assert [p.cost for p in thinned(points, 4)] == [10, 11, 50, 1000]
    assert [p.cost for p in thinned(points, 1)] == [1000]
    assert len(thinned(points, 9)) == 6


def test_run_ends_where_little_is_left(tmp_path: Path) -> None:
    front, _ = _front(_config(learned={"points": 8, "lut_start": 400.0, "lut_end": 1.0}, epochs=60), tmp_path)
    assert len(front.history) < 8
    scores = [row["validation_accuracy"] for row in front.history]
    assert min(scores[:-1]) > 0.7
    assert scores[-1] < 0.85


def test_choice_is_the_smallest_within_the_drop() -> None:
    rows = [{"score": 0.80, "lut": 10}, {"score": 0.896, "lut": 40}, {"score": 0.90, "lut": 90}]
    assert choose(rows, _config()) == 1
    assert choose(rows, _config(learned={"drop": 0.0})) == 2
    assert choose(rows, _config(learned={"point": 0})) == 0
    with pytest.raises(FitError, match=r"below 3, the points of this front, not 3"):
        choose(rows, _config(learned={"point": 3}))


def test_cost_must_fall() -> None:
    with pytest.raises(ConfigError, match=r"lut_end must not be above lut_start, not 200 > 100"):
        _config(learned={"lut_start": 100.0, "lut_end": 200.0})


def test_span_bits() -> None:
    assert span_bits(np.array([0.0, 0.5, -3.0, 0.75, 5.0, 12.0])).tolist() == [0, 1, 2, 2, 3, 2]
