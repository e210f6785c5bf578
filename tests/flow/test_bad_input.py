"""Bad input through the command line: exit code 2, a message that helps, nothing left behind."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main

CSV = "a,b,kind\n" + "".join(f"{i % 16},{(i * 7) % 16},{'xy'[i % 2]}\n" for i in range(40))


def fails(config: str, tmp_path: Path, *words: str) -> str:
    path = tmp_path / "c.toml"
    path.write_text(config)
    out = tmp_path / "deep" / "run"
    result = CliRunner().invoke(main, ["run", str(path), "--out", str(out), *words])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "deep").exists(), "something was left behind"
    return result.output


def config(source: str, more: str = "", head: str = "") -> str:
    return f'name = "c"\n{head}\n[data]\nsource = "{source}"\ninput_format = "ufixed<4,4>"\n{more}\n'


def test_missing_file(tmp_path: Path):
    assert re.search(r"none\.csv", fails(config("none.csv"), tmp_path))


def test_missing_config(tmp_path: Path):
    result = CliRunner().invoke(main, ["run", str(tmp_path / "no.toml")])
    assert result.exit_code == 2
    assert "no configuration file" in result.output


def test_nan(tmp_path: Path):
    x = np.ones((40, 3))
    x[17, 2] = np.nan
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(40) % 2)
    message = fails(config("d.npz"), tmp_path)
    assert "17" in message
    assert re.search(r"NaN|nan", message)


def test_label_column_absent(tmp_path: Path):
    (tmp_path / "d.csv").write_text(CSV)
    assert "Did you mean 'kind'" in fails(config("d.csv", 'label_column = "kin"'), tmp_path)


def test_one_class_only(tmp_path: Path):
    np.savez(tmp_path / "d.npz", x=np.ones((40, 3)), y=np.zeros(40, dtype=int))
    assert re.search("one class|at least 2 classes|two classes", fails(config("d.npz"), tmp_path))


def test_unknown_key(tmp_path: Path):
    message = fails(config("sklearn:iris", head="[student]\nsparcity = 0.5"), tmp_path)
    assert "unknown key 'student.sparcity'. Did you mean 'sparsity'?" in message


def test_input_of_0_bits(tmp_path: Path):
    message = fails(config("sklearn:iris").replace("ufixed<4,4>", "ufixed<0,0>"), tmp_path)
    assert "width_bits must be 1..62, not 0" in message


def test_truncated_npz(tmp_path: Path):
    np.savez(tmp_path / "d.npz", x=np.ones((400, 30)), y=np.arange(400) % 2)
    raw = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(raw[: len(raw) // 2])
    assert "d.npz" in fails(config("d.npz"), tmp_path)


def test_unwritable_directory(tmp_path: Path):
    (tmp_path / "c.toml").write_text(config("sklearn:iris"))
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["run", str(tmp_path / "c.toml"), "--out", str(tmp_path / "file" / "run")])
    assert result.exit_code == 2
    assert f"cannot write {tmp_path}/file/run: " in result.output
    assert "choose another directory with --out" in result.output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hardware.part=XC7A36T", r"XC7A36T.*Did you mean 'XC7A35T'"),
        ("hardware.board=ulx3s", r"ulx3s.*Did you mean one of 'ulx3s_12f'"),
        ("student.weight_bits=0", "student.weight_bits: input should be greater than or equal to 1, not 0"),
        ("student.sparsity=1.5", "student.sparsity: input should be less than 1, not 1.5"),
        ("sparsity", "--set takes key=value"),
    ],
)
def test_bad_settings(tmp_path: Path, setting: str, message: str):
    assert re.search(message, fails(config("sklearn:iris"), tmp_path, "--set", setting))


def test_unknown_stage(tmp_path: Path):
    assert "no stage 'simulate'" in fails(config("sklearn:iris"), tmp_path, "--until", "simulate")


@pytest.mark.torch
def test_part_too_small(tmp_path: Path):
    """Training is kept, for the next try; the error says by how much, and nothing is half-written."""
    path, out = tmp_path / "c.toml", tmp_path / "run"
    path.write_text(
        'name = "big"\n[data]\nsource = "sklearn:digits"\ninput_format = "ufixed<5,5>"\n[teacher]\nepochs = 2\n'
        "[student]\nhidden = [96]\nweight_bits = 8\nsparsity = 0.0\nepochs = 3\n"
        '[hardware]\npart = "LFE5U-12F"\nclock_mhz = 50\n'
    )
    result = CliRunner().invoke(main, ["run", str(path), "--out", str(out)])
    assert result.exit_code == 2, result.output
    assert re.search(r"needs [\d,]+ LUT, LFE5U-12F has 12,000: [\d,]+ too many \(\d+ %\)", result.output)
    assert sorted(p.name for p in out.iterdir()) == ["data", "program", "student", "teacher"]


def test_a_pretrained_teacher_that_is_not_there(tmp_path: Path):
    (tmp_path / "d.csv").write_text(CSV)
    more = 'label_column = "kind"\n[teacher]\npretrained = "runs/none"'
    said = fails(config("d.csv", more), tmp_path)
    assert re.search(r"teacher.pretrained must be a run directory or a folder with graph.npz.*runs/none", said)
