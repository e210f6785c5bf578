"""A constant table in; its LUTs and its LUT levels out.

An output bit is a Boolean function of the index bits. Constant bits, copies of other bits and bits that are one index
bit cost nothing; the rest is split on its highest bits until a LUT holds each part, equal parts shared. Some parts
have multiplexers behind their LUTs. For random tables of 6, 8 and 10 index bits yosys 0.70 takes 1 to 1.4 times the
LUTs that this counts, on GateMate 0.9 to 1.8 times; Nexus was not compared. On Xilinx families tables of up to eight
index bits are instantiated LUTs (rtl/leaf/gw_lut.v), two functions of at most five bits in one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from gatewright.chips.luts import LUT4, Luts
from gatewright.lower.circuit.nodes import Node, width


def raw_values(source: Node) -> list[int]:
    """Return what each pattern of a node's bits means; for a pattern that never occurs, the nearer end of its range."""
    bits = width(source)
    signed = source.lo < 0
    values = (v - (1 << bits) if signed and v >> (bits - 1) else v for v in range(1 << bits))
    return [min(max(v, source.lo), source.hi) for v in values]


def table_luts(entries: Sequence[int], luts: Luts) -> int:
    """Return the LUT sites of a table with 2**n entries."""
    size = len(entries)
    if luts.pairs and size <= 1 << luts.inputs + luts.free_levels:
        # a multiplexer behind LUTs is wired to its own two: no sharing, and a constant half is a LUT too
        return sum(1 << max(len(support) - luts.inputs, 0) for _, support in _grouped(entries, luts)[1])
    full = (1 << size) - 1
    leaves: set[tuple[int, int]] = set()
    multiplexers = 0
    done: set[tuple[int, int]] = set()
    for column in columns(entries):
        reduced = _reduce(column, size)
        if reduced in done or (full ^ column, size) in done or reduced[1] <= 2:
            continue
        done |= {reduced, (column, size)}
        inputs = reduced[1].bit_length() - 1
        multiplexers += _multiplexers(inputs - luts.inputs - luts.free_levels, luts.inputs)
        leaves |= _leaves(reduced, 1 << luts.inputs)
    full_leaves = sum(size >> luts.inputs for _, size in leaves)
    return len(leaves) + (luts.sites - 1) * full_leaves + luts.sites * multiplexers


@dataclass(frozen=True, slots=True)
class Lut:
    """One LUT of a packed table.

    inputs: bits of the index; tables: one or two truth tables over them; bits: which bits of an entry each gives.
    """

    inputs: tuple[int, ...]
    tables: tuple[int, ...]
    bits: tuple[tuple[int, ...], ...]


def packed(entries: Sequence[int], luts: Luts, width: int) -> tuple[dict[int, int], list[Lut]]:
    """Return the LUTs of a table: (bit of the entry -> bit of the index it is a copy of, LUTs).

    A function of more inputs than a LUT has is one `Lut` all the same: free multiplexers join its parts. Of `width`
    bits of the entries those that are constant are in neither. Two functions share a LUT where they have few enough
    inputs together.
    """
    raw = [entry & ((1 << width) - 1) for entry in entries]
    copies, groups = _grouped(raw, luts)
    bits = columns(raw)
    made: list[Lut] = []
    for group, support in groups:
        inputs = tuple(sorted(support))
        tables = tuple(_projected(column, inputs) for column in group)
        made.append(Lut(inputs, tables, tuple(tuple(b for b, c in enumerate(bits) if c == column) for column in group)))
    return copies, made


def _grouped(entries: Sequence[int], luts: Luts) -> tuple[dict[int, int], list[tuple[list[int], set[int]]]]:
    """Return the copies as packed does, and which columns share a LUT, with the inputs of each."""
    size = len(entries)
    count = size.bit_length() - 1
    copies: dict[int, int] = {}
    supports: dict[int, set[int]] = {}
    wires = {((1 << size) - 1) ^ _low_halves(1 << i, size): i for i in range(count)}
    for bit, column in enumerate(columns(entries)):
        if column in wires:
            copies[bit] = wires[column]
        elif 0 < column < (1 << size) - 1 and column not in supports:
            supports[column] = _support(column, count)
    left = sorted(supports, key=lambda column: len(supports[column]), reverse=True)
    made: list[tuple[list[int], set[int]]] = []
    while left:
        first = left.pop(0)
        group = [first]
        fitting = [c for c in left if len(supports[first] | supports[c]) < luts.inputs] if luts.pairs else []
        if fitting:
            group.append(min(fitting, key=lambda c: len(supports[first] | supports[c])))
            left.remove(group[1])
        made.append((group, set[int]().union(*(supports[column] for column in group))))
    return copies, made


def columns(entries: Sequence[int]) -> list[int]:
    """Return each bit of the entries as a truth table: bit `index` of it is that bit of entries[index]."""
    low, high = min(entries), max(entries)
    top = max(high.bit_length(), (-low - 1).bit_length() + 1 if low < 0 else 0)
    bits = np.array(entries, dtype=np.int64)
    packs = (np.packbits(bits >> bit & 1 == 1, bitorder="little") for bit in range(top))
    return [int.from_bytes(pack.tobytes(), "little") for pack in packs]


def _support(column: int, count: int) -> set[int]:
    """Return the index bits on which a function of 2**count entries depends."""
    masks = ((i, _low_halves(1 << i, 1 << count)) for i in range(count))
    return {i for i, mask in masks if column & mask != (column >> (1 << i)) & mask}


def _projected(column: int, inputs: Sequence[int]) -> int:
    """Return the truth table over some index bits, on which alone it depends."""
    places = [sum((index >> k & 1) << i for k, i in enumerate(inputs)) for index in range(1 << len(inputs))]
    return sum((column >> place & 1) << index for index, place in enumerate(places))


def table_levels(index_bits: int, luts: Luts) -> int:
    """Return the LUTs in a row from index to entry; two levels of multiplexers count as one LUT, but of bare 4-LUTs."""
    return 1 + max(-(-(index_bits - luts.inputs) // (1 if luts == LUT4 else 2)), 0)


def _multiplexers(levels: int, lut_inputs: int) -> int:
    """Return the LUTs that choose among 2**levels parts: four in a 6-input LUT, two in a 4-input one."""
    if levels <= 0:
        return 0
    return math.ceil(((1 << levels) - 1) / (3 if lut_inputs == 6 else 1))


def _leaves(function: tuple[int, int], most: int) -> set[tuple[int, int]]:
    column, size = function
    if size <= 2:
        return set()
    if size <= most:
        return {function}
    half = size // 2
    low, high = column & ((1 << half) - 1), column >> half
    return _leaves(_reduce(low, half), most) | _leaves(_reduce(high, half), most)


def _reduce(column: int, size: int) -> tuple[int, int]:
    """Return a truth table (bits, number of entries) without the index bits that do not matter."""
    step = 1
    while step < size:
        mask = _low_halves(step, size)
        if column & mask == (column >> step) & mask:
            kept = column & mask
            column = sum(((kept >> at) & ((1 << step) - 1)) << (at // 2) for at in range(0, size, 2 * step))
            size //= 2
        else:
            step *= 2
    return column, size


@cache
def _low_halves(step: int, size: int) -> int:
    """Return ones for the entries whose index lacks the bit `step`."""
    return sum(((1 << step) - 1) << at for at in range(0, size, 2 * step))
