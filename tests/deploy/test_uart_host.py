"""The host driver against a fake board, and through a pseudo-terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gatewright.deploy.links.host import uart_host
from gatewright.deploy.links.host.uart_host import Lanes, UartHost
from gatewright.deploy.links.uart import HOST_DRIVER


class FakeBoard:
    """Answers each vector of 2 bytes with their sum in 2 bytes; silent from vector `dies_at` on."""

    def __init__(self, dies_at: int = 10**9) -> None:
        self.dies_at = dies_at
        self.vectors = 0
        self.out = bytearray()
        self.most_waiting = 0

    def write(self, data: bytes, /) -> None:
        assert len(data) % 2 == 0
        for index in range(0, len(data), 2):
            if self.vectors < self.dies_at:
                self.out += (data[index] + data[index + 1]).to_bytes(2, "little")
            self.vectors += 1
        self.most_waiting = max(self.most_waiting, len(self.out))

    def read(self, size: int, /) -> bytes:
        data, self.out = bytes(self.out[: min(size, 1)]), self.out[min(size, 1) :]  # never more than a byte at once
        return data


class FindingBoard(FakeBoard):
    """Answers with a byte, the sample's lower one, whenever one of 2 bytes is above 300."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def write(self, data: bytes, /) -> None:
        for index in range(0, len(data), 2):
            sample = int.from_bytes(data[index : index + 2], "little")
            with self.lock:
                self.out += bytes([sample & 0xFF] if sample > 300 else [])

    def read(self, size: int, /) -> bytes:
        with self.lock:
            return super().read(size)


def test_a_stream_is_answered_where_the_board_finds_something():
    host = UartHost(FindingBoard(), Lanes(1, 12, False), Lanes(1, 8, False))
    samples = [(37 * number) % 310 for number in range(1000)]
    assert host.stream([sample] for sample in samples) == [[sample & 0xFF] for sample in samples if sample > 300]


@given(st.integers(1, 64), st.booleans(), st.data())
def test_lanes_round_trip(width_bits, signed, data):
    low = -(1 << width_bits - 1) if signed else 0
    values = data.draw(st.lists(st.integers(low, low + (1 << width_bits) - 1), min_size=1, max_size=5))
    lanes = Lanes(len(values), width_bits, signed)
    raw = lanes.encode(values)
    assert len(raw) == lanes.total_bytes == len(values) * ((width_bits + 7) // 8)
    assert lanes.decode(raw) == values


def test_elements_are_little_endian_first_element_first():
    assert Lanes(2, 12, True).encode([1, -2]) == bytes([0x01, 0x00, 0xFE, 0xFF])


def test_bits_above_the_width_are_ignored():
    assert Lanes(1, 4, True).decode(bytes([0xF7])) == [7]
    assert Lanes(1, 4, True).decode(bytes([0x0F])) == [-1]


@pytest.mark.parametrize(
    ("values", "message"),
    [([1], "a vector must have 2 elements, not 1"), ([0, 8], "element 1 must be -8..7, not 8")],
)
def test_wrong_vectors_are_named(values, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Lanes(2, 4, True).encode(values)


def test_wrong_lanes_show_the_right_form():
    with pytest.raises(ValueError, match=r"lanes must look like 16x8u \(count x bits, u or s\), not '16'"):
        Lanes.parse("16")


def test_one_vector_waits_at_a_time():
    board = FakeBoard()
    host = UartHost(board, Lanes.parse("2x8u"), Lanes.parse("1x9u"))
    assert host.infer([[i, 255] for i in range(100)]) == [[i + 255] for i in range(100)]
    assert board.most_waiting == 2


def test_window_is_refused_where_answers_could_pile_up():
    with pytest.raises(ValueError, match=r"window must be 1 where answers \(2 bytes\) are not shorter"):
        UartHost(FakeBoard(), Lanes.parse("2x8u"), Lanes.parse("1x9u"), window=2)


def test_silent_board_is_a_timeout_with_a_remedy():
    host = UartHost(FakeBoard(dies_at=3), Lanes.parse("2x8u"), Lanes.parse("1x9u"), gap_s=0.0)
    with pytest.raises(TimeoutError) as caught:
        host.infer([[1, 2]] * 5)
    assert str(caught.value) == (
        "answer 3 must have 2 bytes, but 0 came in time. The board and the host are in step again; "
        "check port, baud rate, --inputs 2x8u, and the board's error LED"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_program_talks_over_a_terminal(monkeypatch, capsys):
    near, far = os.openpty()

    def board() -> None:
        fake = FakeBoard()
        for _ in range(3):
            data = b""
            while len(data) < 2:
                data += os.read(near, 2 - len(data))
            fake.write(data)
            os.write(near, bytes(fake.out))
            fake.out.clear()

    monkeypatch.setattr("sys.stdin", io.StringIO("1,2\n# a comment\n13,10\n255,255\n"))
    monkeypatch.setattr(uart_host.importlib, "import_module", _no_serial)
    server = threading.Thread(target=board, daemon=True)
    server.start()
    arguments = [os.ttyname(far), "--inputs", "2x8u", "--outputs", "1x9u", "--gap", "0.01", "--baud", "115200"]
    assert uart_host.main(arguments) == 0
    server.join(5)
    os.close(near)
    os.close(far)
    assert capsys.readouterr().out == "3\n23\n510\n"


def _no_serial(name: str) -> None:
    raise ImportError(name)


def test_driver_runs_alone(tmp_path):
    copy = tmp_path / "driver.py"
    copy.write_text(HOST_DRIVER.read_text())
    done = subprocess.run([sys.executable, "-I", "-S", str(copy), "--help"], capture_output=True, text=True, check=True)
    assert "--inputs" in done.stdout
