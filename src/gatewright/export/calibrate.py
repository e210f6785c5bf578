"""A float Graph and calibration samples in, a quantized Graph out, in seconds and without training.

Batch normalisations are folded; weights, biases and the results that layers hand on get fixed-point formats whose LSBs
minimise the mean squared error on the samples. What the model already quantizes is kept as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ConfigError, DataError
from gatewright.export.inputs import quantize_input
from gatewright.export.prepare import SQUASHING
from gatewright.fixedpoint import Fixed, Overflow, Rounding, frac_bits
from gatewright.fixedpoint.lsb import least_error_frac
from gatewright.graph.evaluate import body_inputs, evaluate, trace
from gatewright.graph.exact import PARAMETER_BITS, WEIGHT_BITS, Lattice, fixed_point, lattices, scan_lattices
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    Graph,
    Input,
    MatMul,
    Pool,
    Quantize,
    Scan,
    Softmax,
    Thresholds,
    TopK,
    Trees,
)
from gatewright.graph.recurrent import expand_cells
from gatewright.graph.simplify import simplify
from gatewright.graph.structure import is_structure
from gatewright.graph.trees import with_leaf_bits

SAMPLES = 512  # calibration uses at most so many, evenly spread
SIMPLE = ("relu", "leaky_relu", "prelu", "abs", "neg", "hard_tanh")  # need no table: no quantizer before them
MAX_BITS = 24
STATE_BITS = 14  # the most that a table's 16,384 entries take: an LSTM's tanh reads its state
EXACT_AFFINE_BITS = 2  # of factors and offsets such as those of 1 - x, which need no quantizer behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Bits of weights, of the results between layers, and of what a table (sigmoid, gelu, ...) reads.

    layer_weight_bits, layer_activation_bits: other widths for layers by name. per_channel: one weight format per output
    channel. bias_correction: the mean error that quantization adds to each layer's sums is taken off its bias
    (Nagel et al. 2019, section 4.2). state_bits: of what recurrent cells carry from step to step. input_format: of the
    samples where they have one; else they are calibrated too.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    table_bits: int = 10
    state_bits: int = 12
    layer_weight_bits: dict[str, int] | None = None
    layer_activation_bits: dict[str, int] | None = None
    per_channel: bool = True
    bias_correction: bool = False
    input_format: Fixed | None = None

    def __post_init__(self) -> None:
        given = {
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "table_bits": self.table_bits,
            "state_bits": self.state_bits,
        }
        for kind, table in (("weight_bits", self.layer_weight_bits), ("activation_bits", self.layer_activation_bits)):
            given |= {f"{kind} of {layer!r}": bits for layer, bits in (table or {}).items()}
        for key, bits in given.items():
            least = 2 if key.startswith("weight") else 1
            most = STATE_BITS if key == "state_bits" else MAX_BITS
            if not least <= bits <= most:
                raise ConfigError(f"{key} must be {least}..{most}, not {bits!r}")


def calibrate(graph: Graph, x: NDArray[Any], settings: Calibration | None = None) -> Graph:
    """Return the quantized graph; samples x: (n, *input shape), a few hundred typical ones suffice.

    The new nodes are `NAME.q` behind the result NAME. Raises DataError for samples that are not finite.
    """
    settings = settings or Calibration()
    graph = expand_cells(simplify(graph, float_weights=True))
    _check_layers(graph, settings)
    x = _sampled(x)
    floats = trace(graph, x)
    known = lattices(graph)
    quantized = _with_quantizers(graph, floats, settings)
    quantized = _with_bodies(quantized, floats, settings)
    quantized = _with_weights(quantized, settings, {name for name, lattice in known.items() if lattice is not None})
    quantized = _with_last_affine(quantized)
    return _corrected(quantized, floats, x) if settings.bias_correction else quantized


def _check_layers(graph: Graph, settings: Calibration) -> None:
    names = {node.name for node in graph.nodes}
    names |= {inner.name for node in graph.nodes if isinstance(node, Scan) for inner in node.body.nodes}
    for table in (settings.layer_weight_bits, settings.layer_activation_bits):
        for layer in table or {}:
            if layer not in names:
                raise ConfigError(f"no layer {layer!r} to quantize; it has {', '.join(sorted(names))}")


def _sampled(x: NDArray[Any]) -> Floats:
    if not len(x):
        raise DataError("calibration needs at least one sample, got none")
    x = x[:: max(1, -(-len(x) // SAMPLES))].astype(np.float64)
    if not np.isfinite(x).all():
        raise DataError(f"calibration samples must be finite, {np.count_nonzero(~np.isfinite(x))} values are not")
    return x


# ---- results


def _with_quantizers(graph: Graph, floats: dict[str, Floats], settings: Calibration) -> Graph:
    if settings.input_format is not None:
        graph = quantize_input(graph, settings.input_format)
    known, readers = lattices(graph), _readers(graph)
    nodes: list[AnyNode] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        node = _with_short_slopes(replace(node, sources=tuple(renamed.get(name, name) for name in node.sources)))
        nodes.append(node)
        bits = _bits(node, readers[node.name], graph, settings)
        fixed = isinstance(node, Quantize | Thresholds | Constant) or node.name not in floats
        if bits == 0 or fixed or (isinstance(node, Input) and settings.input_format is not None):
            continue
        if isinstance(node, Input) and all(
            known[r.name] is not None and not isinstance(r, TopK) for r in readers[node.name]
        ):
            continue  # the model quantizes its input itself
        made = fitted(f"{node.name}.q", node.name, floats[node.name], bits)
        nodes.append(made)
        renamed[node.name] = made.name
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output))


def _with_short_slopes(node: AnyNode) -> AnyNode:
    """Round slopes below zero to 1/256: such a function falls and rises, and only short slopes have an exact form."""
    if not isinstance(node, Activation) or node.kind not in ("prelu", "leaky_relu") or min(node.parameters) >= 0:
        return node
    return replace(node, parameters=tuple(round(slope * 256) / 256 for slope in node.parameters))


def _readers(graph: Graph) -> dict[str, list[AnyNode]]:
    """Return who reads each result, by name; what only moves elements is looked through, unless it is the end."""
    readers: dict[str, list[AnyNode]] = {node.name: [] for node in graph.nodes}
    for node in reversed(graph.nodes):
        through = readers[node.name] if is_structure(node) and node.name != graph.output else []
        for name in node.sources:
            readers[name] += through or [node]
    return readers


def _with_bodies(graph: Graph, floats: dict[str, Floats], settings: Calibration) -> Graph:
    """Quantize what scans compute, with the inputs that their bodies see in the float model."""
    by_name = {node.name: node for node in graph.nodes}
    for index, node in enumerate(graph.nodes):
        if not isinstance(node, Scan):
            continue
        behind = node.sources[0]
        source = by_name[behind].sources[0] if behind not in floats else behind  # before the quantizer put in
        seen = _sampled(body_inputs(replace(node, sources=(source,)), floats[source]))
        body = _with_state_quantizers(node, trace(node.body, seen), settings)
        x = lattices(graph)[behind]
        inside = scan_lattices(body, x)
        exact = {name for name, found in scan_lattices(node, x).items() if found is not None}
        quantized = _with_weights(body.body, settings, exact, inside[body.body.nodes[0].name])
        nodes = (*graph.nodes[:index], replace(body, body=quantized), *graph.nodes[index + 1 :])
        graph = replace(graph, nodes=nodes)
    return graph


def _with_state_quantizers(scan: Scan, floats: dict[str, Floats], settings: Calibration) -> Scan:
    """Put quantizers into the body; every state ends in one of `state_bits`."""
    graph = replace(scan.body, output="")  # no result is left real as at a model's end
    readers = _readers(graph)
    nodes: list[AnyNode] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        node = replace(node, sources=tuple(renamed.get(name, name) for name in node.sources))
        nodes.append(node)
        if isinstance(node, Input | Quantize | Thresholds | Constant):
            continue
        given = (settings.layer_activation_bits or {}).get(node.name)
        state = node.name in scan.states
        bits = given or settings.state_bits if state else _bits(node, readers[node.name], graph, settings)
        if bits:
            made = fitted(f"{node.name}.q", node.name, floats[node.name], bits)
            nodes.append(made)
            renamed[node.name] = made.name
    states = tuple(renamed.get(name, name) for name in scan.states)
    body = replace(graph, nodes=tuple(nodes), output=renamed.get(scan.body.output, scan.body.output))
    return replace(scan, body=body, states=states)


def _stays_exact(node: AnyNode) -> bool:
    """Whether a node adds so few bits that what reads it can round."""
    return (
        isinstance(node, Affine)
        and fixed_point(node.scale, EXACT_AFFINE_BITS) is not None
        and fixed_point(node.offset, EXACT_AFFINE_BITS) is not None
    )


def _keeps_real(node: AnyNode) -> bool:
    """Whether a function has real results that export cannot leave to the host."""
    return isinstance(node, Activation) and node.kind not in SQUASHING


def _bits(node: AnyNode, readers: list[AnyNode], graph: Graph, settings: Calibration) -> int:
    """Return how many bits the quantizer behind a result gets, 0 for none."""
    given = (settings.layer_activation_bits or {}).get(node.name)
    if not isinstance(
        node, Input | Dense | Conv | ConvTranspose | Affine | Activation | Combine | MatMul | Pool | Softmax
    ) or any(isinstance(r, Quantize | Thresholds) for r in readers):
        return 0
    if isinstance(node, Pool) and node.kind == "max":
        return 0
    tables = [r for r in readers if isinstance(r, Activation) and r.kind not in SIMPLE]
    if isinstance(node, Input):
        return given or (settings.table_bits if len(tables) == len(readers) else settings.activation_bits)
    if node.name == graph.output or _stays_exact(node):
        return 0
    if not isinstance(node, Affine) and readers and all(map(is_structure, readers)) and not _keeps_real(node):
        return 0  # the model's end, where elements are moved yet
    sums = [isinstance(r, Combine) and r.kind in ("add", "sub") for r in readers]
    if isinstance(node, Dense | Conv | ConvTranspose | Combine) and readers and all(sums):
        return 0  # the sum is rounded, not what it is made of
    if all(isinstance(r, Softmax) and r.name == graph.output for r in readers):
        return 0
    if len(tables) == len(readers):
        last = all(r.name == graph.output and r.kind in SQUASHING for r in tables)
        return 0 if last else given or settings.table_bits
    if not tables and all(isinstance(r, Activation | Affine) for r in readers) and len(readers) == 1:
        return 0  # the chain goes on; its end is quantized
    return given or settings.activation_bits


def fitted(name: str, source: str, values: Floats, bits: int) -> Quantize:
    """Return a quantizer (half up, saturating) with the LSB that suits the values best; unsigned where none is < 0."""
    signed = bool(values.min(initial=0) < 0)
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    frac = least_error_frac(values, bits, signed=signed, quantize=lambda v, f: _rounded(v, f, lo, hi))
    return Quantize(
        name=name,
        sources=(source,),
        scale=np.array(2.0**-frac),
        lo=np.array(lo),
        hi=np.array(hi),
        zero_point=np.array(0),
        rounding=Rounding.HALF_UP,
        overflow=Overflow.SATURATE,
    )


def _rounded(values: Floats, frac: int, lo: int, hi: int) -> Floats:
    return np.ldexp(np.clip(np.floor(np.ldexp(values, frac) + 0.5), lo, hi), -frac)


# ---- weights


def _with_weights(graph: Graph, settings: Calibration, exact: set[str], source: Lattice | None = None) -> Graph:
    nodes = list(graph.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node, Trees):
            nodes[index] = with_leaf_bits(node, (settings.layer_weight_bits or {}).get(node.name, settings.weight_bits))
        if not isinstance(node, Dense | Conv | ConvTranspose) or node.name in exact:
            continue
        bits = (settings.layer_weight_bits or {}).get(node.name, settings.weight_bits)
        weight = quantized_weight(node.weight, bits, per_channel=settings.per_channel)
        nodes[index] = replace(node, weight=weight, weight_scale=np.array(1.0))
        nodes[index] = _with_bias(replace(graph, nodes=tuple(nodes)), index, source)
    return replace(graph, nodes=tuple(nodes))


def quantized_weight(weight: Floats, bits: int, *, per_channel: bool) -> Floats:
    """Return weights rounded to symmetric integers of `bits` bits times a power of two per tensor or output channel.

    No channel is finer than fits WEIGHT_BITS with the others: a unit that has died, of weights below 1e-6, is its bias.
    """
    top = (1 << (bits - 1)) - 1
    columns = weight.reshape(-1, weight.shape[-1]) if per_channel else weight.reshape(-1, 1)
    rounded = np.empty_like(columns)
    fracs = [
        least_error_frac(column, bits, signed=True, quantize=lambda v, f: _rounded(v, f, -top, top))
        for column in columns.T
    ]
    coarsest = min((f for f, column in zip(fracs, columns.T, strict=True) if column.any()), default=0)
    finest = coarsest + WEIGHT_BITS - bits
    for channel, (frac, column) in enumerate(zip(fracs, columns.T, strict=True)):
        rounded[:, channel] = _rounded(column, min(frac, finest), -top, top)
    return rounded.reshape(weight.shape)


def _with_bias(graph: Graph, index: int, source: Lattice | None = None) -> Dense | Conv | ConvTranspose:
    """Return the layer with its bias rounded to the LSB of its products, where these are exact."""
    node = graph.nodes[index]
    assert isinstance(node, Dense | Conv | ConvTranspose)
    before = lattices(replace(graph, nodes=graph.nodes[: index + 1], output=node.sources[0]), source)[node.sources[0]]
    if before is None or not before.plain:
        return node
    frac = before.frac_bits + frac_bits(node.weight)
    return replace(node, bias=np.ldexp(np.rint(np.ldexp(node.bias, frac)), -frac))


def _with_last_affine(graph: Graph) -> Graph:
    """Round the factors of an affine map at the end, behind a layer that the model quantizes, to fixed point."""
    by_name = {node.name: node for node in graph.nodes}
    node = by_name[graph.output]
    while is_structure(node) or isinstance(node, Softmax) or (isinstance(node, Activation) and node.kind in SQUASHING):
        node = by_name[node.sources[0]]
    if not isinstance(node, Affine) or (before := lattices(graph)[node.sources[0]]) is None or not before.plain:
        return graph
    scale = quantized_weight(node.scale, PARAMETER_BITS + 1, per_channel=False)
    frac = before.frac_bits + frac_bits(scale)
    rounded = replace(node, scale=scale, offset=np.ldexp(np.rint(np.ldexp(node.offset, frac)), -frac))
    return replace(graph, nodes=tuple(rounded if n.name == node.name else n for n in graph.nodes))


# ---- bias correction


def _corrected(graph: Graph, floats: dict[str, Floats], x: Floats) -> Graph:
    for index, node in enumerate(graph.nodes):
        if not isinstance(node, Dense | Conv | ConvTranspose) or node.name not in floats:
            continue
        got = evaluate(replace(graph, nodes=graph.nodes[: index + 1], output=node.name), x)
        shift = (floats[node.name] - got).reshape(-1, got.shape[-1]).mean(axis=0)
        nodes = list(graph.nodes)
        nodes[index] = replace(node, bias=node.bias + shift)
        nodes[index] = _with_bias(replace(graph, nodes=tuple(nodes)), index)
        graph = replace(graph, nodes=tuple(nodes))
    return graph


def parameters(graph: Graph) -> int:
    """Return how many weights and biases a graph has."""
    return sum(
        prod(node.weight.shape) + node.bias.size
        for node in graph.nodes
        if isinstance(node, Dense | Conv | ConvTranspose)
    )
