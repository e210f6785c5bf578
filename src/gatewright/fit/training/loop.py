"""The training loop: a module and its loss in, the best epoch's parameters and the history out; resumable anywhere."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gatewright.config import Optimizer
from gatewright.errors import FitError
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.tools import progress_bar

Row = dict[str, float]
Watch = Callable[[float, float], None]
"""Hears (share of the training done, validation score) and may raise to stop it."""


class Trainable(Protocol):
    """What the loop asks of a module."""

    generator: torch.Generator

    @property
    def quantizing(self) -> bool:
        """What else its state_dict's meaning depends on: whether formats are applied."""
        ...

    @quantizing.setter
    def quantizing(self, value: bool) -> None: ...

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        ...

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to."""
        ...

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        ...

    def refresh(self) -> None:
        """Rebuild what was cached, after a state was loaded."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """As nn.Module."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """As nn.Module."""
        ...

    def train(self) -> Any:
        """As nn.Module."""
        ...

    def eval(self) -> Any:
        """As nn.Module."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the loop needs to know of a stage.

    loss: indices of a batch -> scalar; by_hand: the same, with the gradients already in the parameters, or None where
    autograd has to find them; begin_epoch: formats and masks due at an epoch (must follow from the module's
    state alone); after_step: parameter projections; validate: -> row with "score" (greater is better) and
    "validation_loss"; first_selectable: the epoch from which a model may be chosen and patience counts; admissible:
    whether the present model may be, asked only of one that would be; none_admissible: the error's text if none was;
    watch: hears each epoch's score; of a training that goes on after a kill, also those before it.
    """

    stage: str
    settings: Optimizer
    samples: int
    loss: Callable[[Tensor], Tensor]
    begin_epoch: Callable[[int], None]
    after_step: Callable[[], None]
    validate: Callable[[], Row]
    by_hand: Callable[[Tensor], Tensor | None] = lambda _: None
    first_selectable: int = 0
    admissible: Callable[[], bool] = lambda: True
    none_admissible: Callable[[], str] = lambda: ""
    watch: Watch | None = None


def train(job: Job, module: Trainable, checkpoint: Checkpoint, *, progress: bool) -> list[Row]:
    """Run the epochs that are left, put the best parameters into the module, and return one row per epoch.

    Everything that later steps depend on is in the checkpoint, the middle of an epoch included, hence a run that
    was killed and resumed gives the same bits as one that was not. Raises FitError where the loss is not finite.
    """
    settings = job.settings
    optimizer = _optimizer(module, settings)
    state = checkpoint.load()
    run = _Run(module=module, optimizer=optimizer)
    if state is not None:
        run.restore(state)
        run.tell_again(job)
    due = time.monotonic() + settings.checkpoint_seconds
    device = module.device
    size = settings.batch(job.samples)
    steps = math.ceil(job.samples / size)
    for epoch in _epochs(job, run, progress):
        rate = cosine_rate(epoch, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if run.step == 0:
            job.begin_epoch(epoch)
            run.order = torch.randperm(job.samples, generator=module.generator)
            run.loss_sum.zero_()
        while run.step < steps:
            batch = run.order[run.step * size : (run.step + 1) * size].to(device)
            loss = job.by_hand(batch)
            if loss is None:
                traced = job.loss(batch)
                optimizer.zero_grad(set_to_none=True)
                traced.backward()  # type: ignore[no-untyped-call]
                loss = traced.detach()
            optimizer.step()
            job.after_step()
            run.loss_sum += loss * len(batch)
            run.step += 1
            if run.step < steps and time.monotonic() >= due:
                checkpoint.save(run.state())
                due = time.monotonic() + settings.checkpoint_seconds
        run.end_epoch(job, rate)
        if time.monotonic() >= due:
            checkpoint.save(run.state())
            due = time.monotonic() + settings.checkpoint_seconds
    checkpoint.save(run.state())
    if run.best is None:
        raise FitError(job.none_admissible())
    module.load_state_dict(run.best)
    module.refresh()
    return run.history


def cosine_rate(epoch: int, settings: Optimizer) -> float:
    """Return learning_rate * (1 + cos(pi epoch / epochs)) / 2 (Loshchilov and Hutter 2017, without restarts)."""
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * epoch / settings.epochs))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run on one thread: faster for networks this small, and the order of sums is the same everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Run:
    """The state of a training run; `epoch` and `step` say what comes next."""

    def __init__(self, *, module: Trainable, optimizer: torch.optim.Optimizer) -> None:
        self.module = module
        self.optimizer = optimizer
        self.epoch = 0
        self.step = 0
        self.order = torch.zeros(0, dtype=torch.int64)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=module.device)
        self.best: dict[str, Tensor] | None = None
        self.best_rank = (-math.inf, -math.inf)
        self.best_epoch = 0
        self.history: list[Row] = []

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.module.generator.get_state(),
            "quantizing": self.module.quantizing,
            "epoch": self.epoch,
            "step": self.step,
            "order": self.order,
            "loss_sum": self.loss_sum,
            "best": self.best,
            "best_rank": list(self.best_rank),
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.module.quantizing = state["quantizing"]
        self.module.refresh()
        self.optimizer.load_state_dict(state["optimizer"])
        self.module.generator.set_state(state["generator"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.order = state["order"]
        self.loss_sum.copy_(state["loss_sum"])
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.best_rank = (state["best_rank"][0], state["best_rank"][1])
        self.history = state["history"]

    def end_epoch(self, job: Job, rate: float) -> None:
        loss = float(self.loss_sum) / job.samples
        if not math.isfinite(loss):
            raise FitError(
                f"{job.stage}, epoch {self.epoch}: the loss must be finite, not {loss!r}; "
                f"lower {job.stage}.learning_rate (it is {job.settings.learning_rate:g})"
            )
        self.module.eval()
        row = {"epoch": float(self.epoch), "learning_rate": rate, "loss": loss, **job.validate()}
        self.module.train()
        self.history.append(row)
        rank = (row["score"], -row["validation_loss"])
        if self.epoch >= job.first_selectable and rank > self.best_rank and job.admissible():
            self.best_rank, self.best_epoch = rank, self.epoch
            self.best = copy.deepcopy(self.module.state_dict())
        self.epoch, self.step = self.epoch + 1, 0
        if job.watch is not None:
            job.watch(self.epoch / job.settings.epochs, row["score"])

    def tell_again(self, job: Job) -> None:
        """Let a watch, which is as new as this process, hear what an unkilled one has heard by now."""
        if job.watch is not None:
            for epoch, row in enumerate(self.history, start=1):
                job.watch(epoch / job.settings.epochs, row["score"])

    def finished(self, job: Job) -> bool:
        patience = job.settings.patience
        waited = self.epoch - 1 - max(self.best_epoch, job.first_selectable)
        return self.epoch >= job.settings.epochs or (patience > 0 and self.best is not None and waited >= patience)


def _epochs(job: Job, run: _Run, progress: bool) -> Iterator[int]:
    shown: dict[str, Any] = {"desc": job.stage, "unit": "epoch", "disable": not progress}
    with progress_bar(total=job.settings.epochs, initial=run.epoch, **shown) as bar:
        while not run.finished(job):
            yield run.epoch
            bar.set_postfix(score=f"{run.history[-1]['score']:.4f}", refresh=False)
            bar.update()


def _optimizer(module: Trainable, settings: Optimizer) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), fused into one call per step; biases are not decayed."""
    groups = [
        {"params": module.decayed(), "weight_decay": settings.weight_decay},
        {"params": module.biases(), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
