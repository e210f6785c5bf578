"""da4ml and Alkaid on the same weights: a request in, their Verilog, stage count and times out; cached by content.

Both are benchmark-only dependencies. They run in a child process, so that neither their imports nor their threads
touch ours; GATEWRIGHT_BENCH_PYTHON names another interpreter for them where they should not share our environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.netlist import Lane
from benchmarks.networks import Baseline
from benchmarks.tables import BUILD, ROOT
from gatewright.errors import MissingToolError
from gatewright.ir import ranges, save_program
from gatewright.tools import digest, run_tool, write_json

VARIABLE = "GATEWRIGHT_BENCH_PYTHON"
PACKAGES = ("da4ml", "alkaid")
TOP = "peer_top"
REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A peer and the options it runs with: those of its own command line, but for the pipelining target.

    latency_cutoff: da4ml counts adders per stage, Alkaid nanoseconds.
    """

    label: str
    peer: str
    latency_cutoff: float
    delay_constraint: int


SETTINGS = (
    Setting(label="da4ml 1 adder/stage", peer="da4ml", latency_cutoff=1, delay_constraint=2),
    Setting(label="da4ml 2 adders/stage", peer="da4ml", latency_cutoff=2, delay_constraint=2),
    Setting(label="Alkaid 2.1 ns", peer="alkaid", latency_cutoff=2.1, delay_constraint=5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDesign:
    """What a peer made. stages: combinational stages; registers also stand before the first and behind the last."""

    label: str
    version: str
    sources: tuple[Path, ...]
    stages: int
    seconds: float
    adders: int
    inputs: tuple[Lane, ...]
    outputs: tuple[Lane, ...]


def interpreter() -> str:
    """Return the Python that has the peers; MissingToolError says how to install them."""
    python = os.environ.get(VARIABLE, sys.executable)
    probe = "import importlib.util as u, sys; sys.exit(any(u.find_spec(p) is None for p in sys.argv[1:]))"
    if subprocess.run([python, "-c", probe, *PACKAGES], check=False).returncode:
        raise MissingToolError(
            f"the comparison needs {' and '.join(PACKAGES)} in {python}; `pip install {' '.join(PACKAGES)}` there, "
            f"or set {VARIABLE} to a Python that has them"
        )
    return python


def compile_design(name: str, baseline: Baseline, setting: Setting) -> PeerDesign:
    """Return the peer's design of a baseline; AssertionError where its own emulator misses a test vector.

    Always compiled anew: its seconds stand beside ours of the same run. Equal Verilog is not synthesized again.
    """
    request = {
        "task": "compile",
        "peer": setting.peer,
        "latency_cutoff": setting.latency_cutoff,
        "delay_constraint": setting.delay_constraint,
        "repeats": REPEATS,
    }
    answer = ask(request, f"{name}-{setting.peer}-{setting.latency_cutoff:g}", baseline, fresh=True)
    assert answer["exact"], f"{setting.label} is not exact on {name}"
    return PeerDesign(
        label=setting.label,
        version=answer["version"],
        sources=tuple(Path(source) for source in answer["sources"]),
        stages=answer["stages"],
        seconds=answer["solve_s"] + answer["write_s"],
        adders=answer["adders"],
        inputs=_lanes(answer["inputs"], baseline.program.input.format.frac_bits),
        outputs=_lanes(answer["outputs"], ranges(baseline.program)[baseline.program.output].frac_bits),
    )


def _lanes(formats: list[tuple[int, bool, int]], frac_bits: int) -> tuple[Lane, ...]:
    """Return the packing of a port whose codes have frac_bits in our program; a lane of width 0 holds nothing."""
    return tuple(
        Lane(width=max(width, 0), signed=signed, up=frac_bits - frac if width > 0 else 0)
        for width, signed, frac in formats
    )


def ask(request: dict[str, Any], name: str, baseline: Baseline | None = None, *, fresh: bool = False) -> dict[str, Any]:
    """Run one request in a child, or return its answer from an earlier run with equal inputs, worker and peer.

    fresh: do not take an earlier answer (for times that are compared within one run).
    """
    work = BUILD / "peers" / name
    work.mkdir(parents=True, exist_ok=True)
    request = {**request, "out": str(work / "design")}
    parts: list[Any] = []
    if baseline is not None:
        save_program(baseline.program, work / "program.txt")
        np.savez(work / "vectors.npz", x=baseline.x, y=baseline.y)
        request |= {"program": str(work / "program.txt"), "vectors": str(work / "vectors.npz")}
        parts += [work / "program.txt", baseline.x.tobytes(), baseline.y.tobytes()]
    python = interpreter()
    versions = subprocess.run(
        [python, "-c", "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))", *PACKAGES],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    key = digest(request, versions, Path(__file__).with_name("peer_worker.py"), *parts)
    cached = work / "answer.json"
    if not fresh and cached.is_file():
        answer = json.loads(cached.read_text())
        if answer.get("key") == key and all(Path(source).is_file() for source in answer.get("sources", [])):
            return answer
    write_json(work / "request.json", request)
    run_tool(
        [python, "-m", "benchmarks.peer_worker", str(work / "request.json"), str(work / "fresh.json")],
        cwd=ROOT,
        log=work / "log",
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1", "DA_DEFAULT_THREADS": "1"},
    )
    answer = json.loads((work / "fresh.json").read_text()) | {"key": key}
    write_json(cached, answer)
    return answer
