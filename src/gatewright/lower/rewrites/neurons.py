"""Circuit in, equal Circuit out: what depends on few input bits becomes a truth table where that is fewer LUTs.

The inputs of a node are the values of earlier layers on which it depends. Where they have few bits together, its table
is made by evaluating the circuit for all their patterns, and decomposed into LUTs (decompose.py): a whole neuron with
its rounding and saturation, or a sum inside one (LogicNets, Umuroglu et al. 2020, arXiv:2004.03021, has only tables).

Which nodes become tables is decided for all at once, exactly: a node as a table needs its inputs, a node as it is needs
its operands, and an adder that several neurons share is paid for as long as one of them needs it. That is a closure
problem, hence a minimum cut.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import assert_never

import numpy as np

from gatewright.chips.luts import Luts
from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Join,
    Node,
    Ref,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    evaluate,
    is_sign_test,
    operands,
    reread,
    width,
)
from gatewright.lower.circuit.values import passed_on
from gatewright.lower.closure import best_closure
from gatewright.lower.cost.delays import delays
from gatewright.lower.cost.sites import node_sites
from gatewright.lower.rewrites.decompose import Cell, Network, Signal, decompose
from gatewright.lower.rewrites.narrow import drop_dead

NEURON_BITS = 12  # of a neuron's inputs together; more are not tried: their tables take long and seldom pay
SELDOM = 3  # below this share of input bits times output bits, a table of several LUTs in a row was never the smaller
# a table's site beside one of an adder, in eighths: where LUTs are instantiated, and where yosys maps them
PRICE = {True: 9, False: 12}

Support = dict[int, int]
"""Value of an earlier layer -> mask of the bits that matter."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may become a table.

    bits: where bit i of the table's index comes from, (value, bit of it). raw: the table, one entry for each index.
    """

    network: Network
    bits: tuple[tuple[int, int], ...]
    raw: Ints


def tabulate(circuit: Circuit, *, family: str) -> Circuit:
    """Make tables of the nodes that the family then builds of fewer LUTs."""
    luts = delays(family).luts

    @cache
    def cost(index: int) -> int:
        return node_sites(circuit, index, family, registered=True)

    found = _candidates(circuit, cost, luts)
    chosen = _choose(circuit, cost, found, PRICE[luts.pairs]) if found else set[int]()
    if not chosen:
        return circuit
    b, place = CircuitBuilder(), list[int]()
    for index, node in enumerate(circuit.nodes):
        b.layer = node.layer
        if index in chosen:
            place.append(_emit(b, found[index], node, place))
            _prove(b, place, found[index], circuit.nodes, node)
        else:
            place.append(b.put(reread(node, place.__getitem__)))

    def move(ref: Ref | None) -> Ref | None:
        return None if ref is None else Ref(place[ref.node], ref.shift)

    return drop_dead(
        replace(
            circuit,
            nodes=tuple(b.nodes),
            outputs=tuple(Ref(place[ref.node], ref.shift) for ref in circuit.outputs),
            layer_values=tuple((layer, tuple(map(move, refs))) for layer, refs in circuit.layer_values),
        )
    )


def _candidates(circuit: Circuit, cost: Callable[[int], int], luts: Luts) -> dict[int, Candidate]:
    nodes = circuit.nodes
    neurons = {ref.node for ref in circuit.outputs}
    for node in nodes:
        neurons |= {operand for operand in operands(node) if nodes[operand].layer != node.layer}
    found: dict[int, Candidate] = {}
    for index, support in enumerate(supports(circuit)):
        if support is None or isinstance(nodes[index], Join):
            continue
        size = sum(mask.bit_count() for mask in support.values())
        if not 0 < size <= (NEURON_BITS if index in neurons else luts.inputs):  # 0: a constant that its range hides
            continue
        if isinstance(nodes[index], Floor | Shift | Wrap) and index not in neurons:
            continue
        cone = _cone(nodes, index, support)
        most = sum(map(cost, cone))
        below = 8 * most // PRICE[luts.pairs] + 1
        if most < 2 or (size > luts.inputs and SELDOM * most < size * width(nodes[index])):
            continue
        bits = tuple(
            (value, bit) for value, mask in support.items() for bit in range(mask.bit_length()) if mask >> bit & 1
        )
        raw = _evaluated(nodes, cone, _patterns(nodes, bits))
        network = decompose(raw.tolist(), width(nodes[index]), luts, below)
        if network is not None:
            found[index] = Candidate(network, bits, raw)
    return found


def supports(circuit: Circuit) -> list[Support | None]:
    """Return for every node the bits of earlier layers on which it depends; None for inputs and past NEURON_BITS."""
    nodes = circuit.nodes
    found: list[Support | None] = []
    spans: list[
        tuple[int, int, int, int] | None
    ] = []  # of wires: value of an earlier layer, its bits, zeros below them

    def span(operand: int, layer: str) -> tuple[int, int, int, int] | None:
        node = nodes[operand]
        given = isinstance(node, Source) or node.layer != layer
        return (operand, 0, width(node), 0) if given else spans[operand]

    for index, node in enumerate(nodes):
        spans.append(None)
        match node:
            case Source() | Const():
                found.append(None)
            case Floor() | Shift() | Wrap():
                below = span(node.a, node.layer)
                spans[index] = (below[0], *passed_on(node, *below[1:])) if below else None
                found.append(None if below else found[node.a])
            case Add() | Add3() | Clamp() | GreaterEqual() | Select() | Table() | Join():
                support: Support | None = {}
                for operand in operands(node):
                    if isinstance(nodes[operand], Const):
                        continue
                    inner, below = found[operand], span(operand, node.layer)
                    if below:
                        low = (
                            below[2] - 1 if isinstance(node, GreaterEqual) and is_sign_test(circuit, node) else below[1]
                        )
                        inner = {below[0]: ((1 << below[2]) - 1) >> low << low}
                    support = None if support is None or inner is None else _joined(support, inner)
                found.append(support or None)
            case _:
                assert_never(node)
    return found


def _joined(a: Support, b: Support) -> Support | None:
    """Return both supports together, None where they are more bits than any table has."""
    both = a | {value: mask | a.get(value, 0) for value, mask in b.items()}
    return both if sum(mask.bit_count() for mask in both.values()) <= NEURON_BITS else None


def _cone(nodes: Sequence[Node], index: int, inputs: Collection[int]) -> list[int]:
    """Return the nodes between some inputs and a node, in order, the node last."""
    cone: set[int] = set()
    stack = [index]
    while stack:
        at = stack.pop()
        if at not in cone and at not in inputs:
            cone.add(at)
            stack.extend(operands(nodes[at]))
    return sorted(cone)


def _evaluated(nodes: Sequence[Node], cone: Sequence[int], given: dict[int, Ints]) -> Ints:
    """Return the last node's value for given values of its inputs."""
    found, nothing = dict(given), np.zeros((len(next(iter(given.values()))), 0), dtype=np.int64)
    for index in cone:
        found[index] = evaluate(nodes[index], found, nothing)
    return found[cone[-1]]


