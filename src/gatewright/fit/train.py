"""Configuration and dataset in, a trained teacher or a distilled, pruned and quantized student out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from gatewright.config import Augment, Config, Student
from gatewright.config.layers import LayerLine, network_lines
from gatewright.data.weights import class_weights
from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit.device import device_of
from gatewright.fit.frozen import is_quantized, weighted_layers
from gatewright.fit.modules.dense import Widths
from gatewright.fit.modules.plan import planned, sample_shape
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.stacks import dense_stack, layer_stack
from gatewright.fit.modules.steps import STEPS
from gatewright.fit.training.augment import Inputs
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.distill import classification_loss, regression_loss, soft_labels
from gatewright.fit.training.hint import Hint
from gatewright.fit.training.loop import Job, Row, Watch, one_thread, train
from gatewright.fit.training.recipe import Estimate, Recipe
from gatewright.fit.training.teach import Teacher, lesson, load_teacher
from gatewright.graph import Graph
from gatewright.graph.nodes import Conv
from gatewright.graph.store import checksum
from gatewright.sources import code_digest
from gatewright.tools import digest

if TYPE_CHECKING:
    from gatewright.data import Dataset

FLOOR = 0.5  # a feature that varies less than this share of the mean deviation is not scaled up further: mostly noise
CALIBRATION_SAMPLES = 2048
FLOAT_CODE_BITS = 24  # codes wider than this are not exact in float32, in which training runs


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network and its history: one row per epoch, without wall times, so that equal runs are equal."""

    network: Graph
    history: tuple[dict[str, float], ...]


def train_teacher(config: Config, data: Dataset, *, work: Path, progress: bool = False) -> Trained:
    """Train the float network of config.teacher on the training split; keep the epoch best on the validation split.

    Inputs are standardised per feature with the training split's mean and deviation; both are folded into the first
    layer, so that the network reads codes * 2**-frac_bits as the hardware does. config.teacher.pretrained names a
    trained network to start from, or with epochs 0 to be taken as it is. Resumes from `work`.
    Raises FitError for a loss that is not finite or a network that knows one class only.
    """
    settings = config.teacher
    with one_thread():
        start = load_teacher(Path(settings.pretrained), data) if settings.pretrained else None
        if start is not None and not settings.epochs:
            return Trained(network=start, history=())
        tensors = Tensors(config, data)
        lines = settings.lines if start is None else _lines_of(start, settings.pretrained)
        module = _stack(config, tensors, lines=lines, widths=None, stage=1)
        fold_units(module, tensors, per_feature=True)
        if start is not None:
            if is_quantized(start):
                raise FitError(
                    f"teacher.pretrained {settings.pretrained} must be a float network to be trained further, not one "
                    "on grids; set teacher.epochs = 0 to take it as it is"
                )
            module.start_from(start)
        job = Job(
            stage="teacher",
            settings=settings,
            samples=len(tensors.x),
            loss=lambda batch: tensors.loss(module(tensors.batch(batch, module.generator)), batch),
            begin_epoch=lambda _: None,
            after_step=lambda: None,
            validate=lambda: tensors.validate(module),
        )
        section = settings.model_dump(exclude={"checkpoint_seconds", "pretrained"})
        key = stage_key("teacher", config, data, section, start and checksum(start))
        history = train(job, module, Checkpoint(path=work / "teacher.checkpoint", key=key), progress=progress)
        network = module.freeze(classes=data.classes)
    check_alive("teacher", network, data, config)
    return Trained(network=network, history=tuple(history))


def teacher_outputs(teacher: Graph, data: Dataset) -> NDArray[np.float64]:
    """Return the teacher's scores (before softmax) or values for every sample: (n, outputs). Computed once per run."""
    with one_thread():
        return graph_outputs(teacher, data.x)


