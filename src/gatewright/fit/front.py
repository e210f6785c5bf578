"""Configuration and dataset in, a front of students out: one training run whose size falls, models kept on the way.

The run goes in cycles, each with a target for the students' cost, smaller by the same factor from one to the next; the
weight of the cost in the loss follows the measured cost. Within a cycle the learning rate falls along a cosine
(Loshchilov and Hutter 2017), and towards its end every student that none before beats is kept. Of students of equal
score the one of lower validation loss is better: a few hundred validation samples tell few accuracies apart.
"""

from __future__ import annotations

import math
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewright.config import Config, Learned
from gatewright.errors import FitError
from gatewright.fit.device import array
from gatewright.fit.modules.plan import planned, sample_shape
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.stacks import learned_layers, learned_stack
from gatewright.fit.scores.metrics import Merit, merit_of, validation_merit
from gatewright.fit.scores.pareto import Point, non_dominated, thinned
from gatewright.fit.train import CALIBRATION_SAMPLES, Tensors, check_alive, fold_units, stage_key
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.loop import Watch, one_thread
from gatewright.fit.training.teach import Teacher, checked_targets
from gatewright.graph import Graph
from gatewright.graph.store import checksum, from_bytes, to_bytes
from gatewright.tools import progress_bar

if TYPE_CHECKING:
    from gatewright.data import Dataset

FLOOR_RATE = 0.02  # share of the learning rate that is left at the end of a cycle
DESCENT = 0.5  # share of a cycle in which the target falls
TRIALS, SETTLED = 8, 0.6  # moments at which a cycle's student may be kept, from this share of the cycle on
SHRINK = 100.0  # lut_start / lut_end where not configured
PRESSURE = (1e-4, 3.0)  # bounds of the loss that a natural-logarithmic step in cost is worth
INTEGRAL, PROPORTIONAL = 5.0, 1.0  # the pressure's logarithm per cycle, and at once, per natural-logarithmic excess
LOSS_OF_INTEREST = 0.5  # no student is kept, and the run ends, below this loss of the score above a constant answer's


@dataclass(frozen=True, kw_only=True)
class Front:
    """points: students by rising cost and merit; history: one row per cycle of the training."""

    points: tuple[Point, ...]
    history: tuple[dict[str, float], ...]


def train_front(
    config: Config,
    data: Dataset,
    teacher: Teacher,
    *,
    work: Path,
    progress: bool = False,
    watch: Watch | None = None,
    start: Graph | None = None,
) -> Front:
    """Train config.student.hidden with learnt widths; keep the points that none beats in merit and cost at once.

    teacher, start: as in train_student. At most student.learned.points points, smallest first. Resumes from `work`;
    equal settings give equal bits.
    Raises FitError for a loss that is not finite, or where not even the best point tells two classes apart.
    """
    soft = checked_targets(teacher, data)
    with one_thread():
        run = Descent(config, data, Tensors(config, data, soft), _checkpoint(config, data, soft, work, start), start)
        points = run.finish(progress, watch)
    if not points:
        raise FitError(
            "student: learnt widths led to no student that is better on validation than the best constant answer; "
            "raise student.epochs or student.learned.lut_end, or lower student.learned.warm_up"
        )
    kept = thinned(points, config.student.learned.points)
    check_alive("student", kept[-1].network, data, config)
    return Front(points=kept, history=tuple(run.history))


