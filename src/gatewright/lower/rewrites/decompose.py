"""A truth table in, an equal network of tables that fit LUTs out, and its cost.

Functional decomposition (Ashenhurst 1957, Curtis 1962): of all inputs some are bound; if the rest of the function has
only m different faces over all patterns of the bound inputs, ceil(log2 m) bits say all that the rest needs to know of
them. These code bits take a LUT each and stand in for the bound inputs. Neurons decompose well: what a part of the
inputs adds to the sum has few values, and requantisation makes many of them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.chips.luts import Luts
from gatewright.fixedpoint import Ints
from gatewright.lower.cost.luts import table_luts

_HOPEFUL = 5  # in eighths of all patterns: more faces than that are not brought below half of them by an exchange
_MULTIPLEXED = 2  # inputs beyond a LUT's for which a table of LUTs and multiplexers is considered as well


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A table of the network. values[index]: its entries; inputs: the bits of its index, the lowest first."""

    inputs: tuple[Signal, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """One bit: that of number `bit` of a cell's value, or of the function's own index where `cell` is None."""

    cell: Cell | None
    bit: int


@dataclass(frozen=True, slots=True)
class Network:
    """Cells that together compute a function.

    bits: the function's value, the lowest bit first; a plain 0 or 1 where it is constant. sites: LUTs of all cells.
    """

    bits: tuple[Signal | int, ...]
    sites: int


def decompose(values: Sequence[int], width: int, luts: Luts, below: int) -> Network | None:
    """Return a network for a function of 2**n entries, of which `width` bits matter; negative ones in two's complement.

    It is the one of fewest sites among those tried, exact for every index; None where it does not cost less than
    `below`.
    """
    raw = np.array(values, dtype=np.int64) & ((1 << width) - 1)
    inputs = tuple(Signal(None, bit) for bit in range(len(values).bit_length() - 1))
    return _cheaper(raw, inputs, width, luts, below)


def _cheaper(f: Ints, inputs: tuple[Signal, ...], width: int, luts: Luts, below: int) -> Network | None:
    """Return the cheaper of one network for all bits and one for each bit apart, None where both cost `below`."""
    best = _joint(f, inputs, width, luts, below)
    if width == 1:
        return best
    return _split(f, inputs, width, luts, best.sites if best else below) or best


def _split(f: Ints, inputs: tuple[Signal, ...], width: int, luts: Luts, below: int) -> Network | None:
    bits: list[Signal | int] = []
    sites = 0
    made = [_is_made(f >> bit & 1, len(inputs)) for bit in range(width)]
    for bit in range(width):
        others = sum(made[bit + 1 :])  # each of which is a LUT at least
        part = _joint(f >> bit & 1, inputs, 1, luts, below - sites - others)  # the lowest first, which is the hardest
        if part is None:
            return None
        sites += part.sites
        bits += part.bits
    return Network(tuple(bits), sites)


def _is_made(column: Ints, count: int) -> bool:
    """Whether a bit is neither constant nor a copy of an index bit."""
    ends = column[0], column[-1]
    if ends[0] == ends[1]:
        return bool((column != ends[0]).any())
    return ends[0] == 1 or column.sum() * 2 != len(column) or sum(column[1 << i] for i in range(count)) != 1


def _joint(f: Ints, inputs: tuple[Signal, ...], width: int, luts: Luts, below: int) -> Network | None:
    """Return the network whose bound inputs are coded once for all bits."""
    f, inputs = _needed(f, inputs)
    best: Network | None = None
    if _least(len(inputs), luts) >= below:
        return None
    if len(inputs) <= luts.inputs + max(luts.free_levels, _MULTIPLEXED):
        whole = _whole(f, inputs, width, luts)
        best = whole if whole.sites < below else None
        if len(inputs) <= luts.inputs or whole.sites <= 1:
            return best
    bound, codes = _bound_set(f, len(inputs), luts.inputs)
    if luts.pairs:  # two code bits of one input less share a LUT
        smaller = _bound_set(f, len(inputs), luts.inputs - 1)
        gains = len(bound) - codes, len(smaller[0]) - smaller[1]
        if gains[1] * codes > gains[0] * ((smaller[1] + 1) // 2):
            bound, codes = smaller
    if codes >= len(bound):
        return best
    faces, code = np.unique(_faces(f, len(inputs), bound), axis=0, return_inverse=True)
    cell = Cell(tuple(inputs[i] for i in bound), tuple(code.ravel().tolist()))
    own = table_luts(cell.values, luts)
    limit = (best.sites if best else below) - own
    if _least(len(inputs) - len(bound) + codes, luts) >= limit:
        return best
    free = tuple(inputs[i] for i in range(len(inputs)) if i not in bound)
    rest = faces[np.minimum(np.arange(1 << codes), len(faces) - 1)].ravel()  # what no code names reads as the last
    coded = (*free, *(Signal(cell, bit) for bit in range(codes)))
    found = _cheaper(rest, coded, width, luts, limit)
    return Network(found.bits, found.sites + own) if found else best


def _least(inputs: int, luts: Luts) -> int:
    """Return a lower bound on the sites of a function that needs so many inputs, multiplexers aside."""
    return -(-(inputs - 1) // (luts.inputs - 1)) if inputs > luts.inputs + luts.free_levels else 0


def _whole(f: Ints, inputs: tuple[Signal, ...], width: int, luts: Luts) -> Network:
    """Return the function as one table; bits that are constant, or an input, are no part of it."""
    index = np.arange(len(f))
    free: dict[bytes, Signal | int] = {np.full(len(f), bit).tobytes(): bit for bit in (0, 1)}
    free |= {(index >> i & 1).tobytes(): signal for i, signal in enumerate(inputs)}
    columns = [(f >> bit & 1).tobytes() for bit in range(width)]
    made = [bit for bit in range(width) if columns[bit] not in free]
    kept = np.zeros(len(f), dtype=np.int64)
    for place, bit in enumerate(made):
        kept |= (f >> bit & 1) << place
    cell = Cell(inputs, tuple(kept.tolist()))
    placed = {bit: Signal(cell, place) for place, bit in enumerate(made)}
    bits = tuple(placed[bit] if bit in placed else free[column] for bit, column in enumerate(columns))
    return Network(bits, table_luts(cell.values, luts) if made else 0)


def _needed(f: Ints, inputs: tuple[Signal, ...]) -> tuple[Ints, tuple[Signal, ...]]:
    """Return the function without the inputs that do not matter."""
    cube = f.reshape((2,) * len(inputs))
    kept: list[Signal] = []
    for signal in inputs:  # the lowest bit is the last axis
        low, high = (cube.take(bit, axis=cube.ndim - 1 - len(kept)) for bit in (0, 1))
        if np.array_equal(low, high):
            cube = low
        else:
            kept.append(signal)
    return cube.ravel(), tuple(kept)


def _bound_set(f: Ints, count: int, size: int) -> tuple[tuple[int, ...], int]:
    """Return bound inputs with few faces, and the bits that tell the faces apart.

    Tried are inputs of neighbouring influence, then what the exchange of one input makes of the best of them.
    """
    cube = f.reshape((2,) * count)
    axes = [count - 1 - i for i in range(count)]
    influence = [int(np.abs(cube.take(1, axis=axis) - cube.take(0, axis=axis)).sum()) for axis in axes]
    order = sorted(range(count), key=influence.__getitem__)
    weights = np.random.default_rng(0).integers(1, 1 << 62, 1 << (count - size), dtype=np.int64)

    def number(bound: tuple[int, ...]) -> int:
        return len(set((_faces(f, count, bound) @ weights).tolist()))  # a hash of every face

    found = min((number(window), window) for window in _windows(order, size))
    if found[0] <= _HOPEFUL << size - 3:
        best = found[1]
        others = [i for i in range(count) if i not in best]
        swaps = (tuple(sorted({*best, new} - {old})) for old in best for new in others)
        found = min([found, *((number(bound), bound) for bound in swaps)])
    best = found[1]
    exact = len(np.unique(_faces(f, count, best), axis=0))
    return best, max(exact - 1, 1).bit_length()


def _windows(order: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(sorted(order[at : at + size])) for at in range(len(order) - size + 1)]


def _faces(f: Ints, count: int, bound: tuple[int, ...]) -> Ints:
    """Return what is left of the function for each pattern of the bound inputs, shape (2**bound, 2**free)."""
    free = [i for i in range(count) if i not in bound]
    axes = [count - 1 - i for i in (*reversed(bound), *reversed(free))]
    return f.reshape((2,) * count).transpose(axes).reshape(1 << len(bound), -1)
