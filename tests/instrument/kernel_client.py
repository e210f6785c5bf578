"""An outside world of a kernel: cocotbext-axi's AXI4-Lite master and AXI4 memory, and the kernel's client in Python.

A module of cocotb's, which runs inside the simulator; test_kernel.py starts it. GATEWRIGHT_LITE names a JSON file:
`design`, as the client reads it; `x`, `y`, codes of vectors and results; `bytes`, from one to the next, of both;
`runs`, vectors of each run; `interval`, cycles of the core from one vector to the next; `least`, the share of the
core's throughput that a run must reach.
"""

# cocotbext-axi has no types: what a read returns is an object to pyright
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

import itertools
import json
import os
import random
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import Force, Release
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam
from gw_kernel import BlockError, Kernel

GIVEN = json.loads(Path(os.environ["GATEWRIGHT_LITE"]).read_text())
X, Y = (np.array(GIVEN[key], np.int64) for key in "xy")
X_BYTES, Y_BYTES = GIVEN["bytes"]
PATIENCE = 120


class Bench:
    """A kernel between a host and a memory whose channels pause at random."""

    def __init__(self, dut) -> None:
        self.dut, self.random, self.top = dut, random.Random(7), 0
        host = AxiLiteBus.from_prefix(dut, "s_axi_control")
        self.host = AxiLiteMaster(host, dut.ap_clk, dut.ap_rst_n, reset_active_level=False)
        memory = AxiBus.from_prefix(dut, "m_axi_gmem")
        self.ram = AxiRam(memory, dut.ap_clk, dut.ap_rst_n, reset_active_level=False, size=1 << 22)
        self.channels = {
            "aw": self.ram.write_if.aw_channel,
            "w": self.ram.write_if.w_channel,
            "b": self.ram.write_if.b_channel,
            "ar": self.ram.read_if.ar_channel,
            "r": self.ram.read_if.r_channel,
        }
        self.longest = 0

    @staticmethod
    async def start(dut) -> Bench:
        """Return a bench behind a reset, whose bursts are watched."""
        cocotb.start_soon(Clock(dut.ap_clk, 10, unit="ns").start())
        dut.ap_rst_n.value = 0
        bench = Bench(dut)
        for _ in range(4):
            await RisingEdge(dut.ap_clk)
        dut.ap_rst_n.value = 1
        for _ in range(3):
            await RisingEdge(dut.ap_clk)
        cocotb.start_soon(bench.watch())
        return bench

    async def watch(self) -> None:
        """Fail where a burst crosses 4 KiB, or an offer changes before it is taken."""
        offered: dict[str, tuple[int, int]] = {}
        bytes_ = len(self.dut.m_axi_gmem_wdata) // 8
        while True:
            await RisingEdge(self.dut.ap_clk)
            for way in ("aw", "ar"):
                if not int(self._signal(way, "valid").value):
                    assert way not in offered
                    continue
                address, length = (int(self._signal(way, name).value) for name in ("addr", "len"))
                assert offered.setdefault(way, (address, length)) == (address, length)
                assert address % 4096 + (length + 1) * bytes_ <= 4096
                self.longest = max(self.longest, length + 1)
                if int(self._signal(way, "ready").value):
                    del offered[way]

    def _signal(self, way: str, name: str):
        return getattr(self.dut, f"m_axi_gmem_{way}{name}")

    def pause(self, share: float) -> None:
        """Let all channels of the memory pause at random."""
        for channel in self.channels.values():
            channel.set_pause_generator(self.random.random() < share for _ in itertools.count())

    def hang(self, name: str, *, on: bool) -> None:
        """Stop a channel of the memory, or let it go on."""
        self.channels[name].clear_pause_generator()
        self.channels[name].pause = on

    def allocate(self, shape, dtype):
        """Return memory that the kernel sees, at any multiple of a beat's bytes."""
        beat = len(self.dut.m_axi_gmem_wdata) // 8
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self.top + beat * self.random.randrange(64)
        self.top = -(-(address + size) // beat) * beat + beat
        array = np.zeros(shape, dtype).view(Shared)
        array.ram, array.physical_address = self.ram, address
        return array

    def client(self, **options) -> Kernel:
        """Return the client: its calls block, so it runs in a thread of its own, which cocotb lends."""
        return Kernel(self, GIVEN["design"], self.allocate, patience_cycles=PATIENCE, timeout_s=600, **options)

    @resume
    async def read(self, word: int) -> int:
        """Be the client's transport."""
        got = await with_timeout(self.host.read(4 * word, 4), 20, "us")
        return int.from_bytes(got.data, "little")

    @resume
    async def write(self, word: int, value: int) -> None:
        """Be the client's transport."""
        await with_timeout(self.host.write(4 * word, value.to_bytes(4, "little")), 20, "us")

    @resume
    async def hold(self, what) -> None:
        """Keep the core from taking vectors, or let it."""
        self.dut.x_ready.value = what


class Shared(np.ndarray):
    """An array that is copied to the memory, and back, as pynq's buffers are."""

    def flush(self) -> None:
        """Let the kernel see what is here."""
        self.ram.write(self.physical_address, self.tobytes())

    def invalidate(self) -> None:
        """See what the kernel wrote."""
        data = self.ram.read(self.physical_address, self.nbytes)
        self[:] = np.frombuffer(data, self.dtype).reshape(self.shape)


def expect(run, text: str) -> None:
    """Fail unless a call raises a BlockError that says so."""
    try:
        run()
    except BlockError as error:
        said = str(error)
    else:
        said = "no error"
    assert text in said


@cocotb.test()
async def runs(dut):
    """Runs of all lengths while the memory pauses give every result, long ones at the rate of the core."""
    bench = await Bench.start(dut)

    def client() -> list[float]:
        for row in GIVEN["design"]["registers"]:
            assert bench.read(row["word"]) == row["reset"], row
        kernel, rates = bench.client(), []
        assert kernel.self_test(X[:9], Y[:9]) == 9
        assert kernel.run(X[:0]).shape == (0, Y.shape[1])
        for count, share in GIVEN["runs"]:
            bench.pause(share)
            chosen = [bench.random.randrange(len(X)) for _ in range(count)]
            assert (kernel.run(X[chosen]) == Y[chosen]).all()
            assert kernel.read("VECTORS_IN") == kernel.read("RESULTS_OUT") == count
            rates.append(count * GIVEN["interval"] / kernel.read("CYCLES"))
        return rates

    rates = await bridge(client)()
    assert bench.longest == 64 or max(count for count, _ in GIVEN["runs"]) * max(X_BYTES, Y_BYTES) < 1024
    Path("rates.json").write_text(json.dumps(rates))
    assert rates[-1] >= GIVEN["least"], rates


@cocotb.test()
async def hangs(dut):
    """A memory that stops ends a run with its code; the next runs fail too until it goes on, and then all is well."""
    bench = await Bench.start(dut)

    def client() -> None:
        kernel = bench.client()
        for channel, code, text in (
            ("ar", 1, "does not answer reads"),
            ("r", 1, "does not answer reads"),
            ("aw", 2, "does not answer writes"),
            ("w", 2, "does not answer writes"),
            ("b", 2, "does not answer writes"),
        ):
            bench.hang(channel, on=True)
            for count in (40, 1)[: 1 + (channel == "r")]:
                expect(
                    lambda n=count: kernel.run(X[:n]),
                    f"code {code}: the memory {text}; the memory still owes an answer",
                )
            assert kernel.read("STATUS") >> 31 == 1
            bench.hang(channel, on=False)
            while kernel.read("STATUS") >> 31:
                pass
            assert (kernel.run(X[:40]) == Y[:40]).all(), channel
        bench.hold(Force(0))
        expect(lambda: kernel.run(X[:40]), "code 3: the core gives nothing")
        bench.hold(Release())
        assert (kernel.run(X[:40]) == Y[:40]).all()

    await bridge(client)()


@cocotb.test()
async def refusals(dut):
    """A memory that refuses, an address between beats, a partial write, events and restarts."""
    bench = await Bench.start(dut)
    reads, writes = bench.ram.read_if, bench.ram.write_if

    async def refuse(*_):
        raise ValueError("refused")

    def client() -> None:
        kernel = bench.client()
        for side, name, code, text in (
            (reads, "_read", 4, "the memory refused a read"),
            (writes, "_write", 5, "the memory refused a write"),
        ):
            kept = getattr(side, name)
            setattr(side, name, refuse)
            expect(lambda: kernel.run(X[:40]), f"code {code}: {text}")
            setattr(side, name, kept)
            while kernel.read("STATUS") >> 31:
                pass
            assert (kernel.run(X[:40]) == Y[:40]).all()
        kernel.start(2, 0, 1)
        expect(kernel.wait, "code 6: an address is no multiple of a beat's bytes")
        assert kernel.read("EVENTS") == 0
        kernel.write("GLOBAL_ENABLE", 1)
        kernel.write("EVENTS_ENABLE", 3)
        assert (kernel.run(X[:3]) == Y[:3]).all()
        assert (kernel.read("EVENTS"), kernel.read("CONTROL") & 0x200) == (3, 0x200)
        assert int(dut.interrupt.value) == 1
        kernel.write("EVENTS", 3)
        assert kernel.read("EVENTS") == int(dut.interrupt.value) == 0
        kernel.write("CONTROL", 0x81)
        while kernel.read("EVENTS") == 0:
            pass
        kernel.write("EVENTS", 3)
        while kernel.read("EVENTS") == 0:
            pass
        kernel.write("CONTROL", 0)
        while not kernel.read("CONTROL") & 4:
            pass
        for row in GIVEN["design"]["registers"]:
            if row["access"] == "read-write" and row["name"][:2] in {"X_", "Y_", "CO"} and row["name"] != "CONTROL":
                kernel.write(row["name"], 0xA5000000 + row["word"])
                assert kernel.read(row["name"]) == 0xA5000000 + row["word"]

    await bridge(client)()
    assert int((await bench.host.write(0x28, b"\x01\x02")).resp) == 2
    got = await bench.host.read(4 * 13, 4)
    assert got.data[3] >> 6 == 1
