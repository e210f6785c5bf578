"""THE SEARCH: one Config in; trials asked, taught, trained, costed, told; front, chosen point and its TOML out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.config import Config
from gatewright.errors import ConfigError, GatewrightError
from gatewright.flow.run import Flow
from gatewright.flow.rundir import unheard
from gatewright.flow.stages.networks import TrainedNetworks
from gatewright.search.ledger import Ledger, require_same, settings_of
from gatewright.search.limits import Limits
from gatewright.search.records import Record, Records
from gatewright.search.result import choose_point, nothing_fits, parse_name, read_result, write_result
from gatewright.search.space import Values, configure, describe, read_space
from gatewright.search.storage import storage_url, using
from gatewright.search.teachers import Teacher, Teachers, teacher_key
from gatewright.search.trial import GRID, Outcome, StudentTask, Task, Taught, TeacherTask
from gatewright.search.workers import LocalWorkers, RayWorkers, Result, Workers

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset

LIVES = 3  # times that a task may lose its worker
COMPARED = 8  # finished trials with the same kind of widths before slow ones are stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A finished search. result: the content of search.json; ran: how many trials this call finished."""

    path: Path
    ran: int
    result: dict[str, Any]


def run_search(
    config: Config, out: Path, *, ray: str = "", notify: Callable[[str], None] = lambda _text: None
) -> SearchResult:
    """Search config.search.space within the budget until config.search.trials are finished; write the results to `out`.

    A search that was cut off goes on where it was: run it again. ray: address of a Ray cluster; empty: processes of
    this machine. notify(text) hears of each trial. The test split is read once, for the chosen point.
    Raises BudgetError where nothing keeps the budget (search.json and search.html are written all the same),
    ConfigError for a space, storage or cluster that cannot be, or a directory with another search, FitError for a GPU
    that this machine has not.
    """
    if config.model is not None:
        raise ConfigError(
            "a search trains its own teachers and cannot start from [model]; take the table out, or begin the teacher "
            "with a network that gatewright trained (teacher.pretrained)"
        )
    if config.trees is not None:
        raise ConfigError("a search tries students that are networks, no trees; take the table trees out")
    if config.device == "cuda" and not ray:
        from gatewright.fit.device import device_of

        device_of(config.device)  # else each trial would be told as failed
    space = read_space(config)
    flow = Flow.prepare(config, out, progress=False, notify=unheard)
    part = flow.hardware.part
    limits = Limits.of(config, part)
    with flow.directory.locked():
        data = _data(flow)
        ledger = Ledger.open(config, space, out, data.checksum)
        workers = _workers(config, ray, flow.directory.folder("data"), data)
        try:
            driver = _Driver(config, out, part, limits, data.checksum, ledger, workers, notify)
            with using(storage_url(config, out)):
                driver.run()
        finally:
            workers.close()
        records = driver.records()
        points = [point for record in records for point in record.points]
        fits = any(point.feasible for point in points)
        result = write_result(
            config,
            out,
            data,
            records=records,
            chosen=choose_point(points, config) if fits else None,
            limits=limits,
            part=part.name,
            space=describe(space),
            importances=ledger.importances(),
        )
    if not fits:
        raise nothing_fits(records, limits)
    return SearchResult(path=out, ran=driver.finished, result=result)


def pick_point(config: Config, out: Path, name: str) -> SearchResult:
    """Make TRIAL or TRIAL.POINT the chosen point of a finished search: chosen.toml, search.json and search.html.

    Trains nothing; reads the test split for this point. Raises ConfigError for a point that does not exist.
    """
    old = read_result(out)
    flow = Flow.prepare(config, out, progress=False, notify=unheard)
    with flow.directory.locked():
        data = _data(flow)
        require_same(out, old["settings"], settings_of(config, data.checksum))
        records = [Records(out / "trials").read(row["trial"]) for row in old["trials"]]
        result = write_result(
            config,
            out,
            data,
            records=records,
            chosen=parse_name(name, records),
            limits=Limits.of(config, flow.hardware.part),
            part=flow.hardware.part.name,
            space=old["space"],
            importances=old["importances"],
        )
    return SearchResult(path=out, ran=0, result=result)


