#!/usr/bin/env python3
"""Host side of a gatewright board: integer vectors in, the board's integer answers out, over a serial port.

This file stands alone (Python 3.9 or newer; pyserial is used where installed, and not needed on Linux and macOS):
    python uart_host.py /dev/ttyUSB0 --inputs 16x8u --outputs 1x3u < vectors.csv
A vector is one line of comma-separated integers; so is its answer. 16x8u: 16 elements of 8 bits, unsigned; s: signed.
With --stream each line is a sample of an ADC, and a board with a unit in front of its network answers for each window
that it finds.

On the wire each element is little-endian in ceil(width/8) bytes, element 0 first; one answer follows each vector.
The host keeps one vector unanswered (see `window`), which is what makes the link safe without flow control.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Lanes:
    """The elements of a vector or an answer: count, bits of each, and whether they are two's complement."""

    def __init__(self, count: int, width_bits: int, signed: bool) -> None:
        if count < 1 or not 1 <= width_bits <= 64:
            raise ValueError(f"lanes must be at least 1 element of 1..64 bits, not {count} of {width_bits}")
        self.count = count
        self.width_bits = width_bits
        self.signed = signed

    @classmethod
    def parse(cls, text: str) -> Lanes:
        """Read 16x8u or 5x12s."""
        hit = re.fullmatch(r"(\d+)x(\d+)([us])", text)
        if hit is None:
            raise ValueError(f"lanes must look like 16x8u (count x bits, u or s), not {text!r}")
        return cls(int(hit[1]), int(hit[2]), hit[3] == "s")

    def __str__(self) -> str:
        return f"{self.count}x{self.width_bits}{'s' if self.signed else 'u'}"

    @property
    def element_bytes(self) -> int:
        """Bytes of one element on the wire."""
        return -(-self.width_bits // 8)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole vector on the wire."""
        return self.count * self.element_bytes

    def encode(self, values: Sequence[int]) -> bytes:
        """Return the bytes of a vector. Raises ValueError for a wrong length or a number out of range."""
        if len(values) != self.count:
            raise ValueError(f"a vector must have {self.count} elements, not {len(values)}")
        low = -(1 << self.width_bits - 1) if self.signed else 0
        high = low + (1 << self.width_bits) - 1
        data = bytearray()
        for index, value in enumerate(values):
            if not low <= int(value) <= high:
                raise ValueError(f"element {index} must be {low}..{high}, not {value!r}")
            data += int(value).to_bytes(self.element_bytes, "little", signed=self.signed)
        return bytes(data)

    def decode(self, data: bytes) -> list[int]:
        """Return the numbers of an answer. Bits above the width are ignored."""
        if len(data) != self.total_bytes:
            raise ValueError(f"an answer must have {self.total_bytes} bytes, not {len(data)}")
        values: list[int] = []
        for start in range(0, len(data), self.element_bytes):
            raw = int.from_bytes(data[start : start + self.element_bytes], "little") & ((1 << self.width_bits) - 1)
            values.append(raw - (1 << self.width_bits) if self.signed and raw >> self.width_bits - 1 else raw)
        return values


class Port(Protocol):
    """A serial port: pyserial's has these methods."""

    def write(self, data: bytes, /) -> object:
        """Send all bytes."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes; fewer when the time-out passes."""
        ...


class UartHost:
    """A board behind a serial port.

    gap_s: the board's resynchronisation gap. window: vectors that may be unanswered. More than one is faster over USB
    (it hides the adapter's latency) and safe only where an answer is shorter than a vector by 5 % or more and the
    core takes a vector in less time than the line brings one.
    """

    def __init__(self, port: Port, inputs: Lanes, outputs: Lanes, gap_s: float = 0.1, window: int = 1) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        if window > 1 and outputs.total_bytes * 1.05 > inputs.total_bytes:
            raise ValueError(
                f"window must be 1 where answers ({outputs.total_bytes} bytes) are not shorter than vectors "
                f"({inputs.total_bytes} bytes), not {window}"
            )
        self.port = port
        self.inputs = inputs
        self.outputs = outputs
        self.gap_s = gap_s
        self.window = window

    def resync(self) -> None:
        """Wait until the board has given up any torn vector, and throw away what it still sends."""
        time.sleep(2 * self.gap_s)
        while self.port.read(4096):
            pass

    def infer(self, vectors: Iterable[Sequence[int]]) -> list[list[int]]:
        """Send vectors, return their answers in order. Raises TimeoutError where an answer stays away."""
        answers: list[list[int]] = []
        sent = 0
        for vector in vectors:
            self.port.write(self.inputs.encode(vector))
            sent += 1
            if sent - len(answers) == self.window:
                answers.append(self._answer(len(answers)))
        while len(answers) < sent:
            answers.append(self._answer(len(answers)))
        return answers

    def stream(self, samples: Iterable[Sequence[int]], chunk: int = 256) -> list[list[int]]:
        """Send samples to a board that decides itself when it answers; return all answers, once it is quiet.

        Answers are read while samples are sent. Each sample is a vector of one element.
        """
        data = bytearray()
        ended = threading.Event()

        def read() -> None:
            while True:
                last = ended.is_set()
                more = self.port.read(4096)
                data.extend(more)
                if last and not more:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        waiting: list[bytes] = []
        for sample in samples:
            waiting.append(self.inputs.encode(sample))
            if len(waiting) == chunk:
                self.port.write(b"".join(waiting))
                waiting.clear()
        self.port.write(b"".join(waiting))
        ended.set()
        reader.join()
        size = self.outputs.total_bytes
        return [self.outputs.decode(bytes(data[at : at + size])) for at in range(0, len(data) - size + 1, size)]

    def _answer(self, index: int) -> list[int]:
        want = self.outputs.total_bytes
        data = bytearray()
        while len(data) < want:
            more = self.port.read(want - len(data))
            if not more:
                self.resync()
                raise TimeoutError(
                    f"answer {index} must have {want} bytes, but {len(data)} came in time. The board and the host are "
                    f"in step again; check port, baud rate, --inputs {self.inputs}, "
                    f"and the board's error LED"
                )
            data += more
        return self.outputs.decode(bytes(data))


class _PosixPort:
    """A serial port through termios, 8N1, raw."""

    def __init__(self, path: str, baud: int, timeout_s: float) -> None:
        import termios

        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise ValueError(f"this system's termios has no {baud} baud; install pyserial")
        self.timeout_s = timeout_s
        self.file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        control = [bytes([0])] * len(termios.tcgetattr(self.file)[6])
        flags = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self.file, termios.TCSANOW, [0, 0, flags, 0, speed, speed, control])
        termios.tcflush(self.file, termios.TCIOFLUSH)

    def write(self, data: bytes, /) -> None:
        while data:
            data = data[os.write(self.file, data) :]

    def read(self, size: int, /) -> bytes:
        import select

        ready, _, _ = select.select([self.file], [], [], self.timeout_s)
        return os.read(self.file, size) if ready else b""


