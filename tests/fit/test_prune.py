from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

import torch

from gatewright.config import Pruning
from gatewright.export.vectors import graph_outputs
from gatewright.fit.dead import remove_dead, shrink
from gatewright.fit.frozen import dense_layers
from gatewright.fit.training.prune import due_share, global_masks, lamp_scores, n_of_m_mask, neuron_masks
from gatewright.fit.training.regularise import penalty
from gatewright.graph.figures import ebops, figures

from .networks import random_network

pytestmark = pytest.mark.torch


def test_cubic_schedule_is_zhu_and_gupta_equation_1():
    def sparsity(epoch, start, end):
        return due_share(epoch, start, end, "cubic") * 0.8

    assert sparsity(3, 4, 12) == 0.0
    assert sparsity(4, 4, 12) == 0.0
    assert sparsity(8, 4, 12) == 0.8 + (0.0 - 0.8) * (1 - 4 / 8) ** 3
    assert sparsity(12, 4, 12) == 0.8
    assert sparsity(5, 5, 5) == 0.8


def test_other_schedules_prune_at_once_at_the_start_or_at_the_end():
    assert [due_share(epoch, 2, 4, "constant") for epoch in range(6)] == [0, 0, 1, 1, 1, 1]
    assert [due_share(epoch, 2, 4, "one_shot") for epoch in range(6)] == [0, 0, 0, 0, 1, 1]


def test_lamp_scores_by_hand():
    assert lamp_scores(np.array([[1.0, -2.0], [3.0, 0.0]])).tolist() == [[1 / 14, 4 / 13], [1.0, 0.0]]


@given(st.integers(0, 2**32), st.floats(0, 0.99))
def test_masks_zero_the_share_asked_for_and_the_smallest_of_each_layer(seed, share):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 10.0**scale, (5, 4)) for scale in (-3, 0, 2)]
    masks = global_masks(weights, share)
    assert sum(int((~m).sum()) for m in masks) == math.ceil(round(share * 60, 6))
    for weight, mask in zip(weights, masks, strict=True):
        if mask.any() and not mask.all():
            assert np.abs(weight[mask]).min() >= np.abs(weight[~mask]).max()


def test_scale_of_a_layer_does_not_matter():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(6, 6)), rng.normal(size=(6, 3))
    for x, y in zip(global_masks([a, b], 0.7), global_masks([a * 1000, b], 0.7), strict=True):
        assert np.array_equal(x, y)


@given(st.integers(0, 2**32), st.floats(0.5, 0.95), st.sampled_from([0, 6]))
def test_removing_dead_neurons_keeps_every_output(seed, sparsity, bias_bits):
    rng = np.random.default_rng(seed)
    network = random_network(rng, [5, 4, 4, 3], sparsity=sparsity, bias_bits=bias_bits)
    slim = remove_dead(network)
    codes = rng.integers(-32, 32, (50, 5))
    assert np.array_equal(graph_outputs(network, codes), graph_outputs(slim, codes))
    assert figures(slim).nonzero <= figures(network).nonzero


@given(st.integers(0, 2**32), st.floats(0, 0.99), st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_blocks_go_whole_and_reach_the_share(seed, share, block):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 10.0**scale, shape) for scale, shape in ((-2, (5, 7)), (0, (6, 5)))]
    masks = global_masks(weights, share, block=block)
    gone = sum(int((~m).sum()) for m in masks)
    assert gone >= math.ceil(round(share * 65, 6))
    assert gone - math.ceil(round(share * 65, 6)) < block[0] * block[1]
    for mask in masks:
        for column in range(0, mask.shape[1], block[0]):
            for row in range(0, mask.shape[0], block[1]):
                part = mask[row : row + block[1], column : column + block[0]]
                assert part.all() or not part.any()


def test_neurons_lose_all_their_weights_by_the_product_of_both_sides():
    into = np.array([[1.0, 1.0], [10.0, 10.0], [0.1, 0.1], [2.0, 2.0]])
    out = np.array([[1.0, 0.01, 1.0, 2.0]])  # products: sqrt2 * (1, 0.1, 0.1, 4); the second is the earlier
    masks = neuron_masks([into, out], 0.25)
    assert masks[0].all(axis=1).tolist() == [True, False, True, True]
    assert masks[1][0].tolist() == [True, False, True, True]
    assert not masks[0][1].any()
    assert neuron_masks([into, out], 1.0)[1][0].tolist() == [False, False, False, True]  # one stays


def test_a_filter_goes_with_every_column_that_reads_it():
    """Three filters, read by a unit at two places each: columns are places times channels."""
    into, out = np.array([[1.0], [2.0], [2.0]]), np.array([[3.0, 0.5, 0.0, 4.0, 0.5, 3.0]])  # 5, 1.41, 6
    masks = neuron_masks([into, out], 1 / 3)
    assert masks[0][:, 0].tolist() == [True, False, True]
    assert masks[1][0].tolist() == [True, False, True, True, False, True]
    weights = [torch.tensor(into), torch.tensor(out)]
    found = float(penalty(weights, Pruning(kind="neurons")))
    assert found == pytest.approx((26**0.5 + 4.5**0.5 + 13**0.5) * 3**0.5)


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 3), st.integers(1, 13))
def test_of_every_m_inputs_at_most_the_n_largest_stay(seed, n, more, n_in):
    m = n + more
    weight = np.random.default_rng(seed).normal(size=(3, n_in))
    mask = n_of_m_mask(weight, n, m)
    for at in range(0, n_in, m):
        part, kept = np.abs(weight[:, at : at + m].T), mask[:, at : at + m].T
        assert (kept.sum(axis=0) == min(n, len(part))).all()
        for k in range(3):
            assert sorted(part[kept[:, k], k]) == sorted(part[:, k])[len(part) - min(n, len(part)) :]


@given(st.integers(0, 2**32), st.floats(0.5, 0.95), st.sampled_from(["tensor", "channel", "weight"]))
def test_shrinking_keeps_every_output_and_only_neurons_that_are_read(seed, sparsity, per):
    rng = np.random.default_rng(seed)
    network = remove_dead(random_network(rng, [5, 4, 4, 3], sparsity=sparsity, per=per))
    slim = shrink(network)
    codes = rng.integers(-32, 32, (50, 5))
    assert np.array_equal(graph_outputs(network, codes), graph_outputs(slim, codes))
    assert figures(slim).nonzero == figures(network).nonzero
    assert ebops(slim) == ebops(network)
    for here, after in itertools.pairwise(dense_layers(slim)):
        assert here.weight.shape[1] == after.weight.shape[0] == here.bias.size
        assert after.weight.any(axis=1).all() or len(after.weight) == 1


def test_penalties_by_hand_and_finite_gradients_at_zero():
    def value(kind, **more):
        return float(penalty(weights, Pruning(kind=kind, **more)))

    weights = [torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[12.0, 0.0]])]
    assert value("weights") == value("n_of_m") == 19.0
    assert value("neurons") == pytest.approx(13 * 3**0.5)
    assert value("blocks", block=(2, 1)) == pytest.approx((5 + 12) * 2**0.5)
    assert value("blocks", block=(4, 2)) == pytest.approx((5 + 12) * 8**0.5)
    for kind in ("weights", "neurons", "blocks"):
        zero = [torch.zeros(2, 3, requires_grad=True), torch.zeros(1, 2, requires_grad=True)]
        penalty(zero, Pruning(kind=kind)).backward()
        assert all(w.grad is not None and bool(w.grad.isfinite().all()) for w in zero)
