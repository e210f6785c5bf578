"""Networks whose ReLU and rounding are layers of their own compile exactly; joining the layers changes no result."""

from dataclasses import replace

import numpy as np

from gatewright.ir import Interpreter, Relu, Requant
from gatewright.lower.compile import lower
from gatewright.lower.fold import join_layers
from tests.programs import codes, mlp


def apart():
    """Return a program whose every ReLU and Requant is a layer of its own."""
    program = mlp((6, 8, 5, 3), seed=3)
    ops = tuple(replace(op, layer=op.name) if isinstance(op, Relu | Requant) else op for op in program.ops)
    return program, replace(program, ops=ops)


def test_layers_of_their_own_keep_their_results():
    program, separate = apart()
    x = codes(program, 100)
    lowered = lower(separate, x, family="xc7", clock_mhz=200.0)
    assert np.array_equal(Interpreter(lowered.program).run(x), Interpreter(program).run(x))
    assert any(name.endswith("relu") for name, _ in lowered.circuit.layer_values)


def test_joined_layers_are_those_of_the_sums():
    program, separate = apart()
    assert join_layers(separate) == program
    assert join_layers(program) == program