def _patterns(nodes: Sequence[Node], bits: Sequence[tuple[int, int]]) -> dict[int, Ints]:
    """Return each input's values over all patterns of the bits: beyond its range the nearer end, unread bits 0."""
    index = np.arange(1 << len(bits))
    found: dict[int, Ints] = {}
    for place, (value, bit) in enumerate(bits):
        found[value] = found.get(value, np.zeros_like(index)) | (index >> place & 1) << bit
    read: Support = {}
    for value, bit in bits:
        read[value] = read.get(value, 0) | 1 << bit
    for value, raw in found.items():
        node, size = nodes[value], width(nodes[value])
        if read[value] >> (size - 1):  # the highest bit is read: it is a number
            found[value] = np.clip(raw - ((raw >> (size - 1)) << size) if node.lo < 0 else raw, node.lo, node.hi)
    return found


def _choose(circuit: Circuit, cost: Callable[[int], int], found: dict[int, Candidate], price: int) -> set[int]:
    """Return the nodes to be made tables: those of the cheapest circuit, by node_sites and the networks' sites.

    price: of a table's site, in eighths. Items: node i is needed; for a candidate also: it stays as it is.
    """
    count = len(circuit.nodes)
    stays = {index: count + k for k, index in enumerate(found)}
    gain = [-8 * cost(index) for index in range(count)] + [0] * len(found)
    pairs: list[tuple[int, int]] = []
    for index, node in enumerate(circuit.nodes):
        pairs += [(stays.get(index, index), operand) for operand in operands(node)]
        if index in found:
            table = price * found[index].network.sites
            gain[index], gain[stays[index]] = -table, table - 8 * cost(index)
            pairs += [(stays[index], index), *((index, value) for value, _ in found[index].bits)]
    all_of_it = 1 - sum(min(g, 0) for g in gain)
    for ref in circuit.outputs:
        gain[ref.node] = all_of_it + min(gain[ref.node], 0)
    needed = set(best_closure(np.array(gain), np.array(pairs, dtype=np.int64).reshape(-1, 2)).tolist())
    return {index for index in found if index in needed and stays[index] not in needed}


