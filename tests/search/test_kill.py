"""Real searches by command line: killed with SIGKILL in the middle and resumed; on Ray nodes of which one dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gatewright.graph import load_graph
from gatewright.graph.store import checksum

TINY = """
name = "tiny"
seed = 2
[data]
source = "sklearn:iris"
input_format = "ufixed<6,3>"
[teacher]
hidden = [8]
epochs = 30
batch_size = 16
learning_rate = 0.01
[student]
hidden = [6]
epochs = 30
batch_size = 16
learning_rate = 0.02
learned = { points = 3 }
[hardware]
part = "XC7A35T"
max_latency_cycles = 10
[search]
trials = 6
jobs = 2
[search.budget]
max_lut = 2000
[search.space]
"student.precision" = ["fixed", "learned"]
"student.hidden" = { low = 4, high = 8 }
"student.sparsity" = { low = 0.0, high = 0.4 }
"""


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


def command(*words):
    return [sys.executable, "-m", "gatewright", *(str(word) for word in words)]


def call(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300, check=False)


def finished(folder: Path) -> int:
    path = folder / "study.sqlite3"
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(path) as storage:
            return storage.execute("select count(*) from trials where state != 'RUNNING'").fetchone()[0]
    except sqlite3.OperationalError:  # its tables are being made
        return 0


def children(process: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def wait_for(condition, process=None):
    end = time.monotonic() + 240
    while not condition():
        assert process is None or process.poll() is None, "ended before its time"
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.search
def test_a_search_killed_in_the_middle_finishes_what_was_asked_and_its_choice_can_be_built(tiny, tmp_path):
    out = tmp_path / "s"
    process = subprocess.Popen(command("search", tiny, "--out", out), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: finished(out) >= 2, process)
        workers = children(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = finished(out)
    assert 2 <= before < 6
    assert len(workers) >= 2
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

    resumed = call("search", tiny, "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    assert f"6 trials finished, {6 - before} of them now" in resumed.stdout
    result = json.loads((out / "search.json").read_text())
    assert [row["trial"] for row in result["trials"]] == list(range(6))
    assert finished(out) == 6
    assert sum(result["finished"].values()) == 6
    assert result["chosen"]["test"]["samples"] == 30
    assert "Traceback" not in resumed.stderr

    # Another point, then a run of its configuration: the very network of the trial.
    learned = next(row for row in result["trials"] if row["precision"] == "learned" and row["points"])
    name = f"{learned['trial']}.{learned['points'][-1]['point']}"
    picked = call("search", tiny, "--out", out, "--pick", name)
    assert f"chosen {name}: test accuracy" in picked.stdout, picked.stderr
    built = call("run", out / "chosen.toml", "--out", tmp_path / "run", "--until", "student")
    assert built.returncode == 0, built.stderr
    trial, point = name.split(".")
    networks = [out / "trials" / f"{int(trial):04d}" / f"{int(point):03d}", tmp_path / "run" / "student"]
    mine, theirs = (checksum(load_graph(folder / "graph.npz")) for folder in networks)
    assert mine == theirs


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.search
def test_the_test_split_changes_nothing_but_the_last_line(tiny, tmp_path):
    """With other test samples every trial and the choice stay the same."""
    from sklearn.datasets import load_iris

    flowers = load_iris(return_X_y=True)
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(150) % 5]
    results = []
    for name, order in (("a", 1), ("b", -1)):
        x = np.array(flowers[0])
        x[split == "test"] = x[split == "test"][::order]  # backwards, under the same labels
        np.savez(tmp_path / f"{name}.npz", x=x, y=flowers[1], split=split)
        text = TINY.replace("sklearn:iris", f"{name}.npz").replace("[teacher]", 'split_key = "split"\n[teacher]', 1)
        (tmp_path / f"{name}.toml").write_text(text.replace("trials = 6", "trials = 2").replace("jobs = 2", "jobs = 1"))
        done = call("search", tmp_path / f"{name}.toml", "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        results.append(json.loads((tmp_path / name / "search.json").read_text()))
    a, b = results
    for row in (*a["trials"], *b["trials"]):
        del row["seconds"], row["teacher"]
    assert a["trials"] == b["trials"]
    assert a["chosen"]["test"]["value"] != b["chosen"]["test"]["value"]


CLUSTER = """
import sys
from ray.cluster_utils import Cluster

head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 1024 * 1024}
cluster = Cluster(initialize_head=True, head_node_args=head)
node = cluster.add_node(num_cpus=1, object_store_memory=80 * 1024 * 1024)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
print("killed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.ray
@pytest.mark.search
def test_a_node_of_a_cluster_killed_in_the_middle_loses_nothing(tiny, tmp_path):
    out = tmp_path / "s"
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert cluster.stdout
    assert cluster.stdin
    with cluster, cluster.stdin:
        address = cluster.stdout.readline().strip()
        words = command("search", tiny, "--out", out, "--jobs", 0, "--ray", address)
        search = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            wait_for(lambda: finished(out) >= 1, search)
            cluster.stdin.write("\n")
            cluster.stdin.flush()
            assert cluster.stdout.readline().strip() == "killed"
            before = finished(out)
        finally:
            stdout, stderr = search.communicate(timeout=240)
    assert search.returncode == 0, stderr
    assert before < 6
    assert "6 trials finished, 6 of them now" in stdout
    result = json.loads((out / "search.json").read_text())
    assert [row["state"] for row in result["trials"]] == ["complete"] * 6
