"""Signals that ask a command to stop in; an interruption that cleans up, at once and alike for each of them, out."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, what `kill` and schedulers send, a closed terminal


@dataclass(slots=True)
class Stop:
    """What has stopped the command. signal: its number, 0 for none."""

    signal: int = 0

    @property
    def name(self) -> str:
        """What to call it."""
        return "Ctrl-C" if self.signal == signal.SIGINT else signal.Signals(self.signal).name


@contextlib.contextmanager
def stopping() -> Generator[Stop]:
    """Turn each of SIGNALS into KeyboardInterrupt while the block runs, after the end of all external programs.

    So TERM removes what is half-written as Ctrl-C does, and no thread waits for a compiler. Signals that are ignored
    (nohup) stay so.
    """
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.signal = number
        processes: Any = sys.modules.get("gatewright.tools.processes")  # not loaded: no program was started
        if processes is not None:
            processes.end_tools()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only there Python lets signals be handled
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number in taken:
            signal.signal(number, before[number])
