"""Cosmic-ray pulses of a photomultiplier on a water-Cherenkov tank: count and seed in, 30 samples of 8 bits out."""

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

CLASSES = ("electromagnetic", "muon", "double", "saturated")
SAMPLES = 30
PERIOD_NS = 8.0  # 125 MS/s
BITS = 8
TRIGGER_NS = 40.0  # mean start of the pulse in the record
JITTER_NS = 15.0  # time walk of the leading-edge trigger
CODES_PER_ELECTRON = 0.8
GAIN_SPREAD = 0.4  # one photo-electron's charge, relative deviation
RISE_NS, FALL_NS = 2.5, 8.0  # tube and preamplifier
SHORT_TAU_NS = (19.0, 3.0)  # mean and deviation of the light's decay, electromagnetic particles
LONG_TAU_NS = (55.0, 6.0)  # the same for muons
PEAK_CODES = (35.0, 235.0)  # unsaturated peak, log-uniform
OVERDRIVE = (1.35, 7.0)  # saturated class: analog peak over the ADC's full scale, log-uniform
DELAY_NS = (44.0, 120.0)  # second particle behind the first
RATIO = (0.55, 1.4)  # its height over the first one's
MISMATCH = (0.5, 0.75)  # reflection coefficient, both cable ends together
AFTERPULSE_SHARE = 0.01  # per photo-electron, ions of the residual gas
NOISE_CODES = 0.9
CHUNK = 4096  # rows per chunk, bounds memory


def cosmic(count: int, seed: int) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Generate `count` pulses of four balanced classes.

    Returns x (count, 30) int64 codes 0..255 at 8 ns, y (count,) class index, class names.
    Physics, in order: number of photo-electrons from the wanted peak; Poisson arrivals with the light's decay
    (short: electromagnetic particles, long: a muon crossing the tank and its wall reflections; a second
    particle or a cable's echoes for "double"); gamma-distributed gain of each electron; afterpulses;
    bi-exponential response of tube and preamplifier; amplifier clamp; baseline, noise; 8-bit ADC that saturates.
    Labels are the generating class, so faint, early-clipped and near-in-time cases overlap as in a real detector.
    Source: class definitions and record length follow the cosmic-ray example of Molina et al., IEEE Embedded
    Systems Letters 16(3), 2024, doi 10.1109/LES.2023.3343030; the detector (water-Cherenkov, PMT, FPGA) is that of
    Garcia et al., Electronics 10 (2021) 224, doi 10.3390/electronics10030224. The numbers above are this model's.
    """
    rng = np.random.default_rng(seed)
    y = balanced_labels(rng, count, len(CLASSES))
    parts = [_pulses(rng, y[start : start + CHUNK]) for start in range(0, count, CHUNK)]
    return np.concatenate(parts), y, CLASSES


def _pulses(rng: np.random.Generator, y: Ints) -> Ints:
    n = len(y)
    bins = int(SAMPLES * PERIOD_NS / STEP_NS)
    response = biexponential(RISE_NS, FALL_NS, 80)
    density = _density(rng, y, fine_edges(bins))

    wanted = log_uniform(rng, *PEAK_CODES, n)
    overdriven = 255.0 * log_uniform(rng, *OVERDRIVE, n)
    wanted = np.where(y == 3, overdriven, wanted)
    per_electron: Floats = CODES_PER_ELECTRON * filtered(density, response).max(axis=1)
    electrons: Ints = rng.poisson((wanted / per_electron)[:, None] * density).astype(np.int64)

    charge = avalanche_charge(rng, electrons + _afterpulses(rng, electrons), GAIN_SPREAD)
    analog = CODES_PER_ELECTRON * filtered(charge, response)
    clamp = rng.normal(268.0, 14.0, n)  # output stage's limit, near the ADC's own
    analog = np.minimum(analog, clamp[:, None])
    sampled = analog[:, :: int(PERIOD_NS / STEP_NS)]
    baseline = rng.normal(10.0, 1.5, n)
    return digitize(sampled + baseline[:, None] + band_noise(rng, NOISE_CODES, sampled.shape, 0.3), BITS)


def _density(rng: np.random.Generator, y: Ints, edges: Floats) -> Floats:
    """Return the photons' arrival density (n, bins) of each pulse; rows sum to about 1."""
    n = len(y)
    long_light = np.where(y < 2, y == 1, rng.random(n) < 0.5)
    tau = np.where(long_light, rng.normal(*LONG_TAU_NS, n), rng.normal(*SHORT_TAU_NS, n))
    tau = np.maximum(tau, 6.0)
    start = TRIGGER_NS + rng.uniform(0.0, PERIOD_NS, n) + rng.normal(0.0, JITTER_NS, n)
    first = exponential_share(edges, start, tau)

    # "double": a second particle (its own decay and size) or the echoes of a mismatched cable
    delay = rng.uniform(*DELAY_NS, n)
    second_tau = np.where(rng.random(n) < 0.5, rng.normal(*LONG_TAU_NS, n), rng.normal(*SHORT_TAU_NS, n))
    ratio = rng.uniform(*RATIO, n) * second_tau / tau  # of light; of height without the factor
    particle = ratio[:, None] * exponential_share(edges, start + delay, np.maximum(second_tau, 6.0))
    echo_delay = rng.uniform(40.0, 75.0, n)
    mismatch = rng.uniform(*MISMATCH, n)
    echoes = np.zeros_like(first)
    for k in (1, 2, 3):
        echoes += (mismatch**k)[:, None] * exponential_share(edges, start + k * echo_delay, tau)
    second = np.where((rng.random(n) < 0.6)[:, None], particle, echoes)
    return first + np.where((y == 2)[:, None], second, 0.0)


def _afterpulses(rng: np.random.Generator, electrons: Ints) -> Ints:
    """Return late electrons (n, bins): each electron causes one with AFTERPULSE_SHARE, 20..120 ns after it."""
    kernel = np.zeros(120)
    kernel[20:] = AFTERPULSE_SHARE / 100
    return rng.poisson(np.maximum(filtered(electrons.astype(np.float64), kernel), 0.0)).astype(np.int64)
