"""Samples in the user's units in, results of a gatewright overlay out, by way of the board's DMA.

SPDX-License-Identifier: Apache-2.0. Lies beside gw_client.py. `platform` is the module that loads overlays and gives
memory: `pynq` on a board, or another with its Overlay, MMIO and allocate:

    import pynq
    net = Design.load("net_overlay.bit", "overlay.json", pynq)
    net.self_test()
    y = net.infer(x)
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gw_client import BlockError, Client, Transport, from_words, to_words
from numpy.typing import NDArray

SPAN = 0x1000


class Platform(Protocol):
    """What loads overlays and gives memory: pynq, say."""

    Overlay: Any
    MMIO: Any
    allocate: Any


class Words:
    """A transport on an MMIO of PYNQ's: words of 32 bits."""

    def __init__(self, mmio: Any) -> None:
        self.mmio = mmio

    def read(self, word: int) -> int:
        """Return one word."""
        return int(self.mmio.read(4 * word))

    def write(self, word: int, value: int) -> None:
        """Write one word."""
        self.mmio.write(4 * word, value)


class Design(Client):
    """The design that a bundle's overlay.json describes, between the two channels of a DMA; checks that it is.

    dma: with `sendchannel` and `recvchannel`, as pynq's; allocate: gives the memory that it reaches; timeout_s:
    without a result, after which a transfer is given up. Raises BlockError for an overlay of another run or map.
    """

    def __init__(
        self, transport: Transport, dma: Any, allocate: Any, design: str | Path | dict[str, Any], *,
        timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        super().__init__(transport, design)
        self.dma, self.allocate, self.timeout_s = dma, allocate, timeout_s
        self.reset()

    @classmethod
    def load(
        cls, bitfile: str, design: str | Path | dict[str, Any], platform: Platform, *, timeout_s: float = 10.0
    ) -> Design:
        """Load an overlay, beside whose .bit lies its .hwh, and return its design."""
        overlay = platform.Overlay(bitfile)
        record = cls.described(design)
        words = Words(platform.MMIO(record["address"], SPAN))
        return cls(words, overlay.dma, platform.allocate, design, timeout_s=timeout_s)

    def reset(self) -> None:
        """Empty the core and its counters. Not while a transfer is under way: the DMA would wait for ever."""
        self.write("RESET", 1)
        self.write("RESET", 0)

    def counters(self) -> dict[str, int]:
        """Return what tells where vectors are."""
        names = (
            "BEATS_IN", "BEATS_OUT", "VECTORS_IN", "RESULTS_OUT", "PACKETS_IN", "PACKETS_OUT", "FRAMING_ERRORS",
            "CYCLES_BUSY",
        )  # fmt: skip
        return {name.lower(): self.read(name) for name in names}

    def run(self, codes: Any) -> NDArray[np.int64]:
        """Return the results' codes, (n, results), for input codes (n, codes).

        As many transfers as the DMA's longest makes of it. Raises BlockError for another shape or range, and with the
        counters where results do not come.
        """
        given = to_words(self.design["x"], codes)
        bytes_ = [self.read("X_BYTES"), self.read("Y_BYTES")]
        most = max(1, self.design["most_bytes"] // max(bytes_))
        found = np.zeros((len(given), bytes_[1] // 4), np.uint32)
        for first in range(0, len(given), most):
            part = given[first : first + most]
            found[first : first + most] = self._transfer(part, bytes_[1] // 4)
        return from_words(self.design["y"], found)

    def _transfer(self, given: NDArray[np.uint32], words: int) -> NDArray[np.uint32]:
        """Return the words of results of a transfer's vectors. Receives before it sends: nothing may be lost."""
        source = self.allocate(shape=given.shape, dtype=np.uint32)
        target = self.allocate(shape=(len(given), words), dtype=np.uint32)
        source[:] = given
        before = self.read("RESULTS_OUT")
        self.dma.recvchannel.transfer(target)
        self.dma.sendchannel.transfer(source)
        self._await(before, len(given))
        self.dma.sendchannel.wait()
        self.dma.recvchannel.wait()
        return np.array(target)

    def _await(self, before: int, count: int) -> None:
        """Wait until so many results have left the core. pynq's own wait() has no end where none come."""
        came, until = 0, time.monotonic() + self.timeout_s
        while came < count:
            now = (self.read("RESULTS_OUT") - before) % (1 << 32)
            if now != came:
                came, until = now, time.monotonic() + self.timeout_s
            elif time.monotonic() > until:
                told = ", ".join(f"{name} {value}" for name, value in self.counters().items())
                raise BlockError(
                    f"{count} results were expected, {came} came, then none for {self.timeout_s:g} s: {told}; the DMA "
                    "still waits: load the overlay again"
                )

    def _check_sizes(self) -> None:
        self.write("SCRATCH", 0x600DCAFE)
        if (found := self.read("SCRATCH")) != 0x600DCAFE:
            raise BlockError(
                f"SCRATCH must keep 0x600dcafe, not {found:#010x}: the bus does not write; check its clock"
            )
        self._check_bytes()
