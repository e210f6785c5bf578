"""Configuration, dataset and teacher in; a distilled student of truth tables out, without a weight in it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gatewright.config import Config, Tables
from gatewright.errors import FitError
from gatewright.fit.dead import shrink
from gatewright.fit.modules.lut_neurons import Bits, Counts, TableLayer
from gatewright.fit.modules.protocol import TrainLayer
from gatewright.fit.modules.stack import Stack
from gatewright.fit.train import Tensors, Trained, check_alive, stage_key
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.loop import Job, Watch, one_thread, train
from gatewright.fit.training.teach import Teacher, lesson
from gatewright.fixedpoint import Fixed, Ints

if TYPE_CHECKING:
    from gatewright.data import Dataset

SELDOM = 0.004  # bits that are 1, or 0, in a smaller share of the training samples are no candidates
CONNECTED = 0.8  # share of the epochs after which connections stand and only tables are learnt
CHUNK = 2048  # samples evaluated at once


def train_tables(
    config: Config,
    data: Dataset,
    teacher: Teacher,
    *,
    work: Path,
    progress: bool = False,
    watch: Watch | None = None,
) -> Trained:
    """Distil config.student.tables; the network's layers are `bits`, `tables1`, ... and `out`.

    teacher: as train_student takes it. The epoch best on the validation split is kept. Resumes from `work`.
    Raises FitError for a last layer that the classes cannot share, for thresholds that no feature crosses, and as
    train_student does.
    """
    settings = config.student
    with one_thread():
        taught = lesson(teacher, data, config)
        tensors = Tensors(config, data, taught.outputs)
        features, codes = candidates(settings.tables, data)
        module = table_stack(
            settings.tables,
            source=tensors.source,
            features=features,
            thresholds=codes,
            inputs=tensors.x.shape[1],
            classes=tensors.outputs,
            generator=torch.Generator().manual_seed(config.seed * 1_000_003 + 2),
        ).to(tensors.device)
        job = Job(
            stage="student",
            settings=settings,
            samples=len(tensors.x),
            loss=lambda batch: tensors.loss(module(tensors.batch(batch, module.generator)), batch),
            begin_epoch=lambda epoch: connect(module, epoch < CONNECTED * settings.epochs),
            after_step=module.clamp,
            validate=lambda: tensors.validate(module),
            watch=watch,
        )
        section = [settings.model_dump(exclude={"checkpoint_seconds"}), config.distill.model_dump()]
        key = stage_key("tables", config, data, section, taught.outputs.tobytes())
        history = train(job, module, Checkpoint(path=work / "student.checkpoint", key=key), progress=progress)
        network = shrink(module.freeze(classes=data.classes))
    check_alive("student", network, data, config)
    return Trained(network=network, history=tuple(history))


def check_shared(settings: Tables, classes: int) -> None:
    """Raise FitError where the classes cannot share the last layer's tables equally."""
    if settings.layers[-1] % classes:
        near = max(1, round(settings.layers[-1] / classes)) * classes
        raise FitError(
            f"the last of student.tables.layers must be a multiple of the {classes} classes, which share its tables, "
            f"not {settings.layers[-1]}; use {near}"
        )


def candidates(settings: Tables, data: Dataset) -> tuple[Ints, Ints]:
    """Return the bits that tables may read: the feature of each and the code that it must reach. (bits,), (bits,).

    Thresholds are rounded up to the input's grid, which changes no bit; bits that hardly vary over the training split
    are left out. Raises FitError where thresholds lie beyond the input's format or none is left.
    """
    x, form = data.part("train")[0], data.format
    if isinstance(settings.thresholds, int):
        shares = np.arange(1, settings.thresholds + 1) / (settings.thresholds + 1)
        wanted = np.ceil(np.quantile(x, shares, axis=0)).astype(np.int64)
    else:
        values = np.array(settings.thresholds)
        codes = np.ceil(np.ldexp(values, form.frac_bits))
        if not np.isfinite(values).all() or codes.min() <= form.lo or codes.max() > form.hi:
            low, high = np.ldexp([form.lo, form.hi], -form.frac_bits).tolist()
            raise FitError(
                f"student.tables.thresholds must lie above {low:g} and up to {high:g}, the ends of the input format "
                f"{form}, not {values.tolist()}; they are in units of the network's inputs"
            )
        wanted = np.repeat(codes.astype(np.int64)[:, None], x.shape[1], axis=1)
    pairs = sorted({(feature, int(code)) for row in wanted for feature, code in enumerate(row)})
    features, codes = np.array(pairs, dtype=np.int64).T
    share = np.concatenate([(x[:, [f]] >= c).mean(axis=0) for f, c in pairs])
    kept = (share > SELDOM) & (share < 1 - SELDOM)
    if not kept.any():
        raise FitError(
            f"student.tables.thresholds {settings.thresholds} must split the training values of at least one feature, "
            "but none crosses any of them; give thresholds within the inputs' range"
        )
    return features[kept], codes[kept]


def table_stack(
    settings: Tables,
    *,
    source: Fixed,
    features: Ints,
    thresholds: Ints,
    inputs: int,
    classes: int,
    generator: torch.Generator,
) -> Stack:
    """Return thresholds, layers of tables, counts; see `candidates` for features and thresholds."""
    check_shared(settings, classes)
    layers: dict[str, TrainLayer] = {"bits": Bits(features, thresholds, source=source, inputs=inputs)}
    for index, (n_in, n_out) in enumerate(pairwise([len(features), *settings.layers])):
        layers[f"tables{index + 1}"] = TableLayer(n_in, n_out, settings.inputs, generator)
    layers["out"] = Counts(classes, settings.layers[-1] // classes)
    return Stack(layers, source=source, dropout=0.0, generator=generator, quantizing=True, chunk=CHUNK)


def connect(module: Stack, learning: bool) -> None:
    """Let the tables' connections be learnt, or stand."""
    for layer in module.layers:
        if isinstance(layer, TableLayer):
            layer.connect(learning)
