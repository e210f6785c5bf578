"""An outside client of a block: cocotbext-axi's AXI4-Lite master with random pauses, against results from Python.

A module of cocotb's, which runs inside the simulator; test_block.py starts it. GATEWRIGHT_LITE names a JSON file:
`words` and `answers`, of every vector; `registers`, the map: name, word, access, reset; `depth`; `vectors`, to send.
"""

# cocotbext-axi has no types: what a read or a write returns is an object to pyright
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

from __future__ import annotations

import itertools
import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiBurstType, AxiBus, AxiLiteBus, AxiLiteMaster, AxiMaster, AxiResp

GIVEN = json.loads(Path(os.environ["GATEWRIGHT_LITE"]).read_text())
WORDS, ANSWERS, DEPTH, RAM_WORDS = GIVEN["words"], GIVEN["answers"], GIVEN["depth"], GIVEN["ram_words"]
REGISTERS = {row["name"]: row for row in GIVEN["registers"]}
EMPTY, ALMOST, STICKY = 1, 2, 4


class Bench:
    """A block behind a master whose channels pause at random."""

    def __init__(self, dut, pauses: float) -> None:
        self.dut, self.count, self.random = dut, 0, random.Random(1)
        self.master = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        self.pause(self.master, pauses)

    def pause(self, master, share: float) -> None:
        """Let all channels of a master pause at random."""
        writes, reads = master.write_if, master.read_if
        for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
            if share:
                channel.set_pause_generator(self.random.random() < share for _ in itertools.count())

    @staticmethod
    async def start(dut, pauses: float = 0.4) -> Bench:
        """Return a bench behind a reset."""
        cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
        dut.aresetn.value = 0
        for i in range(GIVEN["inputs"]):
            getattr(dut, f"reg{i}_i").value = 0x1000 + i
        bench = Bench(dut, pauses)
        for _ in range(4):
            await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        await RisingEdge(dut.aclk)
        return bench

    async def read(self, name: str) -> int:
        """Return a register."""
        self.count += 1
        got = await with_timeout(self.master.read(4 * REGISTERS[name]["word"], 4), 20, "us")
        assert got.resp == AxiResp.OKAY
        return int.from_bytes(got.data, "little")

    async def write(self, name: str, value: int) -> None:
        """Set a register."""
        self.count += 1
        done = await with_timeout(self.master.write(4 * REGISTERS[name]["word"], value.to_bytes(4, "little")), 20, "us")
        assert done.resp == AxiResp.OKAY


@cocotb.test()
async def every_register(dut):
    """Each has its reset value, keeps what may be written, and nothing else."""
    bench = await Bench.start(dut)
    for name, row in sorted(REGISTERS.items(), key=lambda item: "_VALUE" in item[0]):  # it sets UF in a status
        if row["access"] != "write-only":
            expected = 0x1000 + row["word"] if name.startswith("IREG") else row["reset"]
            assert await bench.read(name) == expected, name
    for name, row in REGISTERS.items():
        if row["access"] == "read-write":
            value = bench.random.getrandbits(32) if name.startswith("OREG") else 1
            await bench.write(name, value)
            assert await bench.read(name) == value, name
            if name.startswith("OREG"):
                assert int(getattr(dut, f"reg{row['word'] - 16}_o").value) == value
            else:
                await bench.write(name, 0)
    for name in ("ID", "X_WORDS", "VECTORS_IN", "FLAGS"):
        await bench.write(name, 0xFFFFFFFF)
        assert await bench.read(name) == REGISTERS[name]["reset"], name
    listed = {row["word"] for row in REGISTERS.values()}
    for word in sorted(set(range(64)) - listed):
        got = await bench.master.read(4 * word, 4)
        assert (got.resp, bytes(got.data)) == (AxiResp.OKAY, bytes(4)), word
    dut.aresetn.value = 0
    for _ in range(2):
        await RisingEdge(dut.aclk)
    dut.aresetn.value = 1
    for name in REGISTERS:
        if name.startswith("OREG"):
            assert await bench.read(name) == 0, name


