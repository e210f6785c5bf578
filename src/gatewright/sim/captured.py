"""A design behind a capture unit and a stream of samples in; every result compared with the program's, a report out.

The stream is played three times: at a sample a cycle; with stalls at both ends; and with stalls and resets at random
places, behind each of which the stream begins anew. What must come is what `capture` cuts out and the program makes of
it, beat for beat.
"""

from __future__ import annotations

import importlib.resources
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gatewright.capture import Capture, capture
from gatewright.errors import MismatchError
from gatewright.fixedpoint import Ints
from gatewright.rtl.beats import pack
from gatewright.rtl.captured import sample_port
from gatewright.rtl.shell import StreamPort
from gatewright.sim.build import compile_model
from gatewright.sim.toolchain import find_compiler, find_verilator, verilate_argv
from gatewright.tools import run_tool, write_atomic, write_json

RESETS = 6
FEW_SAMPLES = 300_000  # in all runs: for fewer, compiling without optimisation costs less than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureReport:
    """What was seen. samples: played, three times; windows: in them, from one reset on; results: that were compared.

    mismatches: results that differ, lack or are too many. waited: cycles in which a sample waited, at one a cycle.
    latency_cycles: at that rate from the last sample that is read of a window to its result, the least and the most;
    -1 where none came.
    problems: sentences, the most telling first; empty: hardware == program.
    """

    samples: int
    windows: int
    results: int
    mismatches: int
    waited: int
    latency_cycles: tuple[int, int]
    simulator: str
    stall_fraction: float
    seed: int
    problems: tuple[str, ...]

    def require_match(self) -> None:
        """Raise MismatchError where anything differs."""
        if self.problems:
            raise MismatchError(f"hardware behind the capture unit != program: {'; '.join(self.problems)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    begin: int
    end: int
    stalls: bool
    cut: bool

    def __str__(self) -> str:
        return f"{'with stalls' if self.stalls else 'at full rate'} from sample {self.begin} on"


def simulate_captured(
    unit: Capture,
    samples: Ints,
    answer: Callable[[Ints], Ints],
    *,
    sources: Sequence[Path],
    top: str,
    result: StreamPort,
    never_waits: bool,
    patience: int,
    bare: bool = False,
    stall_fraction: float,
    seed: int,
    out: Path,
) -> CaptureReport:
    """Build, run and compare in `out`; writes frontend.json there.

    samples: (n,) codes of the ADC. answer: what comes out for windows, (n, elements) -> (n, result.elements).
    never_waits: whether it is claimed that no sample waits at a sample a cycle. patience: cycles without a result after
    which none comes any more. bare: no network is behind the unit, so a window that the stream's end cuts gives the
    codes that it has. Raises MissingToolError, ToolError; differences are no error here: see require_match.
    """
    random = np.random.default_rng(seed)
    cuts = np.sort(random.integers(0, len(samples), RESETS)) if stall_fraction else np.array([], dtype=np.int64)
    ends = [0, *cuts.tolist(), len(samples)]
    runs = [_Run(begin=0, end=len(samples), stalls=False, cut=False)]
    if stall_fraction:
        runs.append(_Run(begin=0, end=len(samples), stalls=True, cut=False))
        runs += [_Run(begin=a, end=b, stalls=True, cut=b < len(samples)) for a, b in itertools.pairwise(ends)]
    work = (out / "run").resolve()
    shutil.rmtree(work, ignore_errors=True)
    words = pack(sample_port(unit), samples[:, None])
    plan = np.array([(run.begin, run.end, run.stalls, run.cut) for run in runs], dtype="<i8")
    write_atomic(work / "samples.bin", words.astype("<u4").tobytes())
    write_atomic(work / "plan.bin", plan.tobytes())
    level = int(len(runs) * len(samples) > FEW_SAMPLES)
    program = _build(unit, sources, top, result, out / "build", level)
    run_tool([str(program), repr(float(stall_fraction)), str(seed), str(patience)], cwd=work, log=out / "frontend.log")
    seen = json.loads((work / "run.json").read_text())
    problems: list[str] = []
    compared = mismatches = 0
    for number, run in enumerate(runs):
        windows = capture(samples[run.begin : run.end], unit)
        wanted = pack(result, answer(windows)) if len(windows) else np.zeros((0, result.beats, 1), np.uint32)
        got = np.fromfile(work / f"result_{number}.bin", "<u4").reshape(-1, -(-result.beat_bits // 32))
        last = np.fromfile(work / f"last_{number}.bin", np.uint8)
        flat = wanted.reshape(-1, got.shape[1])
        if bare:
            whole = min(len(flat), len(got) // result.beats * result.beats)
            got = got[: whole if len(got) - len(flat) < result.beats else len(got)]
            last = last[: len(got)]
        shared = min(len(flat), len(got))
        wrong = np.flatnonzero((flat[:shared] != got[:shared]).any(axis=1))
        lasts = np.flatnonzero(last.astype(bool) != ((np.arange(len(last)) + 1) % result.beats == 0))
        compared += shared // result.beats
        mismatches += len(np.unique(wrong // result.beats))
        if wrong.size:
            window = int(wrong[0]) // result.beats
            problems.append(f"{run}, window {window}: expected {flat[wrong[0]]}, got {got[wrong[0]]}")
        if len(got) > len(flat) or (len(got) < len(flat) and not run.cut):
            mismatches += abs(len(flat) - len(got))
            problems.append(f"{run}, {len(got)} beats came out, expected {len(flat)}")
        if lasts.size:
            problems.append(f"{run}, TLAST of beat {int(lasts[0])} is wrong")
    problems += seen["faults"]
    if never_waits and seen["waited"][0]:
        problems.append(f"a sample waited in {seen['waited'][0]} cycles, claimed never")
    report = CaptureReport(
        samples=len(samples),
        windows=len(unit.starts(samples)),
        results=compared,
        mismatches=mismatches,
        waited=seen["waited"][0],
        latency_cycles=_latencies(unit, samples, result, work),
        simulator=f"Verilator {find_verilator().version}",
        stall_fraction=stall_fraction,
        seed=seed,
        problems=tuple(problems),
    )
    write_json(out / "frontend.json", asdict(report))
    return report


def _build(unit: Capture, sources: Sequence[Path], top: str, result: StreamPort, out: Path, level: int) -> Path:
    """Compile the design with the bench, at the compiler's -O level; return the program."""
    verilator = find_verilator()
    find_compiler()
    out = out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    model = out / "model"
    model.mkdir(parents=True)
    for name in ("captured.cpp", "bus.h"):
        write_atomic(out / name, (importlib.resources.files("gatewright.sim") / name).read_text())
    words, bits = -(-result.beat_bits // 32), unit.samples.width_bits
    text = f"constexpr int WORDS = {words};\nconstexpr uint32_t SAMPLE_MASK = 0x{(1 << bits) - 1:x};\n"
    write_atomic(out / "ports.h", f"#pragma once\n#include <cstdint>\n\n{text}")
    write_atomic(out / "empty.vlt", "`verilator_config\n")
    paths = [path.resolve() for path in sources]
    argv = verilate_argv(verilator, top=top, sources=paths, config=out / "empty.vlt", out=model)
    run_tool(argv, cwd=out, log=out / "verilator.log", env=verilator.env)
    files = [out / "captured.cpp", *sorted(model.glob("*.cpp"))]
    return compile_model(files, out=out, includes=[f"-I{out}", f"-I{model}"], level=level)


def _latencies(unit: Capture, samples: Ints, result: StreamPort, work: Path) -> tuple[int, int]:
    """Return the least and the most cycles from a window's last sample to its result's last beat, at full rate."""
    taken, given = (np.fromfile(work / f"{what}_0.bin", "<i8") for what in ("taken", "given"))
    ends = unit.starts(samples) + unit.needed - 1
    out = given[result.beats - 1 :: result.beats]
    count = min(len(ends), len(out))
    if not count or len(taken) <= ends[count - 1]:
        return -1, -1
    found = out[:count] - taken[ends[:count]]
    return int(found.min()), int(found.max())
