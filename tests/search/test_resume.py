"""A trial that is killed anywhere in its training ends, when it goes on, as one that was not."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from gatewright.chips import part
from gatewright.config import parse_config
from gatewright.data import load_dataset
from gatewright.graph.store import checksum
from gatewright.search import trial
from gatewright.search.drive import COMPARED
from gatewright.search.limits import Limits
from gatewright.search.trial import GRID, Outcome, StudentTask, Watcher, run_task
from tests.search.conftest import FakeWorkers, Killed
from tests.search.test_drive import drive, empty, made_up_teachers, told, with_search  # noqa: F401 -- fixtures

pytestmark = [pytest.mark.search, pytest.mark.torch]

STUDENTS = {
    "fixed": {"hidden": [5], "epochs": 12},
    "patient": {"hidden": [5], "epochs": 40, "patience": 3},
    "learned": {"hidden": [5], "epochs": 12, "precision": "learned", "learned": {"points": 4}},
    "tables": {"epochs": 8, "precision": "tables", "tables": {"layers": [30]}},
}


def task_of(student, work, floor=()):
    config = parse_config(
        {
            "name": "a",
            "data": {"source": "sklearn:iris", "input_format": "ufixed<6,3>"},
            "student": {"batch_size": 16, "learning_rate": 0.02, "checkpoint_seconds": 0.0, **student},
            "hardware": {"max_latency_cycles": 10},
        }
    )
    chip = part("XC7A35T")
    data = load_dataset(config)
    from gatewright.fit import train_teacher

    teacher = train_teacher(
        config.model_copy(update={"teacher": config.teacher.model_copy(update={"epochs": 2})}), data, work=work
    )
    task = StudentTask(
        config=config, teacher=teacher.network, part=chip, limits=Limits.of(config, chip), floor=floor, work=work
    )
    return task, data


def same(outcome: Outcome) -> tuple[object, ...]:
    """Return what must not depend on a kill."""
    networks = [checksum(found.network) for found in outcome.candidates]
    return outcome.state, outcome.reason, outcome.curve, networks, [found.figures for found in outcome.candidates]


@pytest.mark.parametrize("kind", list(STUDENTS))
@pytest.mark.parametrize("moment", ["early", "last epoch", "after training"])
def test_the_curve_of_a_killed_trial_is_whole(tmp_path, monkeypatch, kind, moment):
    task, data = task_of(STUDENTS[kind], tmp_path / "whole")
    calls: list[float] = []
    hear = Watcher.__call__

    def count(self: Watcher, share: float, score: float) -> None:
        calls.append(share)
        hear(self, share, score)

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "__call__", count)
        whole = run_task(task, data)
    assert isinstance(whole, Outcome)
    assert whole.state == "complete", whole.reason
    assert len(whole.curve) == GRID
    assert all(map(math.isfinite, whole.curve))
    dies_at = {"early": 2, "last epoch": len(calls), "after training": 0}[moment]
    heard: list[float] = []

    def dies(self: Watcher, share: float, score: float) -> None:
        heard.append(share)
        if len(heard) == dies_at:
            raise Killed
        hear(self, share, score)

    def never(*_given: object) -> None:
        raise Killed

    task = replace(task, work=tmp_path / "torn")
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "__call__", dies)
        if not dies_at:
            patch.setattr(trial, "_candidate", never)
        with pytest.raises(Killed):
            run_task(task, data)
    resumed = run_task(task, data)
    assert isinstance(resumed, Outcome)
    assert same(resumed) == same(whole)


def test_a_hopeless_trial_stays_hopeless_after_a_kill(tmp_path, monkeypatch):
    task, data = task_of(STUDENTS["fixed"], tmp_path / "whole", floor=(2.0,) * GRID)
    whole = run_task(task, data)
    assert isinstance(whole, Outcome)
    assert whole.state == "stopped"
    hear, heard = Watcher.__call__, []

    def dies(self: Watcher, share: float, score: float) -> None:
        heard.append(share)
        if len(heard) == 3:
            raise Killed
        hear(self, share, score)

    task = replace(task, work=tmp_path / "torn")
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "__call__", dies)
        with pytest.raises(Killed):
            run_task(task, data)
    resumed = run_task(task, data)
    assert isinstance(resumed, Outcome)
    assert same(resumed) == same(whole)


def test_a_trial_keeps_the_floor_with_which_it_began(drive, limits):  # noqa: F811
    """Though others have finished, while it was open, before the kill."""

    class Two(FakeWorkers):
        """Two at a time, of which the one that begins at task `kept` is not done when the process dies."""

        kept = COMPARED + 1

        def submit(self, task):
            from concurrent.futures import Future

            if isinstance(task, StudentTask) and len(self.floors) == self.kept:
                self.floors.append(task.floor)
                self.first = task.floor
                return Future()
            return super().submit(task)

    workers = Two(limits, jobs=2, kill_at=COMPARED + 6)
    with pytest.raises(Killed):
        drive(workers, trials=COMPARED + 8)
    assert workers.first
    again = FakeWorkers(limits, jobs=1)
    drive(again, trials=COMPARED + 8)
    assert again.floors[0] == workers.first
    assert again.floors[-1] != workers.first


def test_the_records_of_a_search_are_json(drive, tmp_path):  # noqa: F811
    drive()
    for path in (tmp_path / "s" / "trials").glob("*/trial.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
