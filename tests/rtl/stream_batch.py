"""Dataflows on streams, all in one simulation with random stalls and torn frames: Verilator runs them side by side.

The bench knows beats only: what is sent, with which TLAST, and what must come out, with which TLAST, in order.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir import Interpreter
from gatewright.lower.dataflow import Dataflow
from gatewright.rtl.beats import pack
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.shell import StreamPort
from gatewright.sim.build import compile_model
from gatewright.sim.toolchain import find_verilator
from gatewright.tools import run_tool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What one design did. wrong: a sentence, or "". ends: cycle of each frame's last result beat at full rate."""

    wrong: str
    ends: tuple[int, ...]
    cycles: tuple[int, int]


def simulate_streams(designs: Sequence[Dataflow], inputs: Sequence[Ints], out: Path, *, seed: int = 1) -> list[Seen]:
    """Run each design on its frames, (n, *input shape), at full rate, then with stalls and torn frames between.

    designs: of programs whose names differ.
    """
    assert len({made.program.name for made in designs}) == len(designs)
    rng = np.random.default_rng(seed)
    manifests: list[RtlManifest] = []
    (out / "rtl").mkdir(parents=True)
    for number, (made, x) in enumerate(zip(designs, inputs, strict=True)):
        manifest = write_design(made, program_hash="0" * 64, stream_bits=0, folder=out / "rtl")
        manifests.append(manifest)
        y = Interpreter(made.program).run(x)
        for phase in range(2):
            sent, tlast, whole = _sent(manifest.source, x, rng, torn=phase > 0)
            due, ends = _due(manifest, y, tlast, whole)
            _words(out / f"sent_{number}_{phase}.bin", sent, [row[-1] for row in tlast])
            _words(out / f"due_{number}_{phase}.bin", due, ends)
    (out / "main.cpp").write_text(_bench(manifests))
    (out / "rtl" / "top.v").write_text(_top(manifests))
    tool = find_verilator()
    argv = [
        tool.program,
        "--cc",
        "--prefix",
        "Vtb",
        "--top-module",
        "top",
        "--Mdir",
        "model",
        "-Wno-lint",
        "-Wno-style",
    ]
    argv += ["--x-initial", "unique", "--x-assign", "unique", "-O3", "--output-split", "20000"]
    files = dict.fromkeys(name for manifest in manifests for name in manifest.files)
    run_tool([*argv, *(f"rtl/{name}" for name in files), "rtl/top.v"], cwd=out, log=out / "verilator.log", env=tool.env)
    files = [out / "main.cpp", *sorted((out / "model").glob("*.cpp"))]
    bench = compile_model(files, out=out, includes=[f"-I{out}", f"-I{out / 'model'}"], level=0)
    text = run_tool([str(bench), str(seed)], cwd=out, log=out / "run.log").stdout
    found: list[Seen] = []
    for line in text.splitlines():
        wrong, ends, cycles = line.split("|")
        found.append(
            Seen(
                wrong=wrong,
                ends=tuple(map(int, ends.split())),
                cycles=(int(cycles.split()[0]), int(cycles.split()[1])),
            )
        )
    return found


def _sent(
    port: StreamPort, x: Ints, rng: np.random.Generator, *, torn: bool
) -> tuple[list[Ints], list[list[bool]], list[bool]]:
    """Return the beats of each frame, torn ones among them, their TLASTs, and which frames are whole."""
    beats = pack(port, x.reshape(len(x), -1), noise=rng)
    sent: list[Ints] = []
    tlast: list[list[bool]] = []
    whole: list[bool] = []
    for frame in beats:
        if torn and port.beats > 1 and rng.random() < 0.4:
            length = int(rng.integers(1, port.beats))
            sent.append(rng.permutation(frame)[:length])
            tlast.append([False] * (length - 1) + [True])
            whole.append(False)
        sent.append(frame)
        tlast.append([False] * (len(frame) - 1) + [bool(rng.random() < 0.5)])
        whole.append(True)
    tlast[-1][-1] = True  # a reset in mid-packet would drop the next
    return sent, tlast, whole


def _due(manifest: RtlManifest, y: Ints, tlast: list[list[bool]], whole: list[bool]) -> tuple[list[Ints], list[int]]:
    """Return the beats of each result, and TLAST of its last beat: 0, 1, or 2 where the result is of a torn frame.

    Of these all is said that can be: as many beats, TLAST and no TKEEP with the last.
    """
    beats = pack(manifest.result, y.reshape(len(y), -1))
    due: list[Ints] = []
    ends: list[int] = []
    number = 0
    for last, good in zip(tlast, whole, strict=True):
        if good:
            due.append(beats[number])
            ends.append(int(last[-1]))
            number += 1
        else:
            due.append(np.zeros_like(beats[0]))
            ends.append(2)
    return due, ends


def _words(path: Path, frames: list[Ints], ends: Sequence[int | bool]) -> None:
    """Write for each beat its mark (TLAST with the last of a frame; 2 on all beats: any data) and its words."""
    rows: list[Ints] = []
    for frame, end in zip(frames, ends, strict=True):
        marks = np.zeros((len(frame), 1), np.uint32)
        marks[-1] = int(end)
        if end == 2:
            marks[:] = 2
            marks[-1] = 3
        rows.append(np.concatenate([marks, frame], axis=1, dtype=np.int64, casting="unsafe"))
    np.concatenate(rows).astype("<u4").tofile(path)


def _top(manifests: Sequence[RtlManifest]) -> str:
    ports: list[str] = ["input wire aclk", "input wire aresetn"]
    cells: list[str] = []
    for n, m in enumerate(manifests):
        own = [
            ("input", m.source.beat_bits, "s_axis_tdata"), ("input", 1, "s_axis_tvalid"),
            ("output", 1, "s_axis_tready"), ("input", 1, "s_axis_tlast"),
            ("output", m.result.beat_bits, "m_axis_tdata"), ("output", 1, "m_axis_tvalid"),
            ("input", 1, "m_axis_tready"), ("output", 1, "m_axis_tlast"),
            ("output", m.result.beat_bits // 8, "m_axis_tkeep"), ("output", 1, "framing_error"),
        ]  # fmt: skip
        ports += [f"{way} wire [{bits - 1}:0] {name}{n}" for way, bits, name in own]
        wires = ", ".join(f".{name}({name}{n})" for _, _, name in own)
        cells.append(f"    {m.top} u{n} (.aclk(aclk), .aresetn(aresetn), {wires});")
    joined = ",\n    ".join(ports)
    return f"module top (\n    {joined}\n);\n" + "\n".join(cells) + "\nendmodule\n"


def _bench(manifests: Sequence[RtlManifest]) -> str:
    text = (importlib.resources.files("tests.rtl") / "stream_batch.cpp").read_text()
    lanes = "\n".join(
        f"    lanes.push_back(lane({n}, {-(-m.source.beat_bits // 32)}, {-(-m.result.beat_bits // 32)}, "
        f"{m.core_beats[1] * (m.result.beats // m.core_beats[1])}, top.s_axis_tdata{n}, top.s_axis_tvalid{n}, "
        f"top.s_axis_tready{n}, top.s_axis_tlast{n}, top.m_axis_tdata{n}, top.m_axis_tvalid{n}, top.m_axis_tready{n}, "
        f"top.m_axis_tlast{n}, top.m_axis_tkeep{n}, top.framing_error{n}));"
        for n, m in enumerate(manifests)
    )
    return text.replace("// LANES", lanes)
