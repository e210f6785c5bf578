"""Normal samples in; a quantized autoencoder, and the integer Program whose output is the anomaly score, out.

The autoencoder's score is sum_i 2**shift_i |x_i - xhat_i|, with xhat its reconstruction of the sample x. It needs no op
of its own (fit/anomaly/program.py). What speaks of any network with a score (`Scored`) serves
fit/anomaly/variational.py too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.errors import ExportError, FitError
from gatewright.export import compare
from gatewright.export.vectors import graph_trace, input_format
from gatewright.fit.anomaly.program import score_program
from gatewright.fit.front import train_front
from gatewright.fit.frozen import dense_layers, is_quantized, read_node
from gatewright.fit.train import train_student, train_teacher
from gatewright.fit.training.teach import Teacher, with_targets
from gatewright.fixedpoint import Ints
from gatewright.graph import Graph
from gatewright.graph.exact import EXACT_BITS
from gatewright.graph.nodes import Floats
from gatewright.ir import Interpreter, OutputStage, Program, add_output_stage, ranges, verify

if TYPE_CHECKING:
    from gatewright.data import Dataset

Weighting = Literal["equal", "laplace"]
CHUNK = 8192  # samples compared at once
MOST_SHIFT = 3  # a feature counts at most 8 times as much as another: one that is always right must not decide alone


class Scored(Protocol):
    """A quantized network with an anomaly score, greater is stranger."""

    @property
    def network(self) -> Graph:
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

    network: Graph
    shifts: tuple[int, ...]
    history: tuple[dict[str, float], ...] = ()

    def __post_init__(self) -> None:
        layers = dense_layers(self.network)
        features = len(layers[0].weight)
        if not is_quantized(self.network) or len(layers) < 2:
            raise FitError("an autoencoder must be a quantized network with hidden layers; give a trained student")
        if layers[-1].bias.size != features or len(self.shifts) != features:
            raise FitError(
                f"an autoencoder must have as many outputs and shifts as features, {features}, not "
                f"{layers[-1].bias.size} and {len(self.shifts)}; train it with train_autoencoder"
            )
        if min(self.shifts) != 0:
            raise FitError(f"the least shift must be 0, not {min(self.shifts)}; subtract it from all")

    @property
    def step(self) -> float:
        """The least difference of two scores."""
        return 2.0 ** -input_format(self.network).frac_bits

    def residuals(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return xhat - x, rounded, in units of the inputs. (n, features), same out."""
        return self._errors(graph_trace(self.network, x_codes))

    def _errors(self, floats: dict[str, Floats]) -> Floats:
        return np.floor((floats[self.network.output] - floats["x"]) / self.step + 0.5) * self.step

    def scores(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the anomaly score of each sample, greater is stranger. (n, features) -> (n,), float64 and exact."""
        return np.abs(self.residuals(x_codes)) @ np.exp2(np.array(self.shifts, dtype=np.float64))

    def expected(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return activations beside the inputs, residuals and score by the names of their ops."""
        floats = graph_trace(self.network, x_codes)
        residuals = self._errors(floats)
        names = [f"{layer.name}.act" for layer in dense_layers(self.network)[:-1]]
        hidden = {name: np.hstack((floats[name], floats["x"])) for name in names}
        if read_node(self.network) is not None:
            hidden["read.act"] = np.hstack((floats["x.read"], floats["x"]))
        ends = np.hstack((np.maximum(residuals, 0.0), residuals))
        return {**hidden, "residual.act": ends, "score": self.scores(x_codes)[:, None]}

    def program(self, name: str) -> Program:
        """Return the program of the score; see score_program."""
        return score_program(self.network, self.shifts, name)

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
    check_student(config, data, learned=False)
    settings, own, teacher = _lesson(config, data, normal, work, progress=progress)
    trained = train_student(settings, own, teacher, work=work, progress=progress)
    return _weighted(trained.network, own, weighting, trained.history)


def train_autoencoder_front(
    config: Config,
    data: Dataset,
    normal: str | tuple[str, ...],
    *,
    work: Path,
    weighting: Weighting = "laplace",
    progress: bool = False,
) -> tuple[tuple[Autoencoder, dict[str, float]], ...]:
    """Train config.student with learnt widths: a front of autoencoders, small to accurate, each with its figures.

    As train_autoencoder, and as train_front: "score" of a point is minus the RMSE of its reconstruction of normal
    validation samples, in units of the inputs, and no point is both smaller and better. What anomalies score takes
    no part. Raises FitError for formats that wrap, whose errors would be no errors.
    """
    check_student(config, data, learned=True)
    settings, own, teacher = _lesson(config, data, normal, work, progress=progress)
    front = train_front(settings, own, teacher, work=work, progress=progress)
    return tuple((_weighted(point.network, own, weighting, front.history), point.row) for point in front.points)


def _lesson(
    config: Config, data: Dataset, normal: str | tuple[str, ...], work: Path, *, progress: bool
) -> tuple[Config, Dataset, Teacher]:
    """Return the regression of normal samples on themselves, and who teaches it: a float autoencoder, or they."""
    own = normal_samples(data, normal)
    settings = config.model_copy(update={"task": "regression"})
    if not config.distill.weight:
        return settings, own, own.y
    _check_narrow("teacher", config.teacher.hidden, data)
    return settings, own, train_teacher(settings, own, work=work, progress=progress).network


def _weighted(network: Graph, own: Dataset, weighting: Weighting, history: tuple[dict[str, float], ...]) -> Autoencoder:
    plain = Autoencoder(network=network, shifts=(0,) * own.x.shape[1], history=history)
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
    _check_exact(scores)
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


def _check_exact(program: Program) -> None:
    """Raise ExportError where a value of a program that holds no output stage could pass 53 bits."""
    for op_name, value in verify(program).items():
        if value.width_bits > EXACT_BITS:
            raise ExportError(
                f"op {op_name!r} needs {value.width_bits} bits, at most {EXACT_BITS} can be compared exactly with the "
                "float64 network; lower weight_bits, activation_bits or the input's width"
            )


def check_student(config: Config, data: Dataset, *, learned: bool) -> None:
    """Raise FitError for a config.student that gives no anomaly score; learned: whether widths are to be learnt."""
    student = config.student
    if student.layers:
        raise FitError(
            "an autoencoder is made of dense layers; write their sizes in student.hidden, not student.layers"
        )
    _check_narrow("student", student.hidden, data)
    precision = "learned" if learned else "fixed"
    if (student.activation, student.precision) != ("relu", precision):
        raise FitError(
            f'this autoencoder needs student.activation = "relu" and student.precision = "{precision}", not '
            f"{student.activation!r} and {student.precision!r}"
        )
    if learned and student.learned.overflow == "wrap":
        raise FitError(
            'an autoencoder needs student.learned.overflow = "saturate", not "wrap": what it has not seen must not '
            "pass for what it has"
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
