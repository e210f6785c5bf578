"""A stub core with three probed layers, its numpy meaning, and its shell: designs for the simulation's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatewright.config import Framing
from gatewright.fixedpoint import Ints
from gatewright.rtl.leaves import leaf_sources
from gatewright.rtl.shell import StreamPort, axis_shell, initiation_interval
from gatewright.rtl.shell_cells import Wiring
from gatewright.sim import Bench, Device, Probe, SimReport, Trial, Vectors, build_bench, run_bench

TOP = "stub"
Edit = Callable[[dict[str, str]], None]


@dataclass(frozen=True)
class Stub:
    """result j = source j + source j+1 + j (indices modulo the source's elements), wrapped to the result's width."""

    source: StreamPort
    result: StreamPort
    latency_cycles: int
    io_registers: bool = False
    framing: Framing = "auto"
    family: str = ""

    @property
    def framed(self) -> bool:
        return self.framing == "packets" or (self.framing == "auto" and self.source.beats > 1)

    def files(self) -> dict[str, str]:
        shell = axis_shell(
            name=TOP,
            core=f"{TOP}_core",
            latency_cycles=self.latency_cycles,
            source=self.source,
            result=self.result,
            framed=self.framed,
            io_registers=self.io_registers,
            family=self.family,
        )
        leaves = Wiring(framed=self.framed, io_registers=self.io_registers).leaves
        return {**leaf_sources(*leaves), f"{TOP}.v": shell, f"{TOP}_core.v": self._core(), f"{TOP}_sum.v": self._sum()}

    def codes(self, count: int, seed: int = 0) -> Ints:
        port = self.source
        lo = -(1 << (port.width_bits - 1)) if port.signed else 0
        hi = (1 << (port.width_bits - port.signed)) - 1
        return np.random.default_rng(seed).integers(lo, hi, (count, port.elements), dtype=np.int64, endpoint=True)

    def values(self, x: Ints) -> dict[str, Ints]:
        index = np.arange(self.result.elements)
        count, width = self.source.elements, self.result.width_bits
        total = (x[:, index % count] + x[:, (index + 1) % count] + index) & ((1 << width) - 1)
        if self.result.signed:
            total = (total ^ (1 << (width - 1))) - (1 << (width - 1))
        return {"in": x, "sum": total, "out": total}

    def probes(self) -> list[Probe]:
        def probe(layer: str, port: StreamPort, element: int, signal: str, stage: int) -> Probe:
            inside = layer != "out"
            return Probe(
                layer=layer,
                element=element,
                module=f"{TOP}_sum" if inside else f"{TOP}_core",
                signal=f"{signal}_{element}",
                path=("u_core", "u__sum_") if inside else ("u_core",),
                stage=stage,
                width_bits=port.width_bits,
                signed=port.signed,
            )

        return [
            *(probe("in", self.source, i, "_a_", 0) for i in range(self.source.elements)),
            *(probe("sum", self.result, i, "s", 1) for i in range(self.result.elements)),
            *(probe("out", self.result, i, "y", self.latency_cycles) for i in range(self.result.elements)),
        ]

    def build(self, out: Path, edit: Edit | None = None, *, probes: bool = True) -> Bench:
        """Write the files, changed by `edit`, and compile the bench."""
        files = self.files()
        if edit is not None:
            before = dict(files)
            edit(files)
            assert files != before, "the edit changed nothing"
        out.mkdir(parents=True)
        for name, text in files.items():
            (out / name).write_text(text)
        sizes = [(name, array.shape[1]) for name, array in self.values(self.codes(1)).items()]
        device = Device(
            sources=tuple(out / name for name in sorted(files)),
            top=TOP,
            source=self.source,
            result=self.result,
            probes=tuple(self.probes()) if probes else (),
            layers=tuple(sizes) if probes else (),
            framed=self.framed,
        )
        return build_bench(device, out=out / "build", level=0)

    def run(
        self,
        bench: Bench,
        out: Path,
        *,
        count: int = 200,
        stall: float = 0.3,
        seed: int = 1,
        change: Mapping[str, int] | None = None,
    ) -> SimReport:
        """Run the bench on random codes. change: claims that differ from the truth."""
        x = self.codes(count, seed)
        values = self.values(x)
        claims = {
            "latency_cycles": self.latency_cycles,
            "initiation_interval": initiation_interval(self.source, self.result),
            **(change or {}),
        }
        vectors = Vectors(x=x, expected=values["out"], layers=values)
        return run_bench(bench, vectors, Trial(stall_fraction=stall, seed=seed, **claims), out=out)

    def _sum(self) -> str:
        nx, wx, ny, wy = self.source.elements, self.source.width_bits, self.result.elements, self.result.width_bits
        extend = "$signed(x[{lo} +: {w}])" if self.source.signed else "$signed({{1'b0, x[{lo} +: {w}]}})"
        wide = "\n".join(f"    wire signed [62:0] w_{i} = {extend.format(lo=i * wx, w=wx)};" for i in range(nx))
        probes = "\n".join(f"    wire [{wx - 1}:0] _a__{i} = x[{i * wx} +: {wx}];" for i in range(nx))
        sums = "\n".join(f"    always @(posedge clk) s_{j} <= w_{j % nx} + w_{(j + 1) % nx} + {j};" for j in range(ny))
        ports = ",\n".join(f"    output reg [{wy - 1}:0] s_{j}" for j in range(ny))
        return (
            f"/* verilator lint_off WIDTH */\n/* verilator lint_off UNUSEDSIGNAL */\nmodule {TOP}_sum (\n"
            f"    input wire clk,\n    input wire [{nx * wx - 1}:0] x,\n{ports}\n);\n"
            f"{wide}\n{probes}\n{sums}\nendmodule\n"
        )

    def _core(self) -> str:
        nx, wx, ny, wy = self.source.elements, self.source.width_bits, self.result.elements, self.result.width_bits
        stages = self.latency_cycles - 1
        wires = "\n".join(f"    wire [{wy - 1}:0] s_{j}, y_{j} = y[{j * wy} +: {wy}];" for j in range(ny))
        joined = ", ".join(f"s_{j}" for j in reversed(range(ny)))
        ports = ", ".join(f".s_{j}(s_{j})" for j in range(ny))
        width = ny * wy
        delay = f"    assign y = {{{joined}}};\n"
        if stages:
            delay = (
                f"    reg [{width - 1}:0] d [0:{stages - 1}];\n    integer i;\n"
                f"    always @(posedge clk) begin\n        d[0] <= {{{joined}}};\n"
                f"        for (i = 1; i < {stages}; i = i + 1) d[i] <= d[i-1];\n    end\n"
                f"    assign y = d[{stages - 1}];\n"
            )
        return (
            f"/* verilator lint_off UNUSEDSIGNAL */\n"
            f"module {TOP}_core (\n    input wire clk,\n    input wire [{nx * wx - 1}:0] x,\n"
            f"    output wire [{width - 1}:0] y\n);\n{wires}\n"
            f"    {TOP}_sum u__sum_ (.clk(clk), .x(x), {ports});\n{delay}endmodule\n"
        )
