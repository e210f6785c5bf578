"""A residual network: fc1 feeds fc2 and, past it, the sum of both; the input may be added too."""

from __future__ import annotations

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir import Constant, Dense, Input, Op, Program, Relu, verify
from gatewright.ir.ops import Add
from gatewright.lower.dataflow import Dataflow
from tests.lowering import lower_for

SIZE = 4
JOIN = "residual_after_fc2"  # the unit that adds
_CLOCK_MHZ = {"xc7": 250.0, "ecp5": 60.0}


def residual(x: Ints, *, with_input: bool = False, reuse: tuple[int, int] = (1, 1), family: str = "xc7") -> Dataflow:
    """Return relu(fc1) + fc2(relu(fc1)), plus x where with_input, with elastic boundaries."""
    rng = np.random.default_rng(4)
    ops: list[Op] = [
        Input(name="x", layer="input", shape=(SIZE,), format=Fixed(width_bits=6, frac_bits=2)),
        Dense(name="fc1", layer="fc1", source="x", weight="fc1.weight", bias="fc1.bias"),
        Relu(name="fc1.relu", layer="fc1", source="fc1"),
        Dense(name="fc2", layer="fc2", source="fc1.relu", weight="fc2.weight", bias="fc2.bias"),
        Add(name="sum", layer="sum", left="fc1.relu", right="fc2"),
    ]
    if with_input:
        ops.append(Add(name="all", layer="sum", left="sum", right="x"))
    constants: dict[str, Constant] = {}
    for layer in ("fc1", "fc2"):
        constants[f"{layer}.weight"] = Constant(rng.integers(-7, 8, (SIZE, SIZE)), 0)
        constants[f"{layer}.bias"] = Constant(rng.integers(-9, 10, SIZE), 2)
    program = Program(name="residual", ops=tuple(ops), output=ops[-1].name, constants=constants)
    verify(program)
    return lower_for(program, x, family=family, clock_mhz=_CLOCK_MHZ[family], reuse=reuse, boundaries="elastic")
