"""One TOML file in, one frozen and validated Config out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gatewright.errors import ConfigError, nearest

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Bits = Annotated[int, Field(ge=1, le=32)]
CellMapping = Literal["auto", "cells", "behavioural"]
Family = Literal["xc7", "xcup", "ecp5", "nexus", "ice40", "gowin", "gatemate", "intel", "generic"]
Reuse = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every table of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Window(Section):
    """Keep samples start .. start+length-1 of the last axis. length 0 keeps everything after start."""

    start: int = Field(default=0, ge=0)
    length: int = Field(default=0, ge=0)


class Subsample(Section):
    """Reduce the last axis by `factor`: keep every factor-th sample, or average each group (floor of the mean)."""

    factor: int = Field(default=1, ge=1)
    mode: Literal["decimate", "average"] = "decimate"


class Generator(Section):
    """Settings of a physics generator: number of pulses and seed."""

    count: int = Field(default=8000, ge=40)
    seed: int = 2024


class Data(Section):
    """Where the data is, how it is split, and how samples become the hardware's input integers.

    source: a path (.npz, .npy, .csv, IDX file, folder of images, folder of one CSV per class),
    `sklearn:NAME`, `generator:NAME` (cosmic, clyc) or `python:MODULE:FUNCTION`.
    input_format: `ufixed<W,I>` / `fixed<W,I>`, W bits with I integer bits; scaling: "none" takes numbers as
    they are (an ADC's codes), "range" maps each feature's training minimum..maximum to the format, "standard"
    subtracts the training mean and divides by the training deviation per feature. With a [model], input_format "auto"
    is the format of the model's own input quantizer, or fixed<16,6>.
    """

    source: str
    labels: str = ""
    label_column: str = ""
    feature_columns: tuple[str, ...] = ()
    group_column: str = ""
    split_column: str = ""
    x_key: str = "x"
    y_key: str = "y"
    group_key: str = ""
    split_key: str = ""
    image_size: tuple[int, int] | None = None
    image_mode: Literal["gray", "rgb"] = "gray"
    validation_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.20
    split_seed: int = 0
    input_format: str = "ufixed<8,8>"
    scaling: Literal["none", "range", "standard"] = "none"
    window: Window = Window()
    subsample: Subsample = Subsample()
    generator: Generator = Generator()


class Model(Section):
    """A trained model that takes the place of the teacher that gatewright would train; see docs/models.

    file: Keras, ONNX, torch or a saved graph; weights: the .h5 beside a Keras .json. Relative paths start at this file.
    quantize: "exact" takes the model's own quantizers to hardware; "post-training" calibrates formats of weight_bits,
    activation_bits and table_bits on the training split; "qat" lets the model teach a student, as [student] and
    [distill] say; "auto" is "exact" for a model with quantizers or precisions, else "qat".
    start: what the student's training starts from with "qat": "model" takes the model's layers and weights,
    "random" the layers of student.hidden; "auto" is "model" where the model is dense layers with ReLU between.
    precision: formats as hls4ml's users write them, a table or a .json or .toml file of one.
    inputs: "conditioned" if the model reads what [data] makes of a sample, as real numbers; "raw" if it was trained on
    samples before [data] scaled them. It is given that number * input_scale + input_offset (one, or one per feature).
    output_format: of a regression that ends in a real number, e.g. a sigmoid.
    """

    file: str
    weights: str = ""
    quantize: Literal["auto", "exact", "post-training", "qat"] = "auto"
    start: Literal["auto", "model", "random"] = "auto"
    precision: str | dict[str, Any] = ""
    inputs: Literal["conditioned", "raw"] = "conditioned"
    input_scale: Number | tuple[Number, ...] = 1.0
    input_offset: Number | tuple[Number, ...] = 0.0
    output_format: str = ""
    weight_bits: Annotated[int, Field(ge=2, le=24)] = 8
    activation_bits: Annotated[int, Field(ge=1, le=24)] = 8
    table_bits: Annotated[int, Field(ge=1, le=24)] = 10
    bias_correction: bool = True


class Optimizer(Section):
    """Training schedule shared by teacher and student: Adam with a cosine learning rate and early stopping.

    patience: epochs without a better validation score before stopping; 0 never stops early.
    checkpoint_seconds: how often a resumable checkpoint is written (one is always written at the end).
    """

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    dropout: Fraction = 0.0
    patience: int = Field(default=0, ge=0)
    checkpoint_seconds: float = Field(default=5.0, ge=0)


class Teacher(Optimizer):
    """Float network: one hidden layer per number, ReLU between.

    pretrained: a trained network to start from, whose sizes then hold: a run directory, or a folder with network.json
    and arrays.npz; epochs 0 takes it as it is.
    """

    epochs: int = Field(default=100, ge=0)
    pretrained: str = ""
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)

    @model_validator(mode="after")
    def _taught(self) -> Teacher:
        if not self.epochs and not self.pretrained:
            raise ValueError("epochs 0 takes a trained teacher as it is; name it in pretrained, or raise epochs")
        return self


class Learned(Section):
    """Learnt widths (student.precision = "learned"): one training run gives a front of students, small to accurate.

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

    points: int = Field(default=16, ge=1, le=1000)
    lut_start: float = Field(default=0.0, ge=0)
    lut_end: float = Field(default=0.0, ge=0)
    warm_up: Fraction = 0.1
    width_rate: float = Field(default=1.0, gt=0)
    overflow: Literal["wrap", "saturate"] = "saturate"
    point: int = Field(default=-1, ge=-1)
    drop: Fraction = 0.005

    @model_validator(mode="after")
    def _falling(self) -> Learned:
        if self.lut_start and self.lut_end > self.lut_start:
            raise ValueError(f"lut_end must not be above lut_start, not {self.lut_end:g} > {self.lut_start:g}")
        return self


Schedule = Literal["cubic", "constant", "one_shot"]


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
    block: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (4, 1)
    n: int = Field(default=2, ge=1)
    m: int = Field(default=4, ge=2)
    regularise: float = Field(default=0.0, ge=0)
    budget_ebops: int = Field(default=0, ge=0)
    budget_lut: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _coherent(self) -> Pruning:
        if self.n >= self.m:
            raise ValueError(f"n must be below m, not {self.n} of {self.m}; 2 of 4 halves the weights")
        if self.budget_ebops and self.budget_lut:
            raise ValueError("set budget_ebops or budget_lut, not both")
        if self.kind == "n_of_m" and (self.budget_ebops or self.budget_lut):
            raise ValueError('kind "n_of_m" fixes the sparsity, a budget sets it; use another kind or no budget')
        return self


class Student(Optimizer):
    """Quantized network. Bit widths: one number for all layers or one per layer (hidden layers and the output).

    weight_bits, bias_bits, activation_bits count all bits; a bias width of 0 follows the accumulator. Weights of 1 bit
    are binary (-1, +1), of 2 bits ternary (-1, 0, +1), times one power of two per layer; a pruned weight is 0.
    activation: of hidden layers. "relu" has activation_bits; "sign" is -1 or +1, one bit; "ternary" -1, 0 or +1.
    weight_digits: most signed digits of a weight, 0 for any; 1 makes every weight a power of two, so that its product
    costs no adder of its own.
    sparsity: share of weights that end at exactly zero, chosen by magnitude over all layers between the epochs at
    prune_start and prune_end (shares of all epochs); table pruning says how, and what else can be pruned.
    precision: "fixed" takes these widths and this sparsity; "learned" ignores them and trains every width.
    """

    precision: Literal["fixed", "learned"] = "fixed"
    learned: Learned = Learned()

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (32,)
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
        layers = len(self.hidden) + 1
        for key, count in (("weight_bits", layers), ("activation_bits", layers - 1)):
            value: int | tuple[int, ...] = getattr(self, key)
            if isinstance(value, tuple) and len(value) != count:
                raise ValueError(f"{key} must be one number or {count} numbers (one per layer), not {len(value)}")
        if self.prune_start > self.prune_end:
            raise ValueError(f"prune_start must not exceed prune_end, not {self.prune_start} > {self.prune_end}")
        if self.bias_bits == 1:
            raise ValueError("bias_bits must be 0 (as the accumulator) or at least 2, not 1")
        if self.activation != "relu" and self.precision == "learned":
            raise ValueError(f'activation "{self.activation}" has fixed widths; set precision = "fixed"')
        if self.activation != "relu" and not self.hidden:
            raise ValueError(f'activation "{self.activation}" needs hidden layers; set hidden')
        if self.pruning.kind == "neurons" and not self.hidden:
            raise ValueError('pruning.kind "neurons" needs hidden layers; set hidden or another kind')
        if self.precision == "learned" and self.pruning != Pruning():
            raise ValueError('precision "learned" prunes by its widths; leave the table pruning out')
        return self


class Augment(Section):
    """Changes to training inputs, drawn anew for every batch; targets stay.

    shift: images move by up to so many pixels along each axis, their edges repeated. noise: normal deviation added to
    every input, in units of that feature's deviation over the training split, and rounded to the input's format.
    student: whether the student's training changes inputs too, or only the teacher's.
    """

    shift: int = Field(default=0, ge=0)
    noise: float = Field(default=0.0, ge=0)
    student: bool = True


class Distill(Section):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015): loss = (1-weight) task + weight T^2 KL(teacher || student).

    For regression the second term is the mean squared difference to the teacher's output and T is ignored.
    hint_weight: of a third term, the mean squared difference between a hidden layer of the teacher, standardised, and
    a learnt linear map of one of the student's (Romero et al. 2015); hint_layers: which of the teacher's and of the
    student's hidden layers, counted from 0, or from the last as -1.
    """

    temperature: float = Field(default=3.0, gt=0)
    weight: float = Field(default=0.5, ge=0, le=1)
    hint_weight: float = Field(default=0.0, ge=0)
    hint_layers: tuple[int, int] = (-1, -1)


class Hardware(Section):
    """What is built: part, clock target, output stage, architecture, bus.

    part: the chip whose budget counts and whose delays set the pipeline; empty: the board's, else XC7A35T.
    output: "argmax" gives the class number, "scores" the raw accumulators, "topk" the numbers of the top_k best
    classes, "threshold" for each score 1 where it reaches `threshold` (in units of the scores; one number, or one per
    score) else 0, "softmax" probabilities in softmax_format. softmax: "stable" subtracts the greatest score first,
    "latency" does not, and clips; softmax_entries: the most entries of its tables.
    architecture: "parallel" unrolls every layer, a new sample may enter every cycle; "folded" shares each multiplier
    among reuse_factor weights (one number, or one per dense layer; 1 unrolls a layer), one sample every so many cycles.
    multiplier: of folded layers: "dsp" blocks, "lut" logic, "auto" blocks where the part has enough of them.
    stream_bits: width of TDATA; 0 = a whole vector in one beat (initiation interval 1).
    clock_mhz: 0 chooses the fastest clock, by the family's delay model, that keeps max_latency_cycles and
    max_latency_ns; 0 in these sets no limit. board: empty builds no bitstream; see `gatewright boards`.
    mapping: what synthesis reads of the hand-mapped leaf cells; see docs/families. "auto": instantiated cells in our
    own yosys runs, plain sums in tools that define nothing; "cells": instantiated by every synthesizer;
    "behavioural": plain sums everywhere. truth_tables: "auto" builds what depends on few input bits, a neuron or a
    sum, as a table where that is estimated to take fewer LUTs; "never" adds.
    """

    part: str = ""
    clock_mhz: float = Field(default=200.0, ge=0, le=1000)
    output: Literal["argmax", "scores", "topk", "threshold", "softmax"] = "argmax"
    top_k: int = Field(default=2, ge=1)
    threshold: Number | tuple[Number, ...] = 0.0
    softmax: Literal["stable", "latency"] = "stable"
    softmax_format: str = "ufixed<8,0>"
    softmax_entries: int = Field(default=1024, ge=2, le=16384)
    architecture: Literal["parallel", "folded"] = "parallel"
    reuse_factor: Reuse | tuple[Reuse, ...] = 1
    multiplier: Literal["auto", "dsp", "lut"] = "auto"
    stream_bits: int = Field(default=0, ge=0, le=65536)
    max_latency_cycles: int = Field(default=0, ge=0)
    max_latency_ns: float = Field(default=0.0, ge=0)
    board: str = ""
    mapping: CellMapping = "auto"
    truth_tables: Literal["auto", "never"] = "auto"

    @model_validator(mode="after")
    def _clock(self) -> Hardware:
        if not (self.clock_mhz or self.max_latency_cycles or self.max_latency_ns):
            raise ValueError("clock_mhz 0 needs max_latency_cycles or max_latency_ns, which then choose the clock")
        return self

    @model_validator(mode="after")
    def _reused(self) -> Hardware:
        if self.architecture == "parallel" and self.reuse_factor != 1:
            raise ValueError(
                f'reuse_factor must be 1 with architecture "parallel", not {self.reuse_factor}; '
                'set architecture = "folded"'
            )
        return self


class Simulation(Section):
    """Cycle-accurate check: how many test vectors, and the share of cycles in which each stream stalls."""

    vectors: int = Field(default=1000, ge=1)
    stall_fraction: Fraction = 0.3
    seed: int = 1


class Synthesis(Section):
    """Families to synthesize beside the board's own; see docs/families. place: place and route where open tools can."""

    families: tuple[Family, ...] = ("xc7", "xcup", "ecp5")
    place: bool = True
    seed: int = 1


