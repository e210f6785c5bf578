"""An outside client of a generated core: cocotbext-axi's source and sink in a simulator, against results from Python.

A module of cocotb's, which runs inside the simulator; test_outside_client.py starts it. GATEWRIGHT_AXI names a JSON
file: `vectors` and `results`, bytes of whole beats in hexadecimal; `beats`, of a vector; `tail`, bytes that leave of
a torn vector before it is known to be torn; `framed`.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

GIVEN = json.loads(Path(os.environ["GATEWRIGHT_AXI"]).read_text())
VECTORS, RESULTS = ([bytes.fromhex(text) for text in GIVEN[key]] for key in ("vectors", "results"))
BEATS, TAIL, FRAMED = GIVEN["beats"], GIVEN["tail"], GIVEN["framed"]
BEAT = len(VECTORS[0]) // BEATS
TORN = FRAMED and BEATS > 1


class Bench:
    """A core in reset; the sink is reset with it, the source goes on."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.random = dut, random.Random(seed)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk)
        self.sink = AxiStreamSink(
            AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, dut.aresetn, reset_active_level=False
        )

    @staticmethod
    async def start(dut, seed: int) -> Bench:
        """Return a bench whose core has been reset; before the first edge of the clock its outputs are unknown."""
        cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
        for signal in (dut.aresetn, dut.s_axis_tvalid, dut.m_axis_tready):
            signal.value = 0
        for _ in range(3):
            await RisingEdge(dut.aclk)
        bench = Bench(dut, seed)
        await bench.cycles(2)
        dut.aresetn.value = 1
        await bench.cycles(2)
        return bench

    async def cycles(self, count: int) -> None:
        """Wait."""
        for _ in range(count):
            await RisingEdge(self.dut.aclk)

    def pause(self, share: float) -> None:
        """Let both ends pause at random."""
        for end in (self.source, self.sink):
            end.set_pause_generator(self.random.random() < share for _ in itertools.count())

    def draw(self, count: int) -> list[int]:
        """Return numbers of vectors."""
        return [self.random.randrange(len(VECTORS)) for _ in range(count)]

    async def send(self, vectors: list[int], torn: bytes = b"") -> None:
        """Send a packet of whole vectors, and what there is of one that TLAST cuts."""
        await self.source.send(b"".join(VECTORS[i] for i in vectors) + torn)

    def tear(self) -> bytes:
        """Return some beats of a vector, not all."""
        return VECTORS[0][: BEAT * self.random.randrange(1, BEATS)]

    async def expect(self, vectors: list[int], *, torn: bool = False) -> None:
        """Receive a packet: the results of these vectors and nothing else. torn: but the part of one more."""
        frame = await with_timeout(self.sink.recv(), 200, "us")
        due, got = b"".join(RESULTS[i] for i in vectors), bytes(frame.tdata)
        assert got[: len(due)] == due
        assert len(got) == len(due) + TAIL * torn

    def error(self) -> int:
        """Return framing_error, 0 where there is none."""
        return int(self.dut.framing_error.value) if FRAMED else 0


async def exchange(bench: Bench, packets: int) -> None:
    """Send packets and receive their results."""
    sent = [bench.draw(bench.random.randrange(1, 6)) for _ in range(packets)]
    for vectors in sent:
        await bench.send(vectors)
    for vectors in sent:
        await bench.expect(vectors)
    assert bench.sink.empty()


@cocotb.test()
async def packets_at_full_rate(dut):
    """Every packet in gives a packet of as many results."""
    bench = await Bench.start(dut, 1)
    await exchange(bench, 12)
    assert bench.error() == 0


@cocotb.test()
async def packets_with_pauses(dut):
    """Both ends pause, now and then for long."""
    bench = await Bench.start(dut, 2)
    for share in (0.2, 0.7):
        bench.pause(share)
        await exchange(bench, 6)
    assert bench.error() == 0


@cocotb.test(skip=not TORN)
async def torn_packets(dut):
    """A packet that ends within a vector: the results of its whole vectors, and its end; the next one is whole."""
    bench = await Bench.start(dut, 3)
    for share in (0.0, 0.4):
        bench.pause(share)
        for count in (3, 1, 0, 2):
            first, second = bench.draw(count), bench.draw(2)
            await bench.send(first, torn=bench.tear())
            await bench.send(second)
            await bench.expect(first, torn=True)
            await bench.expect(second)
            assert bench.error() == 1
    dut.aresetn.value = 0
    await bench.cycles(2)
    assert bench.error() == 0


@cocotb.test(skip=not FRAMED)
async def resets_in_mid_packet(dut):
    """The rest of a packet that a reset has cut gives nothing; the next one is whole."""
    bench = await Bench.start(dut, 4)
    for after in (1, 2, 3, 5, 8, 13, 21):
        cut, whole = bench.draw(8 + 21 // BEATS), bench.draw(3)
        await bench.send(cut)
        taken = 0
        while taken < after:
            await RisingEdge(dut.aclk)
            taken += int(dut.s_axis_tvalid.value) and int(dut.s_axis_tready.value)
        dut.aresetn.value = 0
        await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        await bench.send(whole)
        await bench.expect(whole)
        assert bench.error() == 1
        assert bench.sink.empty()
    await exchange(bench, 2)


@cocotb.test()
async def resets_between_packets(dut):
    """A reset where no packet is under way drops nothing."""
    bench = await Bench.start(dut, 5)
    for _ in range(3):
        await exchange(bench, 2)
        dut.aresetn.value = 0
        await bench.cycles(bench.random.randrange(1, 4))
        dut.aresetn.value = 1
    await exchange(bench, 2)
    assert bench.error() == 0


@cocotb.test()
async def the_sink_alone_stops(dut):
    """The core fills up and waits; nothing is lost."""
    bench = await Bench.start(dut, 6)
    sent = [bench.draw(4) for _ in range(6)]
    bench.sink.pause = True
    for vectors in sent:
        await bench.send(vectors)
    await bench.cycles(100 + 40 * BEATS)
    bench.sink.pause = False
    for vectors in sent:
        await bench.expect(vectors)
