"""What the page shows of a run besides its results: stages and files."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One stage of the pipeline. key: hash of all it depended on; tools: program -> version; note: its outcome."""

    name: str
    title: str
    status: Literal["done", "skipped"] = "done"
    key: str = ""
    tools: dict[str, str] = field(default_factory=dict[str, str])
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file of the run directory. path: relative to it; bytes: its size."""

    path: str
    bytes: int
    meaning: str


# First pattern that fits a path relative to the run directory wins; None leaves the file out of the list.
_MEANINGS: tuple[tuple[str, str | None], ...] = (
    ("*/stage.json", None),
    (".*", None),
    ("work/*", None),
    ("report.html", None),
    ("results.json", "every number of this page, for programs (schema: docs/results.md)"),
    ("times.json", "how long each stage took"),
    ("history.json", "loss and scores of every epoch"),
    ("anomaly.json", "every number of this page, for programs"),
    ("config.json", "the configuration of this run"),
    ("data/dataset.*", "samples, labels and split as the hardware sees them"),
    ("model/graph.npz", "the imported model, as a function of the data's rows"),
    ("model/model.json", "where the model came from, and its layers"),
    ("*/profile.json", "ranges of the model's layers"),
    ("student/graph.npz", "the quantized model"),
    ("program/export.json", "scale of the scores, and what the export left to the host"),
    ("teacher/soft_targets.npy", "the teacher's scores, which the student learns from"),
    ("teacher/*", "the float network"),
    ("student/*", "the quantized network"),
    ("network/*", "the quantized network"),
    ("program.txt", "the score as integer operations: the definition that hardware is compared with"),
    ("program/program.txt", "the network as integer operations: the definition that hardware is compared with"),
    ("program/*", "comparison of the program with the student"),
    ("placed/placed.json", "pipelines that were placed, and the one that was chosen"),
    ("rtl/design.json", "names, ports and latency of the design"),
    ("rtl/estimate.json", "resources and clock by our own model"),
    ("rtl/*.v", "Verilog"),
    ("rtl/*.sv", "SystemVerilog"),
    ("sim/report.json", "what simulation compared and measured"),
    ("sim/*", "simulation: sources, logs, stimuli"),
    ("synth/*/report.json", "cell counts and clock"),
    ("synth/*.log", "log of the tool"),
    ("synth/*", "synthesis"),
    *((f"*{suffix}", "bitstream: what the board is programmed with") for suffix in (".bit", ".bin", ".fs")),
    ("*.svf", "bitstream for JTAG players"),
    *((f"*{suffix}", "pins and clock of the board") for suffix in (".lpf", ".pcf", ".cst", ".ccf")),
    ("bitstream/*host*.py", "host program: sends samples to the board and reads the answers"),
    ("bitstream/*.v", "Verilog of the board's top"),
    ("bitstream/*.log", "log of the tool"),
    ("bitstream/*", "placement and routing"),
    ("assess/assessment.json", "what was measured behind a processor"),
    ("assess/*.log", None),
    ("assess/speed.json", None),
    ("assess/*/soc.v", "the system around the design: processor, RAM, UART, timer"),
    ("assess/verilog/*", None),
    ("assess/*/firmware.hex", "what the system's RAM begins with"),
    ("assess/firmware/*", None),
    ("*.log", "log of a tool"),
)
_LISTED = 60  # the page lists no more than that many files


def run_files(run: Path) -> list[FileRow]:
    """Return the files of a run directory that a reader may want, in the order of the flow."""
    found: list[tuple[int, str, FileRow]] = []
    for path in run.rglob("*"):
        name = path.relative_to(run).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(run).parts):
            continue
        rank, meaning = _meaning(name)
        if meaning is not None:
            found.append((rank, name, FileRow(path=name, bytes=path.stat().st_size, meaning=meaning)))
    return [row for _, _, row in sorted(found, key=lambda item: item[:2])][:_LISTED]


def _meaning(name: str) -> tuple[int, str | None]:
    """Return (rank in the list, what the file is); None for what is not listed."""
    within = name.removeprefix("hardware/")  # where an anomaly run keeps what `gatewright build` makes
    for rank, (pattern, text) in enumerate(_MEANINGS):
        if fnmatch(within, pattern):
            return rank, text
    return len(_MEANINGS), ""