class Budget(Section):
    """Limits of `gatewright search` below the part's own. Latency and clock are limited by the table hardware.

    min_score: the validation score that a student must have: an accuracy, or minus an RMSE.
    """

    max_lut: int | None = Field(default=None, ge=0)
    max_ff: int | None = Field(default=None, ge=0)
    max_dsp: int | None = Field(default=None, ge=0)
    max_bram: int | None = Field(default=None, ge=0)
    min_score: float | None = Field(default=None, allow_inf_nan=False)


Objective = Literal["metric", "lut", "ff", "dsp", "latency"]


class Search(Section):
    """`gatewright search`: trials of teacher, student and compression settings against the part's budget.

    jobs: trials at a time; 0: one per core. storage: SQLAlchemy URL of Optuna's storage, e.g. postgresql://...; empty:
    a SQLite file in the search directory. objectives: what a trial is judged by; metric is the validation score.
    drop: the chosen point is the smallest whose validation score is within `drop` of the best (as student.learned).
    stop_below: a trial stops when its best validation score so far is below this quantile of what finished trials had
    at the same share of their training; 0 never stops. space: key of the tables teacher, student, distill or
    hardware -> list of choices, or {low, high, log, step}; for `hidden` {low, high, log, layers = [least, most]}.
    """

    trials: int = Field(default=40, ge=1)
    jobs: int = Field(default=0, ge=0)
    storage: str = ""
    seed: int = 1
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = ("metric", "lut")
    drop: Fraction = 0.0
    stop_below: Fraction = 0.1
    budget: Budget = Budget()
    space: dict[str, Any] = {}


