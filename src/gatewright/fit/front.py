"""Configuration and dataset in, a front of students out: one training run whose cost weight rises, a model per cycle.

The cost of bits enters the loss with a weight that grows geometrically from cycle to cycle; within a cycle the
learning rate falls along a cosine (Loshchilov and Hutter 2017), so that each cycle ends in a settled, smaller model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewright.config import Config, Learned
from gatewright.errors import FitError
from gatewright.fit.checkpoint import Checkpoint
from gatewright.fit.learned import LearnedStack
from gatewright.fit.loop import one_thread
from gatewright.fit.network import Network
from gatewright.fit.train import CALIBRATION_SAMPLES, Tensors, check_alive, checked_targets, fold_units, stage_key

if TYPE_CHECKING:
    from gatewright.data import Dataset

FLOOR_RATE = 0.02  # share of the learning rate that is left at the end of a cycle


@dataclass(frozen=True, kw_only=True)
class Point:
    """One student. score: validation accuracy, or minus the validation RMSE; cost_weight: of the cycle that made it."""

    network: Network
    score: float
    cost_weight: float

    @property
    def row(self) -> dict[str, float]:
        """Its figures, JSON-able."""
        n = self.network
        return {
            "score": self.score,
            "ebops": n.ebops,
            "nonzero": n.nonzero,
            "bits": n.nonzero_bits,
            "cost_weight": self.cost_weight,
        }


@dataclass(frozen=True, kw_only=True)
class Front:
    """points: students by rising effective bit operations and score; history: one row per cycle of the training."""

    points: tuple[Point, ...]
    history: tuple[dict[str, float], ...]


def train_front(
    config: Config, data: Dataset, soft_targets: NDArray[Any], *, work: Path, progress: bool = False
) -> Front:
    """Train config.student.hidden with learnt widths; keep the points that none beats in score and bits at once.

    soft_targets: (n, outputs) raw teacher scores or values for every sample, as in train_student. Points are sorted
    by effective bit operations, smallest first. Resumes from `work`; equal settings give equal bits.
    Raises FitError for a loss that is not finite, or where not even the first point tells two classes apart.
    """
    soft = checked_targets(soft_targets, data)
    with one_thread():
        run = _Run(config, data, Tensors(config, data, soft), _checkpoint(config, data, soft, work))
        points = run.finish(progress)
    check_alive("student", points[0].network, data, config)
    return Front(points=non_dominated(points), history=tuple(run.history))


def non_dominated(points: list[Point]) -> tuple[Point, ...]:
    """Return the points that no other equals or beats in both score and effective bit operations."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.network.ebops, -p.score)):
        if not kept or point.score > kept[-1].score:
            kept.append(point)
    return tuple(kept)


def _checkpoint(config: Config, data: Dataset, soft: NDArray[np.float64], work: Path) -> Checkpoint:
    settings = [config.student.model_dump(exclude={"checkpoint_seconds": True, "learned": {"point", "drop"}})]
    key = stage_key("front", config, data, settings, config.distill.model_dump(), np.ascontiguousarray(soft).tobytes())
    return Checkpoint(path=work / "front.checkpoint", key=key)


def choose(rows: Sequence[Mapping[str, Any]], config: Config) -> int:
    """Return the index of the front's point that config.student.learned asks for.

    rows: one per point with "score" and "lut" (or another cost that grows with it). Raises FitError where the point
    asked for does not exist.
    """
    wanted, drop = config.student.learned.point, config.student.learned.drop
    if wanted >= len(rows):
        raise FitError(f"student.learned.point must be below {len(rows)}, the points of this front, not {wanted}")
    if wanted >= 0:
        return wanted
    best = max(row["score"] for row in rows)
    floor = best - drop * (1.0 if config.task == "classification" else abs(best))
    return min((i for i, row in enumerate(rows) if row["score"] >= floor), key=lambda i: (rows[i]["lut"], i))


