"""A convolution's matrix, and how many lanes and outputs are computed at a time, in; its plan over a window out.

A *sweep* reads a window's pixels one after the other from a memory, a word of some lanes in each cycle, for some
outputs at a time: `blocks` of outputs, in each of which every tap's words are read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gatewright.fixedpoint import Ints
from gatewright.lower.folded.plan import Accumulator, FoldedLayer, Interval, fits_pairs, multiplier_of
from gatewright.lower.streaming.window import Window

Word = tuple[int, int, int]
"""Row of taps, column of taps, number of the word in its pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """lanes: of a pixel, of which each of `groups` has as many, for as many outputs of its own.

    word: lanes of a word; outputs: computed at a time.
    """

    lanes: int
    results: int
    groups: int
    word: int
    outputs: int

    @property
    def words(self) -> int:
        """Words of a pixel."""
        return self.lanes // self.word

    @property
    def blocks(self) -> int:
        """Parts of the outputs, computed one after the other."""
        return self.results // self.outputs

    @property
    def apart(self) -> bool:
        """Whether each lane of a word has outputs of its own: a depthwise convolution, several channels at a time."""
        return self.groups == self.lanes and self.outputs == self.word * (self.results // self.groups)

    @property
    def words_each(self) -> int:
        """Words that an output reads of a pixel."""
        return 1 if self.apart else self.lanes // self.groups // self.word

    @property
    def multipliers(self) -> int:
        """Products at a time, of which some may be of no weight."""
        return self.outputs if self.apart else self.outputs * self.word

    @property
    def paired(self) -> bool:
        """Whether two outputs each multiply the same lanes."""
        return not self.apart and self.outputs % 2 == 0

    def first_word(self, block: int) -> int:
        """Return the first word of a pixel that a block's outputs read."""
        if self.apart:
            return block
        group = block * self.outputs // (self.results // self.groups)
        return group * (self.lanes // self.groups) // self.word

    def lane(self, output: int, place: int) -> int:
        """Return which lane of a word multiplier `place` of an output of the block reads."""
        return output // (self.results // self.groups) if self.apart else place


def all_sides(lanes: int, results: int, groups: int) -> Iterator[Sides]:
    """Yield what a convolution can be cut into: words that divide a group's lanes, outputs that divide a group's."""
    depth, each = lanes // groups, results // groups
    for word in (n for n in range(1, depth + 1) if depth % n == 0):
        for outputs in (n for n in range(1, each + 1) if each % n == 0):
            yield Sides(lanes=lanes, results=results, groups=groups, word=word, outputs=outputs)
    if depth == 1:
        for word in (n for n in range(2, lanes + 1) if lanes % n == 0):
            yield Sides(lanes=lanes, results=results, groups=groups, word=word, outputs=word * each)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """sides: how pixels and outputs are cut; window: with the taps."""

    window: Window
    sides: Sides

    @property
    def columns(self) -> int:
        """Columns of taps."""
        return self.window.size[1]

    @property
    def block_cycles(self) -> int:
        """Cycles of a block."""
        return self.window.size[0] * self.columns * self.sides.words_each

    @property
    def cycles(self) -> int:
        """Cycles of a window."""
        return self.block_cycles * self.sides.blocks

    @cached_property
    def walk(self) -> tuple[Word, ...]:
        """The word that each cycle of a window reads."""
        rows = range(self.window.size[0])
        return tuple(
            (row, column, self.sides.first_word(block) + word)
            for block in range(self.sides.blocks)
            for row in rows
            for column in range(self.columns)
            for word in range(self.sides.words_each)
        )

    @property
    def again(self) -> int:
        """Cycles after which the walk is as it was: a block, or all of them where blocks read words of their own."""
        each = self.block_cycles
        return each if all(self.walk[i] == self.walk[i % each] for i in range(self.cycles)) else self.cycles

    def age(self, word: Word) -> int:
        """Return by how many pixels a word's is older than the one that completes the window."""
        window, (row, column, _) = self.window, word
        (down, right), (rows, columns) = window.dilation, window.reach
        return (rows - 1 - row * down) * window.row_beats + columns - 1 - column * right

    @property
    def held(self) -> int:
        """Pixels that the memory holds: from a window's first to its last, and two that come while it is read."""
        return self.age((0, 0, 0)) + 3

    @property
    def depth(self) -> int:
        """Words of the memory, a power of two."""
        return 1 << (self.held * self.sides.words - 1).bit_length()

    def element(self, word: Word, lane: int) -> int:
        """Return which element of the window a lane of a word is."""
        row, column, number = word
        place = row * self.window.columns + column * self.window.dilation[1]
        return place * self.sides.lanes + number * self.sides.word + lane

    def plan(
        self, layer: str, matrix: Ints, bias: Ints, inputs: tuple[Interval, ...], *, dsp: bool, pairs: bool
    ) -> FoldedLayer | None:
        """Return the plan, None where an output that is computed has no weight in any block.

        pairs: whether blocks hold two products, where there are two outputs for each and they fit.

        matrix: (row of taps, column of taps, lanes, results); bias: (results,); inputs: of the window's elements.
        """
        sides, found = self.sides, list[Accumulator]()
        pairs = pairs and dsp and sides.paired
        for output in range(sides.outputs):
            mine = range(output, sides.results, sides.outputs)
            lanes = [sides.lane(output, place) for place in range(1 if sides.apart else sides.word)]
            beside = output ^ 1 if pairs else output  # whose products stand in the same blocks
            used = [lane for lane in lanes if any(any(self._weights(matrix, o, lane)) for o in (output, beside))]
            if not any(any(self._weights(matrix, output, lane)) for lane in lanes):
                return None
            multipliers = tuple(
                multiplier_of(
                    lane, [self.element(word, lane) for word in self.walk], self._weights(matrix, output, lane), dsp
                )
                for lane in used
            )
            biases = tuple(int(bias[j]) for j in mine)
            found.append(Accumulator(outputs=tuple(mine), biases=biases, multipliers=multipliers))
        plan = FoldedLayer(
            layer=layer,
            inputs=inputs,
            outputs=sides.results,
            groups=(self.block_cycles,) * sides.blocks,
            accumulators=tuple(found),
            constants={},
            gather=False,
            dsp=dsp,
            packed=pairs,
        )
        if fits_pairs(plan):
            return plan
        return self.plan(layer, matrix, bias, inputs, dsp=dsp, pairs=False)

    def _weights(self, matrix: Ints, output: int, lane: int) -> list[int]:
        """Return the weight of a lane of the word that is read, in each cycle, for an output of the block."""
        each, sides = self.block_cycles, self.sides
        return [
            int(matrix[row, column, number * sides.word + lane, output + t // each * sides.outputs])
            for t, (row, column, number) in enumerate(self.walk)
        ]
