"""A board of PYNQ's that is a simulator: cocotbext-axi's AXI4-Lite master, and its streams as the channels of a DMA.

A module of cocotb's, which runs inside the simulator; test_overlay.py starts it. GATEWRIGHT_LITE names a JSON file:
`board`, a bundle's folder for the board; `name`, of the top.
"""

# cocotbext-axi has no types: what a read returns is an object to pyright
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from gw_pynq import BlockError, Design

GIVEN = json.loads(Path(os.environ["GATEWRIGHT_LITE"]).read_text())
BOARD = Path(GIVEN["board"])
RECORD = json.loads((BOARD / "overlay.json").read_text())
X, Y = (np.load(BOARD / f"vectors_{side}.npy") for side in "xy")


class Channel:
    """One way of a DMA: what is transferred is done when `wait` returns, and a receiver ends at TLAST."""

    def __init__(self, board: Board, name: str) -> None:
        self.board, self.name, self.task = board, name, None

    @resume
    async def transfer(self, array) -> None:
        """Begin."""
        assert self.task is None, "one transfer at a time"
        self.board.order.append(self.name)
        run = self._send(array) if self.name == "send" else self._receive(array)
        self.task = cocotb.start_soon(run)

    @resume
    async def wait(self) -> None:
        """Return at the transfer's end."""
        task, self.task = self.task, None
        await with_timeout(task, 200, "us")

    async def _send(self, array) -> None:
        await self.board.source.send(AxiStreamFrame(array.tobytes()))
        await self.board.source.wait()

    async def _receive(self, array) -> None:
        frame = await self.board.sink.recv()
        data = np.frombuffer(bytes(frame.tdata), array.dtype)
        array.ravel()[: len(data)] = data


class Board:
    """The module `pynq`, as far as the driver uses it."""

    def __init__(self, dut) -> None:
        self.dut, self.random, self.order = dut, random.Random(5), []
        lite = AxiLiteBus.from_prefix(dut, "s_axi")
        self.host = AxiLiteMaster(lite, dut.aclk, dut.aresetn, reset_active_level=False)
        ends = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **ends)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **ends)
        self.sendchannel, self.recvchannel = Channel(self, "send"), Channel(self, "receive")

    @staticmethod
    async def start(dut) -> Board:
        """Return a board behind a reset, whose streams pause at random."""
        cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
        dut.aresetn.value = 0
        board = Board(dut)
        for _ in range(4):
            await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        for end in (board.source, board.sink):
            end.set_pause_generator(board.random.random() < 0.2 for _ in itertools.count())
        return board

    def Overlay(self, bitfile):  # noqa: N802  # as pynq calls it
        """Load a bitstream: here, do nothing but look at its name."""
        assert bitfile == f"{GIVEN['name']}.bit"
        return self

    @property
    def dma(self):
        """Be the overlay's DMA, too."""
        return self

    def MMIO(self, address, length):  # noqa: N802
        """Return what reads and writes."""
        assert (address, length) == (RECORD["address"], 0x1000)
        return self

    @staticmethod
    def allocate(shape, dtype):
        """Return memory."""
        return np.zeros(shape, dtype)

    @resume
    async def read(self, offset: int) -> int:
        """Be an MMIO."""
        got = await with_timeout(self.host.read(offset, 4), 20, "us")
        return int.from_bytes(got.data, "little")

    @resume
    async def write(self, offset: int, value: int) -> None:
        """Be an MMIO."""
        await with_timeout(self.host.write(offset, value.to_bytes(4, "little")), 20, "us")


def expect(run, text: str) -> None:
    """Fail unless a call raises a BlockError that says so."""
    try:
        run()
    except BlockError as error:
        said = str(error)
    else:
        said = "no error"
    assert text in said, said


@cocotb.test()
async def the_notebook(dut):
    """Its cells, as they are, on the simulated board."""
    board = await Board.start(dut)
    book = json.loads((BOARD / f"{GIVEN['name']}.ipynb").read_text())

    def run() -> None:
        for row in RECORD["registers"]:
            assert board.read(4 * row["word"]) == row["reset"], row
        sys.modules["pynq"] = board
        space: dict[str, object] = {}
        os.chdir(BOARD)
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), space)
        del sys.modules["pynq"]
        assert (space["got"] == Y).all()

    await bridge(run)()
    assert board.order == ["receive", "send"] * 2


@cocotb.test()
async def transfers_and_what_hangs(dut):
    """Transfers of all lengths, in parts where the DMA's is shorter; what hangs says where."""
    board = await Board.start(dut)

    def run() -> None:
        short = RECORD | {"most_bytes": 7 * max(board.read(12), board.read(16))}
        net = Design(Words(board), board, board.allocate, short, timeout_s=300)
        for count in (0, 1, 7, 8, min(30, len(X))):
            net.reset()
            board.order.clear()
            assert (net.run(X[:count]) == Y[:count]).all()
            parts = -(-count // 7)
            told = net.counters()
            assert told["packets_in"] == told["packets_out"] == parts == len(board.order) // 2
            assert told["vectors_in"] == told["results_out"] == count
            assert told["beats_in"] * RECORD["x"]["beat_bits"] // 8 == count * net.read("X_BYTES")
            assert told["beats_out"] * RECORD["x"]["beat_bits"] // 8 == count * net.read("Y_BYTES")
        net.reset()
        net.timeout_s = 0.2
        board.source.clear_pause_generator()
        board.source.pause = True
        expect(lambda: net.run(X[:2]), "2 results were expected, 0 came, then none for 0.2 s: beats_in 0, beats_out 0")
        board.source.pause = False
        board.sendchannel.wait()
        board.recvchannel.wait()

    await bridge(run)()


@cocotb.test()
async def torn_packets_are_counted(dut):
    """TLAST in mid-vector is counted; a write of less than a word is refused and seen once."""
    board = await Board.start(dut)
    beats = RECORD["x"]["beats"] * -(-RECORD["x"]["elements"] * -(-RECORD["x"]["width_bits"] // 8) * 8 // 32)
    refused = await board.host.write(29, b"\x01\x02")
    assert int(refused.resp) == 2
    await board.source.send(AxiStreamFrame(bytes(4)))
    await board.source.send(AxiStreamFrame(bytes(4 * (beats - 1))))
    await with_timeout(board.sink.recv(), 50, "us")

    def run() -> None:
        assert [board.read(20), board.read(20)] == [1, 0]
        assert [board.read(4 * (8 + i)) for i in (0, 2, 4, 5, 6)] == [beats, 1, 2, 1, 1]
        board.write(24, 1)
        assert board.read(32) == 0
        board.write(24, 0)

    await bridge(run)()


class Words:
    """The driver's transport."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def read(self, word: int) -> int:
        """Return a word."""
        return self.board.read(4 * word)

    def write(self, word: int, value: int) -> None:
        """Write a word."""
        self.board.write(4 * word, value)