class _Run:
    """A training run; `step` says what comes next."""

    def __init__(self, config: Config, data: Dataset, tensors: Tensors, checkpoint: Checkpoint) -> None:
        self.config, self.data, self.tensors, self.checkpoint = config, data, tensors, checkpoint
        self.settings: Learned = config.student.learned
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + 3)
        self.module = LearnedStack(
            [tensors.x.shape[1], *config.student.hidden, tensors.outputs],
            source=tensors.source,
            dropout=config.student.dropout,
            generator=generator,
        )
        fold_units(self.module, tensors, per_feature=True)
        rate = config.student.learning_rate
        self.optimizer = torch.optim.Adam(
            [{"params": self.module.numbers(), "lr": rate}, {"params": self.module.widths(), "lr": rate}], fused=True
        )
        steps = config.student.epochs * math.ceil(len(tensors.x) / config.student.batch_size)
        self.warm = max(1, round(self.settings.warm_up * steps))
        self.cycle = max(1, (steps - self.warm) // self.settings.points)
        self.step = 0
        self.points: list[Point] = []
        self.history: list[dict[str, float]] = []
        self.loss_sum = 0.0
        self.order = torch.zeros(0, dtype=torch.int64)
        self.at = 0
        state = checkpoint.load()
        if state is not None:
            self._restore(state)

    def finish(self, progress: bool) -> list[Point]:
        """Run the steps that are left; return one point per cycle."""
        from tqdm import tqdm

        total = self.warm + self.cycle * self.settings.points
        due = time.monotonic() + self.config.student.checkpoint_seconds
        with tqdm(total=total, initial=self.step, desc="front", unit="step", disable=not progress) as bar:
            while self.step < total:
                self._train_step()
                bar.update()
                if self.step > self.warm and (self.step - self.warm) % self.cycle == 0:
                    self._end_cycle()
                if time.monotonic() >= due:
                    self.checkpoint.save(self._state())
                    due = time.monotonic() + self.config.student.checkpoint_seconds
        self.checkpoint.save(self._state())
        return self.points

    def _train_step(self) -> None:
        cycle, within = divmod(self.step - self.warm, self.cycle)
        if self.step < self.warm:
            share, weight = self.step / self.warm, 0.0
        else:
            share, weight = within / self.cycle, self.cost_weight(cycle)
        if self.step == self.warm:
            self.loss_sum = 0.0
            self.module.start_widths(self.tensors.x[:: max(1, len(self.tensors.x) // CALIBRATION_SAMPLES)])
        fall = FLOOR_RATE + (1.0 - FLOOR_RATE) * 0.5 * (1.0 + math.cos(math.pi * share))
        numbers, widths = self.optimizer.param_groups
        numbers["lr"] = self.config.student.learning_rate * fall
        widths["lr"] = self.config.student.learning_rate * fall * self.settings.width_rate
        batch = self._batch()
        outputs, cost = self.module.outputs_and_cost(self.tensors.x[batch])
        task = self.tensors.loss(outputs, batch)
        loss = task + weight * cost
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FitError(
                f"student, step {self.step}: the loss must be finite, not {value!r}; lower student.learning_rate "
                f"(it is {self.config.student.learning_rate:g})"
            )
        self.loss_sum += float(task.detach())
        self.step += 1

    def cost_weight(self, cycle: int) -> float:
        """Return the weight of the cost in a cycle: geometric from cost_start to cost_end."""
        first, last, count = self.settings.cost_start, self.settings.cost_end, self.settings.points
        return first * (last / first) ** (cycle / max(count - 1, 1))

    def _batch(self) -> Tensor:
        size = self.config.student.batch_size
        if self.at >= len(self.order):
            self.order = torch.randperm(len(self.tensors.x), generator=self.module.generator)
            self.at = 0
        batch = self.order[self.at : self.at + size]
        self.at += size
        return batch

    def _end_cycle(self) -> None:
        cycle = (self.step - self.warm) // self.cycle - 1
        self.module.eval()
        network = self.module.freeze(self.tensors.x, classes=self.data.classes, wrap=self.settings.overflow == "wrap")
        self.module.train()
        point = Point(network=network, score=self._score(network), cost_weight=self.cost_weight(cycle))
        self.points.append(point)
        named = "validation_accuracy" if self.config.task == "classification" else "validation_rmse"
        self.history.append(
            {
                "epoch": self.step * self.config.student.batch_size / len(self.tensors.x) - 1.0,
                "loss": self.loss_sum / self.cycle,
                named: abs(point.score),
                "sparsity": network.sparsity,
                "ebops": float(network.ebops),
            }
        )
        self.loss_sum = 0.0

    def _score(self, network: Network) -> float:
        codes, y = self.data.part("validation")
        outputs = network.evaluate(codes)
        if self.config.task == "classification":
            return float(np.mean(outputs.argmax(axis=1) == y))
        return -float(np.sqrt(np.mean((outputs - np.asarray(y, dtype=np.float64).reshape(len(y), -1)) ** 2)))

    def _state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.module.generator.get_state(),
            "quantizing": self.module.quantizing,
            "step": self.step,
            "order": self.order,
            "at": self.at,
            "loss_sum": self.loss_sum,
            "history": self.history,
            "points": [
                {"network": p.network.to_state(), "score": p.score, "cost_weight": p.cost_weight} for p in self.points
            ],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.module.quantizing = state["quantizing"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.module.generator.set_state(state["generator"])
        self.step, self.order, self.at = state["step"], state["order"], state["at"]
        self.loss_sum, self.history = state["loss_sum"], state["history"]
        self.points = [
            Point(network=Network.from_state(p["network"]), score=p["score"], cost_weight=p["cost_weight"])
            for p in state["points"]
        ]
