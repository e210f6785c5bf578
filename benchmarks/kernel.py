"""Table `kernel`: 1,000 vectors from memory and back under random stalls, and what the kernel takes on xc7."""

from __future__ import annotations

import shutil
from typing import Any

from benchmarks.bus import LUT_SITES
from benchmarks.cells import count
from benchmarks.tables import BUILD, publish
from gatewright.instrument.kernel.module import LEAVES, kernel_module
from gatewright.ir import Program
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.verilog import module_text
from gatewright.tools import write_atomic
from tests.instrument.test_kernel import SMALL, built, drive
from tests.lower.test_streams import residual

VECTORS, STALLS = 1000, (0.0, 0.1, 0.2, 0.3, 0.4)
CORES: tuple[tuple[str, Program, int, int, dict[str, Any]], ...] = (
    ("a vector every cycle", SMALL, VECTORS, 64, {}),
    ("folded", SMALL, VECTORS, 32, {"reuse": 6}),
    ("on streams", residual(), 50, 32, {"stream": "always"}),
)
"""A name, the program, vectors of a run, bits of the bus, options of the lowering."""


def run() -> None:
    """Simulate the runs, with cocotbext-axi for host and memory, every result compared by ==; then synthesize."""
    rows: list[dict[str, Any]] = []
    for name, program, vectors, bits, options in CORES:
        folder = BUILD / "kernel" / name.replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        runs = [(vectors, share) for share in STALLS]
        rates = drive(folder, program, runs, 0.0, only="runs", data_bits=bits, **options)
        made, interval = built(folder, program, data_bits=bits, **options)
        inner = {**PLAIN.files(*LEAVES), "top.v": module_text(kernel_module(made.kernel, "top"))}
        for file, text in inner.items():
            write_atomic(folder / file, text)
        cells = count([folder / file for file in inner], top="top", family="xc7", out=folder / "synth")
        memory = sum(LUT_SITES.get(kind, 0) * number for kind, number in cells.by_type.items())
        shares = {f"stalls {share:.0%}": rate for share, rate in zip(STALLS, rates, strict=True)}
        rows.append(
            {"core": name, "bus bits": bits, "interval": interval}
            | shares
            | {
                "LUT": cells.lut + memory,
                "FF": cells.ff,
                "RAMB18": cells.by_type.get("RAMB18E1", 0) + 2 * cells.by_type.get("RAMB36E1", 0),
            }
        )
    notes = (
        f"share of the core's throughput, {VECTORS} vectors, 50 on streams, start and end of the run in it;",
        "each of five channels pauses in that share of cycles at random, a bus that is always busy moves no more than",
        "the rest. LUT, FF: all but the core and its stream.",
    )
    publish("kernel", "kernel: vectors from memory, results to memory", rows, notes)
