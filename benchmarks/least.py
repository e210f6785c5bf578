"""Table `least`: the LUTs below which a program is thought impossible (lower/least.py), beside the estimate compiled.

Among the matrices are some with a rule behind them, whose graphs are far smaller than their weights' frequencies say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.tables import publish
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir import Constant, Dense, Input, Op, Program, verify
from gatewright.lower.estimate import estimate
from gatewright.lower.least import least
from tests.lowering import lower_for
from tests.programs import codes, mlp

SIZES = ((16, 16), (64, 32), (128, 64), (256, 128))
BITS = (2, 4, 8)
SPARSITIES = (0.0, 0.5, 0.9)


def run() -> None:
    """Compile every program for xc7 at 200 MHz and print how its estimate stands to what was thought impossible."""
    rows: list[dict[str, Any]] = []
    for name, program in cases():
        start = time.process_time()
        floor = least(program).lut
        asked = time.process_time() - start
        lut = estimate(lower_for(program, codes(program, 64), family="xc7", clock_mhz=200.0)).lut
        rows.append({"program": name, "least": round(floor), "LUT": lut, "least / LUT": floor / lut, "s": asked})
    worst = max(row["least / LUT"] for row in rows)
    notes = [
        f"the greatest share is {worst:.2f}: where a part has less than `least`, the program is refused at once",
        "s: CPU seconds to find least",
    ]
    publish("least", "least: LUTs below which a program is thought impossible, beside the estimate", rows, notes)


def cases() -> Iterator[tuple[str, Program]]:
    """Return the published networks, random ones, and single layers with a rule behind them."""
    for name in networks.HGQ:
        yield name, networks.load(name).program
    for sizes in SIZES:
        for bits in BITS:
            for sparsity in SPARSITIES if sizes == (64, 32) else (0.0,):
                named = f"random {'x'.join(map(str, sizes))} {bits} bit, {sparsity:.0%} zero"
                yield named, mlp(sizes, seed=1, weight_bits=bits, sparsity=sparsity, output="scores")
    for name, weight in ruled().items():
        yield name, layer(weight)


def ruled() -> dict[str, Ints]:
    """Return matrices of 64 x 64 that a rule makes."""
    n = np.arange(64)
    two: Ints = np.array([[1, 1], [1, -1]], dtype=np.int64)
    hadamard: Ints = two
    for _ in range(5):
        hadamard = np.kron(hadamard, two)
    cosine = np.rint(127 * np.cos(np.pi * (2 * n[:, None] + 1) * n / 128)).astype(np.int64)
    taps = np.random.default_rng(2).integers(-127, 128, 127)
    left, right = (np.random.default_rng(k).integers(-7, 8, (64, 4)) for k in (3, 4))
    return {
        "Hadamard 64": hadamard,
        "DCT 64, 8 bit": cosine,
        "Toeplitz 64, 8 bit": taps[n[:, None] - n + 63],
        "rank 4, 64": left @ right.T,
        "powers of two 64": 2 ** np.random.default_rng(5).integers(0, 8, (64, 64)),
    }


def layer(weight: Ints) -> Program:
    """Return a program of one dense layer, its inputs of 8 bits."""
    ops: tuple[Op, ...] = (
        Input(name="x", layer="input", shape=(len(weight),), format=Fixed(width_bits=8, frac_bits=4)),
        Dense(name="out", layer="out", source="x", weight="weight", bias="bias"),
    )
    bias = Constant(np.zeros(weight.shape[1], dtype=np.int64), 0)
    program = Program(name="layer", ops=ops, output="out", constants={"weight": Constant(weight, 0), "bias": bias})
    verify(program)
    return program
