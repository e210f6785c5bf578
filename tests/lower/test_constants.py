"""Elementwise ops with a constant as dense layers: the same integers under every name, and hardware for them."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gatewright.fixedpoint import Fixed
from gatewright.ir import (
    Add,
    Const,
    Constant,
    Dense,
    Input,
    Interpreter,
    Max,
    Min,
    Mul,
    Op,
    Program,
    Sub,
    ranges,
    verify,
)
from gatewright.lower.build.support import check_supported
from gatewright.lower.passes.constants import constants_to_dense

KINDS = {"add": Add, "sub": Sub, "mul": Mul, "max": Max, "min": Min}


def program(kinds, seed, *, one):
    """Return a program that applies so many ops with constants, one number or one per element, on either side."""
    rng = np.random.default_rng(seed)
    ops: list[Op] = [Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=6, frac_bits=2))]
    constants = {}
    for at, kind in enumerate(kinds):
        key = f"c{at}"
        constants[key] = Constant(rng.integers(-20, 20, 1 if one else 3), int(rng.integers(-1, 5)))
        ops.append(Const(name=key, layer=f"l{at}", value=key))
        pair = [ops[-2].name, key]
        if rng.integers(2):
            pair.reverse()
        ops.append(KINDS[kind](name=f"y{at}", layer=f"l{at}", left=pair[0], right=pair[1]))
    made = Program(name="p", ops=tuple(ops), output=ops[-1].name, constants=constants, classes=())
    verify(made)
    return made


@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4), st.integers(0, 2**31), st.booleans())
def test_every_result_keeps_its_integers(kinds, seed, one):
    before = program(kinds, seed, one=one)
    after = constants_to_dense(before)
    check_supported(after)
    x = np.random.default_rng(seed).integers(-32, 32, (40, 3))
    want, got = Interpreter(before).trace(x), Interpreter(after).trace(x)
    for at in range(len(kinds)):
        assert (want[f"y{at}"] == got[f"y{at}"]).all()
        assert ranges(before)[f"y{at}"].frac_bits == ranges(after)[f"y{at}"].frac_bits


def test_sums_of_two_results_stay():
    before = program(["add"], 1, one=False)
    twice = Add(name="twice", layer="twice", left="y0", right="y0")
    both = dataclasses.replace(before, ops=(*before.ops, twice), output="twice")
    after = constants_to_dense(both)
    assert [type(op) for op in after.ops] == [Input, Dense, Add]
