"""A real hls4ml project: compiled by a C++ compiler and equal to the program, and its bench fails where it is not."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import MismatchError
from gatewright.hls import Backend, HlsProject, Settings, compare, translate
from gatewright.ir import Interpreter, save_program
from tests.hls.test_translate import CAST, program
from tests.hls.test_windows import small_network

pytestmark = [pytest.mark.hls, pytest.mark.slow]


def test_a_project_equals_its_program_and_a_difference_is_an_error(tmp_path, monkeypatch):
    given = program(CAST)
    file = tmp_path / "program.txt"
    save_program(given, file)
    done = CliRunner().invoke(main, ["hls", str(file), "--out", str(tmp_path / "out"), "--backend", "quartus"])
    assert done.exit_code == 0, done.output
    assert "2,000 random vectors, 2 layers, 6,000 values: all equal" in done.output

    folder = tmp_path / "out"
    assert str(tmp_path) not in (folder / "hls4ml_config.yml").read_text()
    assert subprocess.run(["./bench"], cwd=folder, check=False).returncode == 0
    expected = folder / "tb_data" / "expected.txt"
    lines = expected.read_text().splitlines()
    expected.write_text("\n".join([str(int(lines[0]) + 1), *lines[1:]]) + "\n")
    failed = subprocess.run(["./bench"], cwd=folder, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "MISMATCH: vector 0, result 0" in failed.stdout

    (folder / "tb_data" / "inputs.txt").write_text("0 0\n")
    network = translate(given, Backend.QUARTUS)
    settings = Settings(backend=Backend.QUARTUS)
    project = HlsProject(folder=folder, network=network, settings=settings, traced=network.layers[1:])
    trace = Interpreter.trace
    monkeypatch.setattr(Interpreter, "trace", lambda self, x: {**trace(self, x), "fc": trace(self, x)["fc"] + 1})
    with pytest.raises(
        MismatchError, match=r"layer 'fc' \(%fc\), element 0 of vector 0: hls4ml's C\+\+ computes 1, the program 2"
    ):
        compare(project, np.zeros((1, 2), dtype=np.int64))


def test_convolutions_on_streams_equal_their_program(tmp_path):
    file = tmp_path / "program.txt"
    save_program(small_network(), file)
    arguments = ["hls", str(file), "--out", str(tmp_path / "out"), "--io", "stream", "--strategy", "resource"]
    done = CliRunner().invoke(main, [*arguments, "--reuse", "2,1,3"])
    assert done.exit_code == 0, done.output
    assert "2,000 random vectors, 6 layers, 276,000 values: all equal" in done.output
    assert "13 streams between layers: 28 words, hls4ml's 234" in done.output
    assert "io_stream" in (tmp_path / "out" / "hls4ml_config.yml").read_text()


def test_the_project_of_a_back_end_that_is_not_compiled_here_is_written_and_that_is_said(tmp_path):
    file = tmp_path / "program.txt"
    save_program(program(CAST), file)
    hardware = 'architecture = "folded"\nreuse_factor = 4\nclock_mhz = 80.0\n'
    (tmp_path / "c.toml").write_text(f'name = "c"\n[data]\nsource = "sklearn:iris"\n[hardware]\n{hardware}')
    words = ["hls", str(file), "--out", str(tmp_path / "out"), "--backend", "oneapi"]
    done = CliRunner().invoke(main, [*words, "--config", str(tmp_path / "c.toml")])
    assert done.exit_code == 0, done.output
    assert "not compiled, and nothing compared: oneapi's C++ needs its own compiler" in done.output
    assert (tmp_path / "out" / "src" / "firmware" / "parameters.h").is_file()
    written = (tmp_path / "out" / "hls4ml_config.yml").read_text()
    assert "ClockPeriod: 12.5" in written
    compared = json.loads((tmp_path / "out" / "compared.json").read_text())
    assert (compared["strategy"], compared["reuse_factor"]) == ("resource", 4)
    first = (tmp_path / "out" / "tb_data" / "tb_input_features.dat").read_text().splitlines()[0]
    codes = (tmp_path / "out" / "tb_data" / "inputs.txt").read_text().splitlines()[0]
    assert [2 * float(number) for number in first.split()] == [float(code) for code in codes.split()]
