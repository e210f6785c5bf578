"""Gamma and neutron pulses of a CLYC scintillator on a SiPM: count and seed in, 160 samples of 10 bits out."""

from __future__ import annotations

import numpy as np

from gatewright.data.generators.pulses import (
    STEP_NS,
    Floats,
    Ints,
    avalanche_charge,
    balanced_labels,
    band_noise,
    biexponential,
    digitize,
    exponential_share,
    filtered,
    fine_edges,
    log_uniform,
)

CLASSES = ("gamma", "neutron")
SAMPLES = 160
PERIOD_NS = 4.0  # 250 MS/s
BITS = 10
TRIGGER_NS = 60.0
JITTER_NS = 6.0  # time walk of the leading-edge trigger
CELLS_PER_MEV = 1000.0  # fired cells per MeV electron equivalent
CODES_PER_CELL = 3.2
CELL_SPREAD = 0.12  # gain of one cell
CROSSTALK = 0.15  # mean number of neighbours a firing cell triggers
DARK_MHZ = 2.0  # dark counts of the whole array
RISE_NS, RECOVERY_NS = 4.0, 32.0  # one cell behind the shaper
NEUTRON_MEV = 3.2  # electron-equivalent peak of 6Li(n,alpha)t
NOISE_CODES = 1.6
CHUNK = 1024

# (decay ns, share of the light) of gamma and neutron; see the docstring of clyc()
GAMMA_LIGHT = ((1.0, 0.05), (50.0, 0.20), (1000.0, 0.75))
NEUTRON_LIGHT = ((70.0, 0.22), (450.0, 0.20), (1100.0, 0.58))
LIGHT_SPREAD = 0.075  # relative spread of the fast shares from event to event (quenching, position, temperature)


def clyc(count: int, seed: int) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Generate `count` pulses, half gamma, half neutron.

    Returns x (count, 160) int64 codes 0..1023 at 4 ns, y (count,) class index (0 gamma, 1 neutron), class names.
    Physics, in order: energy in MeV electron equivalent (gammas: a continuum; neutrons: the 6Li(n,alpha)t peak at
    3.2 MeVee and a continuum of fast-neutron reactions on 35Cl); a sum of exponential light decays, for gammas
    core-to-valence luminescence (~1 ns), Ce3+ (~50 ns) and self-trapped excitons (~1000 ns), for neutrons no
    core-to-valence part and slower components; Poisson number of fired SiPM cells, dark counts, crosstalk; gain
    spread; rise and recovery of a cell; drift of gain and baseline, noise; 10-bit ADC that saturates.
    The absence of the ~1 ns flash under heavy charged particles is what tells neutrons apart.
    Source: Glodo et al., IEEE TNS 55 (2008) 1206 (neutron peak near 3.2 MeVee, gamma-neutron pulse shapes);
    D'Olympia et al., NIM A 714 (2013) 121 (pulse-shape analysis of CLYC); use case of Molina et al., IEEE
    Embedded Systems Letters 16(3), 2024, doi 10.1109/LES.2023.3343030. The shares, the light yield of a
    detector with modest optical coupling and the spreads are this model's, not a fit to a crystal.
    """
    rng = np.random.default_rng(seed)
    y = balanced_labels(rng, count, len(CLASSES))
    parts = [_pulses(rng, y[start : start + CHUNK]) for start in range(0, count, CHUNK)]
    return np.concatenate(parts), y, CLASSES


def _pulses(rng: np.random.Generator, y: Ints) -> Ints:
    n = len(y)
    bins = int(SAMPLES * PERIOD_NS / STEP_NS)
    edges = fine_edges(bins)
    start = TRIGGER_NS + rng.uniform(0.0, PERIOD_NS, n) + rng.normal(0.0, JITTER_NS, n)
    energy = np.where(y == 1, _neutron_mev(rng, n), _gamma_mev(rng, n))
    light = _density(rng, y, start, edges) * (energy * CELLS_PER_MEV)[:, None]
    cells = rng.poisson(light + DARK_MHZ * 1e-3 * STEP_NS).astype(np.int64)
    cells += rng.poisson(CROSSTALK * cells)
    charge = avalanche_charge(rng, cells, CELL_SPREAD)
    analog = CODES_PER_CELL * filtered(charge, biexponential(RISE_NS, RECOVERY_NS, 320))
    gain = rng.normal(1.0, 0.03, n)  # bias and temperature drift
    sampled = gain[:, None] * analog[:, :: int(PERIOD_NS / STEP_NS)]
    baseline = rng.normal(40.0, 2.0, n)
    return digitize(sampled + baseline[:, None] + band_noise(rng, NOISE_CODES, sampled.shape, 0.4), BITS)


def _density(rng: np.random.Generator, y: Ints, start: Floats, edges: Floats) -> Floats:
    """Return the photons' arrival density (n, bins) of each pulse for unit light."""
    total = np.zeros((len(y), len(edges) - 1))
    for label, light in enumerate((GAMMA_LIGHT, NEUTRON_LIGHT)):
        rows = np.flatnonzero(y == label)
        share = np.array([s for _, s in light]) * np.exp(rng.normal(0.0, LIGHT_SPREAD, (len(rows), len(light))))
        share /= share.sum(axis=1, keepdims=True)
        for k, (tau, _) in enumerate(light):
            total[rows] += share[:, [k]] * exponential_share(edges, start[rows], np.full(len(rows), tau))
    return total


def _gamma_mev(rng: np.random.Generator, n: int) -> Floats:
    """Return a continuum that falls like 1/E between 0.5 and 6 MeV."""
    return log_uniform(rng, 0.5, 6.0, n)


def _neutron_mev(rng: np.random.Generator, n: int) -> Floats:
    """Return half thermal captures, in the peak, and half fast-neutron reactions, flat in 0.6 .. 5 MeVee."""
    peak = rng.normal(NEUTRON_MEV, 0.12, n)
    fast = rng.uniform(0.6, 5.0, n)
    return np.where(rng.random(n) < 0.5, peak, fast)
