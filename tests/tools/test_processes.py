"""External programs and worker processes end with the process that started them, killed by whatever signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gatewright.errors import MissingToolError, ToolError
from gatewright.tools import end_tools, run_tool
from tests.tools.children import gone, sleepers

TREE = ["sh", "-c", "sleep 61.5 & sleep 61.5; true"]  # a command whose own children work on


def test_what_a_command_prints_is_in_its_log_and_its_time_is_counted(tmp_path):
    done = run_tool(
        ["sh", "-c", "echo one; echo two >&2; echo $GIVEN"], cwd=tmp_path, log=tmp_path / "a/b.log", env={"GIVEN": "3"}
    )
    assert done.stdout == "one\ntwo\n3\n"
    assert done.log.read_text() == "$ sh -c echo one; echo two >&2; echo $GIVEN\none\ntwo\n3\n"
    assert done.seconds >= 0


@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -SEGV $$", -11), ("kill -KILL $$", -9)])
def test_a_failure_is_told_with_its_code_and_the_tail_of_its_log(tmp_path, end, code):
    log = tmp_path / "x.log"
    with pytest.raises(
        ToolError, match=rf"exited with {code}, expected 0\. Last lines of {log}:\n6\n(.*\n)+20"
    ) as caught:
        run_tool(["sh", "-c", f"seq 20; {end}"], cwd=tmp_path, log=log)
    assert "\n5\n" not in str(caught.value)
    assert "\n5\n" in log.read_text()


def test_a_command_that_is_missing_or_no_program(tmp_path):
    (tmp_path / "plain").write_text("no program")
    for program, said in (
        ("no_such_tool", "cannot start 'no_such_tool': No such file or directory; run `gatewright doctor`"),
        ("./none", "cannot start './none': No such file or directory"),
        ("./plain", r"cannot start './plain': it is no program; mend its rights \(chmod \+x\)"),
    ):
        with pytest.raises(MissingToolError, match=said):
            run_tool([program], cwd=tmp_path, log=tmp_path / "log")


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path):
    begun = time.monotonic()
    with pytest.raises(ToolError, match=r"sh ran past 0\.5 s; its log so far"):
        run_tool(["sh", "-c", f"echo begun; {TREE[2]}"], cwd=tmp_path, log=tmp_path / "log", timeout_s=0.5)
    assert time.monotonic() - begun < 10
    assert (tmp_path / "log").read_text() == "begun\n"
    assert gone(lambda: sleepers("61.5", tmp_path))


def test_children_that_a_finished_command_left_are_ended(tmp_path):
    run_tool(["sh", "-c", "sleep 62.5 >/dev/null 2>&1 & true"], cwd=tmp_path, log=tmp_path / "log")
    assert gone(lambda: sleepers("62.5", tmp_path))


def test_cpu_seconds_are_those_of_the_command_alone(tmp_path):
    busy = threading.Thread(
        target=run_tool,
        args=(["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"],),
        kwargs={"cwd": tmp_path, "log": tmp_path / "busy.log"},
    )
    busy.start()
    idle = run_tool(["sh", "-c", "sleep 0.1"], cwd=tmp_path, log=tmp_path / "idle.log")
    busy.join()
    again = run_tool(
        ["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"], cwd=tmp_path, log=tmp_path / "l"
    )
    assert again.seconds > 0
    assert idle.seconds < again.seconds / 4


def test_end_tools_ends_those_of_other_threads(tmp_path):
    said: list[str] = []

    def call() -> None:
        try:
            run_tool(TREE, cwd=tmp_path, log=tmp_path / "log")
        except ToolError as error:
            said.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    while len(sleepers("61.5", tmp_path)) < 2:
        time.sleep(0.02)
    end_tools()
    thread.join(timeout=10)
    assert "exited with -9" in said[0]
    assert gone(lambda: sleepers("61.5", tmp_path))


CALLER = """
import sys
from pathlib import Path
from gatewright.tools import run_tool
here = Path(sys.argv[1])
run_tool(["sh", "-c", "sleep 61.5 & sleep 61.5; true"], cwd=here, log=here / "log")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_commands_end_with_their_caller(tmp_path, number):
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path)], stderr=subprocess.DEVNULL)
    while len(sleepers("61.5", tmp_path)) < 2:
        assert caller.poll() is None
        time.sleep(0.02)
    caller.send_signal(number)
    caller.wait(timeout=10)
    assert gone(lambda: sleepers("61.5", tmp_path))


POOL = """
import os, sys, time
from pathlib import Path
from gatewright.tools import WorkerPool
from tests.tools.children import note_and_sleep
if __name__ == "__main__":
    workers = WorkerPool(2)
    for name in ("a", "b"):
        workers.pool.submit(note_and_sleep, Path(sys.argv[1]) / name)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path, number):
    path = os.pathsep.join(sys.path)
    caller = subprocess.Popen(
        [sys.executable, "-c", POOL, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    while not all((tmp_path / name).exists() for name in "ab"):
        assert caller.poll() is None
        time.sleep(0.02)
    workers = [int((tmp_path / name).read_text()) for name in "ab"]
    caller.send_signal(number)
    caller.wait(timeout=10)
    assert gone(lambda: [pid for pid in workers if Path(f"/proc/{pid}").exists()])
