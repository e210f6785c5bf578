"""Packing into beats equals a big-integer model; unpacking is its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import FormatError
from gatewright.rtl.beats import pack, unpack
from gatewright.rtl.shell import StreamPort

PORTS = st.builds(
    StreamPort,
    elements=st.integers(1, 9),
    width_bits=st.integers(1, 62),
    signed=st.booleans(),
    beat_bits=st.integers(0, 20).map(lambda n: 8 * n),
)


@given(port=PORTS, seed=st.integers(0, 2**32 - 1))
def test_pack_equals_big_integers_and_unpack_inverts_it(port: StreamPort, seed: int):
    rng = np.random.default_rng(seed)
    lo = -(1 << (port.width_bits - 1)) if port.signed else 0
    hi = (1 << (port.width_bits - port.signed)) - 1
    codes = rng.integers(lo, hi, (4, port.elements), dtype=np.int64, endpoint=True)
    words = pack(port, codes)
    assert words.shape == (4, port.beats, -(-port.beat_bits // 32))
    for row, beats in zip(codes.tolist(), words.tolist(), strict=True):
        vector = sum((code % (1 << port.lane_bits)) << (i * port.lane_bits) for i, code in enumerate(row))
        for number, beat in enumerate(beats):
            expected = (vector >> (number * port.beat_bits)) % (1 << port.beat_bits)
            assert sum(word << (32 * i) for i, word in enumerate(beat)) == expected
    assert (unpack(port, words) == codes).all()
    noisy = pack(port, codes, noise=rng)
    assert (unpack(port, noisy) == codes).all()


def test_noise_fills_only_what_a_receiver_ignores():
    port = StreamPort(elements=3, width_bits=5, signed=False, beat_bits=32)
    words = pack(port, np.zeros((200, 3), np.int64), noise=np.random.default_rng(1))
    assert np.bitwise_or.reduce(words.ravel()) == 0xFFE0E0E0
    assert np.bitwise_and.reduce(words.ravel()) == 0


def test_codes_that_do_not_fit_are_refused():
    port = StreamPort(elements=2, width_bits=4, signed=True)
    with pytest.raises(FormatError, match=r"^codes of a 4-bit signed stream must lie in -8\.\.7, not -9\.\.3$"):
        pack(port, np.array([[3, -9]]))
    with pytest.raises(FormatError, match=r"takes integers of shape \(n, 2\), not int64 of shape \(1, 3\)$"):
        pack(port, np.zeros((1, 3), np.int64))
    with pytest.raises(FormatError, match=r"takes integers .* not float64"):
        pack(port, np.zeros((1, 2)))  # pyright: ignore[reportArgumentType]
