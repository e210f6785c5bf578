"""`python -m benchmarks [NAME ...]`: run benchmarks by name; without names list all and run the quick ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import (
    adders,
    attention,
    boards,
    bus,
    compression,
    convolutions,
    delays,
    emulator,
    estimate,
    finn,
    hls_project,
    hosts,
    imports,
    imports_keras,
    imports_onnx,
    imports_recurrent,
    imports_speed,
    kernel,
    least,
    mnist_stream,
    nngen,
    overlay,
    place,
    recurrent,
    reuse,
    same,
    scale,
    scale_data,
    scale_networks,
    soc,
    steps,
    streams,
    study,
    synth,
    timing,
    trees,
    truth_tables,
    window_products,
)
from benchmarks.tables import BUILD
from gatewright.errors import GatewrightError


@dataclass(frozen=True, slots=True)
class Benchmark:
    """quick: runs without names given, in a minute or two."""

    run: Callable[[], None]
    quick: bool
    about: str


ALL: dict[str, Benchmark] = {
    "compiler": Benchmark(synth.run, True, "LUT, FF, stages, compile time beside da4ml and Alkaid, published networks"),
    "compiler_large": Benchmark(synth.run_large, False, "the same on mlp_rand6b, beside da4ml (yosys takes minutes)"),
    "adders": Benchmark(adders.run, True, "adder graphs beside da4ml's solver on random matrices"),
    "attention": Benchmark(
        attention.run, False, "attention and interaction networks of alkaid-ae: exact, estimated beside Alkaid"
    ),
    "scale": Benchmark(scale.run, False, "adder graphs over fan-in, 64 to 4,096 inputs: adders, CPU seconds, memory"),
    "scale_data": Benchmark(
        scale_data.run, False, "the stage data on large IDX, NPZ and CSV files: CPU seconds and peak memory"
    ),
    "scale_networks": Benchmark(scale_networks.run, False, "dense networks of up to 109,000 weights: lowered, written"),
    "scale_front": Benchmark(scale_networks.run_front, False, "a front of learnt widths on a million rows"),
    "steps": Benchmark(steps.run, False, "a student's training step beside a plain torch loop of the same network"),
    "least": Benchmark(least.run, False, "LUTs below which a program is thought impossible, beside the estimate"),
    "emulator": Benchmark(emulator.run, True, "interpreter beside the peers' emulators"),
    "estimate": Benchmark(estimate.run, False, "LUT and FF estimates beside yosys, xc7 and ecp5"),
    "delays": Benchmark(delays.run, False, "delay models beside nextpnr on four families, small networks"),
    "timing": Benchmark(timing.run, False, "claimed clock ranges of xc7 beside OpenSTA, five small designs"),
    "timing_placed": Benchmark(timing.run_placed, False, "ECP5: claimed beside placed, and cycles that placing saves"),
    "compression": Benchmark(
        compression.run, False, "fronts of learnt widths beside uniform 8 bit, six data sets; what is measured is kept"
    ),
    **{
        f"compression:{name}": Benchmark(partial(compression.run_one, name), False, f"the same, {name} measured anew")
        for name in compression.NAMES
    },
    "truth_tables": Benchmark(truth_tables.run, False, "students of truth tables on MNIST; training is resumed"),
    "convolutions": Benchmark(convolutions.run, False, "students with convolutions on MNIST; training is resumed"),
    "trees": Benchmark(trees.run, False, "boosted trees, exact against XGBoost and LightGBM, MAGIC and MNIST"),
    "study": Benchmark(study.run, False, "pruning, quantization, distillation alone and together, 5 seeds"),
    "imports": Benchmark(imports.run, False, "every model file of any format: exact, float or refused, in one table"),
    "imports_keras": Benchmark(imports_keras.run, False, "Keras, QKeras, HGQ files beside their frameworks"),
    "imports_onnx": Benchmark(imports_onnx.run, False, "ONNX, QONNX, torch files beside their frameworks"),
    "imports_recurrent": Benchmark(
        imports_recurrent.run, False, "recurrent networks quantized after training (trains six small ones)"
    ),
    "imports_speed": Benchmark(imports_speed.run, False, "import and emulation beside hls4ml, jet MLP and SVHN CNN"),
    "hls_project": Benchmark(hls_project.run, False, "hls4ml configurations that break: predicted, compiled, mended"),
    "streams": Benchmark(streams.run, False, "networks of other projects on streams: simulated exactly, FIFOs, sizing"),
    "mnist_stream": Benchmark(
        mnist_stream.run, False, "a QKeras CNN on MNIST against QKeras, from interval 784 to the smallest chip"
    ),
    "finn": Benchmark(finn.run, False, "windows and folded products beside FINN's SystemVerilog, one yosys script"),
    "window_products": Benchmark(window_products.run, False, "convolutions at a window a cycle beside da4ml"),
    "nngen": Benchmark(nngen.run, False, "a small CNN beside NNgen: cycles, register bits, same network and integers"),
    "recurrent": Benchmark(
        recurrent.run, False, "recurrent cells of Keras, QKeras, ONNX and torch, from the file to simulated hardware"
    ),
    "reuse": Benchmark(reuse.run, False, "LUT, FF, DSP, cycles over reuse factors, xc7 and ecp5"),
    "same": Benchmark(same.run, False, "whole runs and builds beside those of a git revision, byte for byte"),
    "boards": Benchmark(boards.run, False, "a bitstream for a board of each family: minutes, 1.9 GB for GateMate"),
    "bus": Benchmark(bus.run, False, "registers, FIFOs and memories behind AXI4 by yosys, beside a ComBlock"),
    "kernel": Benchmark(kernel.run, False, "1,000 vectors through a kernel while memory stalls, in Icarus; its LUTs"),
    "hosts": Benchmark(hosts.run, False, "hosts in C, for XRT and OpenCL, on the Verilated kernel and on PoCL"),
    "overlay": Benchmark(overlay.run, False, "PYNQ overlays under cocotbpynq, read by PYNQ: two environments to name"),
    "soc": Benchmark(soc.run, False, "the cosmic example behind a processor: cycles, seconds of simulation"),
    "soc_placed": Benchmark(soc.run_placed, False, "the same system on an ECP5-85: Fmax, cells, bitstream"),
    "place": Benchmark(place.run, False, "Fmax and cells on ECP5-85 after place and route, beside da4ml"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the named benchmarks in order; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ALL))
    names: list[str] = parser.parse_args(argv).names
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(ALL)}")
    if not names:
        for name, benchmark in ALL.items():
            print(f"{name:20}{'quick ' if benchmark.quick else '      '} {benchmark.about}")
        names = [name for name, benchmark in ALL.items() if benchmark.quick]
    for name in names:
        try:
            ALL[name].run()
        except GatewrightError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
    print(f"JSON in {BUILD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