def open_port(path: str, baud: int, timeout_s: float = 1.0) -> Port:
    """Open a serial port, through pyserial where it is installed."""
    try:
        serial: Any = importlib.import_module("serial")
    except ImportError:
        return _PosixPort(path, baud, timeout_s)
    return serial.Serial(path, baud, timeout=timeout_s)


def main(arguments: Sequence[str]) -> int:
    """Read vectors from standard input, write answers to standard output."""
    parser = argparse.ArgumentParser(description="Send integer vectors to a gatewright board, print its answers.")
    parser.add_argument("port", help="serial port, e.g. /dev/ttyUSB0 or COM3")
    parser.add_argument("--inputs", required=True, type=Lanes.parse, help="e.g. 16x8u")
    parser.add_argument("--outputs", required=True, type=Lanes.parse, help="e.g. 1x3u")
    parser.add_argument("--baud", type=int, default=1_000_000)
    parser.add_argument("--gap", type=float, default=0.1, help="the board's resynchronisation gap in seconds")
    parser.add_argument("--window", type=int, default=1, help="vectors that may be unanswered; see UartHost")
    parser.add_argument(
        "--stream", action="store_true", help="the board has a unit in front: samples in, answers as it finds"
    )
    options = parser.parse_args(arguments)
    board = UartHost(
        open_port(options.port, options.baud), options.inputs, options.outputs, gap_s=options.gap, window=options.window
    )
    board.resync()
    lines = (line.split("#")[0].strip() for line in sys.stdin)
    given = ([int(field) for field in line.split(",")] for line in lines if line)
    for answer in board.stream(given) if options.stream else board.infer(given):
        sys.stdout.write(",".join(str(value) for value in answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