def train_student(
    config: Config,
    data: Dataset,
    teacher: Teacher,
    *,
    work: Path,
    progress: bool = False,
    features: NDArray[Any] | None = None,
    estimate: Estimate | None = None,
    quantize: bool = True,
    watch: Watch | None = None,
    start: Graph | None = None,
) -> Trained:
    """Distil, prune and quantize config.student in one loop; the result's weights are points of their formats.

    teacher: a Graph of the data's codes, any function of input values (n, features), or an array (n, outputs) with a
    row per sample of `data`: scores before softmax, or values. features: (n, k), what config.distill.hint_weight lets a
    hidden layer imitate; a Graph gives its own. start: a float network of the student's layers whose weights training
    begins with, else random ones.
    Float arithmetic until prune_start, then formats are fitted and weights pruned anew each epoch until prune_end; from
    there on masks and formats stand, and the epoch best on the validation split is kept.
    estimate: a network's cost in LUTs, for student.pruning.budget_lut. quantize False leaves the formats away: a float
    network, for comparison. Resumes from `work`. Raises FitError as train_teacher does, for a layer left without
    weights, and for a budget that nothing meets.
    """
    settings = config.student
    with one_thread():
        taught = lesson(teacher, data, config, features)
        tensors = Tensors(config, data, taught.outputs)
        module = _stack(config, tensors, lines=settings.lines, widths=layer_widths(settings), stage=2)
        fold_units(module, tensors, per_feature=False)
        if start is not None:
            module.start_from(start)
        sample = tensors.x[:: max(1, len(tensors.x) // CALIBRATION_SAMPLES)]
        recipe = Recipe(settings, module, sample, estimate, quantize=quantize)
        hint = None if taught.features is None else Hint(module, config.distill, taught.features[data.split == 0])

        def loss(batch: Tensor) -> Tensor:
            outputs, hidden = module.with_hidden(tensors.batch(batch, module.generator))
            total = tensors.loss(outputs, batch)
            if hint is not None:
                total = total + hint.loss(hidden, batch)
            return total + recipe.loss() if settings.pruning.regularise else total

        known = hint is None and not settings.pruning.regularise
        job = Job(
            stage="student",
            settings=settings,
            samples=len(tensors.x),
            loss=loss,
            begin_epoch=recipe.begin_epoch,
            after_step=recipe.after_step,
            by_hand=lambda batch: by_hand(module, tensors, batch) if known else None,
            validate=lambda: {**tensors.validate(module), "sparsity": module.sparsity()},
            first_selectable=recipe.frozen,
            admissible=recipe.within_budget,
            none_admissible=recipe.missed,
            watch=watch,
        )
        section = [settings.model_dump(exclude={"checkpoint_seconds", "tables"}), config.distill.model_dump(), quantize]
        taught_by = [v.tobytes() for v in (taught.outputs, taught.features) if v is not None]
        origin = "" if start is None else checksum(start)
        key = stage_key("student", config, data, section, origin, *taught_by)
        history = train(job, module, Checkpoint(path=work / "student.checkpoint", key=key), progress=progress)
        network = recipe.freeze(data.classes)
    check_alive("student", network, data, config)
    return Trained(network=network, history=tuple(history))


def by_hand(module: Stack, tensors: Tensors, batch: Tensor) -> Tensor | None:
    """Return a batch's loss, its gradients left in the parameters; None where only autograd knows these."""
    if (step := module.by_hand()) is None:
        return None
    outputs = step.forward(tensors.batch(batch, module.generator))
    loss, slope = tensors.loss_and_slope(outputs, batch)
    step.backward(slope)
    return loss


def untrained_student(config: Config, data: Dataset) -> Graph:
    """Return config.student with the random weights it starts from, pruned and in its formats.

    Its sizes are about those of the trained one: what a search wants to know before it trains.
    """
    with one_thread():
        tensors = Tensors(config, data)
        module = _stack(config, tensors, lines=config.student.lines, widths=layer_widths(config.student), stage=2)
        fold_units(module, tensors, per_feature=False)
        sample = tensors.x[:: max(1, len(tensors.x) // CALIBRATION_SAMPLES)]
        recipe = Recipe(config.student, module, sample, None, quantize=True)
        recipe.begin_epoch(recipe.frozen)
        return recipe.freeze(data.classes)


class Tensors:
    """The training and validation splits as tensors, and the loss over them. The test split never comes here."""

    def __init__(self, config: Config, data: Dataset, soft: NDArray[np.float64] | None = None) -> None:
        if data.format.width_bits > FLOAT_CODE_BITS:
            raise FitError(
                f"input codes must have at most {FLOAT_CODE_BITS} bits to be exact in training, not "
                f"{data.format.width_bits} (data.input_format {data.format}); choose a narrower input_format"
            )
        self.task = config.task
        self.source, self.shape = data.format, data.shape
        self.device = device_of(config.device)
        unit = 2.0**-self.source.frac_bits
        (x, y), (x_val, y_val) = data.part("train"), data.part("validation")
        if not len(x) or not len(x_val):
            raise FitError(
                f"training needs samples in the train and validation splits, got {len(x)} and {len(x_val)}; "
                "change data.validation_fraction or the split column"
            )
        self.x, self.x_val = (torch.tensor(v, dtype=torch.float32).to(self.device) * unit for v in (x, x_val))
        augmented = soft is None or config.augment.student
        self.inputs = Inputs(self.x, data, config.augment if augmented else Augment())
        self.temperature, self.weight = config.distill.temperature, config.distill.weight
        teacher = None if soft is None else self._at(soft[data.split == 0])
        if self.task == "classification":
            self.y, self.y_val = self._at(y), self._at(y_val)
            self.outputs = len(data.classes)
            by_class = class_weights(config.class_weights, y, data.classes)
            self.by_class = None if by_class is None else self._at(by_class.astype(np.float32))
            self.soft = None if teacher is None else soft_labels(teacher, self.temperature)
            return
        y, y_val = (np.asarray(v, dtype=np.float64).reshape(len(v), -1) for v in (y, y_val))
        self.outputs = y.shape[1]
        self.y_mean, self.y_std = self._at(y.mean(axis=0)), self._at(_positive(y.std(axis=0)))
        self.y, self.y_val = self.standard(self._at(y)), self.standard(self._at(y_val))
        self.soft = None if teacher is None else self.standard(teacher)

    def _at(self, values: NDArray[Any]) -> Tensor:
        return torch.tensor(values, device=self.device)

    def batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the inputs of a batch of training indices, augmented; generator: the training's own."""
        return self.inputs.batch(index, generator)

    def standard(self, values: Tensor) -> Tensor:
        """Return regression values in units of the training targets' mean and deviation. (n, targets)."""
        return ((values - self.y_mean) / self.y_std).to(torch.float32)

    def loss(self, outputs: Tensor, batch: Tensor) -> Tensor:
        """Return the mean loss of outputs for the samples of a batch of training indices."""
        soft = None if self.soft is None else self.soft.index_select(0, batch)
        y = self.y.index_select(0, batch)
        if self.task == "classification":
            return classification_loss(
                outputs, y, soft, temperature=self.temperature, weight=self.weight, by_class=self.by_class
            )
        outputs = (outputs - self.y_mean.float()) / self.y_std.float()
        return regression_loss(outputs, y, soft, weight=self.weight)

    def loss_and_slope(self, outputs: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return `loss` and its gradient to the outputs, which no graph made."""
        loss = self.loss(outputs.requires_grad_(), batch)
        return loss.detach(), torch.autograd.grad(loss, outputs)[0]

    @torch.no_grad()
    def validate(self, module: Callable[[Tensor], Tensor]) -> Row:
        """Return the module's figures on the validation split; the score weighs classes as the loss does."""
        outputs = module(self.x_val)
        if self.task == "classification":
            right = (outputs.argmax(dim=1) == self.y_val).double()
            accuracy = score = float(right.mean())
            loss = float(cross_entropy(outputs, self.y_val, weight=self.by_class))
            if self.by_class is not None:
                each = self.by_class.double().index_select(0, self.y_val)
                score = float((right * each).sum() / each.sum().clamp(min=1e-300))
            return {"validation_loss": loss, "validation_accuracy": accuracy, "score": score}
        outputs = (outputs - self.y_mean.float()) / self.y_std.float()
        loss = float(mse_loss(outputs, self.y_val))
        rmse = float((((outputs - self.y_val).double() * self.y_std) ** 2).mean().sqrt())
        return {"validation_loss": loss, "validation_rmse": rmse, "score": -loss}


def check_layers(config: Config, data: Dataset) -> None:
    """Raise FitError where layers of teacher or student do not suit the data's samples; before any training."""
    outputs = len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1])
    for who, network in (("teacher", config.teacher), ("student", config.student)):
        if not network.plain:
            planned(network.lines, sample_shape(network.lines, data.shape), outputs, who)


def _stack(
    config: Config, tensors: Tensors, *, lines: tuple[LayerLine, ...], widths: list[Widths] | None, stage: int
) -> Stack:
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + stage)
    who, settings = ("student", config.student) if widths else ("teacher", config.teacher)
    if not all(line.plain for line in lines):
        return layer_stack(
            planned(lines, sample_shape(lines, tensors.shape), tensors.outputs, who),
            source=tensors.source,
            widths=widths,
            dropout=settings.dropout,
            generator=generator,
        ).to(tensors.device)
    return dense_stack(
        [tensors.x.shape[1], *(line.units for line in lines), tensors.outputs],
        source=tensors.source,
        widths=widths,
        dropout=settings.dropout,
        generator=generator,
        steps=STEPS.get(config.student.activation) if widths else None,
    ).to(tensors.device)


def _lines_of(start: Graph, name: str) -> tuple[LayerLine, ...]:
    """Return the hidden layers of a trained network of dense ones; FitError for any other."""
    layers = weighted_layers(start)
    if any(isinstance(layer, Conv) for layer in layers):
        raise FitError(
            f"teacher.pretrained {name} has convolutions, which cannot be trained further; set teacher.epochs = 0 to "
            "take it as it is"
        )
    return network_lines((), (layer.bias.size for layer in layers[:-1]))


def fold_units(module: Stack, tensors: Tensors, *, per_feature: bool) -> None:
    """Give the first layers the inputs' centre and scale, and the last layer the targets'.

    A quantized layer has one scale for all features (a common factor does not change which format fits best);
    a float layer has one per feature.
    """
    fold_inputs(module, tensors, per_feature=per_feature)
    if tensors.task == "regression":
        module.fold_outputs(tensors.y_std.float(), tensors.y_mean)


def fold_inputs(module: Stack, tensors: Tensors, *, per_feature: bool) -> None:
    """Give the first layers the inputs' centre and scale; see `fold_units`. Of maps, a channel is a feature."""
    x = tensors.x.double()
    if module.shape:
        x = x.reshape(-1, module.shape[-1])
    common = x.var(dim=0, correction=0).mean().sqrt().clamp(min=1e-12)
    deviation = x.std(dim=0, correction=0).clamp(min=FLOOR * common)
    gain = (1.0 / deviation)[:, None] if per_feature else 1.0 / common
    module.fold_inputs(x.mean(dim=0), gain.float())


def _positive(deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return deviations with 1 in place of 0 (a constant feature or target)."""
    return np.where(deviation > 0, deviation, 1.0)


def layer_widths(student: Student) -> list[Widths]:
    """Return the bits of each layer of config.student, the output layer last."""
    count = student.weighted + 1
    weight = (student.weight_bits,) * count if isinstance(student.weight_bits, int) else student.weight_bits
    bits = student.activation_bits
    activation = (bits,) * (count - 1) if isinstance(bits, int) else bits
    return [
        Widths(weight=w, bias=student.bias_bits, activation=a, digits=student.weight_digits)
        for w, a in zip(weight, (*activation, 0), strict=True)
    ]


def stage_key(stage: str, config: Config, data: Dataset, *parts: Any) -> str:
    """Return the hash of everything that decides a training stage's result: no other code's checkpoint is resumed."""
    augment, device = config.augment.model_dump(), device_of(config.device).type
    made_by = [code_digest("fit"), torch.__version__]
    return digest(
        made_by,
        stage,
        config.task,
        config.seed,
        device,
        augment,
        config.class_weights,
        data.checksum,
        data.shape,
        *parts,
    )


def check_alive(stage: str, network: Graph, data: Dataset, config: Config) -> None:
    """Raise FitError where a layer has no weight left or the network gives one answer for everything."""
    remedy = "lower student.sparsity, or raise student.weight_bits or student.hidden"
    if stage == "teacher":
        remedy = "lower teacher.learning_rate or raise teacher.epochs"
    elif config.student.precision == "tables":
        remedy = "raise student.tables.layers or student.epochs, or choose other student.tables.thresholds"
    for layer in weighted_layers(network):
        if not layer.weight.any():
            raise FitError(f"{stage}: layer {layer.name!r} has no weight left, expected at least one; {remedy}")
    x, y = data.part("validation")
    outputs = graph_outputs(network, x)
    if config.task != "classification":
        if np.ptp(outputs, axis=0).max() == 0.0 and np.ptp(y) > 0.0:
            raise FitError(f"{stage}: gives the same value for every validation sample; {remedy}")
        return
    said = np.unique(outputs.argmax(axis=1))
    if len(said) == 1 and len(np.unique(y)) > 1:
        raise FitError(
            f"{stage}: answers {data.classes[said[0]]!r} for every one of {len(x)} validation samples, "
            f"expected {len(np.unique(y))} classes; {remedy}"
        )
