"""Child process that runs NNgen with its own Python: `python nngen_worker.py FOLDER`; nothing of ours is imported.

FOLDER holds network.npz: x (1, height, width, channels), w0, w1 (kernels, outputs first), w2 (outputs, inputs) and
`shifts` of the two convolutions. It gets nngen.v, tb.v (NNgen's own model of the AXI memory, its own driver, what its
software model gives to compare with), memory.out, and answer.json.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

ng: Any = import_module("nngen")  # not the module beside this file, which has the same name
veriloggen: Any = import_module("veriloggen")
vthread: Any = import_module("veriloggen.thread")
axi: Any = import_module("veriloggen.types.axi")

CHUNK, WORDS, BITS = 64, 1 << 18, 32  # bytes of an aligned block; of the memory; of its bus


def network(arrays: dict[str, Any]) -> tuple[Any, Any]:
    """Return NNgen's placeholder and output: two convolutions of 3 x 3 with ReLU and pools, a dense layer."""
    shape = arrays["x"].shape
    source = value = ng.placeholder(dtype=ng.int8, shape=shape, name="x")
    for number in range(2):
        weight = ng.variable(dtype=ng.int8, shape=arrays[f"w{number}"].shape, name=f"w{number}")
        weight.set_value(arrays[f"w{number}"])
        value = ng.conv2d(
            value, weight, strides=(1, 1, 1, 1), act_func=ng.relu, dtype=ng.int8, sum_dtype=ng.int32, name=f"c{number}"
        )
        value.attribute(cshamt_out=int(arrays["shifts"][number]))
        value = ng.max_pool_serial(value, ksize=(1, 2, 2, 1), strides=(1, 2, 2, 1))
    weight = ng.variable(dtype=ng.int8, shape=arrays["w2"].shape, name="w2")
    weight.set_value(arrays["w2"])
    flat = ng.reshape(value, [1, -1])
    return source, ng.matmul(flat, weight, transposed_b=True, name="scores", dtype=ng.int32, sum_dtype=ng.int32)


def main() -> None:
    """Make the design and its test bench."""
    work = Path(sys.argv[1])
    with np.load(work / "network.npz") as file:
        arrays = {key: file[key] for key in file.files}
    source, output = network(arrays)
    (want,) = ng.eval([output], x=arrays["x"])
    design = ng.to_veriloggen([output], "nngen", silent=True, config={"maxi_datawidth": BITS})
    (work / "nngen.v").write_text(design.to_verilog())
    bench = _bench(design, source, output, arrays["x"], want, work)
    (work / "tb.v").write_text(bench)
    (work / "answer.json").write_text(
        json.dumps({"version": metadata.version("nngen"), "scores": want.ravel().tolist()})
    )


def _aligned(address: int) -> int:
    return -(-address // CHUNK) * CHUNK


def _bench(design: Any, source: Any, output: Any, x: Any, want: Any, work: Path) -> str:
    """Return the test bench, with everything that it instantiates."""
    weights = ng.export_ndarray([output], CHUNK)
    at = _aligned(source.addr + source.memory_size)
    check = _aligned(at + len(weights))
    spare = _aligned(check + output.memory_size)
    memory = np.zeros([WORDS], dtype=np.int64)
    axi.set_memory(memory, x, BITS, 8, source.addr, BITS // 8)
    axi.set_memory(memory, weights, BITS, 8, at)
    axi.set_memory(memory, want, BITS, 32, check, 1)
    m = veriloggen.Module("test")
    m.copy_params(design)
    ports = m.copy_sim_ports(design)
    clk, resetn, rst = ports["CLK"], ports["RESETN"], m.Wire("RST")
    rst.assign(veriloggen.Not(resetn))
    model = axi.AxiMemoryModel(
        m,
        "memory",
        clk,
        rst,
        datawidth=BITS,
        memimg=memory,
        memimg_name=str(work / "memory.out"),
        memimg_datawidth=BITS,
    )
    model.connect(ports, "maxi")
    slave = vthread.AXIMLite(m, "_saxi", clk, rst, noio=True)
    slave.connect(ports, "saxi")
    time = m.Reg("time_counter", 32, initval=0)
    veriloggen.Seq(m, "seq", clk, rst)(time.inc())
    results = int(np.prod(output.shape))

    def control() -> None:
        for _ in range(100):
            pass
        ng.sim.set_global_addrs(slave, spare)
        began = time.value
        ng.sim.start(slave)
        ng.sim.wait(slave)
        ended = time.value
        print("cycles", ended - began)
        wrong = 0
        for i in range(results):
            got = model.read_word(i, output.addr, 32)
            due = model.read_word(i, check, 32)
            if vthread.verilog.NotEql(got, due):
                wrong = wrong + 1
        print("wrong", wrong)
        vthread.finish()

    vthread.Thread(m, "control", clk, rst, control).start()
    m.Instance(design, "uut", params=m.connect_params(design), ports=m.connect_ports(design))
    veriloggen.simulation.setup_clock(m, clk, hperiod=5)
    veriloggen.simulation.setup_reset(m, resetn, m.make_reset(), period=100, polarity="low")
    return m.to_verilog()


if __name__ == "__main__":
    main()
