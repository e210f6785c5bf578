"""Features and the tables of decision trees in, the sums of their leaves out: comparators, LUTs, adders.

A comparator is shared by all trees. What a tree adds to an output is a number of few bits, from 0 on: its least leaf
joins the output's constant. Each bit is a decision diagram of its comparators, without questions whose answer is known
on the way, cut into LUTs (cover.py). Trees of which every leaf adds the same to an output cost nothing there.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from gatewright.chips.luts import Luts
from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.trees import Forest
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.build.cover import Diagram, cover, truth_table
from gatewright.lower.build.reach import reaches
from gatewright.lower.circuit.nodes import Join, Ref, Table, width

COUNTED = 6  # bits that one table of three outputs counts, where a LUT has as many inputs
DEEPEST, MOST_ENDS = (
    200,
    1 << 16,
)  # questions of a tree one after the other, and its ends: a large forest's are 40, 10,000
FEW_BITS = 2  # numbers of so many bits are added place by place, wider ones as a whole


def trees(
    b: CircuitBuilder, forest: Forest, x: list[Ref], live: Sequence[bool], *, luts: Luts, ternary: bool
) -> list[Ref]:
    """Return the sums of a forest's trees for features x; elements that are not live are 0."""
    if forest.depth > DEEPEST or forest.most_ends > MOST_ENDS:
        raise LowerError(
            f"layer {b.layer!r}: a tree asks up to {forest.depth} questions one after the other and has up to "
            f"{forest.most_ends} ends; at most {DEEPEST} and {MOST_ENDS} are built: train shallower trees"
        )
    asked, owned = _Asked(b, forest, x, luts), forest.leaves_by_tree()
    sums: list[Ref] = []
    for element, alive in enumerate(live):
        if not alive:
            sums.append(Ref(b.const(0)))
            continue
        offset, terms = int(forest.bias[element]), list[Ref]()
        for root, leaves in zip(forest.roots.tolist(), owned, strict=True):
            least, term = asked.tree(root, leaves, forest.leaf[:, element])
            offset += least
            terms += [] if term is None else [term]
        sums.append(total(b, terms, offset, luts=luts, ternary=ternary))
    return sums


def total(b: CircuitBuilder, terms: Sequence[Ref], offset: int, *, luts: Luts, ternary: bool) -> Ref:
    """Return the sum of numbers that are not negative, and a constant: tables that count bits, then adders.

    The narrowest are added first, three at a time where there are ternary adders; the constant last, where it is the
    third operand of the last of them.
    """
    columns: dict[int, list[int]] = {}
    words: list[Ref] = []
    for term in terms:
        bits = _bits(b, term) if luts.inputs >= COUNTED else []
        for place, bit in bits:
            columns.setdefault(place, []).append(bit)
        words += [] if bits else [term]
    for place, column in sorted(columns.items()):
        words += [_counted(b, column[at : at + COUNTED], place) for at in range(0, len(column), COUNTED)]
    order = [(b.span(word)[1].bit_length(), number, word) for number, word in enumerate(words)]
    last = [Ref(b.const(offset))] if offset else []
    heapq.heapify(order)
    number = len(order)
    most = 3 if ternary else 2
    while len(order) > 1:
        left = len(order) + len(last)
        count = min(most if left % 2 or most == 2 else 2, len(order))
        operands = [heapq.heappop(order)[2] for _ in range(count)]
        if count < most and not order:
            operands, last = operands + last, []
        made = operands[0]
        for operand in operands[1:]:
            made = b.add(made, operand, False)
        heapq.heappush(order, (b.span(made)[1].bit_length(), number, made))
        number += 1
    for word in last:
        order = [(0, 0, b.add(order[0][2], word, False) if order else word)]
    return order[0][2] if order else Ref(b.const(0))


def _bits(b: CircuitBuilder, term: Ref) -> list[tuple[int, int]]:
    """Return (place, bit) of a number of few bits, none of a wider one."""
    node = b.nodes[term.node]
    if width(node) > FEW_BITS:
        return []
    bits = node.reads if isinstance(node, Join) else (term.node,)
    return [(term.shift + i, bit) for i, bit in enumerate(bits)]


