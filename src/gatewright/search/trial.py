"""One trial's configuration in; its teacher or its students with their scores and costs out. Runs in any process."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from gatewright.config import Config
from gatewright.errors import GatewrightError
from gatewright.search.limits import Limits, cost_of, feasible

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.graph import Graph

GRID = 10  # shares of the training, 0.1 .. 1.0, at which trials are compared
FIRST_STEP = 3  # of the grid: none is stopped before this one
OUTLINE_ROOM = 0.5  # a student is not trained whose untrained self exceeds a limit by more than this share


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherTask:
    """Train config.teacher. work: where its checkpoint survives a kill; None: nowhere."""

    config: Config
    work: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentTask:
    """Train config.student by a teacher and cost it. floor: see Watcher, one score per step of GRID."""

    config: Config
    teacher: Graph
    part: Part
    limits: Limits
    floor: Sequence[float]
    work: Path | None


Task = TeacherTask | StudentTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A trained teacher. score: on the validation split; error: why there is none."""

    network: Graph | None = None
    score: float = 0.0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One student. figures: score (validation), cost, ebops, nonzero; excess: see Limits.excess."""

    network: Graph
    figures: dict[str, float]
    excess: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a trial. reason: why it was stopped or failed; excess: by the estimate that stopped it.

    curve: best validation score so far at each step of GRID. seconds: wall time.
    """

    state: Literal["complete", "stopped", "failed"]
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    cost: dict[str, float] | None = None
    excess: dict[str, float] | None = None
    curve: tuple[float, ...] = ()
    seconds: float = 0.0


class Hopeless(Exception):  # noqa: N818 -- not an error: the search's own signal that training may end
    """Training cannot keep up with the trials before it."""


class Watcher:
    """Hears a training's validation scores; raises Hopeless below `floor`. curve: best so far per step of GRID."""

    def __init__(self, floor: Sequence[float]) -> None:
        self.floor = tuple(floor)
        self.best = -float("inf")
        self.curve: list[float] = []

    def __call__(self, share: float, score: float) -> None:
        """Take the score at a share of the training."""
        self.best = max(self.best, score)
        steps = min(GRID, int(share * GRID + 1e-9))
        self.curve += [self.best] * (steps - len(self.curve))
        if FIRST_STEP <= steps < GRID and self.floor and self.best < self.floor[steps - 1]:
            raise Hopeless(
                f"validation score {self.best:.4g} after {10 * steps} % of its training, "
                f"others had at least {self.floor[steps - 1]:.4g}"
            )


def run_task(task: Task, data: Dataset) -> Taught | Outcome:
    """Do a task. Only a bug raises: what the configuration cannot do is told in the result."""
    from gatewright.fit.training.loop import one_thread

    begun = time.monotonic()
    with one_thread(), _folder(task.work) as work:
        match task:
            case TeacherTask():
                return _teach(task, data, work, begun)
            case StudentTask():
                return _study(task, data, work, begun)
            case _:
                assert_never(task)


def _teach(task: TeacherTask, data: Dataset, work: Path, begun: float) -> Taught:
    from gatewright.fit import train_teacher, validation_score

    try:
        network = train_teacher(task.config, data, work=work).network
    except GatewrightError as error:
        return Taught(error=str(error), seconds=time.monotonic() - begun)
    return Taught(network=network, score=validation_score(network, data), seconds=time.monotonic() - begun)


def _study(task: StudentTask, data: Dataset, work: Path, begun: float) -> Outcome:
    watcher = Watcher(task.floor)
    try:
        outcome = _outline(task, data) or Outcome(state="complete", candidates=_train(task, data, work, watcher))
    except Hopeless as reason:
        outcome = Outcome(state="stopped", reason=str(reason))
    except GatewrightError as error:
        outcome = Outcome(state="failed", reason=str(error))
    return Outcome(
        state=outcome.state,
        candidates=outcome.candidates,
        reason=outcome.reason,
        cost=outcome.cost,
        excess=outcome.excess,
        curve=_full(watcher) if outcome.state == "complete" else tuple(watcher.curve),
        seconds=time.monotonic() - begun,
    )


def _full(watcher: Watcher) -> tuple[float, ...]:
    """Return the whole curve, also of a training that ended early by its own patience."""
    return (*watcher.curve, *[watcher.best] * (GRID - len(watcher.curve)))


def _outline(task: StudentTask, data: Dataset) -> Outcome | None:
    """Return the end of a trial whose student is far too large even before it is trained; None where it may fit.

    The untrained student has the sparsity and the widths of the trained one; measured, the estimates differ by 20 %.
    Learnt widths shrink in training, and pruning may have a budget of its own: these students are always trained.
    """
    from gatewright.fit import untrained_student

    pruning = task.config.student.pruning
    if task.config.student.precision != "fixed" or pruning.budget_lut or pruning.budget_ebops:
        return None
    cost = cost_of(untrained_student(task.config, data), task.config, data, task.part)
    excess = task.limits.excess(cost)
    worst = max(excess, key=lambda name: excess[name])
    if excess[worst] <= OUTLINE_ROOM:
        return None
    reason = f"untrained, it exceeds {task.limits.words(worst)} by {100 * excess[worst]:.0f} %"
    return Outcome(state="stopped", reason=reason, cost=cost, excess=excess)


def _train(task: StudentTask, data: Dataset, work: Path, watcher: Watcher) -> tuple[Candidate, ...]:
    from gatewright.fit import train_front, train_student, train_tables
    from gatewright.flow.stages.networks import estimated_cost

    config, teacher = task.config, task.teacher
    if config.student.precision == "fixed":
        trained = train_student(
            config,
            data,
            teacher,
            work=work,
            watch=watcher,
            estimate=lambda network: estimated_cost(network, data, config, task.part)["lut"],
        )
        networks = [trained.network]
    elif config.student.precision == "tables":
        networks = [train_tables(config, data, teacher, work=work, watch=watcher).network]
    else:
        points = train_front(config, data, teacher, work=work, watch=watcher).points
        networks = [p.network for k, p in enumerate(points) if not k or p.score > points[k - 1].score]  # no loss here
    return tuple(_candidate(network, task, data) for network in networks)


def _candidate(network: Graph, task: StudentTask, data: Dataset) -> Candidate:
    from gatewright.fit import validation_score
    from gatewright.graph.figures import ebops, figures

    cost = cost_of(network, task.config, data, task.part)
    score = validation_score(network, data)
    known = {"score": score, **cost, "ebops": float(ebops(network)), "nonzero": float(figures(network).nonzero)}
    return Candidate(network=network, figures=known, excess=task.limits.excess(known))


def best_of(points: Sequence[tuple[dict[str, float], dict[str, float]]]) -> int:
    """Return the point that speaks for a trial: the best score within the budget, else the nearest to it.

    points: (figures, excess) of each, at least one.
    """

    def rank(index: int) -> tuple[float, float, float]:
        figures, excess = points[index]
        if feasible(excess):
            return 0.0, -figures["score"], figures["lut"]
        return 1.0, sum(max(value, 0.0) for value in excess.values()), -figures["score"]

    return min(range(len(points)), key=rank)


@contextlib.contextmanager
def _folder(work: Path | None) -> Generator[Path]:
    if work is not None:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        yield Path(folder)
