"""FoldedLayer: the time-multiplexed plan of a layer's products, which says what each multiplier does in each cycle.

An accumulator has multipliers of its own. All follow one timetable: groups of cycles, and one output per accumulator
and group. Inputs reach the multipliers in one of two ways, whichever costs less:

rotate  the inputs stand in slots, shift registers that all share; a multiplier takes whatever its slot shows.
gather  each multiplier has a multiplexer and a list of the non-zero weights alone, so pruned weights cost no cycle.

A block that multiplies 25 bits by 18 holds two products of one input: (a << 16 | b) * x. The low one is the block's low
half, read as a signed number; the high one lacks one where the low one is negative, which an adder gives back.

`simulate` is the meaning, cycle by cycle, and checks every proven range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints

Interval = tuple[int, int]
BLOCK_DEPTH = 128  # cycles from which on weights go into block RAM; below, a LUT holds 16 to 64 words of a bit
PAIR_SHIFT = 16  # a block's two products are so many bits apart
_PAIR_BITS, _INPUT_BITS = 25, 18  # of a block's operands
DIGIT_BITS = 2  # a multiplier in logic is a sum of products with this many bits of the weight: short carry chains


@dataclass(frozen=True, slots=True, kw_only=True)
class Digit:
    """Bits low..low+width-1 of a multiplier's weight; the highest digit of signed weights is signed."""

    low: int
    width: int
    signed: bool

    def of(self, weight: int) -> int:
        """Return the digit's value in a weight."""
        value = (weight >> self.low) & ((1 << self.width) - 1)
        return value - (1 << self.width) if self.signed and value >> (self.width - 1) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """In cycle t: input reads[t] (-1: the number 0) times weights[t]. slot: rotating register, or -1."""

    slot: int
    reads: tuple[int, ...]
    weights: tuple[int, ...]
    digits: tuple[Digit, ...]

    @property
    def weight_bits(self) -> int:
        """Bits of a stored weight."""
        return Fixed.holding(min(self.weights), max(self.weights), 0).width_bits

    @property
    def whole(self) -> Digit:
        """The weight as one digit."""
        return Digit(low=0, width=self.weight_bits, signed=min(self.weights) < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What a register behind multiplier `number` of the plan adds to a sum, << low.

    part: "digit": the input times a digit of the weight; of a pair of products in a block "high": the upper half, and
    "borrow": 1 where the lower one, of multiplier `beside`, is negative.
    """

    number: int
    digit: Digit
    part: Literal["digit", "high", "borrow"] = "digit"
    beside: int = -1

    @property
    def low(self) -> int:
        """By how many bits it is shifted."""
        return self.digit.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulator:
    """In group g it computes outputs[g] (-1: nothing) from biases[g] on."""

    outputs: tuple[int, ...]
    biases: tuple[int, ...]
    multipliers: tuple[Multiplier, ...]


@dataclass(frozen=True, kw_only=True)
class FoldedLayer:
    """One layer's plan. inputs: the interval of each input; groups: cycles of each group.

    constants: the outputs that no weight reaches, with their value. packed: whether accumulators 2 n and 2 n + 1, whose
    multipliers read the same inputs, share a block for two products.
    """

    layer: str
    inputs: tuple[Interval, ...]
    outputs: int
    groups: tuple[int, ...]
    accumulators: tuple[Accumulator, ...]
    constants: dict[int, int]
    gather: bool
    dsp: bool
    packed: bool = False

    @property
    def cycles(self) -> int:
        """Cycles for one vector: the layer's initiation interval."""
        return sum(self.groups)

    @property
    def starts(self) -> tuple[int, ...]:
        """First cycle of each group."""
        return tuple(sum(self.groups[:g]) for g in range(len(self.groups)))

    @property
    def multipliers(self) -> tuple[Multiplier, ...]:
        """Every multiplier, accumulator by accumulator."""
        return tuple(multiplier for accumulator in self.accumulators for multiplier in accumulator.multipliers)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The numbers of the two multipliers of each block that holds two products, the low one first."""
        found: list[tuple[int, int]] = []
        first = 0
        for low, high in zip(self.accumulators[::2], self.accumulators[1::2], strict=True) if self.packed else ():
            count = len(low.multipliers)
            assert len(high.multipliers) == count, "both read the same inputs"
            found += [(first + i, first + count + i) for i in range(count)]
            first += 2 * count
        return tuple(found)

    @cached_property
    def words(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """What is stored for each multiplier: a number for each cycle, and its bits.

        It is the weight; of a block's high product one less where the low weight is negative.
        """
        stored = [multiplier.weights for multiplier in self.multipliers]
        for low, high in self.pairs:
            stored[high] = tuple(b - (a < 0) for a, b in zip(stored[low], stored[high], strict=True))
        return tuple((words, Fixed.holding(min(words), max(words), 0).width_bits) for words in stored)

    @cached_property
    def terms(self) -> tuple[tuple[Term, ...], ...]:
        """What each accumulator adds up in a cycle."""
        lower, found, number = {high: low for low, high in self.pairs}, list[tuple[Term, ...]](), 0
        for accumulator in self.accumulators:
            mine: list[Term] = []
            for multiplier in accumulator.multipliers:
                if number in lower:
                    both = Term(number=number, digit=multiplier.whole, part="high", beside=lower[number])
                    borrow = Term(number=number, digit=multiplier.whole, part="borrow", beside=lower[number])
                    mine += [both] + [borrow] * bool(self.bounds(borrow)[1].any())
                elif self.packed:
                    mine.append(Term(number=number, digit=multiplier.whole))
                else:
                    mine += [Term(number=number, digit=digit) for digit in multiplier.digits]
                number += 1
            found.append(tuple(mine))
        return tuple(found)

    def bounds(self, term: Term) -> tuple[Ints, Ints]:
        """Return lo and hi of a term in each cycle, without its shift."""
        lo, hi = self.products(self.multipliers[term.number], term.digit)
        if term.part == "digit":
            return lo, hi
        beside = self.multipliers[term.beside]
        under, over = self.products(beside, beside.whole)
        if term.part == "borrow":
            return (over < 0).astype(np.int64), (under < 0).astype(np.int64)
        return lo - (under < 0), hi - (over < 0)

    def term(self, term: Term, x: Ints, t: int) -> Ints:
        """Return a term's value in cycle t for inputs x: (n, inputs), without its shift."""

        def product(number: int, digit: Digit) -> Ints:
            multiplier = self.multipliers[number]
            place = multiplier.reads[t]
            return (x[:, place] if place >= 0 else x[:, 0] * 0) * digit.of(multiplier.weights[t])

        own = product(term.number, term.digit)
        if term.part == "digit":
            return own
        borrow = (product(term.beside, self.multipliers[term.beside].whole) < 0).astype(np.int64)
        return borrow if term.part == "borrow" else own - borrow

    @property
    def slots(self) -> tuple[tuple[int, ...], ...]:
        """Rotating registers that are read: the inputs of each in order of their cycles; -1 fills the last."""
        depth = self.groups[0]
        count = 1 + max((multiplier.slot for multiplier in self.multipliers), default=-1)
        rows = [tuple(range(p * depth, (p + 1) * depth)) for p in range(count)]
        return tuple(tuple(i if i < len(self.inputs) else -1 for i in row) for row in rows)

    @cached_property
    def totals(self) -> tuple[Interval, ...]:
        """The interval that each accumulator stays in, partial sums included."""
        found: list[Interval] = []
        for accumulator in self.accumulators:
            bounds = [self._running(accumulator, group) for group in range(len(self.groups))]
            found.append((min(int(lo.min()) for lo, _ in bounds), max(int(hi.max()) for _, hi in bounds)))
        return tuple(found)

    @cached_property
    def results(self) -> tuple[Interval, ...]:
        """The interval of each output."""
        found = [(self.constants.get(j, 0), self.constants.get(j, 0)) for j in range(self.outputs)]
        for accumulator in self.accumulators:
            for group, output in enumerate(accumulator.outputs):
                if output >= 0:
                    lo, hi = self._running(accumulator, group)
                    found[output] = int(lo[-1]), int(hi[-1])
        return tuple(found)

    def products(self, multiplier: Multiplier, digit: Digit) -> tuple[Ints, Ints]:
        """Return lo and hi of input times digit in each cycle."""
        ends = [self.inputs[i] if i >= 0 else (0, 0) for i in multiplier.reads]
        values = [digit.of(w) for w in multiplier.weights]
        pairs = [(min(a * v, b * v), max(a * v, b * v)) for (a, b), v in zip(ends, values, strict=True)]
        return np.array([lo for lo, _ in pairs], dtype=np.int64), np.array([hi for _, hi in pairs], dtype=np.int64)

    def _running(self, accumulator: Accumulator, group: int) -> tuple[Ints, Ints]:
        """Return lo and hi of the accumulator after each cycle of a group."""
        first = self.starts[group]
        last = first + self.groups[group]
        lo = hi = np.full(self.groups[group], accumulator.biases[group], dtype=np.int64)
        for multiplier in accumulator.multipliers:
            bottom, top = self.products(multiplier, multiplier.whole)
            lo, hi = lo + np.cumsum(bottom[first:last]), hi + np.cumsum(top[first:last])
        return lo, hi


def multiplier_of(slot: int, reads: list[int], weights: list[int], dsp: bool) -> Multiplier:
    """Return the multiplier of a list of products, its weights cut into digits where it is built in logic."""
    whole = Fixed.holding(min(weights), max(weights), 0)
    step = whole.width_bits if dsp else DIGIT_BITS
    lows = range(0, whole.width_bits, step)
    digits = [
        Digit(low=low, width=min(step, whole.width_bits - low), signed=whole.signed and low + step >= whole.width_bits)
        for low in lows
    ]
    used = tuple(digit for digit in digits if any(digit.of(w) for w in weights))
    return Multiplier(slot=slot, reads=tuple(reads), weights=tuple(weights), digits=used)


def fits_pairs(plan: FoldedLayer) -> bool:
    """Tell whether every pair of products of a plan fits into its block; a plan without pairs fits."""
    if not plan.packed:
        return True
    top = 1 << (PAIR_SHIFT - 1)
    for low, high in plan.pairs:
        lo, hi = plan.products(plan.multipliers[low], plan.multipliers[low].whole)
        numbers, _ = plan.words[high]
        widest = Fixed.holding(min(*numbers, -1), max(numbers), 0).width_bits
        if lo.min() < -top or hi.max() >= top or widest + PAIR_SHIFT > _PAIR_BITS:
            return False
    return all(Fixed.holding(min(lo, -1), max(hi, 0), 0).width_bits <= _INPUT_BITS for lo, hi in plan.inputs)


def simulate(folded: FoldedLayer, x: Ints) -> Ints:
    """Return the outputs (n, outputs) for inputs x: (n, inputs), computed as the hardware does.

    Raises LowerError where an accumulator leaves its proven range: that is a fault of the plan, never of the data.
    """
    out = np.zeros((len(x), folded.outputs), dtype=np.int64)
    for output, value in folded.constants.items():
        out[:, output] = value
    for number, (accumulator, (lo, hi)) in enumerate(zip(folded.accumulators, folded.totals, strict=True)):
        for group, (start, length) in enumerate(zip(folded.starts, folded.groups, strict=True)):
            total = np.full(len(x), accumulator.biases[group], dtype=np.int64)
            for t in range(start, start + length):
                for multiplier in accumulator.multipliers:
                    weight = sum(digit.of(multiplier.weights[t]) << digit.low for digit in multiplier.digits)
                    if weight:
                        total = total + weight * x[:, multiplier.reads[t]]
                if total.size and (total.min() < lo or total.max() > hi):
                    raise LowerError(
                        f"layer {folded.layer!r}, accumulator {number}, cycle {t}: {total.min()}..{total.max()} "
                        f"leaves its range {lo}..{hi}; this is a bug, report it"
                    )
            if accumulator.outputs[group] >= 0:
                out[:, accumulator.outputs[group]] = total
    return out
