"""Windows without streams: the same integers from dense layers, one design that takes a whole image in a cycle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.ops import Conv, Input
from gatewright.lower.passes import windows
from gatewright.lower.passes.windows import windows_to_dense
from gatewright.rtl.manifest import write_design
from gatewright.sim import require_match, simulate_compiled
from tests.images import image_programs
from tests.lower.test_streams import moving
from tests.lowering import lower_for


@given(st.one_of(image_programs(layers=3), image_programs(layers=3, moves=True)))
@settings(max_examples=25, deadline=None)
def test_every_result_keeps_its_name_and_its_integers(program: Program):
    made = windows_to_dense(program)
    x = random_codes(program, 5, seed=4)
    want, got = Interpreter(program).trace(x), Interpreter(made).trace(x)
    for name in want:
        assert np.array_equal(got[name], want[name]), name


@pytest.mark.sim
@pytest.mark.slow
def test_a_whole_image_every_cycle(tmp_path):
    """A network that convolves, pools and moves elements about: every layer in simulation, a result in each cycle."""
    program = moving()
    made = lower_for(program, random_codes(program, 8), family="xc7", clock_mhz=100)
    assert (made.initiation_interval, len(made.units)) == (1, 1)
    manifest = write_design(made, program_hash="0" * 64, stream_bits=0, folder=tmp_path / "rtl")
    report = simulate_compiled(
        program,
        manifest,
        random_codes(program, 60, seed=9),
        folder=tmp_path / "rtl",
        stall_fraction=0.3,
        seed=1,
        out=tmp_path / "sim",
    )
    require_match(report)
    assert report.initiation_interval == 1
    assert report.probes_compared > 100 * 60


def test_what_has_no_such_form_is_refused_by_layer(monkeypatch):
    size, window = (6, 6, 2), {"strides": (1, 1), "dilation": (1, 1), "pads": ((1, 1), (1, 1)), "groups": 1}
    given = Input(name="x", layer="input", shape=size, format=Fixed(width_bits=4, frac_bits=0))
    conv = Conv(name="c", layer="conv1", source="x", weight="w", bias="b", **window)
    constants = {"w": Constant(np.ones((3, 3, 2, 3), np.int64), 0), "b": Constant(np.zeros(3, np.int64), 0)}
    program = Program(name="p", ops=(given, conv), output="c", constants=constants)
    with pytest.raises(LowerError, match=r"no hardware for Conv .*; set hardware\.architecture = .stream"):
        lower_for(program, random_codes(program, 2), family="xc7", clock_mhz=100, reuse=2)
    monkeypatch.setattr(windows, "MOST_PRODUCTS", 1000)
    with pytest.raises(LowerError, match=r"layer 'conv1': .* is the layer with which more than 1,000 products come at"):
        windows_to_dense(program)
    monkeypatch.setattr(windows, "MOST_CELLS", 72 * 107)
    with pytest.raises(LowerError, match=r"layer 'conv1': .* of 72 numbers to 108 is too large to be computed at once"):
        windows_to_dense(program)


def test_a_convolution_of_one_cell_is_a_dense_layer_over_the_channels():
    """Of a program as it is saved: products of one position, not of the whole image; folded it is refused by name."""
    alone = {"strides": (1, 1), "dilation": (1, 1), "pads": ((0, 0), (0, 0)), "groups": 1}
    given = Input(name="x", layer="input", shape=(2, 3, 4), format=Fixed(width_bits=4, frac_bits=0))
    conv = Conv(name="c", layer="conv1", source="x", weight="w", bias="b", **alone)
    weight = Constant(np.arange(12).reshape(1, 1, 4, 3) - 5, 0)
    constants = {"w": weight, "b": Constant(np.array([1, -2, 3]), 0)}
    program = Program(name="p", ops=(given, conv), output="c", constants=constants)
    x = random_codes(program, 9)
    made = lower_for(program, x, family="xc7", clock_mhz=100)
    assert [value.q.shape for value in made.program.constants.values()] == [(3,), (4, 3)]
    assert np.array_equal(made.replay(x), Interpreter(program).run(x))
    with pytest.raises(LowerError, match=r"reuse_factor of layer 'conv1' must be 1, not 2: folded layers read vectors"):
        lower_for(program, x, family="xc7", clock_mhz=100, reuse=2)
