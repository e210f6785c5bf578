"""A search whose trials are made up: one teacher, students whose score and cost follow from what the trial drew."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import pytest

from gatewright.chips import part
from gatewright.config import parse_config
from gatewright.search.limits import Limits
from gatewright.search.trial import Candidate, Outcome, StudentTask, Taught, TeacherTask
from tests.graphs import chain, dense

COST = {"ff": 100, "dsp": 0, "bram": 0, "latency_cycles": 5, "latency_ns": 25.0, "fmax_mhz": 250.0}


class Killed(BaseException):
    """The process ends here."""


class WorkerGoneError(Exception):
    """A worker died."""


NETWORK = chain((1,), dense("out", np.ones((1, 1))))


@dataclass
class FakeWorkers:
    """Runs tasks at once. kill_at: task at which the process "dies"; lose: name -> times that its worker dies."""

    limits: Limits
    jobs: int = 1
    kill_at: int = -1
    lose: dict[int, int] = field(default_factory=dict)
    bad_teachers: bool = False
    taught: list = field(default_factory=list)
    trained: list = field(default_factory=list)
    floors: list = field(default_factory=list)
    begun: int = 0

    def slots(self):
        return self.jobs

    def keeps_files(self):
        return True

    def lost(self, error):
        return isinstance(error, WorkerGoneError)

    def close(self):
        pass

    def submit(self, task):
        self.begun += 1
        if self.begun == self.kill_at:
            raise Killed
        done = Future()
        number = len(self.trained)
        if isinstance(task, StudentTask) and self.lose.get(number, 0) > 0:
            self.lose[number] -= 1
            done.set_exception(WorkerGoneError("killed"))
            return done
        done.set_result(self.result(task))
        return done

    def result(self, task):
        if isinstance(task, TeacherTask):
            self.taught.append(task.config.teacher.hidden)
            if self.bad_teachers:
                return Taught(error="the loss must be finite")
            return Taught(network=NETWORK, score=0.99)
        self.floors.append(task.floor)
        width, rate = task.config.student.hidden[0], task.config.student.learning_rate
        self.trained.append(width)
        figures = {"score": width / 100 + rate, "lut": 100 * width, "ebops": 1.0, "nonzero": 1.0, **COST}
        candidate = Candidate(network=NETWORK, figures=figures, excess=self.limits.excess(figures))
        return Outcome(state="complete", candidates=(candidate,), curve=tuple([figures["score"]] * 10), seconds=1.0)


@pytest.fixture
def config():
    """Return a configuration with a space of two keys for each of two teachers."""
    return parse_config(
        {
            "name": "fake",
            "data": {"source": "sklearn:iris"},
            "hardware": {"part": "XC7A35T", "max_latency_cycles": 10},
            "student": {"hidden": [8]},
            "search": {
                "trials": 6,
                "jobs": 1,
                "budget": {"max_lut": 1000},
                "space": {
                    "teacher.hidden": [[8], [16]],
                    "student.hidden": {"low": 4, "high": 20},
                    "student.weight_bits": [6],
                    "student.activation_bits": [6],
                    "student.weight_digits": [0],
                    "student.sparsity": [0.5],
                    "distill.weight": [0.5],
                    "distill.temperature": [2.0],
                },
            },
        }
    )


@pytest.fixture
def limits(config):
    return Limits.of(config, part("XC7A35T"))
