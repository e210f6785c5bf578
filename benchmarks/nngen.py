"""Table `nngen`: a small CNN beside NNgen 1.3.4, the same network and integers, both in the same simulator and yosys.

16 x 16 pixels of 3 channels, two convolutions of 3 x 3 to 8 filters with ReLU and pools of 2 x 2, a dense layer to 10
scores, 8 bits. NNgen's design fetches all from a memory on AXI, for which it has model and driver; Icarus runs them.
Its netlist takes yosys more than half an hour to map, so what is compared are cycles, register bits and multipliers at
the word level (`proc; flatten`); ours is mapped too. GATEWRIGHT_BENCH_NNGEN names a Python with nngen 1.3.4.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import MissingToolError, ToolError
from gatewright.fixedpoint import Fixed, Ints, Overflow, Rounding
from gatewright.flow.build import build_program
from gatewright.ir import Constant, Dense, Input, Interpreter, Program, Relu, Requant, save_program
from gatewright.ir.op_moves import Reshape
from gatewright.ir.ops import Conv, Pool, PoolKind
from gatewright.synth.yosys import find_yosys
from gatewright.tools import digest, run_tool, write_atomic, write_json

VARIABLE = "GATEWRIGHT_BENCH_NNGEN"
WORK = BUILD / "nngen"
SHIFTS = (9, 11)
INTERVALS = (256, 4096)  # cycles that a frame may take: a pixel in each, and what is small
CLOCK_MHZ = 100.0
NOTES = (
    "cycles: of an image; NNgen's from start to interrupt, weights and image in memory; ours from image to image, and",
    "measured in simulation with every channel == the interpreter. register bits, multipliers: at the word level, with",
    "the bus's shell. LUT (sites), DSP, BRAM: mapped by yosys for xc7. Ratios: ours / NNgen's.",
)


def run() -> None:
    """Print the table."""
    arrays = _arrays()
    theirs = _nngen(arrays)
    rows = [{"design": f"NNgen {theirs.version}", "cycles": theirs.cycles, **theirs.words}]
    for interval in INTERVALS:
        rows.append({"design": f"gatewright, interval {interval:,}", **_ours(arrays, interval, theirs.scores)})
        ratio = {key: round(rows[-1][key] / rows[0][key], 4) for key in ("cycles", "register bits", "memory bits")}
        rows.append({"design": "  ratio", **ratio})
    publish("nngen", "nngen: a small CNN beside NNgen", rows, NOTES)


def _arrays() -> dict[str, Ints]:
    """Return an image and weights as NNgen orders them: outputs, rows, columns, inputs."""
    rng = np.random.default_rng(0)
    shapes = {"w0": (8, 3, 3, 3), "w1": (8, 3, 3, 8), "w2": (10, 128)}
    image = rng.integers(0, 128, (1, 16, 16, 3))
    return {"x": image, **{name: rng.integers(-127, 128, shape) for name, shape in shapes.items()}}


# ---- NNgen's


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """scores: of the image, by its software; words: counts at the word level."""

    version: str
    scores: Ints
    cycles: int
    words: dict[str, int]


def _nngen(arrays: dict[str, Ints]) -> Theirs:
    """Return what NNgen makes, what its design takes in simulation, and what it is made of; kept by its inputs."""
    python = os.environ.get(VARIABLE)
    if python is None:
        raise MissingToolError(f"the comparison needs {VARIABLE}: a Python with nngen 1.3.4")
    worker = ROOT / "benchmarks" / "nngen_worker.py"
    WORK.mkdir(parents=True, exist_ok=True)
    key = digest(worker, *(np.ascontiguousarray(array).tobytes() for array in arrays.values()), SHIFTS)
    kept = WORK / "theirs.json"
    if not (kept.is_file() and json.loads(kept.read_text())["key"] == key):
        np.savez(WORK / "network.npz", **cast("Any", arrays | {"shifts": np.array(SHIFTS)}))
        run_tool([python, "-P", str(worker), str(WORK)], cwd=WORK, log=WORK / "worker.log")
        run_tool(["iverilog", "-g2005-sv", "-o", "tb.vvp", "tb.v"], cwd=WORK, log=WORK / "iverilog.log")
        run_tool(["vvp", "-n", "tb.vvp"], cwd=WORK, log=WORK / "simulation.log")
        said = (WORK / "simulation.log").read_text()
        cycles, wrong = (re.search(rf"^{word} +(\d+)", said, re.MULTILINE) for word in ("cycles", "wrong"))
        if cycles is None or wrong is None or int(wrong[1]):
            raise ToolError(f"NNgen's design does not give what its software gives; see {WORK / 'simulation.log'}")
        words = _words([WORK / "nngen.v"], "nngen", WORK)
        write_json(kept, {"key": key, "cycles": int(cycles[1]), "words": words})
    answer, found = json.loads((WORK / "answer.json").read_text()), json.loads(kept.read_text())
    return Theirs(
        version=answer["version"], scores=np.array(answer["scores"]), cycles=found["cycles"], words=found["words"]
    )


def _words(sources: list[Path], top: str, work: Path) -> dict[str, int]:
    """Return bits of registers and memories, and multipliers, of a design before anything is mapped."""
    lines = [f'read_verilog -sv "{os.path.relpath(source, work)}"' for source in sources]
    lines += [f"hierarchy -top {top}", "proc", "flatten", "opt_clean", "tee -q -o words.json stat -width -json"]
    write_atomic(work / "words.ys", "\n".join(lines) + "\n")
    run_tool([sys.executable, "-P", "-c", find_yosys()[1], "words.ys"], cwd=work, log=work / "words.log")
    counts = json.loads((work / "words.json").read_text())["design"]
    registers = multipliers = 0
    for kind, count in counts["num_cells_by_type"].items():
        if found := re.fullmatch(r"\$[a-z]*dffs?r?e?_(\d+)", kind):
            registers += int(found[1]) * int(count)
        multipliers += int(count) if kind.startswith("$mul_") else 0
    return {"register bits": registers, "memory bits": int(counts["num_memory_bits"]), "multipliers": multipliers}


# ---- ours


def _ours(arrays: dict[str, Ints], interval: int, scores: Ints) -> dict[str, Any]:
    """Build, simulate and count the same network; AssertionError where its scores are not NNgen's."""
    program = _program(arrays)
    found = Interpreter(program).run(arrays["x"]).ravel()
    assert np.array_equal(found, scores), f"NNgen's software gives {scores}, the program {found}"
    save_program(program, WORK / "program.txt")
    images = np.concatenate([arrays["x"], np.random.default_rng(1).integers(0, 128, (19, 16, 16, 3))])
    out = WORK / f"ours_{interval}"
    done = build_program(
        WORK / "program.txt",
        out,
        codes=images,
        hardware={"architecture": "stream", "part": "XC7A100T", "clock_mhz": CLOCK_MHZ, "interval": interval},
        synthesis={"families": ["xc7"]},
        simulation={"stall_fraction": 0.3},
    )
    rtl = out / "rtl"
    words = _words(sorted(rtl.glob("*.v")), json.loads((rtl / "design.json").read_text())["top"], out)
    cells = done["synthesis"]["xc7"]
    return {
        "cycles": done["hardware"]["initiation_interval"],
        "latency": done["hardware"]["latency_cycles"],
        **words,
        "LUT": cells["sites"],
        "FF": cells["ff"],
        "DSP": cells["dsp"],
        "BRAM": cells["bram"],
    }


