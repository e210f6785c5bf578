"""Generators: deterministic, balanced, physically sane, and not solvable by a linear model."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from gatewright.data.generators import clyc, cosmic
from gatewright.data.generators.pulses import biexponential, exponential_share, fine_edges

SPECS = {"cosmic": (cosmic, 30, 255, 4), "clyc": (clyc, 160, 1023, 2)}


@pytest.mark.parametrize("name", SPECS)
def test_shape_range_balance_and_seed(name):
    generate, samples, top, classes = SPECS[name]
    x, y, names = generate(402, 3)
    assert x.shape == (402, samples)
    assert x.dtype == y.dtype == np.int64
    assert x.min() >= 0
    assert x.max() <= top
    assert len(names) == classes
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    again = generate(402, 3)
    assert (again[0] == x).all()
    assert (again[1] == y).all()
    assert (generate(402, 4)[0] != x).any()


@pytest.mark.parametrize(("name", "low", "high"), [("cosmic", 0.80, 0.925), ("clyc", 0.85, 0.965)])
def test_a_linear_model_does_not_solve_it(name, low, high):
    generate = SPECS[name][0]
    x, y, _ = generate(4000, 1)
    x = x.reshape(len(x), -1, 2).mean(axis=2) / x.max()  # pairs of samples: the fit is faster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=200, C=10.0).fit(x[:3000], y[:3000])
    assert low < model.score(x[3000:], y[3000:]) < high


def tail_decay_ns(pulse, start, stop, period_ns):
    """Fit a straight line to the log of a mean pulse."""
    time = np.arange(start, stop) * period_ns
    slope = np.polyfit(time, np.log(pulse[start:stop]), 1)[0]
    return -1 / slope


def test_cosmic_decay_times():
    x, y, names = cosmic(8000, 5)
    pulses = x - 10.0
    short = tail_decay_ns(pulses[y == names.index("electromagnetic")].mean(axis=0), 14, 18, 8.0)
    long = tail_decay_ns(pulses[y == names.index("muon")].mean(axis=0), 14, 26, 8.0)
    assert 17 < short < 27
    assert 48 < long < 66


def test_cosmic_plateau_and_second_maximum():
    x, y, names = cosmic(4000, 6)
    flat = (x >= x.max(axis=1, keepdims=True) - 1).sum(axis=1)
    saturated = y == names.index("saturated")
    assert np.median(flat[saturated]) >= 3
    assert np.median(flat[~saturated]) <= 2
    late = x[:, 15:].max(axis=1) / x.max(axis=1)
    assert np.median(late[y == names.index("double")]) > 1.5 * np.median(late[y == names.index("electromagnetic")])


def test_clyc_gammas_have_a_prompt_flash_and_neutrons_have_not():
    x, y, _ = clyc(3000, 7)
    charge = x - 40.0
    early, total = charge[:, 13:23].sum(axis=1), charge[:, 13:].sum(axis=1)
    ratio = early / total
    gamma, neutron = ratio[y == 0], ratio[y == 1]
    assert gamma.mean() > 1.2 * neutron.mean()
    figure_of_merit = abs(gamma.mean() - neutron.mean()) / (2.355 * (gamma.std() + neutron.std()))
    assert 0.1 < figure_of_merit < 1.5


def test_building_blocks():
    edges = fine_edges(5000)
    share = exponential_share(edges, np.array([10.0]), np.array([50.0]))[0]
    assert share.sum() == pytest.approx(1.0)
    assert share[:10].sum() == 0
    assert share[60:].sum() == pytest.approx(np.exp(-1))
    assert biexponential(2.0, 8.0, 100).max() == 1.0
    assert biexponential(2.0, 8.0, 100)[0] == 0.0
