"""A constant table in; its entries by raw index bits, its LUTs and its LUT levels out.

An output bit is a Boolean function of the index bits. Constant bits, copies of other bits and bits that are one index
bit cost nothing; the rest is split on its highest bits until a LUT holds each part, equal parts shared. Some parts
have multiplexers behind their LUTs. For random tables of 6, 8 and 10 index bits yosys 0.70 takes 1 to 1.4 times the
LUTs that this counts, on GateMate 0.9 to 1.8 times; Nexus was not compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.lower.circuit import Node, Table, width


@dataclass(frozen=True, slots=True)
class Luts:
    """What a family builds tables of: inputs of a LUT, levels of multiplexers behind LUTs that cost none.

    sites: of one LUT that uses every input, in the family's unit; one with an input less takes a site.
    """

    inputs: int
    free_levels: int
    sites: int = 1


LUT6 = Luts(6, 2)  # MUXF7, MUXF8
LUT4 = Luts(4, 0)
LUT4_MUX7 = Luts(4, 3)  # PFUMX or WIDEFN9, two levels of L6MUX21
LUT4_MUX8 = Luts(4, 4)  # MUX2_LUT5 .. MUX2_LUT8
ALM = Luts(6, 0, sites=2)


def raw_values(source: Node) -> list[int]:
    """Return what each pattern of a node's bits means; for a pattern that never occurs, the nearer end of its range."""
    bits = width(source)
    signed = source.lo < 0
    values = (v - (1 << bits) if signed and v >> (bits - 1) else v for v in range(1 << bits))
    return [min(max(v, source.lo), source.hi) for v in values]


def raw_entries(table: Table, source: Node) -> tuple[int, ...]:
    """Return the table by the bits of its operand, read as an unsigned number."""
    return tuple(table.values[value - table.first] for value in raw_values(source))


def table_luts(entries: Sequence[int], luts: Luts) -> int:
    """Return the LUT sites of a table with 2**n entries."""
    size = len(entries)
    full = (1 << size) - 1
    top = max(max(entries).bit_length(), (-min(entries) - 1).bit_length() + 1 if min(entries) < 0 else 0)
    leaves: set[tuple[int, int]] = set()
    multiplexers = 0
    done: set[tuple[int, int]] = set()
    for bit in range(top):
        column = sum(((value >> bit) & 1) << index for index, value in enumerate(entries))
        reduced = _reduce(column, size)
        if reduced in done or (full ^ column, size) in done or reduced[1] <= 2:
            continue
        done |= {reduced, (column, size)}
        inputs = reduced[1].bit_length() - 1
        multiplexers += _multiplexers(inputs - luts.inputs - luts.free_levels, luts.inputs)
        leaves |= _leaves(reduced, 1 << luts.inputs)
    full_leaves = sum(size >> luts.inputs for _, size in leaves)
    return len(leaves) + (luts.sites - 1) * full_leaves + luts.sites * multiplexers


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
        mask = sum(((1 << step) - 1) << at for at in range(0, size, 2 * step))
        if column & mask == (column >> step) & mask:
            kept = column & mask
            column = sum(((kept >> at) & ((1 << step) - 1)) << (at // 2) for at in range(0, size, 2 * step))
            size //= 2
        else:
            step *= 2
    return column, size
