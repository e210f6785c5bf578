"""Configuration, dataset and teacher in; a distilled student of truth tables out, without a weight in it.

A feature becomes bits by thresholds; each neuron of a layer reads a few bits of the layer before through a truth table;
the last layer's ones are counted per class. On an FPGA a neuron of six inputs is one LUT. Both tables and connections
are learnt (differentiable weightless networks, Bacellar et al. 2024, arXiv 2410.11112): forward, a table's entry is the
sign of a real number and a pin reads the candidate that it prefers; backward, gradients pass straight through both.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewright.config import Config, Tables
from gatewright.errors import FitError
from gatewright.fit.frozen import dense_layer, frozen_graph, steps, tables
from gatewright.fit.train import Tensors, Trained, check_alive, stage_key
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.device import array
from gatewright.fit.training.loop import Job, Watch, one_thread, train
from gatewright.fit.training.teach import Teacher, lesson
from gatewright.fixedpoint import Fixed, Grid, Ints
from gatewright.fixedpoint import frac_bits as needed_frac_bits
from gatewright.graph.nodes import AnyNode, Graph, Stored

if TYPE_CHECKING:
    from gatewright.data import Dataset

SELDOM = 0.004  # bits that are 1, or 0, in a smaller share of the training samples are no candidates
STRIDE = 15.0  # steps of tables and preferences, whose range is 1, in units of the learning rate of weights
DECAY = 0.25  # weight of a table's entry in a pin's gradient, per other pin in which its address differs
EVERY = 2  # steps between two of the preferences, whose gradient is most of a step's work
CONNECTED = 0.8  # share of the epochs after which connections stand and only tables are learnt
SHARPNESS = 0.3  # a class's count is divided by so many of its standard deviations sqrt(tables) / 2, twice, for a score
CHUNK = 2048  # samples evaluated at once
WIRES = Stored(weight=None)  # connections and counts


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
        module = TableStack(
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
            begin_epoch=lambda epoch: module.connect(epoch < CONNECTED * settings.epochs),
            after_step=module.after_step,
            validate=lambda: tensors.validate(module),
            watch=watch,
        )
        section = [settings.model_dump(exclude={"checkpoint_seconds"}), config.distill.model_dump()]
        key = stage_key("tables", config, data, section, taught.outputs.tobytes())
        history = train(job, module, Checkpoint(path=work / "student.checkpoint", key=key), progress=progress)
        network = module.freeze(data.classes)
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


class TableStack(nn.Module):
    """Thresholds, layers of tables, counts. quantizing: whether the connections stand (they are learnt before)."""

    def __init__(
        self,
        settings: Tables,
        *,
        source: Fixed,
        features: Ints,
        thresholds: Ints,
        inputs: int,
        classes: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        check_shared(settings, classes)
        self.source, self.generator, self.quantizing = source, generator, False
        self.features, self.codes, self.inputs, self.classes = features, thresholds, inputs, classes
        values = np.ldexp(thresholds.astype(np.float64), -source.frac_bits).astype(np.float32)
        self.feature: Tensor
        self.threshold: Tensor
        self.steps: Tensor
        self.register_buffer("feature", torch.tensor(features), persistent=False)
        self.register_buffer("threshold", torch.tensor(values[:, None]), persistent=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        sizes = [len(features), *settings.layers]
        self.layers = [TableLayer(n_in, n_out, settings.inputs, generator) for n_in, n_out in pairwise(sizes)]
        for index, layer in enumerate(self.layers):
            self.add_module(f"tables{index + 1}", layer)
        group = settings.layers[-1] // classes
        self.scale = 1.0 / (SHARPNESS * math.sqrt(group))

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.threshold.device

    def forward(self, x: Tensor) -> Tensor:
        """Return scores. x: input values (n, features) -> (n, classes)."""
        if not self.training:
            return torch.cat([self._scores(part) for part in x.split(CHUNK)])
        return self._scores(x)

    def _scores(self, x: Tensor) -> Tensor:
        bits = (x.T.index_select(0, self.feature) >= self.threshold).float()
        learns = self.training and not self.quantizing and int(self.steps) % EVERY == 0
        for layer in self.layers:
            bits = layer(bits, learns=learns)
        return bits.view(self.classes, -1, len(x)).mean(dim=1).sub(0.5).T * (self.scale * (len(bits) // self.classes))

    def connect(self, learning: bool) -> None:
        """Let connections be learnt, or stand."""
        self.quantizing = not learning

    @torch.no_grad()
    def after_step(self) -> None:
        """Count the step; bring tables back to their range, so that no entry is out of reach of the other sign."""
        self.steps += 1
        for layer in self.layers:
            layer.table.clamp_(-1.0 / STRIDE, 1.0 / STRIDE)

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to: only signs and orders matter, hence none."""
        return []

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        return [p for layer in self.layers for p in (layer.table, layer.preference)]

    def refresh(self) -> None:
        """Nothing is cached."""

    @torch.no_grad()
    def freeze(self, classes: tuple[str, ...]) -> Graph:
        """Return what was learnt as a graph without the tables and bits that nothing reads; scores on a grid."""
        layers: list[list[AnyNode]] = []
        kept = np.arange(len(self.layers[-1].table))
        group, frac = len(kept) // self.classes, round(-math.log2(self.scale))
        layers.append(_counts(group, self.classes, frac))
        for index, layer in reversed(list(enumerate(self.layers))):
            pins = array(layer.sources()).reshape(len(layer.table), -1)[kept]
            table = array(layer.table >= 0)[kept]
            kept, read = np.unique(pins, return_inverse=True)
            layers.append(_tables(f"tables{index + 1}", read.reshape(pins.shape), table, len(kept)))
        layers.append(_bits(self.features[kept], self.codes[kept], self.source, self.inputs))
        return frozen_graph(self.source, reversed(layers), classes=classes)


