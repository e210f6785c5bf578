"""Samples in the user's units in, results of a gatewright block out: a client in one file, which needs NumPy only.

SPDX-License-Identifier: Apache-2.0. `Block` talks over a transport, any object with read(word) -> int and
write(word, value); `Memory` is one for Linux, on /dev/uioN, /dev/mem or any file that can be mapped:

    block = Block(Memory("/dev/uio0"), "block.json")
    block.self_test()
    y = block.infer(x)
"""

from __future__ import annotations

import json
import math
import mmap
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

STICKY = 4
PATIENCE = 100_000


class BlockError(Exception):
    """The block, or what it was given, is not as it must be; says what was expected, what was got, what to do."""


class Transport(Protocol):
    """How words reach the block."""

    def read(self, word: int) -> int:
        """Return one word of 32 bits, by one aligned access."""
        ...

    def write(self, word: int, value: int) -> None:
        """Write one."""
        ...


class Memory:
    """A transport on a mapped file. offset: where the block lies in it, a multiple of the page."""

    def __init__(self, path: str = "/dev/uio0", offset: int = 0, size: int = 4096) -> None:
        flags = os.O_RDWR | getattr(os, "O_SYNC", 0)
        file = os.open(path, flags)
        try:
            self._map = mmap.mmap(file, size, offset=offset)
        finally:
            os.close(file)
        self._words = np.frombuffer(self._map, np.uint32)

    def read(self, word: int) -> int:
        """Return one word."""
        return int(self._words[word])

    def write(self, word: int, value: int) -> None:
        """Write one word."""
        self._words[word] = value


class Coder(ABC):
    """What all that runs codes has in common: codes of the user's values, the self-test."""

    def __init__(self, design: str | Path | dict[str, Any]) -> None:
        self.folder = None if isinstance(design, dict) else Path(design).parent
        self.design = self.described(design)

    @staticmethod
    def described(design: str | Path | dict[str, Any]) -> dict[str, Any]:
        """Return a design's description, which a file may hold."""
        found: dict[str, Any] = design if isinstance(design, dict) else json.loads(Path(design).read_text())
        return found

    @abstractmethod
    def run(self, codes: Any) -> NDArray[np.int64]:
        """Return the results' codes for input codes."""

    def infer(self, x: Any) -> NDArray[np.float64]:
        """Return results in the user's units, (n, results), for samples (n, ...) in theirs."""
        codes = self.run(self.encode(x))
        values = codes * 2.0 ** -self.design["y"]["frac_bits"]
        scale = self.design["output_scale"]
        return values if scale is None else values * np.array(scale)

    def encode(self, x: Any) -> NDArray[np.int64]:
        """Return the codes of samples: (n, ...) real numbers -> (n, codes).

        As in training: multiply by scale, add offset, round half up, clip. Raises BlockError for another shape, NaN,
        and, where the data had no scaling, for what the format does not hold.
        """
        frame, scaling = self.design["x"], self.design["scaling"]
        values = np.asarray(x, np.float64)
        total = frame["elements"] * frame["beats"]
        if values.ndim < 1 or values[:1].size != total * min(len(values), 1):
            raise BlockError(f"samples must have {total} values each, (n, {total}), not the shape {values.shape}")
        values = values.reshape(len(values), total)
        if not np.isfinite(values).all():
            raise BlockError("samples must be finite, not NaN or infinite; drop these rows")
        if scaling is not None:
            values = values * np.array(scaling["scale"]) + np.array(scaling["offset"])
        scaled = values * 2.0 ** frame["frac_bits"]
        whole = np.floor(scaled)
        codes = whole + (scaled - whole >= 0.5)
        low, high = _bounds(frame)
        if scaling is None and ((codes < low) | (codes > high)).any():
            step = 2.0 ** -frame["frac_bits"]
            raise BlockError(
                f"samples must lie in {low * step:g}..{high * step:g}, not {values.min():g}..{values.max():g}"
            )
        return np.clip(codes, low, high).astype(np.int64)

    def self_test(self, x: Any = None, y: Any = None) -> int:
        """Run the bundle's stored vectors, or these codes, and compare; return how many passed.

        Raises BlockError naming the first difference.
        """
        if x is None:
            assert self.folder is not None, "a design that is no file brings no vectors: give x and y"
            x, y = (np.load(self.folder / f"vectors_{name}.npy") for name in "xy")
        got = self.run(x)
        if (wrong := np.argwhere(got != y)).size:
            vector, place = wrong[0].tolist()
            raise BlockError(
                f"result {place} of stored vector {vector} must be {int(y[vector, place])}, not "
                f"{int(got[vector, place])} ({len(set(wrong[:, 0].tolist()))} of {len(got)} vectors differ); "
                "check the clock and the timing of the bitstream"
            )
        return len(got)


