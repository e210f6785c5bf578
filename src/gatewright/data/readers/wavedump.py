"""CAEN WaveDump's recordings, text or binary, in; one row per event out. Source: CAEN UM2091, WaveDump's user manual.

Text: a header of `Key: value` lines for each event, then one sample a line. Binary: six little-endian 32-bit words for
each event (its size in bytes with them, board, pattern, channel, event number, trigger time), then its samples.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.readers.layout import unreadable
from gatewright.data.readers.table import Table, records, truncated
from gatewright.errors import DataError
from gatewright.tools import DAMAGE, open_stream

KIND = "a WaveDump recording"
HEADER = 24
FIELDS = ("board", "pattern", "channel", "event", "trigger_time")
TEXT = {
    "BoardID": "board",
    "Channel": "channel",
    "Event Number": "event",
    "Pattern": "pattern",
    "Trigger Time Stamp": "trigger_time",
}
_KEY = re.compile(r"([A-Za-z][^:]*):\s*(\S+)")


def is_wavedump_text(head: bytes) -> bool:
    """Say whether a file begins with the header of a text event."""
    return head.lstrip().startswith(b"Record Length:")


def is_wavedump_binary(head: bytes) -> bool:
    """Say whether a file begins with two events of one board and channel, or with one whose words can be such."""
    if len(head) < HEADER:
        return False
    size, board, _, channel, event, _ = struct.unpack_from("<6I", head)
    if size <= HEADER or size > 1 << 28 or board > 255 or channel > 63:
        return False
    if size + HEADER > len(head):
        return event < 2
    following = struct.unpack_from("<6I", head, size)
    return following[1] == board and following[3] == channel and following[4] > event


def read_wavedump_text(path: Path, data: Data) -> Table:
    """Read a text recording. Raises DataError naming the line."""
    try:
        with open_stream(path) as file:
            lines = file.read().decode("ascii").splitlines()
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    starts = [number for number, line in enumerate(lines) if line.startswith("Record Length:")]
    waves: list[NDArray[Any]] = []
    fields: dict[str, list[int]] = {name: [] for name in FIELDS}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        at, told = start, dict[str, str]()
        while at < end and (match := _KEY.match(lines[at])):
            told[match[1]] = match[2]
            at += 1
        wave = _samples(path, lines, at, end)
        length = int(told["Record Length"])
        if len(wave) != length:
            raise truncated(
                path, KIND, f"the event of line {start + 1} announces {length} samples, but {len(wave)} follow"
            )
        waves.append(wave)
        for key, name in TEXT.items():
            fields[name].append(int(told.get(key, "0"), 0))
    return records(path, waves, fields, data)


def _samples(path: Path, lines: list[str], start: int, end: int) -> NDArray[Any]:
    cells = [line for line in lines[start:end] if line.strip()]
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        number = next(i for i in range(start, end) if lines[i].strip() and not _is_number(lines[i]))
        raise DataError(
            f"{path}: line {number + 1} must hold one sample, a number, not {lines[number].strip()!r}; repair the line"
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_wavedump_binary(path: Path, data: Data) -> Table:
    """Read a binary recording, whose samples are of data.sample_type. Raises DataError naming the event."""
    try:
        with open_stream(path) as file:
            raw = file.read()
    except DAMAGE as error:
        raise unreadable(path, error) from None
    dtype = np.dtype(data.sample_type).newbyteorder("<")
    waves: list[NDArray[Any]] = []
    fields: dict[str, list[int]] = {name: [] for name in FIELDS}
    at = 0
    while at < len(raw):
        size = struct.unpack_from("<I", raw, at)[0] if len(raw) - at >= HEADER else HEADER
        if size <= HEADER or at + size > len(raw):
            there = len(raw) - at
            raise truncated(path, KIND, f"event {len(waves) + 1} announces {size} bytes, but {there} follow")
        if (size - HEADER) % dtype.itemsize:
            raise DataError(
                f"{path}: event {len(waves) + 1} has {size - HEADER} bytes of samples, which are no whole number of "
                f"{dtype.name}; set data.sample_type to what the board writes (uint8, uint16 or float32)"
            )
        for name, value in zip(FIELDS, struct.unpack_from("<5I", raw, at + 4), strict=True):
            fields[name].append(value)
        waves.append(np.frombuffer(raw, dtype, (size - HEADER) // dtype.itemsize, at + HEADER))
        at += size
    return records(path, waves, fields, data)
