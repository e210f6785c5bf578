"""hls4ml's finished graph on streams in; how many words each stream between layers needs, out.

hls4ml gives each stream room for a whole feature map. What is needed follows from when layers take and give words;
counters decide that, as in our own designs: a run of tokens finds the least depths that keep the interval of a frame.
How long the vendor's pipelines take is not known: where branches join, one may wait for the other by that much.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, cast

from gatewright.lower.streaming.rule import Rule
from gatewright.lower.streaming.tokens import Net, Node, run
from gatewright.lower.tensor.depths import shrunk

LEAST = 2  # words: what the vendor's tool gives a stream of which nothing is said
_FRAMES = 5


def set_depths(graph: Any) -> dict[str, tuple[int, int]]:
    """Give the graph's streams the depths that they need. Return hls4ml's and ours by the stream's name.

    Empty where a layer's way of taking words is not known here: the streams then keep hls4ml's.
    """
    variables = {output: node.variables[output] for node in graph.get_layers() for output in node.outputs}
    alias = {node.outputs[0]: node.inputs[0] for node in graph.get_layers() if not _moves(node)}
    names = [output for output in variables if output not in alias]
    number = {name: at for at, name in enumerate(names)}
    packs = {name: _packs(variables[name]) for name in names}
    nodes: list[Node] = []
    for node in graph.get_layers():
        rule = _RULES.get(node.class_name)
        if node.class_name in _INPUTS or not _moves(node):
            continue
        if rule is None:
            return {}
        sources = [_behind(name, alias) for name in node.inputs]
        nodes.append(
            Node(
                name=node.name,
                rule=rule(node, [packs[name] for name in sources], packs[node.outputs[0]]),
                takes=tuple(number[name] for name in sources),
                gives=tuple(number[name] for name in node.outputs),
            )
        )
    (source,), (result,) = graph.inputs, graph.outputs
    net = Net(
        nodes=tuple(nodes),
        entering=(number[source],),
        leaving=number[_behind(result, alias)],
        depths=(1,) * len(names),
        beats=packs[source],
        results=packs[_behind(result, alias)],
    )
    free = run(net, frames=_FRAMES, unbounded=True)
    bits = [variables[name].type.precision.width * variables[name].shape[-1] for name in names]
    depths, _ = shrunk(net, [max(places, 1) for places in free.places], bits, free.interval_cycles, _FRAMES)
    changed: dict[str, tuple[int, int]] = {}
    for name, depth in zip(names, depths, strict=True):
        variable = variables[name]
        told = cast("tuple[str, int] | str", variable.pragma)
        if name not in (source, result) and isinstance(told, tuple):  # both ends are the surroundings'
            changed[variable.name] = (int(told[1]), max(depth, LEAST))
            variable.pragma = (told[0], changed[variable.name][1])
    return changed


def _moves(node: Any) -> bool:
    """Return whether a layer is a process; a flattened tensor is the stream that it was."""
    return node.class_name in _INPUTS or node.get_attr("function_cpp", None) is not None


def _behind(name: str, alias: Mapping[str, str]) -> str:
    while name in alias:
        name = alias[name]
    return name


def _packs(variable: Any) -> int:
    """Return the words of a stream: one for each pixel."""
    return prod(variable.shape) // variable.shape[-1]


def _each(_node: Any, _taken: list[int], given: int) -> Rule:
    return Rule(steps=given, emits=(True,) * given, latency_cycles=1)


def _last(node: Any, taken: list[int], given: int) -> Rule:
    """Return the rule of a layer that gives its result behind its last word. given: 1."""
    assert given == 1
    return Rule(steps=taken[0], emits=(*(False,) * (taken[0] - 1), True), latency_cycles=1, busy=_reuse(node))


def _windowed(node: Any, _taken: list[int], given: int) -> Rule:
    """Return the rule of a convolution or a pool: a result with the last pixel of each window."""
    kind = "pool" if "Pool" in node.class_name else "filt"
    axes = ("height", "width") if node.class_name.endswith("2D") else ("width",)
    spans: list[list[bool]] = []
    for axis in axes:
        size = node.get_attr(f"in_{axis}") or node.get_attr("n_in")
        window, stride = node.get_attr(f"{kind}_{axis}"), node.get_attr(f"stride_{axis}")
        spans.append([at >= window - 1 and (at - window + 1) % stride == 0 for at in range(size)])
    emits = tuple(all(ends) for ends in itertools.product(*spans))
    assert sum(emits) == given
    return Rule(steps=len(emits), emits=emits, latency_cycles=1, busy=1 if kind == "pool" else _reuse(node))


def _reuse(node: Any) -> int:
    return int(node.get_attr("reuse_factor", 1))


def _padded(node: Any, _taken: list[int], given: int) -> Rule:
    """Return the rule of zeros around an image: a word for each of them, taken from the source inside."""
    axes = (("height", "top"), ("width", "left")) if node.class_name.endswith("2D") else (("width", "left"),)
    spans: list[list[bool]] = []
    for axis, end in axes:
        before, size = node.get_attr(f"pad_{end}"), node.get_attr(f"in_{axis}")
        spans.append([before <= at < before + size for at in range(node.get_attr(f"out_{axis}"))])
    takes = tuple(all(inside) for inside in itertools.product(*spans))
    assert len(takes) == given
    return Rule(steps=given, emits=(True,) * given, latency_cycles=1, takes=takes)


def _regrouped(_node: Any, taken: list[int], given: int) -> Rule:
    """Return the rule of a reshape: words joined, cut, or where neither goes into the other all of them gathered."""
    (words,) = taken
    if words % given == 0:
        each = words // given
        return Rule(steps=words, emits=tuple((at + 1) % each == 0 for at in range(words)), latency_cycles=1)
    if given % words == 0:
        each = given // words
        takes = tuple(at % each == 0 for at in range(given))
        return Rule(steps=given, emits=(True,) * given, latency_cycles=1, takes=takes)
    first = (True,) * words + (False,) * given
    return Rule(steps=words + given, emits=tuple(not take for take in first), latency_cycles=1, takes=first)


def _joined(node: Any, taken: list[int], given: int) -> Rule:
    """Return the rule of a concatenation: of channels both words at once, of pixels one source after the other."""
    first, second = taken
    rank = len(node.get_output_variable().shape)
    if rank == 1:
        return Rule(
            steps=first + second,
            emits=(*(False,) * (first + second - 1), True),
            latency_cycles=1,
            reads=(0,) * first + (1,) * second,
        )
    axis = node.get_attr("axis")
    if axis in (rank, -1):
        return _each(node, taken, given)
    rows = 1 if axis == 1 else node.get_output_variable().shape[0]
    return Rule(
        steps=given,
        emits=(True,) * given,
        latency_cycles=1,
        reads=((0,) * (first // rows) + (1,) * (second // rows)) * rows,
    )


_INPUTS = ("Input", "InputLayer")
_WINDOWS = ("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "PointwiseConv1D", "PointwiseConv2D")
_POINTS = ("Activation", "ApplyAlpha", "BatchNormalization", "Clone", "Merge", "UnaryLUT")
_RULES: Mapping[str, Callable[[Any, list[int], int], Rule]] = {
    **dict.fromkeys(_POINTS, _each),
    **dict.fromkeys((*_WINDOWS, "Pooling1D", "Pooling2D"), _windowed),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padded),
    "Dense": _last,
    "Repack": _regrouped,
    "Concatenate": _joined,
}