def _data(flow: Flow) -> Dataset:
    flow.directory.execute(next(stage for stage in flow.stages() if stage.name == "data"))
    assert isinstance(flow.networks, TrainedNetworks)
    return flow.networks.training_data()


def _workers(config: Config, ray: str, folder: Path, data: Dataset) -> Workers:
    jobs = config.search.jobs
    return RayWorkers(ray, jobs, data) if ray else LocalWorkers(jobs, folder)


@dataclass(slots=True, kw_only=True)
class _Open:
    """A trial on its way. config: its own; teacher: its teacher's key."""

    number: int
    values: Values
    config: Config
    teacher: str


@dataclass(slots=True)
class _Driver:
    """The one process that asks and tells; workers only compute."""

    config: Config
    out: Path
    part: Part
    limits: Limits
    data_checksum: str
    ledger: Ledger
    workers: Workers
    notify: Callable[[str], None]
    finished: int = 0
    _answered: bool = False  # whether any worker ever finished a task
    _open: dict[int, _Open] = field(default_factory=dict[int, _Open])
    _tasks: dict[Future[Result], tuple[Task, str, list[int]]] = field(
        default_factory=dict[Future[Result], tuple[Task, str, list[int]]]
    )
    _lives: dict[str, int] = field(default_factory=dict[str, int])
    _curves: dict[str, list[Sequence[float]]] = field(default_factory=dict[str, list[Sequence[float]]])
    _bad_teachers: dict[str, str] = field(default_factory=dict[str, str])
    _taught: dict[str, Teacher] = field(default_factory=dict[str, Teacher])

    def run(self) -> None:
        """Finish trials until there are as many as asked."""
        trials = self.ledger.trials()
        cut_off = [trial for trial in trials if not trial.state.is_finished()]
        for record in self.records():
            self._remember(record)
        for trial in cut_off:
            self._begin(trial.number, self.ledger.again(trial))
        asked = len(trials)
        while True:
            while asked < self.config.search.trials and len(self._open) < self.workers.slots():
                self._begin(*self.ledger.ask())
                asked += 1
            if not self._tasks and not self._open:
                shutil.rmtree(self.out / "work", ignore_errors=True)  # of tasks whose last worker died
                return
            done, _ = wait(self._tasks, timeout=5.0, return_when=FIRST_COMPLETED)
            for future in done:
                self._end(future)

    def records(self) -> list[Record]:
        """Return the records of all finished trials."""
        kept = Records(self.out / "trials")
        return [kept.read(trial.number) for trial in self.ledger.trials() if trial.state.is_finished()]

    def _begin(self, number: int, values: Values) -> None:
        """Take a trial on: told at once where it was finished before the kill, or cannot be; else on to its teacher."""
        kept = Records(self.out / "trials")
        if kept.has(number):
            self._tell(kept.read(number))
            return
        try:
            config = configure(self.config, values, f"trial {number}")
        except ConfigError as error:
            outcome = Outcome(state="failed", reason=str(error))
            self._close(number, Record.of(number, values, "", "", None, outcome), outcome)
            return
        key = teacher_key(config, self.data_checksum)
        self._open[number] = _Open(number=number, values=values, config=config, teacher=key)
        self._advance(number)

    def _advance(self, number: int) -> None:
        """Start what a trial needs next: its teacher, unless another trial has asked for it; or its student."""
        trial = self._open[number]
        if trial.teacher in self._bad_teachers:
            self._settle(trial, Outcome(state="failed", reason=f"teacher: {self._bad_teachers[trial.teacher]}"))
            return
        teachers = Teachers(self.out / "teachers")
        if teachers.has(trial.teacher):
            if trial.teacher not in self._taught:
                self._taught[trial.teacher] = teachers.load(trial.teacher)
            self._submit(
                StudentTask(
                    config=trial.config,
                    teacher=self._taught[trial.teacher].network,
                    part=self.part,
                    limits=self.limits,
                    floor=self.ledger.floor(number, self._floor(trial.config.student.precision)),
                    work=self._work(f"{number:04d}"),
                ),
                f"{number:04d}",
                [number],
            )
            return
        for task, _, waiting in self._tasks.values():
            if isinstance(task, TeacherTask) and teacher_key(task.config, self.data_checksum) == trial.teacher:
                waiting.append(number)
                return
        self._submit(
            TeacherTask(config=trial.config, work=self._work(f"teacher-{trial.teacher}")), trial.teacher, [number]
        )

    def _submit(self, task: Task, name: str, waiting: list[int]) -> None:
        self._tasks[self.workers.submit(task)] = (task, name, waiting)

    def _work(self, name: str) -> Path | None:
        return (self.out / "work" / name).resolve() if self.workers.keeps_files() else None

    def _end(self, future: Future[Result]) -> None:
        task, name, waiting = self._tasks.pop(future)
        error = future.exception()
        if error is not None:
            if not self.workers.lost(error):
                raise error
            self._lives[name] = self._lives.get(name, 0) + 1
            if self._lives[name] < LIVES:
                self._submit(task, name, waiting)
                return
            if not self._answered:
                raise GatewrightError(
                    f"every worker died before it finished anything ({type(error).__name__}: {error}); the cause is "
                    "printed above or in the system's log (memory?). No trial is lost: mend it and run again"
                )
            reason = f"its worker died {LIVES} times ({type(error).__name__}); it may need more memory, or fewer --jobs"
            result: Result = (
                Taught(error=reason) if isinstance(task, TeacherTask) else Outcome(state="failed", reason=reason)
            )
        else:
            result = future.result()
            self._answered = True
        if isinstance(result, Outcome):
            self._settle(self._open[waiting[0]], result)
            return
        assert isinstance(task, TeacherTask)
        if result.error:
            self._bad_teachers[name] = result.error
        else:
            Teachers(self.out / "teachers").write(name, task.config, result)
            self.notify(f"teacher {name}: validation score {result.score:.4f} ({result.seconds:.0f} s)")
        self._clear(f"teacher-{name}")
        for number in waiting:
            self._advance(number)

    def _settle(self, trial: _Open, outcome: Outcome) -> None:
        del self._open[trial.number]
        teacher = self._taught.get(trial.teacher)
        score = teacher.score if teacher else None
        precision = trial.config.student.precision
        self._close(
            trial.number,
            Record.of(trial.number, trial.values, precision, trial.teacher, score, outcome),
            outcome,
        )

    def _close(self, number: int, record: Record, outcome: Outcome) -> None:
        """Record a trial, then tell the storage: a kill between the two loses nothing."""
        Records(self.out / "trials").write(record, outcome)
        self._clear(f"{number:04d}")
        self._tell(record)

    def _tell(self, record: Record) -> None:
        self.ledger.tell(record)
        self._remember(record)
        self.finished += 1
        self.notify(_line(record))

    def _clear(self, name: str) -> None:
        shutil.rmtree(self.out / "work" / name, ignore_errors=True)

    def _remember(self, record: Record) -> None:
        if record.state == "complete" and len(record.curve) == GRID and np.isfinite(record.curve).all():
            self._curves.setdefault(record.precision, []).append(record.curve)

    def _floor(self, precision: str) -> tuple[float, ...]:
        """Return the score that a training must have reached at each step; empty: none yet."""
        curves, share = self._curves.get(precision, []), self.config.search.stop_below
        if not share or len(curves) < COMPARED:
            return ()
        return tuple(float(v) for v in np.quantile(np.array(curves), share, axis=0, method="lower"))


def _line(record: Record) -> str:
    head = f"trial {record.trial}"
    best = record.best
    if best is None:
        return f"{head}: {record.state}, {record.reason}"
    f = best.figures
    return (
        f"{head}: validation score {f['score']:.4f}, {f['lut']:,.0f} LUT, {f['latency_cycles']:.0f} cycles"
        f"{'' if best.feasible else ', beyond the budget'} ({len(record.points)} "
        f"point{'s' if len(record.points) > 1 else ''}, {record.seconds:.0f} s)"
    )