@cocotb.test()
async def vectors_pass(dut):
    """Words of vectors in, words of results out, while both ends of every channel pause; none is lost."""
    bench = await Bench.start(dut)
    wanted = [bench.random.randrange(len(WORDS)) for _ in range(GIVEN["vectors"])]
    waiting: list[int] = []
    for index in wanted:
        for word in WORDS[index]:
            await bench.write("OFIFO_VALUE", word)
        waiting.append(index)
        while waiting and (len(waiting) > 6 or bench.random.random() < 0.5):  # no more than the FIFOs hold
            assert [await one(bench) for _ in ANSWERS[waiting[0]]] == ANSWERS[waiting[0]]
            waiting.pop(0)
    while waiting:
        assert [await one(bench) for _ in ANSWERS[waiting[0]]] == ANSWERS[waiting[0]]
        waiting.pop(0)
    assert await bench.read("VECTORS_IN") == await bench.read("RESULTS_OUT") == len(wanted)
    assert await bench.read("FRAMING_ERRORS") == 0
    assert await bench.read("CYCLES_BUSY") >= len(wanted)
    assert await bench.read("IFIFO_STATUS") == EMPTY | ALMOST
    Path("transactions").write_text(str(bench.count))


async def one(bench: Bench) -> int:
    """Return the next word of the results, polling until there is one."""
    while await bench.read("IFIFO_STATUS") & EMPTY:
        pass
    return await bench.read("IFIFO_VALUE")


@cocotb.test()
async def what_is_lost_is_seen(dut):
    """An empty FIFO answers at once, a full one drops, a partial write is refused; flags stay until they are read."""
    bench = await Bench.start(dut, 0.0)
    assert await bench.read("IFIFO_VALUE") == 0
    assert await bench.read("IFIFO_STATUS") == EMPTY | ALMOST | STICKY
    assert await bench.read("IFIFO_STATUS") == EMPTY | ALMOST
    refused = await bench.master.write(4 * REGISTERS["OFIFO_VALUE"]["word"] + 1, b"\x01\x02")
    assert refused.resp == AxiResp.SLVERR
    assert await bench.read("FLAGS") == 1
    sent = 0
    while not await bench.read("OFIFO_STATUS") & EMPTY and sent < 40 * DEPTH:  # bit 0 of this one: full
        await bench.write("OFIFO_VALUE", WORDS[0][sent % len(WORDS[0])])
        sent += 1
    status = await bench.read("OFIFO_STATUS")
    assert (status & 7, status >> 16) == (3, DEPTH)
    await bench.write("OFIFO_VALUE", 0)
    assert (await bench.read("OFIFO_STATUS")) & 7 == 7
    assert (await bench.read("OFIFO_STATUS")) & 7 == 3
    assert await bench.read("FRAMING_ERRORS") == 1
    status = await bench.read("IFIFO_STATUS")
    assert status & 3 == 0
    await bench.write("IFIFO_CONTROL", 1)
    assert await bench.read("IFIFO_STATUS") == EMPTY | ALMOST
    await bench.write("IFIFO_CONTROL", 0)
    await bench.write("RESET", 1)
    await bench.write("RESET", 0)
    for name in ("VECTORS_IN", "RESULTS_OUT", "FRAMING_ERRORS", "CYCLES_BUSY", "FLAGS", "OFIFO_STATUS"):
        assert await bench.read(name) == 0, name
    for word in WORDS[3]:
        await bench.write("OFIFO_VALUE", word)
    assert [await one(bench) for _ in ANSWERS[3]] == ANSWERS[3]
    if len(WORDS[0]) > 1:
        await bench.write("OFIFO_VALUE", 0)
        while (await bench.read("OFIFO_STATUS")) >> 16:
            pass
        await bench.write("OFIFO_CONTROL", 1)
        assert await bench.read("FRAMING_ERRORS") == 1