class TableLayer(nn.Module):
    """n_out tables of `inputs` pins. table: its signs are entries; preference: a pin reads what it prefers most."""

    def __init__(self, n_in: int, n_out: int, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.table = nn.Parameter((torch.rand(n_out, 1 << inputs, generator=generator) - 0.5) / STRIDE)
        self.preference = nn.Parameter(torch.rand(n_out * inputs, n_in, generator=generator) / STRIDE)
        self.slope: Tensor
        self.register_buffer("slope", slopes(inputs), persistent=False)

    def forward(self, bits: Tensor, *, learns: bool) -> Tensor:
        """Return the tables' entries, 0.0 or 1.0. bits: (n_in, n), 0.0 or 1.0 -> (n_out, n)."""
        preference = self.preference if learns else self.preference.detach()
        found = _Look.apply(bits, self.table, preference, self.sources(), self.slope)
        return cast(Tensor, found)

    def sources(self) -> Tensor:
        """Return which bit each pin reads, (n_out * inputs,); pin k of a table is bit k of its address."""
        return self.preference.detach().argmax(dim=1)


def slopes(inputs: int) -> Tensor:
    """Return what makes a pin's slope at each address of a table's entries: (entries, inputs * entries).

    The slope in pin k at address a is the difference of entries with and without bit k, summed over the addresses that
    agree with a but in d of the other pins, weighted DECAY**d: d = 0 alone would be the difference at a itself, and
    1 / (d + 1) is the extended finite difference of Bacellar et al. (section 3.1), which learns worse on our data.
    """
    address = torch.arange(1 << inputs)
    parts: list[Tensor] = []
    for pin in range(inputs):
        differing = (address[:, None] ^ address[None, :]) & ~(1 << pin)
        distance = sum((differing >> k & 1 for k in range(inputs)), torch.zeros_like(differing))
        sign = (address >> pin & 1) * 2.0 - 1.0
        parts.append(sign[:, None] * DECAY**distance)
    return torch.cat(parts, dim=1)


class _Look(torch.autograd.Function):
    """Entries of tables at the addresses that their pins make; see TableLayer."""

    @staticmethod
    def forward(ctx: Any, bits: Tensor, table: Tensor, preference: Tensor, sources: Tensor, slope: Tensor) -> Tensor:
        del preference  # what it decides is in sources; its gradient alone is made here
        count = sources.numel() // len(table)
        small = bits.to(torch.uint8)  # a quarter of the bytes to move
        pins = small.index_select(0, sources).view(len(table), count, -1)
        address = pins[:, 0].clone()
        for pin in range(1, count):
            address |= pins[:, pin] << pin
        address = address.long()
        ctx.save_for_backward(small, table, sources, slope, address)
        return (table >= 0).float().gather(1, address)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        small, table, sources, slope, address = ctx.saved_tensors
        wants_bits, _, wants_preference, *_ = ctx.needs_input_grad
        grad_table = torch.zeros_like(table).scatter_add_(1, address, grad)
        if not (wants_bits or wants_preference):
            return None, grad_table, None, None, None
        count = sources.numel() // len(table)
        slopes = ((table * STRIDE) @ slope).view(len(table), count, -1)
        pins = grad.new_empty(len(table), count, grad.shape[1])
        for pin in range(count):
            torch.mul(slopes[:, pin].gather(1, address), grad, out=pins[:, pin])
        pins = pins.view(sources.numel(), -1)
        grad_bits = grad_preference = None
        if wants_bits:
            grad_bits = grad.new_zeros(small.shape).index_add_(0, sources, pins)
        if wants_preference:  # what each candidate would have done, -1 or +1; bfloat16 is exact for these and fast
            grad_preference = (pins.bfloat16() @ (small.T.bfloat16() * 2 - 1)).float()
        return grad_bits, grad_table, grad_preference, None, None


def _bits(features: Ints, codes: Ints, source: Fixed, count: int) -> list[AnyNode]:
    """Return the layer that compares: feature - threshold >= 0. count: features of a sample."""
    weight = np.zeros((count, len(features)))
    weight[features, np.arange(len(features))] = 1.0
    stored = Stored(weight=None, bias=_holding(-codes, source.frac_bits))
    bias = -np.ldexp(codes.astype(np.float64), -source.frac_bits)
    return dense_layer("bits", weight, bias, stored=stored, then=steps("bits", (0.0,)))


def _holding(codes: Ints, frac_bits: int) -> Grid:
    """Return the grid of the thresholds' bits: no finer than they are."""
    values = np.ldexp(codes.astype(np.float64), -frac_bits)
    frac = needed_frac_bits(values)
    q = np.ldexp(values, frac).astype(np.int64)
    held = Fixed.holding(int(q.min()), int(q.max()), frac)
    return Grid.uniform(held.width_bits, frac, signed=held.signed)


def _tables(name: str, pins: Ints, table: NDArray[np.bool_], n_in: int) -> list[AnyNode]:
    """Return a layer of tables; pins: (n_out, inputs), which input each reads; twice the same is one."""
    weight, entries = np.zeros((n_in, len(pins))), np.zeros(table.shape)
    for neuron, row in enumerate(pins):
        read, pin = np.unique(row, return_inverse=True)
        address = np.arange(1 << len(read))
        old = np.sum([(address >> bit & 1) << k for k, bit in enumerate(pin)], axis=0)
        weight[read, neuron] = 2.0 ** np.arange(len(read))
        entries[neuron, : len(address)] = table[neuron, old]
    return dense_layer(name, weight, np.zeros(len(pins)), stored=WIRES, then=tables(name, entries))


def _counts(group: int, classes: int, frac: int) -> list[AnyNode]:
    """Return the layer that counts the ones of each class's group, in units of 2**-frac."""
    return dense_layer("out", np.repeat(np.eye(classes), group, axis=0) * 2.0**-frac, np.zeros(classes), stored=WIRES)
