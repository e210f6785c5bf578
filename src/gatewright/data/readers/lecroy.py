"""LeCroy's binary waveforms (.trc) in, one row of ADC codes per segment out.

Source: Teledyne LeCroy, "X-Stream remote control manual", template LECROY_2_3: the block WAVEDESC states the lengths of
the blocks after it, the width and the byte order of the samples. Offsets below are that template's.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from gatewright.config import Data
from gatewright.data.readers.layout import unreadable
from gatewright.data.readers.table import Table, records, truncated
from gatewright.errors import DataError
from gatewright.tools import DAMAGE

KIND = "a LeCroy waveform"
NAME, TEMPLATE = b"WAVEDESC", 16
DESCRIPTOR = 346  # bytes of WAVEDESC
SKIPPED = ("descriptor", "user text", "descriptor 1", "trigger times", "RIS times", "reserved")  # before the samples


def is_lecroy(head: bytes) -> bool:
    """Say whether WAVEDESC stands where a waveform's block begins."""
    return NAME in head[:64]


def read_lecroy(path: Path, data: Data) -> Table:
    """Read a waveform's codes, which VERTICAL_GAIN and VERTICAL_OFFSET would make volts. Raises DataError."""
    try:
        raw = path.read_bytes()
    except DAMAGE as error:
        raise unreadable(path, error) from None
    at = raw[:64].find(NAME)
    if at < 0 or len(raw) < at + DESCRIPTOR:
        raise truncated(path, KIND, f"it must begin with the block WAVEDESC of {DESCRIPTOR} bytes")
    template = raw[at + TEMPLATE : at + 2 * TEMPLATE].rstrip(b"\0").decode("latin-1")
    if not template.startswith("LECROY_2"):
        raise DataError(f"{path}: must be of the template LECROY_2_x, not {template!r}; save it as CSV instead")
    order = "<" if raw[at + 34 : at + 36] == b"\x01\x00" else ">"
    (wide,) = struct.unpack_from(f"{order}h", raw, at + 32)
    blocks = struct.unpack_from(f"{order}6i", raw, at + 36)
    (size,) = struct.unpack_from(f"{order}i", raw, at + 60)
    (segments,) = struct.unpack_from(f"{order}i", raw, at + 144)
    start = at + sum(blocks)
    if min(blocks) < 0 or size <= 0 or len(raw) < start + size:
        raise truncated(path, KIND, f"its header announces {size} bytes of samples, but {len(raw) - start} follow")
    codes = np.frombuffer(raw, f"{order}i{2 if wide else 1}", size // (2 if wide else 1), start)
    segments = max(1, segments)
    if len(codes) % segments:
        raise truncated(path, KIND, f"{len(codes)} samples are no whole number for each of {segments} segments")
    waves = [wave.astype(np.int64) for wave in codes.reshape(segments, -1)]
    return records(path, waves, {"segment": range(segments)}, data)