class Client(Coder):
    """What blocks and kernels have in common beside: registers by name; whether they are the design's."""

    def __init__(self, transport: Transport, design: str | Path | dict[str, Any]) -> None:
        super().__init__(design)
        self.words: dict[str, int] = {row["name"]: row["word"] for row in self.design["registers"]}
        self.transport = transport
        self._check()

    def read(self, name: str) -> int:
        """Return a register by its name, IREG0 say."""
        return self.transport.read(self.words[name])

    def write(self, name: str, value: int) -> None:
        """Set a register by its name."""
        self.transport.write(self.words[name], value)

    def _check(self) -> None:
        if (found := self.read("ID")) != self.design["magic"]:
            raise BlockError(
                f"word {self.words['ID']} must be {self.design['magic']:#010x}, not {found:#010x}: no block of this "
                "map answers; check the address, and that the bitstream is loaded"
            )
        ours = self.design["program_hash"][:16]
        theirs = f"{self.read('HASH_HIGH'):08x}{self.read('HASH_LOW'):08x}"
        if ours != theirs:
            raise BlockError(
                f"the bitstream holds program {theirs}, this bundle is of {ours}: load the bitstream of this bundle, "
                "or take the bundle of that run"
            )
        self._check_sizes()

    @abstractmethod
    def _check_sizes(self) -> None:
        """Raise BlockError where vectors have other sizes than the design's."""

    def _check_bytes(self) -> None:
        """Check the sizes where words X_BYTES and Y_BYTES say them."""
        for side in "xy":
            frame = self.design[side]
            words = frame["beats"] * _beat_words(frame)
            if (found := self.read(f"{side.upper()}_BYTES")) != 4 * words:
                raise BlockError(
                    f"vectors {side} of the hardware have {found} bytes, of this bundle {4 * words}: take its own"
                )


class Block(Client):
    """A block of the design that a bundle's block.json describes; checks that it is, and resets it.

    patience: polls without progress before a call gives up; ram: a transport to the RAM window. Raises
    BlockError for a block of another run or map.
    """

    def __init__(
        self,
        transport: Transport,
        design: str | Path | dict[str, Any],
        *,
        patience: int = PATIENCE,
        ram: Transport | None = None,
    ) -> None:
        super().__init__(transport, design)
        self.patience, self.ram = patience, ram
        self.reset()

    def reset(self) -> None:
        """Empty FIFOs, core and counters; the user's registers stay."""
        self.write("RESET", 1)
        self.write("RESET", 0)

    def write_ram(self, first: int, words: Any) -> None:
        """Write words to the RAM window, from word `first` on. Raises BlockError where it has not so many."""
        given: list[int] = np.asarray(words, np.uint32).ravel().tolist()
        ram = self._window(first, len(given))
        for place, value in enumerate(given, first):
            ram.write(place, value)

    def read_ram(self, first: int, count: int) -> NDArray[np.uint32]:
        """Return words of the RAM window. Raises BlockError where it has not so many."""
        ram = self._window(first, count)
        return np.array([ram.read(place) for place in range(first, first + count)], np.uint32)

    def _window(self, first: int, count: int) -> Transport:
        words = self.read("RAM_WORDS")
        if self.ram is None:
            raise BlockError('the RAM window has an address of its own: give Block(..., ram=Memory("/dev/uio1"))')
        if not 0 <= first <= first + count <= words:
            raise BlockError(
                f"words must lie in 0..{words - 1} of the RAM window, not {first}..{first + count - 1}"
                if words
                else "this block has no RAM window; gatewright deploy --ram WORDS makes one"
            )
        return self.ram

    def counters(self) -> dict[str, int]:
        """Return what tells where vectors are."""
        names = ("VECTORS_IN", "RESULTS_OUT", "FRAMING_ERRORS", "CYCLES_BUSY", "FLAGS")
        counts = {name.lower(): self.read(name) for name in names}
        return counts | {
            f"{side}_words": self.read(f"{side[0].upper()}FIFO_STATUS") >> 16 for side in ("output", "input")
        }

    def run(self, codes: Any) -> NDArray[np.int64]:
        """Return the results' codes, (n, results), for input codes (n, codes).

        Raises BlockError for another shape or range, and with the counters where nothing moves or words were lost.
        """
        given = to_words(self.design["x"], codes)
        frame = self.design["y"]
        due = len(given) * frame["beats"] * _beat_words(frame)
        flat: list[int] = given.ravel().tolist()
        found: list[int] = []
        depth, sent, idle = self.read("DEPTHS") >> 16, 0, 0
        while len(found) < due:
            before = sent + len(found)
            if sent < len(flat):
                room = depth - (self._status("OFIFO_STATUS", "the input's FIFO has lost a word") >> 16)
                for word in flat[sent : sent + room]:
                    self.write("OFIFO_VALUE", word)
                sent = min(len(flat), sent + room)
            count = self._status("IFIFO_STATUS", "the results' FIFO was read while empty") >> 16
            found += [self.read("IFIFO_VALUE") for _ in range(min(count, due - len(found)))]
            idle = idle + 1 if sent + len(found) == before else 0
            if idle > self.patience:
                raise BlockError(
                    f"{due} words of results were expected, {len(found)} came, then nothing for {self.patience} polls: "
                    f"{self._told()}; reset() puts all in step"
                )
        return from_words(frame, np.array(found, np.uint32).reshape(len(given), frame["beats"] * _beat_words(frame)))

    def _status(self, name: str, lost: str) -> int:
        status = self.read(name)
        if status & STICKY:
            raise BlockError(f"{lost}: let nothing else use this block, and reset() it; {self._told()}")
        return status

    def _told(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.counters().items())

    def _check_sizes(self) -> None:
        for side in "xy":
            frame = self.design[side]
            words = frame["beats"] * _beat_words(frame)
            if (found := self.read(f"{side.upper()}_WORDS")) != words:
                raise BlockError(
                    f"vectors {side} of the block have {found} words, of this bundle {words}: take its own"
                )


