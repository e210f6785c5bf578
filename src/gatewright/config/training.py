"""Tables [teacher], [student], [distill] and [augment]: how the networks are trained and made small."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gatewright.config.layers import LayerLine, Layers, network_lines
from gatewright.config.section import LAYERS, Cost, Count, Fraction, Most, Number, Section, Size, Weight

Bits = Annotated[int, Field(ge=1, le=32)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
Hidden = Annotated[tuple[Size, ...], Field(max_length=LAYERS)]
Thresholds = Annotated[tuple[Number, ...], Field(min_length=1, max_length=255)]
Hint = Annotated[int, Field(ge=-LAYERS, lt=LAYERS)]
Schedule = Literal["cubic", "constant", "one_shot"]
Granularity = Literal["weight", "channel", "tensor"]


class Optimizer(Section):
    """Training schedule shared by teacher and student: Adam with a cosine learning rate and early stopping.

    patience: epochs without a better validation score before stopping; 0 never stops early.
    batch_size: samples of a step; 0: 64, fewer where they would leave less than 16 steps to an epoch, at least 8.
    checkpoint_seconds: how often a resumable checkpoint is written (one is always written at the end).
    """

    epochs: Most = 100
    batch_size: Count = 0
    learning_rate: Rate = 2e-3
    weight_decay: Weight = 1e-4
    dropout: Fraction = 0.0
    patience: int = Field(default=0, ge=0, le=1_000_000)
    checkpoint_seconds: float = Field(default=5.0, ge=0, le=1e9)

    def batch(self, samples: int) -> int:
        """Return how many of so many training samples make a step."""
        return self.batch_size or min(64, max(8, samples // 16))


class Network(Optimizer):
    """What teacher and student have in common: hidden layers, behind which a dense output layer follows."""

    hidden: Hidden = ()
    layers: Layers = ()

    @property
    def lines(self) -> tuple[LayerLine, ...]:
        """The hidden layers, whichever way they are written."""
        return network_lines(self.layers, self.hidden)

    @property
    def weighted(self) -> int:
        """How many hidden layers have weights."""
        return sum(line.weighted for line in self.lines)

    @property
    def plain(self) -> bool:
        """Whether all layers are dense ones as `hidden` has them; otherwise samples may be images or signals."""
        return all(line.plain for line in self.lines)

    @model_validator(mode="after")
    def _written_once(self) -> Self:
        default = type(self).model_fields["hidden"].default
        if self.layers and self.hidden != default:
            raise ValueError("hidden and layers both name the hidden layers; leave one out")
        return self


class Teacher(Network):
    """Float network: hidden layers with ReLU between, one dense layer per number of hidden, or layers, a line each.

    layers: as the student's.
    pretrained: a trained network to start from, whose sizes then hold: a run directory, or a folder with graph.npz;
    epochs 0 takes it as it is.
    """

    epochs: int = Field(default=100, ge=0, le=1_000_000)
    pretrained: str = ""
    hidden: Hidden = (128, 64)

    @model_validator(mode="after")
    def _taught(self) -> Teacher:
        if not self.epochs and not self.pretrained:
            raise ValueError("epochs 0 takes a trained teacher as it is; name it in pretrained, or raise epochs")
        return self


class Learned(Section):
    """Learnt widths (student.precision = "learned"): one training run gives a front of students, small to accurate.

    granularity: what has a width of its own: every weight, or the weights of a neuron ("channel"), or those of a layer,
    whose activations and whose features then share one each too ("tensor").
    points: cycles of the training, and the most students that are kept; from cycle to cycle the size falls
    geometrically, from lut_start to lut_end LUTs of adder trees by the training's cost model. lut_start 0: half of what
    the float warm-up leads to; lut_end 0: a hundredth of lut_start. The run ends earlier where half of the
    validation score above the best constant answer is lost.
    warm_up: share of the epochs in float arithmetic. width_rate: learning rate of widths in units of
    student.learning_rate.
    overflow: what an activation beyond the range seen in training does; wrapping costs no hardware.
    point: which student of the front goes on, counted from the smallest; -1: the smallest whose validation score is
    within `drop` of the best (a share for accuracies; relative to the error for regressions).
    """

    granularity: Granularity = "weight"
    points: int = Field(default=16, ge=1, le=1000)
    lut_start: Cost = 0.0
    lut_end: Cost = 0.0
    warm_up: Fraction = 0.1
    width_rate: Rate = 1.0
    overflow: Literal["wrap", "saturate"] = "saturate"
    point: int = Field(default=-1, ge=-1, le=999)
    drop: Fraction = 0.005

    @model_validator(mode="after")
    def _falling(self) -> Learned:
        if self.lut_start and self.lut_end > self.lut_start:
            raise ValueError(f"lut_end must not be above lut_start, not {self.lut_end:g} > {self.lut_start:g}")
        return self


class Tables(Section):
    """A student of truth tables (student.precision = "tables"): no weights, each neuron a table of a few input bits.

    layers: tables in each layer; the last layer's are counted for the classes in equal groups, the greatest count wins.
    inputs: bits that each table reads, which it learns to choose among the bits of the layer before.
    thresholds: what makes bits of the features, x >= threshold: how many per feature, at quantiles of its training
    values, or the thresholds themselves, the same for every feature, in units of the network's inputs.
    """

    layers: tuple[Size, ...] = Field(default=(200,), min_length=1, max_length=LAYERS)
    inputs: int = Field(default=6, ge=2, le=8)
    thresholds: (
        Annotated[int, Field(ge=1, le=255)] | Annotated[tuple[Number, ...], Field(min_length=1, max_length=255)]
    ) = 3


class Pruning(Section):
    """What is pruned, and when.

    kind: "weights" one by one; "neurons" of hidden layers, which makes the layers smaller; "blocks" of weights,
    block = (inputs, outputs); "n_of_m": at most n of every m successive inputs of each neuron are kept, which sets the
    sparsity to 1 - n/m. student.sparsity is the share of weights or of hidden neurons that goes.
    schedule: between student.prune_start and prune_end, "cubic" removes most at first, "constant" prunes everything
    at prune_start and chooses anew each epoch, "one_shot" prunes everything at prune_end.
    regularise: weight, before prune_end, of a penalty that draws weights to zero: the sum of magnitudes, or for
    neurons and blocks of the groups' norms (group lasso); 0: none.
    budget_ebops, budget_lut: prune as much as the effective bit operations, or the estimated LUTs, ask for, instead
    of student.sparsity; 0: no budget.
    """

    kind: Literal["weights", "neurons", "blocks", "n_of_m"] = "weights"
    schedule: Schedule = "cubic"
    block: tuple[Size, Size] = (4, 1)
    n: Size = 2
    m: int = Field(default=4, ge=2, le=65_536)
    regularise: Weight = 0.0
    budget_ebops: int = Field(default=0, ge=0, le=10**15)
    budget_lut: int = Field(default=0, ge=0, le=10**12)

    @model_validator(mode="after")
    def _coherent(self) -> Pruning:
        if self.n >= self.m:
            raise ValueError(f"n must be below m, not {self.n} of {self.m}; 2 of 4 halves the weights")
        if self.budget_ebops and self.budget_lut:
            raise ValueError("set budget_ebops or budget_lut, not both")
        if self.kind == "n_of_m" and (self.budget_ebops or self.budget_lut):
            raise ValueError('kind "n_of_m" fixes the sparsity, a budget sets it; use another kind or no budget')
        return self


class Student(Network):
    """Quantized network. Bit widths: one number for all layers or one per layer (hidden layers and the output).

    layers: instead of hidden, a line for each hidden layer: "conv 3x3 8", "pool 2", "dense 32" (docs/training).
    weight_bits, bias_bits, activation_bits count all bits; a bias width of 0 follows the accumulator. Weights of 1 bit
    are binary (-1, +1), of 2 bits ternary (-1, 0, +1), times one power of two per layer; a pruned weight is 0.
    activation: of hidden layers. "relu" has activation_bits; "sign" is -1 or +1, one bit; "ternary" -1, 0 or +1.
    weight_digits: most signed digits of a weight, 0 for any; 1 makes every weight a power of two, so that its product
    costs no adder of its own.
    sparsity: share of weights that end at exactly zero, chosen by magnitude over all layers between the epochs at
    prune_start and prune_end (shares of all epochs); table pruning says how, and what else can be pruned.
    precision: "fixed" takes these widths and this sparsity; "learned" ignores them and trains every width; "tables"
    ignores them and the hidden layers, and trains truth tables instead, as table tables says.
    """

    precision: Literal["fixed", "learned", "tables"] = "fixed"
    learned: Learned = Learned()
    tables: Tables = Tables()

    hidden: Hidden = (32,)
    weight_bits: Bits | tuple[Bits, ...] = 6
    bias_bits: Annotated[int, Field(ge=0, le=32)] = 0
    weight_digits: int = Field(default=0, ge=0, le=16)
    activation_bits: Bits | tuple[Bits, ...] = 6
    activation: Literal["relu", "sign", "ternary"] = "relu"
    sparsity: Fraction = 0.5
    prune_start: float = Field(default=0.1, ge=0, le=1)
    prune_end: float = Field(default=0.6, ge=0, le=1)
    pruning: Pruning = Pruning()

    @model_validator(mode="after")
    def _per_layer(self) -> Student:
        layers = self.weighted + 1
        for key, count in (("weight_bits", layers), ("activation_bits", layers - 1)):
            value: int | tuple[int, ...] = getattr(self, key)
            if isinstance(value, tuple) and len(value) != count:
                raise ValueError(f"{key} must be one number or {count} numbers (one per layer), not {len(value)}")
        if self.prune_start > self.prune_end:
            raise ValueError(f"prune_start must not exceed prune_end, not {self.prune_start} > {self.prune_end}")
        if self.bias_bits == 1:
            raise ValueError("bias_bits must be 0 (as the accumulator) or at least 2, not 1")
        if self.activation != "relu" and self.precision != "fixed":
            raise ValueError(f'activation "{self.activation}" has fixed widths; set precision = "fixed"')
        if self.activation != "relu" and not self.weighted:
            raise ValueError(f'activation "{self.activation}" needs hidden layers; set hidden')
        if self.pruning.kind == "neurons" and not self.weighted:
            raise ValueError('pruning.kind "neurons" needs hidden layers; set hidden or another kind')
        if not self.plain:
            self._check_lines()
        if self.precision == "learned" and self.pruning != Pruning():
            raise ValueError('precision "learned" prunes by its widths; leave the table pruning out')
        if self.precision == "tables" and self.pruning != Pruning():
            raise ValueError('precision "tables" has no weights to prune; leave the table pruning out')
        return self

    def _check_lines(self) -> None:
        """Refuse what layers other than those of `hidden` do not have yet."""
        line = next(line for line in self.lines if not line.plain)
        if self.precision == "tables":
            raise ValueError(f'precision "tables" has no layers like {line.text!r}; set precision = "fixed"')
        if self.precision == "learned":
            self._check_learned()
        if self.activation != "relu":
            raise ValueError(
                f'activation "{self.activation}" is for dense layers, not beside {line.text!r}; set activation = "relu"'
            )
        deep = next((line for line in self.lines if line.kind in ("depthwise", "residual")), None)
        if deep is not None and self.pruning.kind == "neurons":
            raise ValueError(
                f'pruning.kind "neurons" cannot take channels of {deep.text!r}, which are those of layers before it; '
                "use another kind, or layers of conv"
            )

    def _check_learned(self) -> None:
        """Refuse layers whose hardware the cost of learnt widths does not know."""
        lines = [line for line in self.lines if line.kind != "residual"]  # whose shape is that of the line before
        for before, line in pairwise((*lines, network_lines(("dense 1",), ())[0])):
            if line.kind == "depthwise" or before.kind == "depthwise":
                raise ValueError(
                    'precision "learned" has no depthwise layers; set precision = "fixed", or take layers of conv'
                )
            if line.kind in ("dense", "flatten") and before.kind not in ("dense", "global max", "global average"):
                raise ValueError(
                    f'precision "learned" costs dense layers as adders, and one behind the map of {before.text!r} '
                    'shares multipliers; write "global average pool" before it, or set precision = "fixed"'
                )


class Augment(Section):
    """Changes to training inputs, drawn anew for every batch; targets stay.

    shift: images move by up to so many pixels along each axis, their edges repeated. noise: normal deviation added to
    every input, in units of that feature's deviation over the training split, and rounded to the input's format.
    student: whether the student's training changes inputs too, or only the teacher's.
    """

    shift: int = Field(default=0, ge=0, le=65_536)
    noise: Weight = 0.0
    student: bool = True


class Distill(Section):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015): loss = (1-weight) task + weight T^2 KL(teacher || student).

    For regression the second term is the mean squared difference to the teacher's output and T is ignored.
    hint_weight: of a third term, the mean squared difference between a hidden layer of the teacher, standardised, and
    a learnt linear map of one of the student's (Romero et al. 2015); hint_layers: which of the teacher's and of the
    student's hidden layers, counted from 0, or from the last as -1.
    """

    temperature: float = Field(default=3.0, ge=1e-3, le=1e6)
    weight: float = Field(default=0.5, ge=0, le=1)
    hint_weight: Weight = 0.0
    hint_layers: tuple[Hint, Hint] = (-1, -1)
