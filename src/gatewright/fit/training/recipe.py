"""The compression of a student by epochs: when formats are fitted, what is pruned, whether a budget is kept."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gatewright.config import Student
from gatewright.errors import FitError
from gatewright.fit.dead import shrink
from gatewright.fit.device import array
from gatewright.fit.modules.stack import Stack
from gatewright.fit.training.prune import due_masks, due_share
from gatewright.fit.training.regularise import penalty
from gatewright.graph import Graph
from gatewright.graph.figures import ebops

Estimate = Callable[[Graph], float]  # a quantized network in, its cost in LUTs out
AIM = 0.98  # share of the budget at which pruning aims: weights go on training afterwards
LEAST_USED = 0.95  # share of it below which weights return
LATE_LOOKS = 3  # how often after prune_end the budget is looked at again
MOST_SPARSE = 0.99
BISECTIONS = 7  # to within 1/128 of the sparsity


class Recipe:
    """Compresses a module in place. All that it remembers is in the module's state, so a killed run resumes.

    start, frozen: epochs at which formats and masks begin, and from which on they stand. sample: training inputs to
    which formats are fitted. estimate: cost in LUTs, needed for student.pruning.budget_lut. quantize False: floats.
    """

    def __init__(
        self, settings: Student, module: Stack, sample: Tensor, estimate: Estimate | None, *, quantize: bool
    ) -> None:
        self.settings, self.pruning, self.module, self.sample = settings, settings.pruning, module, sample
        self.quantize = quantize
        last = settings.epochs - 1
        self.start = min(round(settings.prune_start * settings.epochs), last)
        self.frozen = min(math.ceil(settings.prune_end * settings.epochs), last)
        self.budget = float(self.pruning.budget_ebops or self.pruning.budget_lut)
        self.unit = "EBOPs" if self.pruning.budget_ebops else "LUT"
        if settings.activation != "relu" and not quantize:
            raise FitError(f'student.activation "{settings.activation}" needs formats; train with quantize=True')
        if self.budget and not quantize:
            raise FitError("student.pruning has a budget, which needs formats; train with quantize=True")
        if self.pruning.budget_lut and estimate is None:
            raise FitError("student.pruning.budget_lut needs a cost function; give train_student estimate=")
        self._estimate: Estimate = estimate if self.pruning.budget_lut and estimate else lambda n: float(ebops(n))
        step = max(1, (settings.epochs - self.frozen) // (LATE_LOOKS + 1))
        self.looks = {self.frozen + k * step for k in range(1, LATE_LOOKS + 1)}

    def begin_epoch(self, epoch: int) -> None:
        """Prune what is due and fit the formats; called once per epoch."""
        self.module.shrinkage.fill_(self.pruning.regularise if epoch < self.frozen else 0.0)
        if self.start <= epoch <= self.frozen:
            share = due_share(epoch, self.start, self.frozen, self.pruning.schedule)
            if not self.budget:
                self._compress(share, self.settings.sparsity)
                return
            if epoch == self.frozen or (epoch == self.start and self.pruning.schedule != "one_shot"):
                self.module.goal.fill_(self._sparsity_for(self.budget * AIM))
            self._compress(share, float(self.module.goal))
        elif self.budget and epoch in self.looks and not LEAST_USED * self.budget <= self.cost() <= self.budget:
            self._compress(1.0, self._sparsity_for(self.budget * AIM))

    def after_step(self) -> None:
        """Project the parameters back into their formats."""
        if self.module.quantizing:
            self.module.clamp()

    def loss(self) -> Tensor:
        """Return what regularisation adds to the loss; the module's state says whether it is on."""
        return self.module.shrinkage * penalty([group.weight for group in self.module.groups()], self.pruning)

    def freeze(self, classes: tuple[str, ...]) -> Graph:
        """Return the network, without the neurons that structured pruning has removed."""
        network = self.module.freeze(classes=classes)
        return shrink(network) if self.pruning.kind == "neurons" else network

    def cost(self) -> float:
        """Return the cost of the module as it stands, in the budget's unit."""
        with torch.no_grad():
            return self._estimate(self.freeze(()))

    def within_budget(self) -> bool:
        """Tell whether the module as it stands may be chosen."""
        return not self.budget or self.cost() <= self.budget

    def missed(self) -> str:
        """Return the error's text where no epoch kept the budget."""
        return (
            f"student: the last epoch costs {self.cost():,.0f} {self.unit}, and no epoch kept the budget of "
            f"{self.budget:,.0f}; {self._remedy()}"
        )

    def _compress(self, share: float, sparsity: float) -> None:
        if groups := self.module.groups():
            masks = due_masks([array(group.weight) for group in groups], share, sparsity, self.pruning)
            with torch.no_grad():
                for group, mask in zip(groups, masks, strict=True):
                    group.mask.copy_(torch.from_numpy(mask))
        if self.quantize:
            self.module.calibrate(self.sample, first=not self.module.quantizing)

    def _sparsity_for(self, budget: float) -> float:
        """Return about the least sparsity that costs at most so much, by bisection. Masks and formats change."""
        self._compress(1.0, MOST_SPARSE)
        if (least := self.cost()) > budget:
            raise FitError(
                f"student: the budget of {self.budget:,.0f} {self.unit} cannot be met: with {MOST_SPARSE:.0%} pruned "
                f"{least:,.0f} are left, of which {AIM:.0%} of the budget may be used; {self._remedy()}"
            )
        low, high = 0.0, MOST_SPARSE
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            self._compress(1.0, middle)
            low, high = (low, middle) if self.cost() <= budget else (middle, high)
        return high

    def _remedy(self) -> str:
        key = "budget_ebops" if self.pruning.budget_ebops else "budget_lut"
        return f"raise student.pruning.{key}, or lower student.hidden, weight_bits or activation_bits"
