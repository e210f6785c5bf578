"""Samples in the user's units in, results of a gatewright kernel out, by way of memory that both sides see.

SPDX-License-Identifier: Apache-2.0. Lies beside gw_client.py and needs NumPy only. `allocate(shape, dtype)` gives an
array with `physical_address`, where the kernel sees it, and `flush()` and `invalidate()`, as pynq.allocate does:

    kernel = Kernel(Memory("/dev/uio0"), "kernel.json", pynq.allocate)
    kernel.self_test()
    y = kernel.infer(x)
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gw_client import BlockError, Client, Transport, from_words, to_words
from numpy.typing import NDArray

START, DONE, IDLE = 1, 2, 4
HUNG = 1 << 31


class Allocate(Protocol):
    """Gives memory that the kernel reaches."""

    def __call__(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array with physical_address, flush() and invalidate()."""
        ...


class Kernel(Client):
    """A kernel of the design that a bundle's kernel.json describes; checks that it is.

    patience_cycles: after so many in which nothing moves it ends a run; timeout_s: after which this client gives up
    waiting for the end. Raises BlockError for a kernel of another run or map.
    """

    def __init__(
        self,
        transport: Transport,
        design: str | Path | dict[str, Any],
        allocate: Allocate,
        *,
        patience_cycles: int = 1 << 20,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__(transport, design)
        self.allocate, self.timeout_s = allocate, timeout_s
        self.write("PATIENCE", patience_cycles)

    def run(self, codes: Any) -> NDArray[np.int64]:
        """Return the results' codes, (n, results), for input codes (n, codes).

        Raises BlockError for another shape or range, and where the run fails: with what failed, and the counters.
        """
        given = to_words(self.design["x"], codes)
        words = self.read("Y_BYTES") // 4
        if not len(given):
            return from_words(self.design["y"], np.zeros((0, words), np.uint32))
        source, target = self.allocate(given.shape, np.uint32), self.allocate((len(given), words), np.uint32)
        source[:] = given
        source.flush()
        target.flush()
        self.start(source.physical_address, target.physical_address, len(given))
        self.wait()
        target.invalidate()
        return from_words(self.design["y"], np.array(target))

    def start(self, x_address: int, y_address: int, count: int) -> None:
        """Start a run of `count` vectors. Raises BlockError where one is under way."""
        if not self.read("CONTROL") & IDLE:
            raise BlockError(f"a run is under way: wait() for its end; {self._told()}")
        for name, address in (("X", x_address), ("Y", y_address)):
            self.write(f"{name}_LOW", address & 0xFFFFFFFF)
            self.write(f"{name}_HIGH", address >> 32)
        self.write("COUNT", count)
        self.write("CONTROL", START)

    def wait(self) -> None:
        """Wait for the end of a run. Raises BlockError where it failed, or has not ended after timeout_s."""
        until = time.monotonic() + self.timeout_s
        while not self.read("CONTROL") & DONE:
            if time.monotonic() > until:
                raise BlockError(f"the run has not ended after {self.timeout_s:g} s: {self._told()}")
        status = self.read("STATUS")
        if code := status & 7:
            hung = "; the memory still owes an answer: runs fail until it has come" if status & HUNG else ""
            raise BlockError(f"the run failed, code {code}: {self.design['codes'][code]}{hung}; {self._told()}")

    def _told(self) -> str:
        names = ("COUNT", "VECTORS_IN", "RESULTS_OUT", "CYCLES")
        return ", ".join(f"{name.lower()} {self.read(name)}" for name in names)

    def _check_sizes(self) -> None:
        self._check_bytes()
