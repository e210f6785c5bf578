"""Vectors of codes in, the beats of their AXI4-Stream out, and back (lanes: docs/interfaces.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FormatError
from gatewright.fixedpoint import Ints
from gatewright.rtl.shell import StreamPort

Words = NDArray[np.uint32]


def pack(port: StreamPort, codes: Ints, *, noise: np.random.Generator | None = None) -> Words:
    """Return the beats of vectors: codes (n, elements) -> (n, beats, words of 32 bits, lowest first).

    noise: fills the bits that a receiver must ignore (lane rests, end of the last beat) at random.
    Raises FormatError for a wrong shape and for codes that the port's elements cannot hold.
    """
    codes = checked(port, codes)
    lane_bytes, beat_bytes, count = port.lane_bits // 8, port.beat_bits // 8, len(codes)
    raw = np.zeros((count, port.beats * beat_bytes), np.uint8)
    used = np.zeros(port.beats * beat_bytes, np.uint8)
    mask = np.array([(1 << port.width_bits) - 1], np.int64)
    raw[:, : port.elements * lane_bytes] = _lanes(codes, lane_bytes).reshape(count, -1)
    used[: port.elements * lane_bytes] = np.tile(_lanes(mask, lane_bytes).ravel(), port.elements)
    if noise is not None:
        raw = (raw & used) | (noise.integers(0, 256, raw.shape, dtype=np.uint8) & ~used)
    words = np.zeros((count, port.beats, 4 * -(-beat_bytes // 4)), np.uint8)
    words[:, :, :beat_bytes] = raw.reshape(count, port.beats, beat_bytes)
    return words.view("<u4").astype(np.uint32)


def unpack(port: StreamPort, words: Words) -> Ints:
    """Return the codes in beats, the inverse of pack: (n, beats, words) -> (n, elements)."""
    lane_bytes, beat_bytes, count = port.lane_bits // 8, port.beat_bits // 8, len(words)
    raw = np.ascontiguousarray(words.astype("<u4")).view(np.uint8).reshape(count, port.beats, -1)[:, :, :beat_bytes]
    lanes = raw.reshape(count, -1)[:, : port.elements * lane_bytes].reshape(count, port.elements, lane_bytes)
    wide = np.zeros((count, port.elements, 8), np.uint8)
    wide[:, :, :lane_bytes] = lanes
    unused = 64 - port.width_bits
    top = wide.view("<u8")[:, :, 0].astype(np.uint64) << np.uint64(unused)
    if port.signed:
        return top.view(np.int64) >> unused
    return (top >> np.uint64(unused)).astype(np.int64)


def checked(port: StreamPort, codes: Ints) -> Ints:
    """Return codes as int64 if they have the shape (n, elements) and fit the port's elements."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != port.elements or not np.issubdtype(codes.dtype, np.integer):
        raise FormatError(
            f"a stream of {port.elements}-element vectors takes integers of shape (n, {port.elements}), "
            f"not {codes.dtype} of shape {codes.shape}"
        )
    lo = -(1 << (port.width_bits - 1)) if port.signed else 0
    hi = (1 << (port.width_bits - port.signed)) - 1
    if codes.size and (codes.min() < lo or codes.max() > hi):
        kind = "signed" if port.signed else "unsigned"
        raise FormatError(
            f"codes of a {port.width_bits}-bit {kind} stream must lie in {lo}..{hi}, not {codes.min()}..{codes.max()}"
        )
    return codes.astype(np.int64)


def _lanes(codes: Ints, lane_bytes: int) -> NDArray[np.uint8]:
    """Return each code's lowest bytes: (..., lane_bytes); two's complement fills a lane with the sign."""
    return np.ascontiguousarray(codes.astype("<i8")).view(np.uint8).reshape(*codes.shape, 8)[..., :lane_bytes]