def _counted(b: CircuitBuilder, bits: Sequence[int], place: int) -> Ref:
    """Return how many of a few bits are 1, times 2**place."""
    if len(bits) == 1:
        return Ref(bits[0], place)
    values = tuple(index.bit_count() for index in range(1 << len(bits)))
    table = Table(layer=b.layer, lo=0, hi=len(bits), reads=tuple(bits), widths=tuple(1 for _ in bits), values=values)
    return Ref(b.put(table), place)


def _natural(number: int) -> int:
    """Return a number >= 0 for any, as the end of a diagram."""
    return 2 * number if number >= 0 else -2 * number - 1


def _signed(natural: int) -> int:
    """Return the number that `_natural` made this of."""
    return -(natural + 1 >> 1) if natural & 1 else natural >> 1


@dataclass(slots=True)
class _Asked:
    """The trees over comparators, each made once."""

    b: CircuitBuilder
    forest: Forest
    x: list[Ref]
    luts: Luts
    spans: list[tuple[int, int]] = field(init=False)
    bits: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])

    def __post_init__(self) -> None:
        self.spans = [self.b.span(ref) for ref in self.x]

    def tree(self, root: int, leaves: list[int], leaf: Ints) -> tuple[int, Ref | None]:
        """Return the least that a tree adds, and what it adds beyond that where this varies."""
        found = leaf[leaves]
        if (found == found[0]).all():
            return int(found[0]), None
        diagram = Diagram()
        top = self._node(diagram, root, leaf, self.spans)
        if top < 0:
            return _signed(~top), None
        numbers = {_signed(~c) for at in diagram.below(top) for c in diagram.children[at] if c < 0}
        least = min(numbers)
        shift = min((number - least & least - number).bit_length() for number in numbers if number > least) - 1
        moved = diagram.ends(top, lambda end: (_signed(end) - least) >> shift)
        return least, Ref(self._number(*moved, (max(numbers) - least) >> shift), shift)

    def _node(self, diagram: Diagram, at: int, leaf: Ints, spans: list[tuple[int, int]]) -> int:
        """Return the diagram's node for one of the forest's, where each feature x[i] lies in spans[i]."""
        if at < 0:
            return ~_natural(int(leaf[~at]))
        feature, cut = int(self.forest.feature[at]), int(self.forest.cut[at])
        no, yes = self.forest.children[at].tolist()
        low, high = spans[feature]
        if cut <= low:
            return self._node(diagram, yes, leaf, spans)
        if cut > high:
            return self._node(diagram, no, leaf, spans)
        spans[feature] = low, cut - 1
        below = self._node(diagram, no, leaf, spans)
        spans[feature] = cut, high
        above = self._node(diagram, yes, leaf, spans)
        spans[feature] = low, high
        return diagram.node(self._bit(feature, cut), below, above) if below != above else below  # no unread comparator

    def _bit(self, feature: int, cut: int) -> int:
        key = feature, cut
        if key not in self.bits:
            self.bits[key] = reaches(self.b, self.x[feature], cut, self.luts.inputs).node
        return self.bits[key]

    def _number(self, diagram: Diagram, top: int, most: int) -> int:
        """Return the node that carries a tree's number, 0..most."""
        places = range(most.bit_length())
        made = [self._place(*diagram.ends(top, lambda end, at=at: end >> at & 1)) for at in places]
        if len(made) == 1:
            return made[0]
        return self.b.put(Join(layer=self.b.layer, lo=0, hi=most, reads=tuple(made), widths=tuple(1 for _ in made)))

    def _place(self, diagram: Diagram, top: int) -> int:
        """Return the node of one bit."""
        if top < 0:
            return self.b.const(~top)
        place: dict[int, int] = {}
        for piece in cover(diagram, top, self.luts.inputs):
            values = truth_table(diagram, piece)
            reads = (*piece.asks, *(place[at] for at in piece.nodes))
            if values == [0, 1]:
                place[piece.node] = reads[0]
                continue
            table = Table(
                layer=self.b.layer, lo=0, hi=1, reads=reads, widths=tuple(1 for _ in reads), values=tuple(values)
            )
            place[piece.node] = self.b.put(table)
        return place[top]
