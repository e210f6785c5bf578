"""A Graph in, random samples out that its input may have: of its declared type, its quantizer's range, or normal."""

from __future__ import annotations

from re import fullmatch

import numpy as np

from gatewright.errors import ConfigError
from gatewright.graph.nodes import Floats, Graph, Input, Quantize

_FEW = {"BIPOLAR": (-1.0, 2.0, 2), "BINARY": (0.0, 1.0, 2), "TERNARY": (-1.0, 1.0, 3)}
_MOST_BITS = 24  # of numbers that float32 holds


def random_samples(graph: Graph, n: int, seed: int = 0) -> tuple[Floats, str]:
    """Return n samples of the type that the file declares for its input, (n, *input shape), and what they are.

    Without one: over the range of the quantizer behind the input; without one there: of a normal distribution, on a
    grid of 1/256.
    """
    if n < 1:
        raise ConfigError(f"samples must be at least 1, not {n!r}")
    source = graph.nodes[0]
    assert isinstance(source, Input)
    rng, size = np.random.default_rng(seed), (n, *source.shape)
    name = str((graph.metadata or {}).get("input_declared", ""))
    declared = _declared(name)
    if declared is not None:
        first, step, count = declared
        text = f"{n} random samples of the input's type {name} (seed {seed})"
        return first + step * rng.integers(0, count, size).astype(np.float64), text
    ends = [
        float((end * node.scale).min() if lower else (end * node.scale).max())
        for node in graph.nodes
        if isinstance(node, Quantize) and source.name in node.sources
        for lower, end in ((True, node.lo - node.zero_point), (False, node.hi - node.zero_point))
    ]
    if ends:
        lo, hi = min(ends), max(ends)
        return rng.uniform(lo, hi, size), f"{n} random samples, uniform over {lo:g} to {hi:g} (seed {seed})"
    text = f"{n} random samples, normal, multiples of 1/256 (seed {seed}): the model does not say its input's range"
    return np.rint(rng.normal(size=size) * 256) / 256, text


def _declared(name: str) -> tuple[float, float, int] | None:
    """Return the first value, the step and the count of values of a QONNX data type; None of one that is not listed."""
    if name in _FEW:
        return _FEW[name]
    form = fullmatch(r"(U?INT|FIXED<)([0-9]{1,2})(?:,([0-9]{1,2})>)?", name)
    if form is None or (form[1] == "FIXED<") != (form[3] is not None):
        return None
    bits = int(form[2])
    if not 1 <= bits <= _MOST_BITS:
        return None
    step = 1.0 if form[3] is None else 2.0 ** (int(form[3]) - bits)
    return (0.0 if form[1] == "UINT" else -step * 2 ** (bits - 1)), step, 2**bits
