"""hls4ml's layers, the model and samples in; what each layer's types lose, and its error against the framework, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from gatewright.graph import Graph
from gatewright.graph.functions import quantize
from gatewright.hls.project.emulate import Emulated, emulate, in_real_numbers
from gatewright.hls.project.network import HlsLayerGraph
from gatewright.hls.project.numbers import Floats, Loss
from gatewright.hls.project.reference import Reference, references
from gatewright.hls.project.unheard import unheard

BREAKS = 1 / 16  # of the layer's greatest value: an error of its own that is more is no rounding


class Verdict(Enum):
    """What a layer's types do."""

    EQUAL = "equal"  # every value is the framework's
    FOLLOWS = "follows"  # the layer itself loses nothing; what it reads already differs
    ROUNDS = "rounds"  # low bits are lost
    BREAKS = "breaks"  # values overflow, or the layer's own error is no rounding
    ASSUMED = "assumed"  # it is not predicted: the framework's values, in its type


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerJudged:
    """One layer.

    error: the greatest difference from the framework; own: from what the layer would give of what it reads; peak: the
    framework's greatest value; equal: how many of `values` results are the framework's.
    """

    name: str
    kind: str
    verdict: Verdict
    losses: tuple[Loss, ...]
    error: float
    own: float
    peak: float
    equal: int
    values: int
    result: Floats
    reference: Reference

    @property
    def overflowed(self) -> tuple[Loss, ...]:
        """Return the types that values lie outside of."""
        return tuple(loss for loss in self.losses if loss.overflowed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The whole network over n samples. same_class: the share of samples whose greatest output is the framework's, None
    where there is one output; notes: what hls4ml reads otherwise than the framework."""

    layers: tuple[LayerJudged, ...]
    output: str
    samples: int
    data: str
    same_class: float | None
    notes: tuple[str, ...]

    @property
    def broken(self) -> LayerJudged | None:
        """Return the first layer that breaks, None where none does."""
        return next((layer for layer in self.layers if layer.verdict is Verdict.BREAKS), None)

    @property
    def first_different(self) -> LayerJudged | None:
        """Return the first layer with a value that is not the framework's."""
        return next((layer for layer in self.layers if layer.equal < layer.values), None)

    def layer(self, name: str) -> LayerJudged:
        """Return the layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)


def judge(graph: HlsLayerGraph, model: Graph, x: Floats, data: str) -> Judged:
    """Return what hls4ml's types make of samples. x: (n, *input shape); data: what they are, for the report.

    Raises LowerError and FormatError for types too wide to be computed in 62 bits.
    """
    wanted = references(graph, model, x)
    made = emulate(graph, x, {name: reference.values for name, reference in wanted.by_layer.items()})
    layers = tuple(_layer(made[layer.name], made, wanted.by_layer[layer.name]) for layer in graph.layers)
    last = made[graph.output].result.values.reshape(len(x), -1)
    same = None
    if last.shape[1] > 1 and wanted.output.shape[1] == last.shape[1]:
        same = float((last.argmax(axis=1) == wanted.output.argmax(axis=1)).mean())
    notes = (*wanted.notes, *unheard(graph))
    return Judged(layers=layers, output=graph.output, samples=len(x), data=data, same_class=same, notes=notes)


def _layer(made: Emulated, all_made: Mapping[str, Emulated], reference: Reference) -> LayerJudged:
    layer, result = made.layer, made.result.values
    off = np.abs(result - reference.values)
    peak = float(np.abs(reference.values).max(initial=0.0))
    own = _own(made, all_made, reference)
    equal = int((result == reference.values).sum())
    return LayerJudged(
        name=layer.name,
        kind=layer.kind,
        verdict=_verdict(made, reference, equal, own, peak),
        losses=made.losses,
        error=float(off.max(initial=0.0)),
        own=own,
        peak=peak,
        equal=equal,
        values=result.size,
        result=result,
        reference=reference,
    )


def _verdict(made: Emulated, reference: Reference, equal: int, own: float, peak: float) -> Verdict:
    if made.assumed:
        return Verdict.ASSUMED
    if equal == made.result.q.size:
        return Verdict.EQUAL
    meant = reference.quantizer is not None  # which cuts what is too large: `own` says whether as this type does
    if own > BREAKS * peak or any(loss.overflowed for loss in made.losses if not (meant and loss.role == "result")):
        return Verdict.BREAKS
    return Verdict.ROUNDS if own else Verdict.FOLLOWS


def _own(made: Emulated, all_made: Mapping[str, Emulated], reference: Reference) -> float:
    """Return how far the result is from the layer's function, and the model's quantizer, of what the layer reads."""
    sources = [all_made[name].result.values for name in made.layer.sources]
    wanted = in_real_numbers(made.layer, *sources) if sources else reference.values
    if wanted is None:
        return 0.0
    if reference.quantizer is not None and sources:
        wanted = quantize(reference.quantizer, wanted)
    return float(np.abs(made.result.values - wanted).max(initial=0.0))
