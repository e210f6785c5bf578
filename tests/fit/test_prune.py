from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.fit.prune import cubic_sparsity, global_masks, lamp_scores, remove_dead

from .test_export import random_network

pytestmark = pytest.mark.torch


def test_cubic_schedule_is_zhu_and_gupta_equation_1():
    assert cubic_sparsity(3, 4, 12, 0.8) == 0.0
    assert cubic_sparsity(4, 4, 12, 0.8) == 0.0
    assert cubic_sparsity(8, 4, 12, 0.8) == 0.8 + (0.0 - 0.8) * (1 - 4 / 8) ** 3
    assert cubic_sparsity(12, 4, 12, 0.8) == 0.8
    assert cubic_sparsity(5, 5, 5, 0.8) == 0.8


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
    codes = rng.integers(network.input.lo, network.input.hi + 1, (50, 5))
    assert np.array_equal(network.evaluate(codes), slim.evaluate(codes))
    assert slim.nonzero <= network.nonzero