@cocotb.test(skip=not RAM_WORDS)
async def the_ram_has_two_ports(dut):
    """Bursts of every kind and size, writes and reads at once, while all channels pause; the other port sees them."""
    bench = await Bench.start(dut, 0.0)
    dut.ram_we_i.value = 0
    master = AxiMaster(AxiBus.from_prefix(dut, "s_ram"), dut.aclk, dut.aresetn, reset_active_level=False)
    half = 2 * RAM_WORDS  # bytes: writes go to one half and reads to the other, in turn
    held = bytearray(bench.random.randbytes(2 * half))
    await with_timeout(master.write(0, bytes(held)), 50, "us")
    for round_, share in enumerate((0.0, 0.3, 0.6, 0.3)):
        bench.pause(master, share)
        low, high = (half, 0) if round_ % 2 else (0, half)
        jobs = []
        for _ in range(GIVEN["bursts"]):
            kind = bench.random.choice(list(AxiBurstType))
            size = 2 if kind == AxiBurstType.FIXED else bench.random.randrange(3)
            address, data, count = burst(bench.random, size, kind, half)
            jobs.append(cocotb.start_soon(master.write(low + address, data, burst=kind, size=size)))
            remember(held, low + address, data, kind, size)
            size, kind = bench.random.randrange(3), bench.random.choice([AxiBurstType.INCR, AxiBurstType.WRAP])
            address, _, count = burst(bench.random, size, kind, half)
            expected = [held[high + place] for place in places(address, count, kind, size)]
            jobs.append(cocotb.start_soon(reads(master, high + address, bytes(expected), kind, size)))
        for job in jobs:
            await with_timeout(job, 500, "us")
    for word in range(0, RAM_WORDS, 5):
        dut.ram_addr_i.value = word
        for _ in range(2):
            await RisingEdge(dut.aclk)
        assert int(dut.ram_data_o.value) == int.from_bytes(held[4 * word : 4 * word + 4], "little")
    dut.ram_addr_i.value, dut.ram_data_i.value, dut.ram_we_i.value = RAM_WORDS - 1, 0x600DCAFE, 1
    await RisingEdge(dut.aclk)
    dut.ram_we_i.value = 0
    got = await with_timeout(master.read(4 * RAM_WORDS - 4, 4), 20, "us")
    assert bytes(got.data) == 0x600DCAFE.to_bytes(4, "little")


async def reads(master, address: int, expected: bytes, kind, size: int) -> None:
    """Read a burst and compare."""
    got = await master.read(address, len(expected), burst=kind, size=size)
    assert (got.resp, bytes(got.data)) == (AxiResp.OKAY, expected)


def burst(draw: random.Random, size: int, kind, bytes_: int) -> tuple[int, bytes, int]:
    """Return a burst's address, data and length in bytes, within so many; AXI lets only INCR begin anywhere.

    cocotbext-axi 0.1.28 drives wrong strobes where a burst goes round within a word, so these are of whole words.
    """
    if kind == AxiBurstType.INCR:
        count = draw.randrange(1, 100)
        address = draw.randrange(bytes_ - count)
    else:
        count = max(4, 2 << draw.randrange(4) << size)
        address = draw.randrange((bytes_ - count) >> size) << size
    return address, draw.randbytes(count), count


def places(address: int, count: int, kind, size: int) -> list[int]:
    """Return where the bytes of a burst lie (ARM IHI 0022, A3.4.1)."""
    if kind == AxiBurstType.WRAP:
        low = address // count * count
        return [low + (address - low + i) % count for i in range(count)]
    step = 1 << size
    return [address + (i % step if kind == AxiBurstType.FIXED else i) for i in range(count)]


def remember(held: bytearray, address: int, data: bytes, kind, size: int) -> None:
    """Write a burst to the model."""
    for place, value in zip(places(address, len(data), kind, size), data, strict=True):
        held[place] = value
