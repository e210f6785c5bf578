"""The board top, simulated at its pins: UART bits in, UART bits out."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.deploy import board
from gatewright.deploy.links.host.uart_host import Lanes
from gatewright.deploy.links.uart import HOST_DRIVER, StreamPorts, board_top
from tests.leaf_files import UART_SOURCES

RTL = Path(__file__).parent / "rtl"
CORE = StreamPorts(module="gw_stub", input_bytes=4, output_bytes=2)
GAP_CYCLES = 1250  # gap_ms=0.05 at 25 MHz
DIVIDER = 8
ERROR_LED = 1 << 3


@pytest.fixture(scope="session")
def ulx3s(build, tmp_path_factory) -> Path:
    top = board_top(board=board("ulx3s_25f"), core=CORE, clock_mhz=25, baud=3_125_000, gap_ms=0.05)
    path = tmp_path_factory.mktemp("top") / f"{top.module}.v"
    path.write_text(top.verilog)
    return build(top.module, [path, RTL / "gw_stub.v", *UART_SOURCES])


def send(data: bytes) -> list[str]:
    return [f"b {byte}" for byte in data]


def answer(data: bytes) -> list[int]:
    return list(sum(data).to_bytes(2, "little"))


@pytest.mark.sim
def test_vectors_in_answers_out_back_to_back(ulx3s, wire):
    draw = random.Random(7)
    vectors = [bytes(draw.randrange(256) for _ in range(4)) for _ in range(50)]
    out, led = wire(ulx3s, DIVIDER)(*(line for vector in vectors for line in send(vector)))
    assert out == [byte for vector in vectors for byte in answer(vector)]
    assert led & ERROR_LED == 0
    assert led & 0b110 == 0  # both toggles moved 50 times
    assert led >> 4 == 0


@pytest.mark.sim
@pytest.mark.parametrize("cycles_per_bit", [7.75, 8.25], ids=["3 % fast", "3 % slow"])
def test_a_host_with_another_clock_is_understood(ulx3s, wire, cycles_per_bit):
    vector = bytes([0x00, 0xFF, 0x55, 0xAA])
    commands = [*send(vector), "w 400"] * 5
    assert wire(ulx3s, cycles_per_bit)(*commands) == (answer(vector) * 5, 0b110)


@pytest.mark.sim
def test_pause_within_a_vector_shorter_than_the_gap_is_harmless(ulx3s, wire):
    vector = bytes([1, 2, 3, 4])
    pause = f"w {GAP_CYCLES - 100}"
    commands = [pause, *(line for byte in vector for line in (f"b {byte}", pause))]
    out, led = wire(ulx3s, DIVIDER)(*commands)
    assert out == answer(vector)
    assert led & ERROR_LED == 0


@pytest.mark.sim
@pytest.mark.parametrize("torn", [1, 2, 3])
def test_a_torn_vector_is_given_up_after_the_gap(ulx3s, wire, torn):
    whole = bytes([10, 20, 30, 200])
    out, led = wire(ulx3s, DIVIDER)(*send(whole), *send(whole[:torn]), f"w {GAP_CYCLES + 100}", *send(whole))
    assert out == answer(whole) * 2
    assert led & ERROR_LED


@pytest.mark.sim
@pytest.mark.parametrize("place", range(4))
def test_a_broken_byte_drops_its_vector_and_all_until_the_gap(ulx3s, wire, place):
    whole = bytes([10, 20, 30, 200])
    broken = send(whole)
    broken[place] = broken[place].replace("b", "f")
    commands = [*send(whole), *broken, *send(whole), f"w {GAP_CYCLES + 100}", *send(whole)]
    out, led = wire(ulx3s, DIVIDER)(*commands)
    assert out == answer(whole) * 2
    assert led & ERROR_LED


@pytest.mark.sim
def test_answers_longer_than_vectors_lose_whole_vectors_never_bytes(build, wire, tmp_path):
    """A host that breaks the one-vector rule: 1 byte in, 2 out, no pause. What is answered is right."""
    core = StreamPorts(module="gw_stub", input_bytes=1, output_bytes=2)
    top = board_top(board=board("colorlight_i5"), core=core, clock_mhz=25, baud=3_125_000, gap_ms=0.05)
    path = tmp_path / f"{top.module}.v"
    path.write_text(top.verilog)
    program = build(top.module, [path, RTL / "gw_stub.v", *UART_SOURCES])
    values = list(range(200, 240))
    out, _ = wire(program, DIVIDER)(*send(bytes(values)), f"w {GAP_CYCLES + 500}", "b 77")
    answers = [low + 256 * high for low, high in zip(out[::2], out[1::2], strict=True)]
    assert answers[-1] == 77  # in step again
    assert len(answers) < len(values)  # some were lost
    assert answers[:-1] == values[: len(answers) - 1]  # and nothing after the loss was answered


@pytest.mark.sim
def test_with_pll_and_host_codec(build, wire, tmp_path):
    top = board_top(board=board("ulx3s_85f"), core=CORE, clock_mhz=120, baud=12_000_000, gap_ms=0.02)
    assert top.divider == 10
    path = tmp_path / f"{top.module}.v"
    path.write_text(top.verilog)
    program = build(top.module, [path, RTL / "gw_stub.v", RTL / "pll_model.v", *UART_SOURCES])
    inputs, outputs = Lanes.parse("2x12s"), Lanes.parse("1x11u")
    assert (inputs.total_bytes, outputs.total_bytes) == (4, 2)
    data = inputs.encode([-3, 1000])
    out, _ = wire(program, top.divider)(*send(data))
    assert outputs.decode(bytes(out)) == [sum(data)]


@pytest.mark.sim
@pytest.mark.parametrize("module", ["gw_uart_rx", "gw_uart_tx", "gw_uart_host"])
@pytest.mark.parametrize("options", [(), ("-GDIV=4",), ("-GDIV=868",)], ids=["default", "DIV 4", "DIV 868"])
def test_leaf_lints_clean(lint: Callable[..., None], module, options):
    lint(module, UART_SOURCES, *options)


@pytest.mark.sim
@pytest.mark.parametrize("vector_bytes", [1, 2, 30, 255, 256, 784])
def test_host_lints_clean_for_any_vector(lint: Callable[..., None], vector_bytes):
    lint("gw_uart_host", UART_SOURCES, f"-GVECTOR_BYTES={vector_bytes}")


@pytest.mark.sim
@pytest.mark.parametrize("name", ["ulx3s_25f", "colorlight_i5", "ecpix5_85f"])
@pytest.mark.parametrize("clock_mhz", [25, 100])
def test_generated_top_lints_clean(lint, tmp_path, name, clock_mhz):
    top = board_top(board=board(name), core=CORE, clock_mhz=clock_mhz)
    path = tmp_path / f"{top.module}.v"
    path.write_text(top.verilog)
    lint(top.module, [path, RTL / "gw_stub.v", RTL / "pll_model.v", *UART_SOURCES])


def test_leaf_and_driver_files_exist():
    assert all(path.is_file() for path in (*UART_SOURCES, HOST_DRIVER))
