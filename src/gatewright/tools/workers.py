"""Python processes of this machine that work for this one, and end with it, however it ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any


class WorkerPool:
    """New processes, each of which calls begin(*given) first; `pool` takes their work.

    They end when this process does, be it killed, and at `end`, whatever they are doing. They take no notice of a
    terminal's Ctrl-C, which is for this process.
    """

    def __init__(self, workers: int, begin: Callable[..., None] | None = None, *given: Any) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self._leash, self._own = context.Pipe(duplex=False)
        self.pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin, initargs=(self._leash, begin, given)
        )

    def end(self) -> None:
        """End the processes at once; what they have not begun is dropped."""
        self._own.close()
        self.pool.shutdown(cancel_futures=True)
        self._leash.close()


def _begin(leash: Connection, begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    """Prepare a worker: an end with the process that started it, then what it was asked to begin with."""

    def watch() -> None:
        with contextlib.suppress(OSError, EOFError):
            leash.recv_bytes()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    if begin is not None:
        begin(*given)
