"""A Graph and samples in, rows of numbers out: each layer's range and widths, and float beside fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.export.calibrate import MAX_BITS, fitted
from gatewright.fixedpoint import Fixed
from gatewright.graph.evaluate import body_inputs, evaluate, trace
from gatewright.graph.exact import WEIGHT_BITS, fixed_point, integer_weights
from gatewright.graph.functions import quantize
from gatewright.graph.nodes import (
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    Graph,
    Quantize,
    Scan,
)
from gatewright.graph.recurrent import expand_cells
from gatewright.graph.structure import is_structure

Role = Literal["weights", "bias", "values"]
Format = tuple[float, float, float]
SAMPLED = 1 << 18  # numbers of a result that its statistics are taken of
STEPS = 1 << 13  # steps of a recurrent cell that the statistics of its inner results are taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Statistics of one layer's numbers in one role. suggested_bits: the fewest that reach the wanted SNR, or None.

    magnitudes: least, quartiles and greatest of the magnitudes that are not zero; empty where all are zero.
    fixed_least, fixed_greatest, fixed_step: ends and finest step of the format that holds the numbers, if there is one.
    """

    layer: str
    op: str
    role: Role
    count: int
    least: float
    greatest: float
    percentile_1: float
    percentile_99: float
    mean_magnitude: float
    nonzero: int
    magnitudes: tuple[float, ...]
    fixed_least: float | None
    fixed_greatest: float | None
    fixed_step: float | None
    suggested_bits: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One result in two models: greatest and mean absolute difference, and signal to noise in dB (inf: equal)."""

    layer: str
    op: str
    max_error: float
    mean_error: float
    snr_db: float
    worst_sample: int


def profile(graph: Graph, x: NDArray[Any], *, snr_db: float = 30.0) -> list[Spread]:
    """Return the spread of every layer's weights, biases and results on samples x: (n, *input shape).

    The format beside a result is that of the quantizer that takes it in; beside weights, what these need on one grid.
    """
    graph = expand_cells(graph)
    values = trace(graph, x)
    return _profile(graph, values, snr_db)


def _profile(graph: Graph, values: dict[str, Floats], snr_db: float) -> list[Spread]:
    behind = {node.sources[0]: node for node in graph.nodes if isinstance(node, Quantize)}
    rows: list[Spread] = []
    for node in graph.nodes:
        if isinstance(node, Dense | Conv | ConvTranspose):
            rows.append(_spread(node.name, node, "weights", node.weight, _own_format(integer_weights(node)), snr_db))
            if node.bias.any():
                rows.append(_spread(node.name, node, "bias", node.bias, _own_format(node.bias), snr_db))
        if isinstance(node, Scan):
            seen = body_inputs(node, values[node.sources[0]])
            rows += _profile(node.body, trace(node.body, seen[:: max(1, len(seen) // STEPS)]), snr_db)
        if not isinstance(node, Constant) and not is_structure(node):
            held = _format_of(node if isinstance(node, Quantize) else behind.get(node.name))
            rows.append(_spread(node.name, node, "values", values[node.name], held, snr_db))
    return rows


def _format_of(quantizer: Quantize | None) -> Format | None:
    """Return (least, greatest, finest step) of what a quantizer can give."""
    if quantizer is None:
        return None
    low, high = ((end - quantizer.zero_point) * quantizer.scale for end in (quantizer.lo, quantizer.hi))
    return float(low.min()), float(high.max()), float(quantizer.scale.min())


def _own_format(weights: Floats) -> Format | None:
    """Return (least, greatest, finest step) of the fixed-point format that given numbers need; None for floats."""
    found = fixed_point(weights, WEIGHT_BITS)
    if found is None or not weights.any():
        return None
    integers = np.ldexp(weights, found.frac_bits)
    fixed = Fixed.holding(int(integers.min()), int(integers.max()), found.frac_bits)
    step = 2.0**-found.frac_bits
    return fixed.lo * step, fixed.hi * step, step


def _spread(layer: str, node: object, role: Role, values: Floats, held: Format | None, snr_db: float) -> Spread:
    flat = values.ravel()
    flat = flat[:: max(1, flat.size // SAMPLED)]
    low, high = np.percentile(flat, [1, 99])
    sizes = np.abs(flat[flat != 0])
    least, greatest, step = held or (None, None, None)
    return Spread(
        layer=layer,
        op=type(node).__name__,
        role=role,
        count=values.size,
        least=float(values.min()),
        greatest=float(values.max()),
        percentile_1=float(low),
        percentile_99=float(high),
        mean_magnitude=float(np.abs(flat).mean()),
        nonzero=int(np.count_nonzero(values)),
        magnitudes=tuple(map(float, np.percentile(sizes, [0, 25, 50, 75, 100]))) if sizes.size else (),
        fixed_least=least,
        fixed_greatest=greatest,
        fixed_step=step,
        suggested_bits=suggested_bits(flat, snr_db),
    )


def suggested_bits(values: Floats, snr_db: float) -> int | None:
    """Return the fewest bits of a fixed-point format in which the values keep a signal to noise ratio, or None."""
    for bits in range(1 + bool(values.min(initial=0) < 0), MAX_BITS + 1):
        rounded = quantize(fitted("q", "x", values, bits), values)
        if signal_to_noise_db(values, rounded) >= snr_db:
            return bits
    return None


def signal_to_noise_db(wanted: Floats, got: Floats) -> float:
    """Return 10 log10 of the power of `wanted` over that of the difference; inf where they are equal."""
    noise = float(np.sum((wanted - got) ** 2))
    signal = float(np.sum(wanted**2))
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def differences(graph: Graph, other: Graph, x: NDArray[Any]) -> list[Difference]:
    """Return how each result of `other` differs from the same result of `graph` on samples x, worst SNR first.

    Results are matched by name; a result that a calibrated graph hands on through `NAME.q` is taken from there. What a
    recurrent cell computes inside is compared over all steps, each model with its own states.
    """
    graph, other = expand_cells(graph), expand_cells(other)
    rows = _differences(graph, other, trace(graph, x), trace(other, x), len(x))
    return sorted(rows, key=lambda row: row.snr_db)


def _differences(
    graph: Graph, other: Graph, left: dict[str, Floats], right: dict[str, Floats], samples: int
) -> list[Difference]:
    named = {node.name: node for node in other.nodes}
    rows: list[Difference] = []
    for node in graph.nodes:
        name = f"{node.name}.q" if f"{node.name}.q" in right else node.name
        if name not in right or left[node.name].shape != right[name].shape:
            continue
        rows.append(_difference(node.name, type(node).__name__, left[node.name], right[name], samples))
        twin = named[name]
        if isinstance(node, Scan) and isinstance(twin, Scan):
            seen = [body_inputs(scan, v[scan.sources[0]]) for scan, v in ((node, left), (twin, right))]
            inner = trace(node.body, seen[0]), trace(twin.body, seen[1])
            moved = {inside.name for inside in node.body.nodes if is_structure(inside)}
            rows += [row for row in _differences(node.body, twin.body, *inner, samples) if row.layer not in moved]
    return rows


def output_difference(graph: Graph, other: Graph, x: NDArray[Any]) -> Difference:
    """Return how the results of two graphs differ, whatever their nodes are called."""
    return _difference(graph.output, "output", evaluate(graph, x), evaluate(other, x), len(x))


def _difference(layer: str, op: str, wanted: Floats, got: Floats, samples: int) -> Difference:
    gap = np.abs(wanted - got).reshape(len(wanted), -1)
    return Difference(
        layer=layer,
        op=op,
        max_error=float(gap.max(initial=0.0)),
        mean_error=float(gap.mean()) if gap.size else 0.0,
        snr_db=signal_to_noise_db(wanted, got),
        worst_sample=int(gap.max(axis=1).argmax()) % samples if gap.size else 0,
    )
