"""Building blocks of the pulse generators: photon arrival densities in, digitized waveforms out.

Time runs in fine bins of STEP_NS; an ADC takes one of them every `period_ns`.
"""

# scipy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP_NS = 1.0


def fine_edges(bins: int) -> Floats:
    """Return the edges of the fine time bins in ns. Shape (bins + 1,)."""
    return np.arange(bins + 1, dtype=np.float64) * STEP_NS


def log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Floats:
    """Draw `count` values whose logarithm is uniform between those of low and high."""
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def exponential_share(edges_ns: Floats, start_ns: Floats, tau_ns: Floats) -> Floats:
    """Return the share of an exponential decay's photons in each fine bin, integrated exactly over the bin.

    edges_ns: (bins + 1,); start_ns, tau_ns: (n,). Result: (n, bins), each row sums to at most 1.
    """
    elapsed = np.maximum(edges_ns[None, :] - start_ns[:, None], 0.0)
    return -np.diff(np.exp(-elapsed / tau_ns[:, None]), axis=1)


def biexponential(rise_ns: float, fall_ns: float, bins: int) -> Floats:
    """Return the single-electron response exp(-t/fall) - exp(-t/rise) on the fine grid, peak 1. Shape (bins,)."""
    time = np.arange(bins) * STEP_NS
    shape = np.exp(-time / fall_ns) - np.exp(-time / rise_ns)
    return shape / shape.max()


def avalanche_charge(rng: np.random.Generator, electrons: Ints, spread: float) -> Floats:
    """Return the summed gain of k electrons whose single gains are gamma distributed with mean 1.

    The sum of k such gains is Gamma(k / spread^2), drawn in one step. spread: relative deviation of one gain.
    """
    shape = electrons / spread**2
    return rng.standard_gamma(shape) * spread**2


def filtered(charge: Floats, response: Floats) -> Floats:
    """Convolve each row of charge (n, bins) with a causal response (m,), keeping the first `bins` values."""
    from scipy.signal import oaconvolve

    full = np.asarray(oaconvolve(charge, response[None, :], axes=1), dtype=np.float64)
    return full[:, : charge.shape[1]]


def band_noise(rng: np.random.Generator, rms: float, shape: tuple[int, int], correlation: float) -> Floats:
    """Return stationary electronics noise at the ADC: first-order autoregressive, given rms and lag-1 correlation."""
    from scipy.signal import lfilter

    white = rng.normal(0.0, rms * np.sqrt(1.0 - correlation**2), shape)
    white[:, 0] /= np.sqrt(1.0 - correlation**2)
    return np.asarray(lfilter([1.0], [1.0, -correlation], white, axis=1), dtype=np.float64)


def digitize(volts_in_codes: Floats, bits: int) -> Ints:
    """Round analog values (in units of one code) half up and saturate them to an unsigned ADC of `bits` bits."""
    return np.clip(np.floor(volts_in_codes + 0.5), 0, (1 << bits) - 1).astype(np.int64)


def balanced_labels(rng: np.random.Generator, count: int, classes: int) -> Ints:
    """Return `count` class indices in random order whose class counts differ by at most one."""
    return rng.permutation(np.arange(count, dtype=np.int64) % classes)
