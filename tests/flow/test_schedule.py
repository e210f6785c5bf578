"""Stages side by side, the seconds they took, what is said while they run, and guesses of how long."""

import json
import threading
import time
from pathlib import Path

import pytest

from gatewright.cli.heard import Heard
from gatewright.errors import ToolError
from gatewright.flow.expected import duration, expected_text
from gatewright.flow.run import write_times
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.schedule import execute
from gatewright.report.headline import times_line
from gatewright.tools import run_tool, write_json


def stage(name: str, run, **more) -> Stage:
    return Stage(name=name, title=f"make {name}", run=run, **more)


def test_stages_of_programs_run_at_once_and_others_alone(tmp_path: Path):
    meet = threading.Barrier(2, timeout=20)
    threads: dict[str, bool] = {}

    def alone(out: Path) -> None:
        threads["data"] = threading.current_thread() is threading.main_thread()
        write_json(out / "x.json", 1)

    def together(out: Path) -> None:
        meet.wait()  # passes only where both are under way
        write_json(out / "x.json", 1)

    heard: list[tuple[str, str]] = []
    directory = RunDirectory(tmp_path / "run", lambda stage, status: heard.append((stage.name, status)))
    stages = [
        stage("data", alone),
        stage("sim", together, needs=("data",), outside=True),
        stage("synth/xc7", together, needs=("data",), outside=True, expects=lambda: "about 7 s, a guess"),
        stage("report", alone, needs=("sim", "synth/xc7")),
    ]
    assert execute(directory, stages, pytest.fail, jobs=2) == ("data", "sim", "synth/xc7", "report")
    assert threads["data"]
    assert ("synth/xc7", "about 7 s, a guess") in heard
    assert execute(directory, stages, pytest.fail, jobs=2) == ()
    assert sorted(directory.kept) == ["data", "report", "sim", "synth/xc7"]
    times = write_times(directory, stages, ("report",))
    rows = json.loads((tmp_path / "run" / "times.json").read_text())["stages"]
    assert [(row["name"], row["ran"]) for row in rows] == [(s.name, s.name == "report") for s in stages]
    assert times == {row["name"]: row["seconds"] for row in rows}
    assert times_line({"data": 1.24, "report": 0.3}, ("report",)) == (
        "Seconds per stage: data 1.2 (unchanged), report 0.3; 0.3 this time"
    )


def test_a_failure_ends_what_runs_beside_it(tmp_path: Path):
    began = threading.Event()

    def fails(out: Path) -> None:
        began.wait(20)
        raise ToolError("yosys exited with 1")

    def sleeps(out: Path) -> None:
        began.set()
        run_tool(["sleep", "60"], cwd=out, log=out / "sleep.log")

    stages = [stage("sim", fails, outside=True), stage("synth/xc7", sleeps, outside=True)]
    before = time.monotonic()
    with pytest.raises(ToolError, match="yosys exited with 1"):
        execute(RunDirectory(tmp_path / "run"), [*stages, stage("late", fails, outside=True)], pytest.fail, jobs=2)
    assert time.monotonic() - before < 20
    assert not (tmp_path / "run" / "synth" / "xc7").exists()


def test_without_a_terminal_it_says_what_still_runs(capsys: pytest.CaptureFixture[str]):
    with Heard(every_s=0.02) as heard:
        one = stage("synth/xc7", pytest.fail)
        heard(one, "running")
        heard(one, "about 20 s, a guess")
        while "still running" not in (said := capsys.readouterr()).err:
            assert said.out in ("", "[synth/xc7] make synth/xc7\n  synth/xc7: about 20 s, a guess\n")
            time.sleep(0.01)
        heard(one, "done")
    assert said.err.startswith("[synth/xc7] still running, 0 s")


def test_a_guess_says_what_it_is_made_of(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    (tmp_path / "rtl").mkdir()
    write_json(tmp_path / "rtl" / "estimate.json", {"lut": 3000})
    assert expected_text(directory, "xc7", placed=False) == (
        "about 20 s, a guess from 3,000 estimated LUTs on an idle core"
    )
    (tmp_path / "synth" / "xc7").mkdir(parents=True)
    write_json(tmp_path / "synth" / "xc7" / "stage.json", {"seconds": 200.0})
    assert expected_text(directory, "ecp5", placed=True) == (
        "about 4 min, a guess from 3,000 estimated LUTs and from the 3 min of synth/xc7"
    )
    assert [duration(s) for s in (4.4, 33, 600, 9000)] == ["4 s", "35 s", "10 min", "2.5 h"]
