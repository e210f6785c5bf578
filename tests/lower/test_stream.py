"""Streams and ports: cutting into beats and joining again, and what no stream can be."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.lower.stream import Lane, Port, Stream


@given(st.data())
def test_join_undoes_cut(data: st.DataObject):
    """Any shape, any order of the axes, any number of elements per beat that divides the value."""
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    per_beat = data.draw(st.sampled_from([n for n in range(1, prod(shape) + 1) if prod(shape) % n == 0]))
    stream = Stream(shape=shape, order=order, per_beat=per_beat)
    values = np.arange(3 * prod(shape)).reshape(3, *shape)
    beats = stream.cut(values)
    assert beats.shape == (3, stream.beats, per_beat)
    assert (stream.join(beats) == values).all()


def test_a_pixel_a_beat():
    """Rows first, then columns, all channels of a pixel in a beat; by columns where the order says so."""
    image = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    rows = Stream(shape=(2, 3, 4), order=(0, 1, 2), per_beat=4)
    columns = Stream(shape=(2, 3, 4), order=(1, 0, 2), per_beat=4)
    assert rows.cut(image)[0, 1].tolist() == image[0, 0, 1].tolist()
    assert columns.cut(image)[0, 1].tolist() == image[0, 1, 0].tolist()


@pytest.mark.parametrize(
    ("order", "per_beat", "message"),
    [
        ((0, 1), 4, r"a number of elements per beat that divides them, not 4"),
        ((0, 1), 0, r"a stream of 6 elements must have a number of elements per beat that divides them, not 0"),
        ((0, 0), 2, r"a stream's order must name each axis of \(2, 3\) once, not \(0, 0\)"),
    ],
)
def test_streams_that_cannot_be(order: tuple[int, ...], per_beat: int, message: str):
    with pytest.raises(LowerError, match=message):
        Stream(shape=(2, 3), order=order, per_beat=per_beat)


def test_a_port_has_a_lane_for_each_element_of_a_beat():
    stream = Stream(shape=(4,), order=(0,), per_beat=2)
    with pytest.raises(LowerError, match=r"the port of 'x' must have 2 lanes, one per element of a beat, not 1"):
        Port(value="x", stream=stream, lanes=(Lane(0, 3, 0),), live=(True,))


def test_codes_and_values_are_inverse_but_for_dead_lanes():
    port = Port(
        value="x",
        stream=Stream.whole((3,)),
        lanes=(Lane(-4, 3, 2), Lane(0, 7, 0), Lane(0, 0, 0)),
        live=(True, True, False),
    )
    values = np.array([[-16, 5, 9], [12, 0, 1]])
    assert port.codes({"x": values}).tolist() == [[[-4, 5, 0]], [[3, 0, 0]]]
    assert port.values(port.codes({"x": values})).tolist() == [[-16, 5, 0], [12, 0, 0]]
