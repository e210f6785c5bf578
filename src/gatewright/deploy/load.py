"""A run with a bitstream in, the bitstream on the board out: openFPGALoader does it, where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError, MissingToolError, ToolError

LOADER = "openFPGALoader"
_SUFFIXES = (".bit", ".bin", ".fs")


def load_bitstream(run: Path, *, flash: bool = False, dry_run: bool = False) -> list[str]:
    """Load the bitstream of a run; return lines of what was called and what it said.

    flash: into the board's flash instead of the chip. Raises GatewrightError where the run has no bitstream,
    MissingToolError without openFPGALoader, ToolError where it fails.
    """
    folder = run / "bitstream"
    found = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES)
    if len(found) != 1 or not (folder / "board.json").is_file():
        raise GatewrightError(
            f"{folder} must hold board.json and one bitstream, but holds {len(found)}: set hardware.board "
            "(gatewright boards lists them) and run again"
        )
    board: dict[str, Any] = json.loads((folder / "board.json").read_text())
    argv = [LOADER, "-b", board["loader"], *(["-f"] if flash else []), str(found[0])]
    if dry_run:
        return [" ".join(argv)]
    if shutil.which(LOADER) is None:
        raise MissingToolError(
            f"loading a bitstream needs {LOADER}, which is not installed; apt install openfpgaloader"
        )
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise ToolError(
            f"{' '.join(argv)} exited with {done.returncode}, expected 0: is {board['title']} connected, and may you "
            f"use its USB device? It says:\n{said[-2000:]}"
        )
    return [" ".join(argv), *said.splitlines()]
