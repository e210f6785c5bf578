"""Normal samples in; a variational autoencoder's quantized encoder, and the Program of its anomaly score, out.

Kingma and Welling 2014 (arXiv 1312.6114): the encoder gives a mean and a log-variance per latent, the decoder
reconstructs from a sample of them. The score needs neither decoder nor sample (Govorkova et al. 2022, Nature Machine
Intelligence 4, 154-161): it is the divergence of the latents from the prior, made of one table per latent number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewright.config import Config
from gatewright.errors import FitError
from gatewright.export import export_graph
from gatewright.export.vectors import graph_trace
from gatewright.fit.anomaly.autoencoder import check_student, normal_samples
from gatewright.fit.frozen import dense_layers, is_quantized
from gatewright.fit.modules.dense import Widths
from gatewright.fit.modules.quantizers import fake_quantize
from gatewright.fit.modules.stacks import dense_stack
from gatewright.fit.train import CALIBRATION_SAMPLES, Tensors, check_alive, fold_inputs, layer_widths, stage_key
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.loop import Job, Row, one_thread, train
from gatewright.fit.training.recipe import Recipe
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.graph import Graph
from gatewright.graph.nodes import Floats
from gatewright.ir import Constant, Dense, Lookup, Program, Requant

if TYPE_CHECKING:
    from gatewright.data import Dataset

MEAN = Fixed(width_bits=8, frac_bits=4, signed=True)  # the prior's deviation is 1: 8 of them to either side
LOG_VARIANCE = Fixed(width_bits=7, frac_bits=4, signed=True)  # deviations from e**-2 to e**2
TABLE_FRAC = 2 * MEAN.frac_bits  # squares of means are exact


@dataclass(frozen=True, kw_only=True)
class Variational:
    """The encoder of a variational autoencoder, whose outputs are the latents' means, then their log-variances.

    Both are rounded half up to MEAN and LOG_VARIANCE and saturate. The score is the divergence from the prior
    (Kingma and Welling 2014, appendix B), 1/2 sum mu**2 + exp(v) - v - 1, where exp(v) - v - 1 is rounded to
    2**-TABLE_FRAC. history: one row per epoch of training.
    """

    network: Graph
    beta: float = 1.0
    history: tuple[dict[str, float], ...] = ()

    def __post_init__(self) -> None:
        outputs = dense_layers(self.network)[-1].bias.size
        if not is_quantized(self.network) or outputs % 2:
            raise FitError(
                "an encoder must be a quantized network with a mean and a log-variance per latent, not one with "
                f"{outputs} outputs; train it with train_variational"
            )

    @property
    def latents(self) -> int:
        """Numbers that the decoder would read."""
        return dense_layers(self.network)[-1].bias.size // 2

    @property
    def step(self) -> float:
        """The least difference of two scores."""
        return 2.0 ** -(TABLE_FRAC + 1)

    def scores(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the anomaly score of each sample, greater is stranger. (n, features) -> (n,), float64 and exact."""
        return self.expected(x_codes)["score"][:, 0]

    def expected(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return sums, activations, latents, their parts of the score, and the score, by the names of their ops."""
        floats = graph_trace(self.network, x_codes)
        del floats[self.network.nodes[0].name]  # the samples, which the chip gets as codes
        scale = 2.0**MEAN.frac_bits
        lo, hi = (np.repeat((getattr(MEAN, end), getattr(LOG_VARIANCE, end)), self.latents) for end in ("lo", "hi"))
        latent = np.clip(np.floor(floats["out"] * scale + 0.5), lo, hi) / scale
        mean, log_variance = np.hsplit(latent, 2)
        parts = np.hstack((mean**2, _spread_part(log_variance)))
        return {**floats, "latent": latent, "parts": parts, "score": 0.5 * parts.sum(axis=1, keepdims=True)}

    def program(self, name: str) -> Program:
        """Return the program of the score: the encoder's ops, then `latent`, `parts` (tables), `score` (their sum)."""
        encoder = export_graph(self.network, name=name).program
        ops, constants = encoder.ops, dict(encoder.constants)
        latent = Requant(
            name="latent",
            layer="latent",
            source=ops[-1].name,
            frac_bits=MEAN.frac_bits,
            width_bits=tuple(np.repeat((MEAN.width_bits, LOG_VARIANCE.width_bits), self.latents).tolist()),
            keep_frac_bits=(MEAN.frac_bits,),
            signed=(True,),
            rounding=Rounding.HALF_UP,
            overflow=Overflow.SATURATE,
        )
        parts = Lookup(name="parts", layer="parts", source="latent", table="parts.table", first=MEAN.lo)
        score = Dense(name="score", layer="score", source="parts", weight="score.weight", bias="score.bias")
        values = np.arange(MEAN.lo, MEAN.hi + 1) / 2.0**MEAN.frac_bits
        table = np.repeat((values**2, _spread_part(values)), self.latents, axis=0)
        constants["parts.table"] = Constant((table * 2.0**TABLE_FRAC).astype(np.int64), TABLE_FRAC)
        constants["score.weight"] = Constant(np.ones((2 * self.latents, 1), dtype=np.int64), 1)
        constants["score.bias"] = Constant(np.zeros(1, dtype=np.int64), 0)
        return Program(name=name, ops=(*ops, latent, parts, score), output="score", constants=constants)

    def describe(self) -> dict[str, Any]:
        """Return the latents: how many, their formats, and what weighed the divergence in training."""
        return {"latents": self.latents, "mean": str(MEAN), "log_variance": str(LOG_VARIANCE), "beta": self.beta}


def train_variational(
    config: Config,
    data: Dataset,
    normal: str | tuple[str, ...],
    *,
    work: Path,
    beta: float = 1.0,
    progress: bool = False,
) -> Variational:
    """Train config.student on the normal classes as a variational autoencoder; keep its encoder.

    The narrowest layer of student.hidden is the latents; the layers before it are the encoder's, those after it the
    decoder's, which stays in float and is dropped. The loss is 1/2 sum ((xhat - x) / deviation)**2 over features, plus
    beta times the divergence from the prior: with beta 1 the bound of Kingma and Welling (2014, equation 10), with one
    sample, of a Gaussian decoder; the epoch at which it is least on validation is kept. No teacher takes part.
    Only training and validation samples of `normal` are seen. Resumes from `work`. Raises FitError where no hidden
    layer is narrower than the inputs, where the latents say nothing, and as train_student does.
    """
    check_student(config, data, learned=False)
    if not 0.0 < beta < np.inf:
        raise FitError(f"beta, the weight of the divergence, must be positive and finite, not {beta}")
    own = normal_samples(data, normal)
    settings = config.model_copy(update={"task": "regression"})
    student = config.student
    at = student.hidden.index(min(student.hidden))
    latents = student.hidden[at]
    with one_thread():
        tensors = Tensors(settings, own, own.y)
        module = _Coder(
            [tensors.x.shape[1], *student.hidden[:at], 2 * latents],
            [latents, *student.hidden[at + 1 :], tensors.outputs],
            source=tensors.source,
            widths=layer_widths(student)[: at + 1],
            dropout=student.dropout,
            generator=torch.Generator().manual_seed(config.seed * 1_000_003 + 2),
        ).to(tensors.device)
        fold_inputs(module.encoder, tensors, per_feature=False)
        sample = tensors.x[:: max(1, len(tensors.x) // CALIBRATION_SAMPLES)]
        recipe = Recipe(student, module.encoder, sample, None, quantize=True)

        def loss(batch: Tensor) -> Tensor:
            x = tensors.batch(batch, module.generator)
            total = module.bound(x, tensors.y.index_select(0, batch), beta, module.generator)
            return total + recipe.loss() if student.pruning.regularise else total

        @torch.no_grad()
        def validate() -> Row:
            same = torch.Generator().manual_seed(config.seed)  # the same samples of the latents in every epoch
            bound = float(module.bound(tensors.x_val, tensors.y_val, beta, same))
            return {"validation_loss": bound, "score": -bound}

        job = Job(
            stage="student",
            settings=student,
            samples=len(tensors.x),
            loss=loss,
            begin_epoch=recipe.begin_epoch,
            after_step=recipe.after_step,
            validate=validate,
            first_selectable=recipe.frozen,
            admissible=recipe.within_budget,
            none_admissible=recipe.missed,
        )
        key = stage_key("variational", settings, own, student.model_dump(exclude={"checkpoint_seconds"}), beta)
        history = train(job, module, Checkpoint(path=work / "variational.checkpoint", key=key), progress=progress)
        network = recipe.freeze(())
    check_alive("student", network, own, settings)
    found = Variational(network=network, beta=beta, history=tuple(history))
    check_differs(found, own)
    return found


def check_differs(found: Variational, own: Dataset) -> None:
    """Raise FitError where every validation sample of `own` has the same score."""
    if np.ptp(found.scores(own.part("validation")[0])) == 0.0:
        raise FitError(
            "student: every normal validation sample has the same score: the latents say nothing; lower beta, or raise "
            "student.weight_bits, student.hidden or student.epochs"
        )


class _Coder(nn.Module):
    """An encoder with formats and a float decoder, trained together."""

    def __init__(
        self,
        sizes: Sequence[int],
        back: Sequence[int],
        *,
        source: Fixed,
        widths: Sequence[Widths],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.encoder = dense_stack(sizes, source=source, widths=widths, dropout=dropout, generator=generator)
        self.decoder = dense_stack(back, source=source, widths=None, dropout=0.0, generator=generator)
        self.formats = tuple(
            tuple(torch.tensor(float(v)) for v in (2.0**form.frac_bits, form.lo, form.hi))
            for form in (MEAN, LOG_VARIANCE)
        )

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.encoder.device

    @property
    def quantizing(self) -> bool:
        """Whether the encoder's formats are applied."""
        return self.encoder.quantizing

    @quantizing.setter
    def quantizing(self, value: bool) -> None:
        self.encoder.quantizing = value

    def refresh(self) -> None:
        """Rebuild the encoder's constants after a state was loaded."""
        self.encoder.refresh()

    def bound(self, x: Tensor, y: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """Return the mean loss of inputs x, whose standardised values are y: both (n, features)."""
        mean, log_variance = (
            fake_quantize(part, *(limit.to(part.device) for limit in form))
            for part, form in zip(self.encoder(x).chunk(2, dim=1), self.formats, strict=True)
        )
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        errors = self.decoder(mean + noise * torch.exp(0.5 * log_variance)) - y
        divergence = mean**2 + torch.exp(log_variance) - log_variance - 1.0
        return 0.5 * (errors.square().sum(dim=1) + beta * divergence.sum(dim=1)).mean()

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to."""
        return [*self.encoder.decayed(), *self.decoder.decayed()]

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        return [*self.encoder.biases(), *self.decoder.biases()]


def _spread_part(log_variance: Floats) -> Floats:
    """Return exp(v) - v - 1, rounded half up to 2**-TABLE_FRAC. Any shape, same out."""
    scale = 2.0**TABLE_FRAC
    return np.floor((np.exp(log_variance) - log_variance - 1.0) * scale + 0.5) / scale
