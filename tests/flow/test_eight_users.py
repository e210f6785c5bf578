"""Eight new users, each with a file of their own and the manual's commands: every step works, or says why."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gatewright
from gatewright.cli.main import main
from gatewright.errors import ConfigError
from tests.importers.onnx_models import chain, save, weights

pytestmark = [pytest.mark.torch, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
MANUAL = " ".join(" ".join(path.read_text().split()) for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
SHORT = ("--set", "teacher.epochs=3", "--set", "student.epochs=4", "--set", "student.hidden=[4]")
Play = Callable[..., str]
RNG = np.random.default_rng(11)
X = RNG.normal(size=(90, 3)).round(3)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Return what runs a command that stands in README or manual, in an empty folder that is HOME too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(command: str, *more: str, code: int = 0, says: str = "") -> str:
        assert command in MANUAL, f"{command!r} stands neither in README nor in the manual"
        words = [*shlex.split(command.removeprefix("gatewright ")), *more]
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == code, done.output
        assert re.search(says, done.output), f"{says!r} is not in: {done.output}"
        return done.output

    return run


def table(path: str, *, target: bool = False) -> None:
    """Write a table of pulses with their kind, or with an energy."""
    last = [f"{a - b:.3f}" if target else "ng"[a > 0] for a, b, _ in X.tolist()]
    lines = [f"{a},{b},{c},{value}" for (a, b, c), value in zip(X.tolist(), last, strict=True)]
    head = f"amp (mV),width (ns),t90 (ns),{'energy (MeV)' if target else 'kind'}"
    Path(path).write_text("\n".join([head, *lines]) + "\n")


@pytest.mark.sim
def test_a_physicist_with_a_csv(play: Play):
    play("gatewright init measurements.csv", code=2, says=r"measurements\.csv does not exist; give a file, a folder")
    table("measurements.csv")
    play("gatewright init measurements.csv", says="wrote measurements.toml; next: gatewright run measurements.toml")
    said = play("gatewright run measurements.toml", *SHORT, "--until", "sim", says=r"Seconds per stage: data \d")
    assert "[sim] simulate cycle by cycle" in said
    play("gatewright run measurements.toml", *SHORT, "--until", "sim", says=r"\[sim\] unchanged")
    play("gatewright run measurements.toml", "--set", "student.bits=4", code=2, says="unknown key 'student.bits'")
    Path("new.csv").write_text("t90 (ns),amp (mV),width (ns)\n0.1,2.0,0.3\n-1,-2,0\n")
    found = play("gatewright predict runs/measurements new.csv", says="class,score g,score n").splitlines()
    assert {line.split(",")[0] for line in found[1:3]} <= {"g", "n"}


def test_an_embedded_engineer(play: Play):
    table("pulses.csv")
    play("gatewright boards", says="ulx3s_25f .*LFE5U-25F")
    play("gatewright parts", says="XC7A35T")
    play("gatewright init pulses.csv", "--board", "ulx3s", code=2, says="Did you mean one of 'ulx3s_12f'")
    play("gatewright init pulses.csv", "--board", "ulx3s_25f", says="90 samples of 3 features")
    play("gatewright run pulses.toml", *SHORT, "--until", "rtl", says=r"\[rtl\] compile to Verilog")
    play("gatewright estimate runs/pulses --part XC7A35T --clock-mhz 200", says=r"lut +\d+")
    tight = ("--set", "hardware.max_latency_cycles=1", "--set", "hardware.clock_mhz=300", "--until", "rtl")
    play(
        "gatewright run pulses.toml",
        *SHORT,
        *tight,
        code=2,
        says=r"allowed are 1; lower hardware\.clock_mhz \(1 cycles are enough",
    )


def test_an_owner_of_a_cnn(play: Play):
    steps = [
        ("Conv", ["w"], {"pads": [1, 1, 1, 1]}),
        ("Relu", [], {}),
        ("GlobalAveragePool", [], {}),
        ("Flatten", [], {}),
    ]
    constants = {"w": weights(2, 1, 3, 3), "v": weights(2, 3), "u": weights(3)}
    save(Path("model.onnx"), chain(*steps, ("Gemm", ["v", "u"], {})), (1, 6, 6), constants)
    play("gatewright import model.onnx --program net.txt", code=2, says="quantize")
    np.savez("samples.npz", x=RNG.integers(0, 16, (60, 1, 6, 6)), y=np.arange(60) % 3)
    play("gatewright run --model model.onnx --data samples.npz", "--until", "model", says=r"\[model\]")
    play(
        "gatewright quantize MODEL --data X --out Q".partition(" MODEL")[0],
        "model.onnx",
        "--data",
        "samples.npz",
        "--out",
        "q",
    )
    play("gatewright doctor", says="yosys")


def test_a_regression(play: Play):
    table("measurements.csv", target=True)
    play("gatewright init measurements.csv", says="the last column|energy")
    assert 'task = "regression"' in Path("measurements.toml").read_text()
    play("gatewright run measurements.toml", *SHORT, "--until", "program", says=r"\[program\]")
    Path("new.csv").write_text("amp (mV),width (ns),t90 (ns)\n2.0,0.3,0.1\n")
    play("gatewright predict runs/measurements new.csv", says=r"^energy \(MeV\)\n-?\d+\.\d+\n")


def test_folders_of_images(play: Play, tmp_path: Path):
    from PIL import Image

    for number in range(60):
        place = tmp_path / "insects" / ("ants", "bees")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture = RNG.integers(0, 60, (6, 6), dtype=np.uint8)
        picture[:, : 3 + 3 * (number % 2)] += 150
        Image.fromarray(picture).save(place / f"{number}.png")
    play("gatewright init DATA".removesuffix(" DATA"), "insects", says="60 samples of 6 x 6 values, as ufixed<8,8>")
    play("gatewright fit CONFIG.toml".removesuffix(" CONFIG.toml"), "insects.toml", *SHORT, says=r"\[student\]")


def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = {
        "name": "iris",
        "data": {"input_format": "auto", "scaling": "range"},
        "teacher": {"hidden": [8], "epochs": 3},
        "student": {"hidden": [4], "weight_bits": 5, "epochs": 4},
    }
    assert "gatewright.run(config, X=iris.data, y=iris.target_names[iris.target]" in MANUAL.replace('"runs/iris", ', "")
    kinds = np.where(X[:, 0] > 0, "setosa", "virginica")
    done = gatewright.run(config, "runs/iris", X=X, y=kinds, until="program")
    assert done.ran == ("data", "teacher", "student", "program")
    assert set(done.predict(X[:9])) <= {"setosa", "virginica"}
    assert "stopped before its report" in done._repr_html_()
    assert all(seconds >= 0 for seconds in done.times.values())
    with pytest.raises(ConfigError, match="run needs y with X: labels, or a regression's targets"):
        gatewright.run(config, X=X)


def test_a_machine_without_a_compiler(play: Play, monkeypatch: pytest.MonkeyPatch):
    table("measurements.csv")
    play("gatewright init measurements.csv")
    monkeypatch.setenv("PATH", "/nonexistent")
    said = play("gatewright run measurements.toml", code=2, says=r"stage sim: .*compiler")
    assert "zig" in said
    assert not Path("runs/measurements/teacher").exists()
    play("gatewright run measurements.toml", *SHORT, "--until", "rtl", says=r"\[rtl\] compile to Verilog")


def test_ones_own_onnx_into_ones_own_verilog(play: Play):
    nodes = chain(("Gemm", ["w", "b"], {}), ("Relu", [], {}), ("Gemm", ["v", "u"], {}))
    constants = {"w": weights(3, 4), "b": weights(4), "v": weights(4, 2), "u": weights(2)}
    save(Path("model.onnx"), nodes, (3,), constants)
    np.savez("samples.npz", x=X, y=(X[:, 0] > 0).astype(int))
    play("gatewright inspect MODEL".removesuffix(" MODEL"), "model.onnx", says="Gemm|dense")
    play(
        "gatewright run --model model.onnx --data samples.npz",
        "--until",
        "rtl",
        "--set",
        "model.quantize=post-training",
        says=r"\[rtl\]",
    )
    handed = Path("runs/model/rtl/handover")
    assert {"files.f", "README.txt"} <= {path.name for path in handed.iterdir()}
    assert all((handed / line).resolve().is_file() for line in (handed / "files.f").read_text().split())
    play("gatewright estimate PROGRAM".removesuffix(" PROGRAM"), "runs/model", says="latency_cycles")