class Config(Section):
    """A whole run."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)
    task: Literal["classification", "regression"] = "classification"
    seed: int = 1
    data: Data
    model: Model | None = None
    teacher: Teacher = Teacher()
    student: Student = Student()
    distill: Distill = Distill()
    augment: Augment = Augment()
    hardware: Hardware = Hardware()
    simulation: Simulation = Simulation()
    synthesis: Synthesis = Synthesis()
    search: Search = Search()

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        if self.task == "regression" and self.hardware.output not in ("scores", "threshold"):
            raise ValueError(
                f'hardware.output must be "scores" or "threshold" for a regression, not "{self.hardware.output}"'
            )
        if self.model is not None and self.teacher.pretrained:
            raise ValueError("model.file and teacher.pretrained both name the teacher; leave one out")
        if self.model is not None and self.distill.hint_weight:
            raise ValueError(
                "distill.hint_weight needs hidden layers that an imported model does not show; set it to 0"
            )
        if self.distill.hint_weight:
            self._check_hints()
        factors, layers = self.hardware.reuse_factor, len(self.student.hidden) + 1
        if isinstance(factors, tuple) and len(factors) != layers and self.model is None:
            raise ValueError(
                f"hardware.reuse_factor must be one number or {layers} numbers (one per dense layer), "
                f"not {len(factors)}"
            )
        if self.data.test_fraction + self.data.validation_fraction >= 0.9:
            raise ValueError("data.test_fraction + data.validation_fraction must leave at least 10 % for training")
        return self

    def _check_hints(self) -> None:
        if self.student.precision == "learned":
            raise ValueError('distill.hint_weight has no effect with student.precision "learned"; set it to 0')
        hidden = [("student", self.distill.hint_layers[1], len(self.student.hidden))]
        if not self.teacher.pretrained:
            hidden.append(("teacher", self.distill.hint_layers[0], len(self.teacher.hidden)))
        for who, layer, count in hidden:
            if not -count <= layer < count:
                raise ValueError(
                    f"distill.hint_layers must name hidden layers; the {who} has {count}, counted from 0, not {layer}"
                )


def load_config(
    path: Path, settings: Sequence[str] = (), given: Mapping[str, Mapping[str, str]] | None = None
) -> Config:
    """Read and validate a TOML file (or a run's config.json). Relative data paths are taken from the file's own folder.

    settings: "section.key=value" overrides, the value in TOML's spelling (a bare word is taken as a string).
    given: tables whose values come before the file's.
    Raises ConfigError naming the file, the key, what was expected and what was got.
    """
    try:
        text = path.read_text()
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"no configuration file {path}; give the path of a TOML file") from None
    except (IsADirectoryError, UnicodeDecodeError, PermissionError) as error:
        raise ConfigError(f"{path} must be a readable TOML text file: {error}") from None
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not valid {path.suffix[1:].upper() or 'TOML'}: {error}") from None
    for table, values in (given or {}).items():
        raw[table] = {**(raw.get(table) or {}), **values}
    for setting in settings:
        override(raw, setting)
    return parse_config(raw, where=str(path), base=path.parent)


def shortcut(
    *, model: Path | None, weights: Path | None, precision: Path | None, data: str | None
) -> dict[str, dict[str, str]]:
    """Return the tables that the command line's --model, --weights, --precision and --data stand for."""
    files = {"file": model, "weights": weights, "precision": precision}
    tables = {"model": {key: str(path.resolve()) for key, path in files.items() if path is not None}}
    here = Path.cwd()
    return {**(tables if tables["model"] else {}), **({"data": {"source": _anchor(data, here)}} if data else {})}


def model_config(model: Path, settings: Sequence[str], given: Mapping[str, Mapping[str, str]]) -> Config:
    """Return the configuration of a run without a file: the model's name, its own input format, and defaults."""
    name = re.sub(r"\W+", "_", model.stem).strip("_")[:40]
    raw: dict[str, Any] = {"name": name if name[:1].isalpha() else f"net_{name}"[:40]}
    raw |= {table: dict(values) for table, values in given.items()}
    raw["data"]["input_format"] = "auto"
    for setting in settings:
        override(raw, setting)
    return parse_config(raw, where="the command line")


def parse_config(raw: dict[str, Any], *, where: str = "config", base: Path | None = None) -> Config:
    """Validate a nested dict as load_config does; `where` names its origin in errors."""
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {explain(item)}" for item in error.errors())) from None
    if base is None:
        return config
    data = {key: _anchor(getattr(config.data, key), base) for key in ("source", "labels")}
    pretrained = _anchor(config.teacher.pretrained, base)
    update: dict[str, Section] = {
        "data": config.data.model_copy(update=data),
        "teacher": config.teacher.model_copy(update={"pretrained": pretrained}),
    }
    if (model := config.model) is not None:
        paths = {key: _anchor(getattr(model, key), base) for key in ("file", "weights")}
        if isinstance(model.precision, str):
            paths["precision"] = _anchor(model.precision, base)
        update["model"] = model.model_copy(update=paths)
    return config.model_copy(update=update)


def override(raw: dict[str, Any], setting: str) -> None:
    """Put one "section.key=value" into nested tables. Raises ConfigError for text that is not of this form."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, e.g. student.sparsity=0.8, not {setting!r}")
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    table = raw
    for part in path:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {setting!r}: {part!r} is a value, not a table")
        table = cast("dict[str, Any]", inner)
    table[last] = value


def _anchor(source: str, base: Path) -> str:
    is_path = source and source.split(":", maxsplit=1)[0] not in {"sklearn", "generator", "python"}
    return str((base / source).resolve()) if is_path else source


def explain(item: Any) -> str:
    """Return one of pydantic's errors as a line: key, what was expected, what was got."""
    path = [str(part) for part in item["loc"]]
    key = ".".join(part for part in path if part not in {"int", "constrained-int", "tuple[constrained-int, ...]"})
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}.{nearest(path[-1], _known_keys(path[:-1]))}"
    if item["type"] == "missing":
        return f"key {key!r} is required and absent"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error" and not key:
        return message
    if item["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}: {message[:1].lower()}{message[1:]}, not {item['input']!r}"


def _known_keys(path: list[str]) -> list[str]:
    section: type[BaseModel] = Config
    for part in path:
        kind = section.model_fields[part].annotation if part in section.model_fields else None
        found = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
        if not found:
            break
        section = found[0]
    return list(section.model_fields)