def _checkpoint(
    config: Config, data: Dataset, soft: NDArray[np.float64], work: Path, start: Graph | None
) -> Checkpoint:
    left_out = {"checkpoint_seconds": True, "learned": {"point", "drop"}, "tables": True}
    settings = [config.student.model_dump(exclude=left_out)]
    section = [settings, config.distill.model_dump(), "" if start is None else checksum(start)]
    key = stage_key("front", config, data, section, np.ascontiguousarray(soft).tobytes())
    return Checkpoint(path=work / "front.checkpoint", key=key)


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A student that may be kept at the end of its cycle: its parameters, validation merit and cost."""

    learnt: list[Tensor]
    merit: Merit
    cost: float

    def beaten_by(self, other: Point | _Candidate) -> bool:
        return other.merit >= self.merit and other.cost <= self.cost


class Descent:
    """A front's training run; `step` says what comes next."""

    def __init__(
        self, config: Config, data: Dataset, tensors: Tensors, checkpoint: Checkpoint, start: Graph | None
    ) -> None:
        self.config, self.data, self.tensors, self.checkpoint = config, data, tensors, checkpoint
        self.settings: Learned = config.student.learned
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + 3)
        self.module = _stack(config, tensors, generator).to(tensors.device)
        fold_units(self.module, tensors, per_feature=True)
        if start is not None:
            self.module.start_from(start)
        rate = config.student.learning_rate
        self.optimizer = torch.optim.Adam(
            [{"params": self._numbers(), "lr": rate}, {"params": self.module.widths(), "lr": rate}], fused=True
        )
        steps = config.student.epochs * math.ceil(len(tensors.x) / config.student.batch(len(tensors.x)))
        self.warm = max(1, round(self.settings.warm_up * steps))
        self.cycle = max(1, (steps - self.warm) // self.settings.points)
        self.total = self.warm + self.cycle * self.settings.points
        every = max(1, round(self.cycle * (1.0 - SETTLED) / TRIALS))
        moments = range(self.cycle, round(self.cycle * SETTLED), -every)
        self.trials = frozenset((self.cycle, *moments))  # steps of a cycle; of the shortest, the last
        self.step = 0
        self.pressure = math.log(0.01)  # logarithm of the loss that a natural-logarithmic step in cost is worth
        self.first = self.largest = self.smallest = self.cost = 0.0
        self.points: list[Point] = []
        self.candidates: list[_Candidate] = []  # of this cycle; none is beaten by another or by a point
        self.history: list[dict[str, float]] = []
        self.heard: list[tuple[float, float]] = []  # what a watch hears: (share of the training, best score)
        self.loss_sum = 0.0
        self.order = torch.zeros(0, dtype=torch.int64)
        self.at = 0
        state = checkpoint.load()
        if state is not None:
            self._restore(state)

    def finish(self, progress: bool, watch: Watch | None) -> tuple[Point, ...]:
        """Run the steps that are left; return the front.

        watch: hears the best score at the end of each cycle; after a kill, also of the cycles before it.
        """
        if watch is not None:
            for share, score in self.heard:
                watch(share, score)

        due = time.monotonic() + self.config.student.checkpoint_seconds
        with progress_bar(total=self.total, initial=self.step, desc="front", unit="step", disable=not progress) as bar:
            while self.step < self.total:
                self.train_step()
                bar.update()
                cycle, within = divmod(self.step - self.warm - 1, self.cycle)
                if self.step > self.warm and within + 1 in self.trials:
                    self._try_point()
                if self.step > self.warm and within + 1 == self.cycle:
                    self._end_cycle(cycle)
                    self.heard.append((self.step / self.total, self.points[-1].score))
                    if watch is not None:
                        watch(*self.heard[-1])
                if time.monotonic() >= due:
                    self.checkpoint.save(self._state())
                    due = time.monotonic() + self.config.student.checkpoint_seconds
        self.checkpoint.save(self._state())
        floor = self._least_score()
        return tuple(point for point in self.points if point.score >= floor)

    def train_step(self) -> None:
        """Take one step down the loss and the cost."""
        if self.step == self.warm:
            self._start_widths()
        cycle, within = divmod(self.step - self.warm, self.cycle)
        share = self.step / self.warm if self.step < self.warm else within / self.cycle
        fall = FLOOR_RATE + (1.0 - FLOOR_RATE) * 0.5 * (1.0 + math.cos(math.pi * share))
        numbers, widths = self.optimizer.param_groups
        numbers["lr"] = self.config.student.learning_rate * fall
        widths["lr"] = self.config.student.learning_rate * fall * self.settings.width_rate
        batch = self._batch()
        x = self.tensors.batch(batch, self.module.generator)
        if self.module.packed is None or self.step < self.warm or self.module.dropout:
            task, value = self._traced(x, batch, cycle, share)
        else:
            outputs, cost, seen = self.module.packed.begin(x)
            loss, slope = self.tensors.loss_and_slope(outputs, batch)
            task, luts = float(loss), float(cost)
            weight = self._cost_weight(luts, cycle, share)
            value = task + weight * luts
            self.module.packed.learn(seen, slope, weight)
        self.optimizer.step()
        if not math.isfinite(value):
            raise FitError(
                f"student, step {self.step}: the loss must be finite, not {value!r}; lower student.learning_rate "
                f"(it is {self.config.student.learning_rate:g})"
            )
        self.loss_sum += task
        self.step += 1

    def _traced(self, x: Tensor, batch: Tensor, cycle: int, share: float) -> tuple[float, float]:
        """Leave a batch's gradients by autograd; return the loss without the cost, and with it."""
        outputs, cost = self.module.outputs_and_cost(x)
        task = self.tensors.loss(outputs, batch)
        weight = 0.0 if self.step < self.warm else self._cost_weight(float(cost.detach()), cycle, share)
        loss = task + weight * cost
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(task.detach()), float(loss.detach())

    def _start_widths(self) -> None:
        sample = self.tensors.x[:: max(1, len(self.tensors.x) // CALIBRATION_SAMPLES)]
        self.loss_sum = 0.0
        self.module.calibrate(sample, first=True)
        with torch.no_grad():
            self.first = float(self.module.outputs_and_cost(sample)[1])
        self.largest = self.settings.lut_start or 0.5 * self.first
        self.smallest = min(self.settings.lut_end or self.largest / SHRINK, self.largest)

    def target(self, cycle: float) -> float:
        """Return the cost that is due at the end of a cycle: geometric from lut_start to lut_end.

        Between -1 and 0, that is in the first cycle, it falls from what the float warm-up led to.
        """
        if cycle < 0.0:
            return self.largest * (self.largest / self.first) ** cycle
        return self.largest * (self.smallest / self.largest) ** (cycle / max(self.settings.points - 1, 1))

    def _cost_weight(self, cost: float, cycle: int, share: float) -> float:
        """Return the weight of the cost in the loss, after the pressure has been led towards the target."""
        self.cost = cost
        target = self.target(cycle - 1.0 + min(share / DESCENT, 1.0))
        excess = min(max(math.log(max(cost, 1.0) / target), -1.0), 1.0)
        low, high = math.log(PRESSURE[0]), math.log(PRESSURE[1])
        self.pressure = min(max(self.pressure + INTEGRAL * excess / self.cycle, low), high)
        return math.exp(min(self.pressure + PROPORTIONAL * excess, high)) / max(cost, 1.0)

    def _batch(self) -> Tensor:
        size = self.config.student.batch(len(self.tensors.x))
        if self.at >= len(self.order):
            self.order = torch.randperm(len(self.tensors.x), generator=self.module.generator)
            self.at = 0
        batch = self.order[self.at : self.at + size]
        self.at += size
        return batch.to(self.module.device)

    def _try_point(self) -> None:
        """Remember the student as it stands if none that is known beats it."""
        self.module.eval()
        with torch.no_grad():
            outputs, cost = self.module.outputs_and_cost(self.tensors.x_val)
        self.module.train()
        found = _Candidate(
            learnt=[part.detach().clone() for part in self._learnt()],
            merit=merit_of(array(outputs.double()), self.data),
            cost=float(cost),
        )
        if not any(found.beaten_by(other) for other in (*self.points, *self.candidates)):
            self.candidates = [c for c in self.candidates if not c.beaten_by(found)] + [found]

    @torch.no_grad()
    def _keep_candidates(self) -> None:
        """Freeze what the cycle's candidates have learnt: points from now on."""
        here = [part.clone() for part in self._learnt()]
        for found in self.candidates:
            self._put_back(found.learnt)
            network = self.module.freeze(classes=self.data.classes, x=self.tensors.x.cpu())
            merit = validation_merit(network, self.data)
            self.points = list(non_dominated([*self.points, Point(network=network, merit=merit, cost=found.cost)]))
        self._put_back(here)
        self.candidates = []

    def _numbers(self) -> list[nn.Parameter]:
        return [*self.module.decayed(), *self.module.biases()]

    def _learnt(self) -> list[nn.Parameter]:
        return [*self._numbers(), *self.module.widths()]

    def _put_back(self, learnt: list[Tensor]) -> None:
        for part, value in zip(self._learnt(), learnt, strict=True):
            part.copy_(value)

    def _end_cycle(self, cycle: int) -> None:
        """Write the cycle's row; make it the last one where too little is left of what the best student knows."""
        self._keep_candidates()
        row = self.tensors.validate(self.module.eval())
        self.module.train()
        named = "validation_accuracy" if self.config.task == "classification" else "validation_rmse"
        self.history.append(
            {
                "epoch": self.step * self.config.student.batch(len(self.tensors.x)) / len(self.tensors.x) - 1.0,
                "loss": self.loss_sum / self.cycle,
                named: row[named],
                "sparsity": self.module.sparsity(),
                "cost": self.cost,
                "cost_due": self.target(cycle),
                "pressure": math.exp(self.pressure),
            }
        )
        self.loss_sum = 0.0
        score = row[named] if self.config.task == "classification" else -row[named]
        if score < self._least_score():
            self.total = self.step

    def _least_score(self) -> float:
        """Return the validation score below which a student is of no interest."""
        best, constant = self.points[-1].score, self._constant_score()
        return constant + (1.0 - LOSS_OF_INTEREST) * max(best - constant, 0.0)

    def _constant_score(self) -> float:
        """Return the validation score of the best constant answer."""
        y = self.data.part("validation")[1]
        if self.config.task == "classification":
            return float(np.bincount(y).max() / len(y))
        return -float(np.sqrt(np.mean(np.var(np.asarray(y, dtype=np.float64).reshape(len(y), -1), axis=0))))

    def _state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.module.generator.get_state(),
            "quantizing": self.module.quantizing,
            "numbers": [self.step, self.total, self.at],
            "reals": [self.pressure, self.first, self.largest, self.smallest, self.cost, self.loss_sum],
            "order": self.order,
            "history": self.history,
            "heard": [list(pair) for pair in self.heard],
            "candidates": [{"learnt": c.learnt, "merit": astuple(c.merit), "cost": c.cost} for c in self.candidates],
            "points": [{"network": _tensor(p.network), "merit": astuple(p.merit), "cost": p.cost} for p in self.points],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.module.quantizing = state["quantizing"]
        self.module.refresh()
        self.optimizer.load_state_dict(state["optimizer"])
        self.module.generator.set_state(state["generator"])
        self.step, self.total, self.at = state["numbers"]
        self.pressure, self.first, self.largest, self.smallest, self.cost, self.loss_sum = state["reals"]
        self.order, self.history = state["order"], state["history"]
        self.heard = [(share, score) for share, score in state["heard"]]
        self.candidates = [_Candidate(**{**c, "merit": Merit(*c["merit"])}) for c in state["candidates"]]
        self.points = [
            Point(network=from_bytes(p["network"].numpy().tobytes()), merit=Merit(*p["merit"]), cost=p["cost"])
            for p in state["points"]
        ]


def _stack(config: Config, tensors: Tensors, generator: torch.Generator) -> Stack:
    """Return the student's layers with learnt widths: dense ones fused into one step, or any in a row."""
    settings, lines = config.student.learned, config.student.lines
    if config.student.plain:
        return learned_stack(
            [tensors.x.shape[1], *(line.units for line in lines), tensors.outputs],
            source=tensors.source,
            dropout=config.student.dropout,
            generator=generator,
            granularity=settings.granularity,
            wrap=settings.overflow == "wrap",
        )
    return learned_layers(
        planned(lines, sample_shape(lines, tensors.shape), tensors.outputs, "student"),
        source=tensors.source,
        dropout=config.student.dropout,
        generator=generator,
        granularity=settings.granularity,
        wrap=settings.overflow == "wrap",
    )


def _tensor(graph: Graph) -> Tensor:
    """Return a graph's file as a tensor, which checkpoints may hold."""
    return torch.tensor(np.frombuffer(to_bytes(graph), dtype=np.uint8))
