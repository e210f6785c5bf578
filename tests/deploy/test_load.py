"""`gatewright program`: what openFPGALoader is told, by one that writes it down; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.deploy.load import LOADER, load_bitstream
from gatewright.errors import GatewrightError, MissingToolError, ToolError
from gatewright.tools import write_json


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run with a bitstream, as far as loading it looks."""
    write_json(tmp_path / "bitstream" / "board.json", {"loader": "tangnano9k", "title": "Sipeed Tang Nano 9K"})
    (tmp_path / "bitstream" / "net.fs").write_text("1")
    return tmp_path


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a program of the loader's name, which says what it was told; a file `fails` beside it makes it fail."""
    program = tmp_path / "bin" / LOADER
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "told $*"\ntest ! -e "$(dirname "$0")/fails"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_the_loader_is_told_the_board_and_the_file(run: Path, loader: Path):
    told = f"-b tangnano9k {run}/bitstream/net.fs"
    done = CliRunner().invoke(main, ["program", str(run)])
    assert (done.exit_code, done.output) == (0, f"{LOADER} {told}\ntold {told}\n")
    assert load_bitstream(run, flash=True)[1] == f"told -b tangnano9k -f {run}/bitstream/net.fs"
    dry = CliRunner().invoke(main, ["program", str(run), "--dry-run"])
    assert dry.output == f"{LOADER} {told}\n"
    (loader.parent / "fails").touch()
    with pytest.raises(ToolError, match=r"exited with 1, expected 0: is Sipeed Tang Nano 9K connected"):
        load_bitstream(run)


def test_without_a_bitstream_or_a_loader_the_remedy_is_named(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match=r"needs openFPGALoader, .* not installed; apt install openfpgaloader"):
        load_bitstream(run)
    (run / "bitstream" / "net.fs").unlink()
    with pytest.raises(GatewrightError, match=r"must hold board.json and one bitstream, but holds 0: set"):
        load_bitstream(run)
