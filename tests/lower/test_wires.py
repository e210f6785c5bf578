"""Sums that make no carry: which become wires, and that their values stay."""

import numpy as np
import pytest

from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import Add, Add3, Circuit, Join, Ref, Source, simulate
from gatewright.lower.rewrites.join import join_disjoint


def circuit(*nodes):
    """Return a circuit whose output is the last node."""
    ends, wide = (Ref(len(nodes) - 1),), Fixed(width_bits=8, frac_bits=0)
    return Circuit(
        name="c",
        nodes=nodes,
        input_format=wide,
        input_elements=sum(isinstance(node, Source) for node in nodes),
        layer_values=(("l", ends),),
        outputs=ends,
        output_format=wide,
    )


def source(element, lo, hi):
    return Source(layer="x", lo=lo, hi=hi, element=element)


def add(lo, hi, a, b, shift_b, *, minus=False):
    return Add(layer="l", lo=lo, hi=hi, a=a, b=b, shift_a=0, shift_b=shift_b, minus=minus)


def same_values(before, after, ends):
    x = np.stack([v.ravel() for v in np.meshgrid(*(np.arange(lo, hi + 1) for lo, hi in ends))], axis=1)
    assert (simulate(before, x)["output"] == simulate(after, x)["output"]).all()


def test_an_address_of_bits_becomes_one_join():
    bits = [source(k, 0, 1) for k in range(4)]
    sums = [
        add(0, 3, 0, 1, 1),
        Add3(layer="l", lo=0, hi=15, a=4, b=2, c=3, shift_a=0, shift_b=2, shift_c=3, minus_b=False, minus_c=False),
    ]
    before = circuit(*bits, *sums)
    after = join_disjoint(before)
    joined = Join(layer="l", lo=0, hi=15, reads=(0, 1, 2, 3), widths=(1, 1, 1, 1))
    assert after.nodes == (*bits, joined)
    same_values(before, after, [(0, 1)] * 4)


def test_the_highest_operand_may_be_negative():
    before = circuit(source(0, 0, 7), source(1, -4, 3), add(-32, 31, 0, 1, 3))
    after = join_disjoint(before)
    assert isinstance(after.nodes[-1], Join)
    same_values(before, after, [(0, 7), (-4, 3)])


@pytest.mark.parametrize(
    "nodes",
    [
        (source(0, 0, 3), source(1, 0, 1), add(0, 5, 0, 1, 1)),  # bits meet
        (source(0, -1, 1), source(1, 0, 1), add(-1, 5, 0, 1, 2)),  # the lower one is signed
        (source(0, 0, 1), source(1, 0, 1), add(-2, 1, 0, 1, 1, minus=True)),
        (source(0, 0, 1), source(1, 0, 1), add(0, 5, 0, 1, 2)),  # a bit between them is empty
    ],
)
def test_other_sums_stay(nodes):
    before = circuit(*nodes)
    assert join_disjoint(before) == before
