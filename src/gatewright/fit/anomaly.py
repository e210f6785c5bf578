"""Normal samples in; a quantized autoencoder, and the integer Program whose output is the anomaly score, out.

The autoencoder's score is sum_i 2**shift_i |x_i - xhat_i|, with xhat its reconstruction of the sample x. It needs no op
of its own: every layer carries the inputs along in lanes of weight 1 (wires in hardware), the last one subtracts, and
|r| = 2 relu(r) - r. What speaks of any network with a score (`Scored`) serves fit/variational.py too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from gatewright.config import Config
from gatewright.errors import ExportError, FitError
from gatewright.fit.export import check_exact, compare, dyadic
from gatewright.fit.network import CHUNK, Floats, Layer, Network
from gatewright.fit.teach import Teacher, with_targets
from gatewright.fit.train import train_student, train_teacher
from gatewright.ir import (
    Constant,
    Dense,
    Fixed,
    Input,
    Interpreter,
    Ints,
    Op,
    OutputStage,
    Overflow,
    Program,
    Requant,
    Rounding,
    add_output_stage,
    ranges,
)

if TYPE_CHECKING:
    from gatewright.data import Dataset

Weighting = Literal["equal", "laplace"]
MOST_SHIFT = 3  # a feature counts at most 8 times as much as another: one that is always right must not decide alone


class Scored(Protocol):
    """A quantized network with an anomaly score, greater is stranger."""

    @property
    def network(self) -> Network:
        """What becomes hardware, without what the score adds."""
        ...

    @property
    def history(self) -> tuple[dict[str, float], ...]:
        """One row per epoch of training."""
        ...

    @property
    def step(self) -> float:
        """The least difference of two scores."""
        ...

    def scores(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the anomaly score of each sample. (n, features) -> (n,), float64 and exact."""
        ...

    def expected(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return what ops of `program` must give, by name, "score" among them. (n, features) -> (n, elements) each."""
        ...

    def program(self, name: str) -> Program:
        """Return the integer program whose output is the score. Raises ExportError for what has none."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return JSON-able figures of the score."""
        ...


@dataclass(frozen=True, kw_only=True)
class Autoencoder:
    """A quantized network that reconstructs its own inputs, and how its errors make the score.

    Errors xhat - x are rounded to the inputs' LSB (half up). shifts: per feature, its error counts 2**shift times;
    history: one row per epoch of training.
    """

    network: Network
    shifts: tuple[int, ...]
    history: tuple[dict[str, float], ...] = ()

    def __post_init__(self) -> None:
        network, features = self.network, self.network.layers[0].weight.shape[0]
        if not network.quantized or len(network.layers) < 2:
            raise FitError("an autoencoder must be a quantized network with hidden layers; give a trained student")
        if network.layers[-1].bias.size != features or len(self.shifts) != features:
            raise FitError(
                f"an autoencoder must have as many outputs and shifts as features, {features}, not "
                f"{network.layers[-1].bias.size} and {len(self.shifts)}; train it with train_autoencoder"
            )
        if min(self.shifts) != 0:
            raise FitError(f"the least shift must be 0, not {min(self.shifts)}; subtract it from all")

    @property
    def step(self) -> float:
        """The least difference of two scores."""
        return 2.0**-self.network.input.frac_bits

    def residuals(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return xhat - x, rounded, in units of the inputs. (n, features), same out."""
        error = self.network.evaluate(x_codes) - self.network.read(x_codes)
        return np.floor(error / self.step + 0.5) * self.step

    def scores(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the anomaly score of each sample, greater is stranger. (n, features) -> (n,), float64 and exact."""
        return np.abs(self.residuals(x_codes)) @ np.exp2(np.array(self.shifts, dtype=np.float64))

    def expected(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return activations beside the inputs, residuals and score by the names of their ops."""
        floats, residuals = self.network.trace(x_codes), self.residuals(x_codes)
        hidden = {f"{v.name}.act": np.hstack((floats[f"{v.name}.act"], floats["x"])) for v in self.network.layers[:-1]}
        ends = np.hstack((np.maximum(residuals, 0.0), residuals))
        return {**hidden, "residual.act": ends, "score": self.scores(x_codes)[:, None]}

    def program(self, name: str) -> Program:
        """Return the program of the score.

        Ops: x, per hidden layer `fc1`, `fc1.act`, then `residual`, `residual.act`, `score`. The last elements of a
        hidden layer are the inputs. Raises ExportError for formats per activation that wrap, and for cut inputs.
        """
        network = self.network
        if network.input_bits or any(
            v.thresholds or (v.activation_grid and v.activation_grid.wrap) for v in network.layers
        ):
            raise ExportError(
                "an autoencoder needs ReLUs, formats that saturate and whole inputs; train it as a student"
            )
        built = _Builder(name, network.input, len(self.shifts))
        for layer in network.layers[:-1]:
            built.hidden(layer)
        built.residual(network.layers[-1])
        built.score(self.shifts)
        return built.program()

    def describe(self) -> dict[str, Any]:
        """Return the shifts."""
        return {"shifts": list(self.shifts)}


def normal_samples(data: Dataset, normal: str | tuple[str, ...]) -> Dataset:
    """Return the training and validation samples of the normal classes, as a regression on their own values.

    data: labelled, of any number of classes. The test split is left out: nothing of it reaches training.
    """
    kept = _is_normal(data, normal) & (data.split < 2)
    if not kept.any():
        raise FitError(f"training needs samples of {normal!r} in the train and validation splits, got none")
    part = replace(data, x=data.x[kept], y=data.y[kept], split=data.split[kept])
    return with_targets(part, np.ldexp(part.x.astype(np.float64), -data.format.frac_bits))


def anomalous(data: Dataset, normal: str | tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which test samples belong to none of the normal classes. (n,), in the order of the test split."""
    return ~_is_normal(data, normal)[data.split == 2]


def train_autoencoder(
    config: Config,
    data: Dataset,
    normal: str | tuple[str, ...],
    *,
    work: Path,
    weighting: Weighting = "laplace",
    progress: bool = False,
) -> Autoencoder:
    """Train config.student on the normal classes to give back its inputs; keep the epoch that does best on validation.

    Only training and validation samples of `normal` are seen, and no label beyond that. config.teacher is a float
    autoencoder, trained first and imitated as config.distill.weight says; with weight 0 there is none.
    weighting: "equal" sums the absolute errors; "laplace" divides each by its mean over the normal training samples,
    which is the negative logarithm of a Laplace likelihood, rounded to a power of two and at most 2**MOST_SHIFT apart.
    Resumes from `work`. Raises FitError where no hidden layer is narrower than the inputs, and as train_student does.
    """
    check_student(config, data)
    own = normal_samples(data, normal)
    settings = config.model_copy(update={"task": "regression"})
    teacher: Teacher = own.y
    if config.distill.weight:
        _check_narrow("teacher", config.teacher.hidden, data)
        teacher = train_teacher(settings, own, work=work, progress=progress).network
    trained = train_student(settings, own, teacher, work=work, progress=progress)
    plain = Autoencoder(network=trained.network, shifts=(0,) * data.x.shape[1], history=trained.history)
    return plain if weighting == "equal" else replace(plain, shifts=_laplace(plain, own.part("train")[0]))


def threshold_at(scored: Scored, data: Dataset, normal: str | tuple[str, ...], share: float) -> float:
    """Return the least threshold at which at most `share` of the normal validation samples are called strange.

    A sample is strange where its score reaches the threshold: `OutputStage(kind="threshold", threshold=...)`.
    """
    check_share(share)
    scores = np.sort(scored.scores(normal_samples(data, normal).part("validation")[0]))
    return float(scores[len(scores) - 1 - int(share * len(scores))]) + scored.step


def check_share(share: float) -> None:
    """Raise FitError for an impossible share of false alarms."""
    if not 0.0 <= share < 1.0:
        raise FitError(f"the share of false alarms must be at least 0 and less than 1, not {share}")


def export_anomaly(scored: Scored, *, name: str, output: OutputStage | None = None) -> Program:
    """Return the verified integer program that gives a sample's score, or what `output` makes of it.

    output: None or "scores" for the score; "threshold" for 1 where it reaches one, else 0.
    Raises ExportError as scored.program does, and past 53 bits.
    """
    if output is not None and output.kind not in ("scores", "threshold"):
        raise ExportError(f'an anomaly score leaves as "scores" or as "threshold", not {output.kind!r}')
    scores = scored.program(name)
    check_exact(scores)
    return scores if output is None else add_output_stage(scores, output)


def check_anomaly(scored: Scored, program: Program, x_codes: NDArray[np.integer[Any]]) -> int:
    """Compare the float64 network and the program with ==: what `expected` gives, score and decision among it.

    x_codes: (n, features). Returns n. Raises ExportError naming op, sample, element and difference in LSBs.
    """
    interpreter = Interpreter(program)
    fracs = {name: value.frac_bits for name, value in ranges(program).items()}
    for at in range(0, len(x_codes), CHUNK):
        codes = np.asarray(x_codes[at : at + CHUNK], dtype=np.int64)
        expected, integers = scored.expected(codes), interpreter.trace(codes)
        if "decision" in integers:
            at_least = program.constants["decision.threshold"]
            reached = expected["score"] >= np.ldexp(at_least.q[:, 0], -at_least.frac_bits)
            expected = {**expected, "decision": reached.astype(np.float64)}
        for op_name, values in expected.items():
            compare(op_name, values, integers[op_name], fracs[op_name], at)
    return len(x_codes)


class _Builder:
    """A program under construction whose hidden layers carry the inputs along as their last elements."""

    def __init__(self, name: str, source: Fixed, features: int) -> None:
        self._name, self._input, self._features = name, source, features
        self._ops: list[Op] = [Input(name="x", layer="input", shape=(features,), format=source)]
        self._constants: dict[str, Constant] = {}

    def program(self) -> Program:
        """Return what is built so far."""
        return Program(name=self._name, ops=tuple(self._ops), output=self._ops[-1].name, constants=self._constants)

    def hidden(self, layer: Layer) -> None:
        """Add a layer: its activations, then the inputs. The unsigned format's lower end is the ReLU."""
        grid, source, lanes = layer.activation_grid, self._input, np.eye(self._features)
        assert grid is not None
        widths, keeps = (
            np.append(np.broadcast_to(own, layer.bias.shape), np.full(self._features, carried))
            for own, carried in ((grid.width_bits, source.width_bits), (grid.frac_bits, source.frac_bits))
        )
        first = len(self._ops) == 1
        weight = (
            np.hstack((layer.weight, lanes)) if first else np.asarray(block_diag(layer.weight, lanes), dtype=np.float64)
        )
        self._dense(layer.name, weight, np.append(layer.bias, np.zeros(self._features)), keeps, carried=self._features)
        self._requant(layer.name, widths, keeps, (False,) * layer.bias.size + (source.signed,) * self._features)

    def residual(self, layer: Layer) -> None:
        """Add r = xhat - x, rounded: relu(r) of every feature, then r itself, each as wide as it can become."""
        frac_bits = self._input.frac_bits
        keeps = np.full(2 * self._features, frac_bits)
        error = np.vstack((layer.weight, -np.eye(self._features)))
        self._dense("residual", np.tile(error, 2), np.tile(layer.bias, 2), keeps)
        sums = ranges(self.program())["residual"]
        drop = sums.frac_bits - frac_bits
        ends = [(_shifted(lo, drop), _shifted(hi, drop)) for lo, hi in zip(sums.lo, sums.hi, strict=True)]
        positive, whole = ends[: self._features], ends[self._features :]
        formats = [
            *(Fixed.holding(0, max(hi, 0), frac_bits) for _, hi in positive),
            *(Fixed.holding(lo, hi, frac_bits) for lo, hi in whole),
        ]
        widths = np.array([v.width_bits for v in formats])
        self._requant("residual", widths, keeps, tuple(v.signed for v in formats))

    def score(self, shifts: tuple[int, ...]) -> None:
        """Add sum_i 2**shift_i (2 relu(r_i) - r_i)."""
        parts = np.exp2(np.array(shifts, dtype=np.float64))[:, None]
        self._dense("score", np.vstack((2.0 * parts, -parts)), np.zeros(1))

    def _dense(self, name: str, weight: Floats, bias: Floats, keeps: Ints | None = None, *, carried: int = 0) -> None:
        """Add a dense layer; the half that rounding to `keeps` needs goes into its bias, where sums are finer.

        carried: how many of the last elements are inputs, which need none.
        """
        dense = Dense(name=name, layer=name, source=self._ops[-1].name, weight=f"{name}.weight", bias=f"{name}.bias")
        self._constants[dense.weight] = dyadic(weight, f"layer {name!r}: weight")
        self._constants[dense.bias] = dyadic(bias, f"layer {name!r}: bias")
        self._ops.append(dense)
        if keeps is None:
            return
        finer = ranges(self.program())[name].frac_bits > keeps
        half = np.where(finer & (np.arange(bias.size) < bias.size - carried), np.exp2(-keeps - 1.0), 0.0)
        self._constants[dense.bias] = dyadic(bias + half, f"layer {name!r}: bias")

    def _requant(self, layer: str, widths: Ints, keeps: Ints, signed: tuple[bool, ...]) -> None:
        self._ops.append(
            Requant(
                name=f"{layer}.act",
                layer=layer,
                source=layer,
                frac_bits=int(keeps.max()),
                width_bits=tuple(widths.tolist()),
                keep_frac_bits=tuple(keeps.tolist()),
                signed=signed,
                rounding=Rounding.TRUNCATE,
                overflow=Overflow.SATURATE,
            )
        )


def _shifted(value: int, drop: int) -> int:
    return int(value) >> drop if drop > 0 else int(value) << -drop


def check_student(config: Config, data: Dataset) -> None:
    """Raise FitError for a config.student that gives no anomaly score."""
    _check_narrow("student", config.student.hidden, data)
    if (config.student.activation, config.student.precision) != ("relu", "fixed"):
        raise FitError(
            'an autoencoder needs student.activation = "relu" and student.precision = "fixed", not '
            f"{config.student.activation!r} and {config.student.precision!r}"
        )


def _check_narrow(who: str, hidden: tuple[int, ...], data: Dataset) -> None:
    features = data.x.shape[1]
    if not hidden or min(hidden) >= features:
        raise FitError(
            f"{who}.hidden must have a layer narrower than the {features} inputs, not {list(hidden)}: an autoencoder "
            "that can copy everything finds nothing strange"
        )


def _laplace(autoencoder: Autoencoder, x_codes: Ints) -> tuple[int, ...]:
    """Return shifts that weigh each feature by about 1 / its mean absolute error, the least weight being 1."""
    error = np.abs(autoencoder.residuals(x_codes)).mean(axis=0)
    error = error.clip(min=error.max() * 2.0**-MOST_SHIFT) if error.max() else np.ones_like(error)
    return tuple(int(v) for v in np.rint(np.log2(error.max() / error)))


def _is_normal(data: Dataset, normal: str | tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which samples belong to the normal classes: (n,). FitError for unknown classes."""
    names = (normal,) if isinstance(normal, str) else normal
    if not names or any(name not in data.classes for name in names):
        raise FitError(f"the normal classes must be among {list(data.classes)}, not {list(names)}")
    return np.isin(data.y, [data.classes.index(name) for name in names])
