"""A whole study of a toy: cells, resumption, both numbers of jobs, the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.config import load_config
from gatewright.errors import ConfigError, FitError
from gatewright.study import run_study

pytestmark = [pytest.mark.torch]

TOML = """
name = "toy"
[data]
source = "toy.csv"
label_column = "kind"
scaling = "range"
input_format = "ufixed<4,0>"
[teacher]
hidden = [8]
epochs = 4
batch_size = 16
learning_rate = 0.03
[student]
hidden = [4]
epochs = 4
batch_size = 16
learning_rate = 0.03
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 120)
    x = rng.normal(kinds[:, None], 0.3, (120, 2))
    rows = [f"{a:.3f},{b:.3f},{'xy'[k]}" for k, (a, b) in zip(kinds, x, strict=True)]
    (tmp_path / "toy.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    (tmp_path / "toy.toml").write_text(TOML)
    return tmp_path / "toy.toml"


def test_a_stopped_study_goes_on_and_gives_the_same_numbers(toml: Path, tmp_path: Path) -> None:
    config = load_config(toml)
    whole = run_study(config, tmp_path / "whole", seeds=(1, 2))
    heard: list[str] = []

    def stop(name: str, status: str) -> None:
        heard.append(f"{name} {status}")
        if len(heard) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(config, tmp_path / "stopped", seeds=(1, 2), notify=stop)
    assert not (tmp_path / "stopped" / "study.json").exists()
    later: dict[str, str] = {}
    again = run_study(config, tmp_path / "stopped", seeds=(1, 2), notify=later.__setitem__)
    assert again == whole
    assert [name for name, status in later.items() if status == "cached"] == [text.split()[0] for text in heard]
    assert len(later) == 2 * (2 + 8)
    for name in ("study.json", "study.md", "study.svg"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "stopped" / ".work").exists()
    assert whole.resplit
    cell = json.loads((tmp_path / "whole/seed1/pruning-quantization/results.json").read_text())
    assert {"test", "ebops", "lut", "samples_compared"} <= set(cell)
    assert "lut" not in json.loads((tmp_path / "whole/seed1/pruning/results.json").read_text())


@pytest.mark.slow
def test_the_command_with_two_jobs_killed_and_resumed(toml: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["study", str(toml), "--out", str(out), "--seeds", "1", "--jobs", "2"]
    run = subprocess.Popen([sys.executable, "-m", "gatewright", *words], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while run.poll() is None and len(list(out.glob("seed1/*/results.json"))) < 4:
        assert time.monotonic() < deadline, "no cell was finished within 120 s"
        time.sleep(0.01)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(run.pid)], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.split()
    run.kill()
    assert run.wait() == -signal.SIGKILL
    assert not (out / "study.json").exists()
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a process outlived the study that started it"
        time.sleep(0.01)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "[seed1/teacher] cached" in result.output
    assert "[seed1/pruning-quantization-distillation] done" in result.output
    assert "one seed gives no interval; nothing is claimed" in result.output
    assert (out / "study.md").read_text() in result.output
    alone = run_study(load_config(toml), tmp_path / "alone", seeds=(1,))
    assert json.loads(json.dumps(alone.to_json())) == json.loads((out / "study.json").read_text())


def test_a_cell_that_fails_is_named(toml: Path, tmp_path: Path) -> None:
    deep = TOML.replace("hidden = [8]", f"hidden = {[8] * 8}")  # products of weights that leave float32
    toml.write_text(deep.replace("learning_rate = 0.03", "learning_rate = 1e6"))
    with pytest.raises(FitError, match=r"^seed1/teacher: teacher, epoch \d: the loss must be finite"):
        run_study(load_config(toml), tmp_path / "out", seeds=(1,))


def test_bad_seeds_and_configurations_leave_nothing(toml: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"different seeds from 1 and at least one job, not \[1, 1\], 1"):
        run_study(load_config(toml), tmp_path / "out", seeds=(1, 1))
    result = CliRunner().invoke(main, ["study", str(toml), "--out", str(tmp_path / "out"), "--set", "distill.weight=0"])
    assert result.exit_code == 2
    assert "a study of distillation needs distill.weight above 0" in result.output
    assert not (tmp_path / "out").exists()
