"""A run killed in each of its stages: nothing works on, and the next call goes on to the same results."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools.children import below, gone

STAGES = ("data", "teacher", "student", "program", "rtl", "sim", "synth/ice40", "synth/ecp5", "bitstream", "report")
QUICK_S = 15  # a second or so on an idle machine; what is not ended takes minutes
CALL_TOOLS = {"sim", "synth/ice40", "synth/ecp5", "bitstream"}
# Each kill is a start of the command, some eight seconds; after one all earlier stages are at hand. What starts
# programs, and what trains, is always killed, by which signal a commit's seed chooses, as it does which others are.
ALWAYS = ("student", "sim", "synth/ecp5", "bitstream")
OTHERS = tuple(stage for stage in STAGES if stage not in ALWAYS)


def kills(seed: int) -> list[tuple[str, int]]:
    """Return stages and signals, in the order of the stages: of ALWAYS two by each signal, and of OTHERS."""
    rng = random.Random(seed)
    four = [*rng.sample(ALWAYS, 4), *rng.sample(OTHERS, 4)]
    drawn = {stage: signal.SIGKILL if number % 2 else signal.SIGTERM for number, stage in enumerate(four)}
    return [(stage, drawn[stage]) for stage in STAGES if stage in drawn]


def start(config: Path, out: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "gatewright", "run", str(config), "--out", str(out)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def reach(process: subprocess.Popen[str], stage: str, out: Path) -> None:
    """Return when a stage has begun, and has started a program where it starts one."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(f"[{stage}]"):
            break
    else:
        pytest.fail(f"no stage {stage}: {process.stderr.read() if process.stderr else ''}")
    end = time.monotonic() + 60
    while stage in CALL_TOOLS and not [pid for pid, _ in below(out) if pid != process.pid]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.place
def test_a_run_killed_in_its_stages_leaves_no_child_and_goes_on(small, tmp_path, pytestconfig):
    text = small.read_text().replace("epochs = 40", "epochs = 9").replace("epochs = 60", "epochs = 12")
    small.write_text(text.replace("checkpoint_seconds = 0.0", "checkpoint_seconds = 0.1"))
    whole = start(small, tmp_path / "whole")
    assert whole.communicate(timeout=300) is not None
    assert whole.returncode == 0
    out = tmp_path / "killed"
    for stage, number in kills(int(pytestconfig.getoption("--hypothesis-seed") or 0)):
        process = start(small, out)
        reach(process, stage, out)
        begun = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert gone(lambda: below(out)), (number, stage, below(out))
        assert time.monotonic() - begun < QUICK_S, (number, stage)
        if number == signal.SIGKILL:
            assert process.returncode == -number
            continue
        assert process.returncode in (128 + number, 0), said  # 0: it was done before the signal came
        if process.returncode:
            assert said == "\ngatewright: stopped by SIGTERM; the same command goes on from there\n", (stage, said)
        assert not [path for path in out.rglob(".*") if path.name != ".work"], "something half-written is left"
    last = start(small, out)
    _, said = last.communicate(timeout=300)
    assert last.returncode == 0, said
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    for name in ("results.json", "program/program.txt", "config.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert json.loads((out / "history.json").read_text()) == json.loads(
        (tmp_path / "whole" / "history.json").read_text()
    )


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.torch
def test_ctrl_c_is_quick_and_no_fault(small, tmp_path):
    """As a terminal sends it: to all processes of the foreground."""
    small.write_text(small.read_text().replace("epochs = 40", "epochs = 3").replace("epochs = 60", "epochs = 3"))
    process = start(small, tmp_path / "run")
    reach(process, "sim", tmp_path / "run")
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - begun < QUICK_S
    assert (process.returncode, said) == (130, "\ngatewright: stopped by Ctrl-C; the same command goes on from there\n")
    assert gone(lambda: below(tmp_path / "run"))
