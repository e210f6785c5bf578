"""Networks whose ReLU and rounding are layers of their own compile exactly; joining the layers changes no result."""

from dataclasses import replace

import numpy as np

from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Dense, Input, Interpreter, Lookup, Program, Relu, Requant, Thresholds
from gatewright.lower.build.facts import Facts
from gatewright.lower.estimate import estimate
from gatewright.lower.passes.rounding import fold_bias, join_layers
from tests.lowering import lower_for, only
from tests.programs import codes, mlp


def apart():
    """Return a program whose every ReLU and Requant is a layer of its own."""
    program = mlp((6, 8, 5, 3), seed=3)
    ops = tuple(replace(op, layer=op.name) if isinstance(op, Relu | Requant) else op for op in program.ops)
    return program, replace(program, ops=ops)


def test_layers_of_their_own_keep_their_results():
    program, separate = apart()
    x = codes(program, 100)
    lowered = lower_for(separate, x, family="xc7", clock_mhz=200.0)
    assert np.array_equal(Interpreter(lowered.program).run(x), Interpreter(program).run(x))
    assert any(name.endswith("relu") for name, _ in only(lowered).circuit.layer_values)


def test_joined_layers_are_those_of_the_sums():
    program, separate = apart()
    assert join_layers(separate) == program
    assert join_layers(program) == program


def table_program(tables: int, *, seed: int = 0) -> Program:
    """Return thresholds of eight inputs at a power of two and truth tables of six of those bits, as exported."""
    rng = np.random.default_rng(seed)
    address = np.zeros((8, tables), dtype=np.int64)
    for j in range(tables):
        address[rng.permutation(8)[:6], j] = 1 << np.arange(6)
    ops = (
        Input(name="x", layer="input", shape=(8,), format=Fixed(width_bits=8, frac_bits=8, signed=False)),
        Dense(name="bits", layer="bits", source="x", weight="bits.weight", bias="bits.bias"),
        Thresholds(
            name="bits.act", layer="bits", source="bits", thresholds="bits.thresholds", start=0, step=1, frac_bits=0
        ),
        Dense(name="tables1", layer="tables1", source="bits.act", weight="tables1.weight", bias="tables1.bias"),
        Lookup(name="tables1.act", layer="tables1", source="tables1", table="tables1.table", first=0),
    )
    constants = {
        "bits.weight": Constant(np.eye(8, dtype=np.int64), 0),
        "bits.bias": Constant(np.full(8, -1), 1),
        "bits.thresholds": Constant(np.zeros((1, 1), dtype=np.int64), 0),
        "tables1.weight": Constant(address, 0),
        "tables1.bias": Constant(np.zeros(tables, dtype=np.int64), 0),
        "tables1.table": Constant(rng.integers(0, 2, (tables, 64)), 0),
    }
    return Program(name="tables", ops=ops, output="tables1.act", constants=constants)


def test_a_threshold_of_one_bit_is_free_and_each_truth_table_one_lut():
    program = table_program(20)
    lowered = lower_for(program, codes(program, 300), family="xc7", clock_mhz=200.0)
    assert estimate(lowered).lut == 20


def test_only_the_bias_of_neurons_with_one_input_moves_into_thresholds():
    program = table_program(3)
    weight = np.eye(8, dtype=np.int64)
    weight[0, 1], weight[2, 2] = 1, -3
    bias = Constant(np.arange(-4, 4) * 9, 8)
    cuts = Constant(np.array([[-3, 5]]), 4)
    ops = program.ops[:3]
    constants = {"bits.weight": Constant(weight, 0), "bits.bias": bias, "bits.thresholds": cuts}
    before = Program(name="p", ops=ops, output="bits.act", constants=constants)
    after = fold_bias(Facts(program=before))
    kept = after.constants["bits.kept_bias"].q
    assert kept.tolist() == [0, -27, 0, 0, 0, 0, 0, 0]
    x = codes(before, 500)
    assert np.array_equal(Interpreter(after).run(x), Interpreter(before).run(x))
    assert fold_bias(Facts(program=after)) == after