def _program(arrays: dict[str, Ints]) -> Program:
    """Return the network: NNgen shifts sums with half up, saturates at 127, and pads with zeros."""
    fixed = Fixed(width_bits=8, frac_bits=0, signed=True)
    ops: list[Any] = [Input(name="x", layer="input", shape=arrays["x"].shape[1:], format=fixed)]
    constants: dict[str, Constant] = {}
    one, two = (1, 1), (2, 2)
    for number, shift in enumerate(SHIFTS):
        name = f"c{number}"
        constants[f"{name}.weight"] = Constant(arrays[f"w{number}"].transpose(1, 2, 3, 0), shift)
        constants[f"{name}.bias"] = Constant(np.zeros(8, np.int64), 0)
        ops.append(
            Conv(
                name=name,
                layer=name,
                source=ops[-1].name,
                weight=f"{name}.weight",
                bias=f"{name}.bias",
                strides=one,
                dilation=one,
                pads=(one, one),
                groups=1,
            )
        )
        ops.append(Relu(name=f"{name}.relu", layer=name, source=name))
        ops.append(
            Requant(
                name=f"{name}.cut",
                layer=name,
                source=f"{name}.relu",
                frac_bits=0,
                width_bits=(7,),
                keep_frac_bits=(0,),
                signed=(False,),
                rounding=Rounding.HALF_UP,
                overflow=Overflow.SATURATE,
            )
        )
        pads = ((0, 0), (0, 0))
        ops.append(
            Pool(
                name=f"p{number}",
                layer=f"p{number}",
                source=f"{name}.cut",
                kind=PoolKind.MAX,
                size=two,
                strides=two,
                pads=pads,
            )
        )
    ops.append(Reshape(name="flat", layer="flat", source="p1", shape=(128,)))
    constants["d.weight"] = Constant(arrays["w2"].T.copy(), 0)
    constants["d.bias"] = Constant(np.zeros(10, np.int64), 0)
    ops.append(Dense(name="d", layer="d", source="flat", weight="d.weight", bias="d.bias"))
    return Program(name="small", ops=tuple(ops), output="d", constants=constants)