def to_words(frame: dict[str, Any], codes: Any) -> NDArray[np.uint32]:
    """Return the words of vectors: codes (n, elements * beats) -> (n, words). Raises BlockError for others."""
    codes = np.asarray(codes)
    total, (low, high) = frame["elements"] * frame["beats"], _bounds(frame)
    if codes.ndim != 2 or codes.shape[1] != total or codes.dtype.kind not in "iu":
        raise BlockError(f"codes must be integers of shape (n, {total}), not {codes.dtype} of shape {codes.shape}")
    if codes.size and not low <= codes.min() <= codes.max() <= high:
        raise BlockError(f"codes must lie in {low}..{high}, not {codes.min()}..{codes.max()}")
    lane, words = _lane_bytes(frame), _beat_words(frame)
    raw = np.zeros((len(codes) * frame["beats"], 4 * words), np.uint8)
    lanes = np.ascontiguousarray(codes.astype("<i8")).view(np.uint8).reshape(-1, 8)[:, :lane]
    raw[:, : frame["elements"] * lane] = lanes.reshape(len(raw), frame["elements"] * lane)
    return raw.view("<u4").astype(np.uint32).reshape(len(codes), frame["beats"] * words)


def from_words(frame: dict[str, Any], words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the codes in words of vectors: (n, words) -> (n, elements * beats)."""
    lane, unused = _lane_bytes(frame), 64 - frame["width_bits"]
    raw = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    raw = raw.reshape(len(words) * frame["beats"], 4 * _beat_words(frame))
    lanes = raw[:, : frame["elements"] * lane].reshape(-1, lane)
    wide = np.zeros((len(lanes), 8), np.uint8)
    wide[:, :lane] = lanes
    top = wide.view("<u8")[:, 0].astype(np.uint64) << np.uint64(unused)
    codes = top.view(np.int64) >> unused if frame["signed"] else (top >> np.uint64(unused)).astype(np.int64)
    return codes.reshape(len(words), frame["beats"] * frame["elements"])


def _bounds(frame: dict[str, Any]) -> tuple[int, int]:
    width, signed = frame["width_bits"], frame["signed"]
    return (-(1 << (width - 1)) if signed else 0), (1 << (width - signed)) - 1


def _lane_bytes(frame: dict[str, Any]) -> int:
    return math.ceil(frame["width_bits"] / 8)


def _beat_words(frame: dict[str, Any]) -> int:
    beat = frame.get("beat_bits", 32) // 32
    return beat * math.ceil(frame["elements"] * _lane_bytes(frame) / (4 * beat))
