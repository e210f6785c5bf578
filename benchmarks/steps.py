"""Table `steps`: CPU milliseconds of a student's training step beside a plain torch loop's of the same network.

The plain loop is what one writes oneself: nn.Linear and ReLU in float32, the same batches, loss and fused AdamW. Both
run in turn in one process on one thread, so that other work on the machine slows both; medians over rounds.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.tables import publish
from gatewright.config import Config, parse_config
from gatewright.data import Dataset
from gatewright.fit.front import Descent
from gatewright.fit.modules.stacks import dense_stack
from gatewright.fit.train import Tensors, by_hand, fold_units, layer_widths
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.loop import Job, one_thread, train
from gatewright.fit.training.recipe import Recipe
from gatewright.fixedpoint import Fixed

NETWORKS = {"10-32-24-2": (10, (32, 24), 2), "64-16-10": (64, (16,), 10), "784-64-32-10": (784, (64, 32), 10)}
BATCHES = (2048, 256)
ROUNDS, STEPS = 15, 20
Step = Callable[[], float]


def run() -> None:
    """Measure networks and batch sizes and print ratios."""
    rows: list[dict[str, Any]] = []
    with one_thread(), tempfile.TemporaryDirectory() as work:
        for (name, (features, hidden, classes)), batch in itertools.product(NETWORKS.items(), BATCHES):
            data = samples(features, classes, batch * STEPS)
            teacher = np.random.default_rng(1).normal(0.0, 2.0, (len(data.x), classes))
            student = {"hidden": hidden, "batch_size": batch, "epochs": 100}
            fixed, learned = ({**student, "sparsity": 0.5}, {**student, "precision": "learned"})
            loops = {
                "plain": plain(_config(fixed), data, teacher),
                "student": student_steps(_config(fixed), data, teacher, Path(work)),
                "learnt widths": learned_steps(_config(learned), data, teacher, Path(work)),
            }
            found: dict[str, list[float]] = {key: [] for key in loops}
            for _, (key, loop) in itertools.product(range(ROUNDS), loops.items()):
                found[key].append(loop() / STEPS * 1000.0)
            medians = {key: statistics.median(times) for key, times in found.items()}
            ratios = {f"{key} / plain": medians[key] / medians["plain"] for key in loops if key != "plain"}
            rows.append({"network": name, "batch": batch, **{f"{key} ms": ms for key, ms in medians.items()}, **ratios})
    publish("steps", "steps: a student's training step beside a plain torch loop", rows, ["distilled, 50 % pruned"])


def samples(features: int, classes: int, count: int) -> Dataset:
    """Return random samples to train on, and 256 to validate with."""
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (count + 256, features))
    split = np.zeros(len(x), dtype=np.uint8)
    split[count:] = 1
    return Dataset(
        name="random",
        task="classification",
        x=x,
        shape=(features,),
        y=rng.integers(0, classes, len(x)),
        split=split,
        format=Fixed(width_bits=8, frac_bits=6),
        classes=tuple(f"c{k}" for k in range(classes)),
        feature_names=tuple(f"f{k}" for k in range(features)),
        contract={},
    )


def plain(config: Config, data: Dataset, teacher: np.ndarray[Any, Any]) -> Step:
    """Return what takes STEPS steps of a plain float loop and returns their CPU seconds."""
    tensors = Tensors(config, data, teacher)
    sizes = [tensors.x.shape[1], *(line.units for line in config.student.lines), tensors.outputs]
    layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.student.learning_rate, fused=True)
    size = config.student.batch(len(tensors.x))

    def steps() -> float:
        start = time.process_time()
        for batch in torch.randperm(len(tensors.x)).split(size):
            loss = tensors.loss(network(tensors.x.index_select(0, batch)), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return time.process_time() - start

    return steps


def student_steps(config: Config, data: Dataset, teacher: np.ndarray[Any, Any], work: Path) -> Step:
    """Return what takes STEPS steps of train_student's loop, formats applied, and returns their CPU seconds."""
    tensors, settings = Tensors(config, data, teacher), config.student
    module = dense_stack(
        [tensors.x.shape[1], *(line.units for line in settings.lines), tensors.outputs],
        source=tensors.source,
        widths=layer_widths(settings),
        dropout=0.0,
        generator=torch.Generator().manual_seed(0),
    )
    fold_units(module, tensors, per_feature=False)
    recipe = Recipe(settings, module, tensors.x[:2048], None, quantize=True)
    recipe.begin_epoch(recipe.frozen)
    times = [0.0, 0.0]

    def validate() -> dict[str, float]:
        times[1] = time.process_time()
        return {"score": 0.0, "validation_loss": 0.0}

    job = Job(
        stage="student",
        settings=settings.model_copy(update={"epochs": 1}),
        samples=len(tensors.x),
        loss=lambda batch: tensors.loss(module(tensors.batch(batch, module.generator)), batch),
        by_hand=lambda batch: by_hand(module, tensors, batch),
        begin_epoch=lambda _: times.__setitem__(0, time.process_time()),
        after_step=recipe.after_step,
        validate=validate,
    )

    def steps() -> float:
        path = work / "student.checkpoint"
        path.unlink(missing_ok=True)
        train(job, module, Checkpoint(path=path, key="steps"), progress=False)
        return times[1] - times[0]

    return steps


def learned_steps(config: Config, data: Dataset, teacher: np.ndarray[Any, Any], work: Path) -> Step:
    """Return what takes STEPS steps of train_front's loop, widths learning, and returns their CPU seconds."""
    descent = Descent(
        config, data, Tensors(config, data, teacher), Checkpoint(path=work / "none.checkpoint", key="steps"), None
    )
    descent.step = descent.warm

    def steps() -> float:
        start = time.process_time()
        for _ in range(STEPS):
            descent.train_step()
        return time.process_time() - start

    return steps


def _config(student: dict[str, Any]) -> Config:
    return parse_config({"name": "steps", "data": {"source": "unused"}, "student": student})