def _emit(b: CircuitBuilder, candidate: Candidate, node: Node, place: Sequence[int]) -> int:
    """Append a candidate's network; return the node of its value."""
    made: dict[Cell, int] = {}

    def where(signal: Signal) -> tuple[int, int]:
        if signal.cell is None:
            value, bit = candidate.bits[signal.bit]
            return place[value], bit
        return table(signal.cell), signal.bit

    def table(cell: Cell, *, whole: bool = False) -> int:
        if cell in made:
            return made[cell]
        inputs = sorted((where(signal), i) for i, signal in enumerate(cell.inputs))
        index = np.arange(len(cell.values))
        old = np.zeros_like(index)
        for position, (_, i) in enumerate(inputs):
            old |= (index >> position & 1) << i
        entries = np.array(cell.values)[old]
        lo, hi = 0, int(entries.max())
        if whole:
            lo, hi = node.lo, node.hi
            entries = entries - ((entries >> (width(node) - 1)) << width(node)) if lo < 0 else entries
        reads, widths = _slices(b, [at for at, _ in inputs])
        values = tuple(entries.tolist())
        made[cell] = b.put(Table(layer=b.layer, lo=lo, hi=hi, reads=reads, widths=widths, values=values))
        return made[cell]

    bits = candidate.network.bits
    cell = bits[0].cell if isinstance(bits[0], Signal) else None
    if cell is not None and bits == tuple(Signal(cell, i) for i in range(len(bits))):
        return table(cell, whole=True)
    sources = [(b.const(bit), 0) if isinstance(bit, int) else where(bit) for bit in bits]
    reads, widths = _slices(b, sources)
    return b.put(Join(layer=b.layer, lo=node.lo, hi=node.hi, reads=reads, widths=widths))


def _slices(b: CircuitBuilder, bits: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return wires that carry the bits in order, and how many each carries; neighbours of one value go together."""
    runs: list[tuple[int, int, int]] = []
    for value, bit in bits:
        if runs and runs[-1][0] == value and runs[-1][2] == bit and not isinstance(b.nodes[value], Const):
            runs[-1] = (value, runs[-1][1], bit + 1)
        else:
            runs.append((value, bit, bit + 1))
    return tuple(_slice(b, *run) for run in runs), tuple(high - low for _, low, high in runs)


def _slice(b: CircuitBuilder, value: int, low: int, high: int) -> int:
    """Return bits low .. high-1 of a value as an unsigned number."""
    node = b.nodes[value]
    if low:
        value = b.put(Floor(layer=b.layer, lo=node.lo >> low, hi=node.hi >> low, a=value, drop=low))
        node = b.nodes[value]
    top = (1 << (high - low)) - 1
    if high - low == width(node):
        return value
    return b.put(Wrap(layer=b.layer, lo=0, hi=top, a=value, width_bits=high - low, signed=False))


def _prove(b: CircuitBuilder, place: Sequence[int], candidate: Candidate, nodes: Sequence[Node], node: Node) -> None:
    """Compare the network with the table for every pattern of its inputs; a difference is a fault of this file."""
    given: dict[int, Ints] = {}
    same = np.ones(len(candidate.raw), dtype=np.bool_)
    for value, found in _patterns(nodes, candidate.bits).items():  # equal neurons have become one node
        same &= found == given.setdefault(place[value], found)
    got = _evaluated(b.nodes, _cone(b.nodes, place[-1], given), given)
    if not np.array_equal(got[same], candidate.raw[same]):
        raise LowerError(f"layer {node.layer!r}: the tables of a neuron do not equal it; this is a bug, report it")
