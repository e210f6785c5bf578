"""Write pulses.npz beside this file: what a digitizer of 12 bits and 62.5 MS/s records of gammas and neutrons.

A record is 160 samples long. Its pulse begins anywhere in the first third, and the baseline drifts from record to
record, so a network that looked at a fixed place would see neither the pulse nor its height: the trigger must find the
one, the pre-trigger samples the other. Light decays as in a CLYC crystal (docs/data.md, generator:clyc); the
amplifier's fall time is 60 ns. These are plausible numbers, not a fit to an instrument.
"""

from pathlib import Path

import numpy as np

RECORDS, SAMPLES, STEP_NS, PER_SAMPLE = 12_000, 160, 4.0, 4  # fine steps of 4 ns, an ADC's sample each 16 ns
CELLS_PER_MEV, CODES_PER_CELL = 250.0, 20.0
LIGHT = (  # decay in ns and its share, of gammas and of neutrons
    ((1.0, 0.05), (50.0, 0.20), (1000.0, 0.75)),
    ((70.0, 0.22), (450.0, 0.20), (1100.0, 0.58)),
)

rng = np.random.default_rng(2025)
y = np.arange(RECORDS) % 2
edges = np.arange(SAMPLES * PER_SAMPLE + 1) * STEP_NS
begin = rng.uniform(12, 52, RECORDS) * STEP_NS * PER_SAMPLE
energy = np.where(y == 1, rng.normal(3.2, 0.15, RECORDS), np.exp(rng.uniform(np.log(0.3), np.log(6.0), RECORDS)))
x = np.empty((RECORDS, SAMPLES), dtype=np.uint16)
fall = np.exp(-np.arange(0, 400, STEP_NS) / 60.0)
for row in range(RECORDS):
    shares = [share * np.exp(rng.normal(0.0, 0.075)) for _, share in LIGHT[y[row]]]
    since = np.maximum(edges - begin[row], 0.0)
    decays = zip(shares, LIGHT[y[row]], strict=True)
    density = sum(share / sum(shares) * -np.diff(np.exp(-since / tau)) for share, (tau, _) in decays)
    cells = rng.poisson(energy[row] * CELLS_PER_MEV * density + 0.004)
    analog = CODES_PER_CELL * np.convolve(cells, fall)[: edges.size - 1][::PER_SAMPLE] * rng.normal(1.0, 0.03)
    codes = np.rint(rng.normal(300.0, 25.0) + analog + rng.normal(0.0, 2.5, SAMPLES))
    x[row] = np.clip(codes, 0, 4095).astype(np.uint16)
np.savez(Path(__file__).with_name("pulses.npz"), x=x, y=y, classes=np.array(["gamma", "neutron"]))
