"""A decision diagram of bits in, the LUTs that compute it out: each node, and the inputs of the LUT that ends there.

A node asks one bit and goes on to one of two others, so it is a multiplexer. Which of them are joined in one LUT is
chosen by enumerating cuts (Cong and Ding 1994, "FlowMap"; here for area): of every node the cheapest sets of at most so
many signals, questions and other nodes, that tell its value. In a tree the choice has the fewest LUTs that cuts of the
kept sets allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

KEPT = 16  # cuts of a node; 4 and 200 gave the same number of LUTs on random trees of depth 4 to 8


@dataclass(slots=True)
class Diagram:
    """Nodes in an order in which children come first; equal ones are shared, and one whose children agree is its child.

    A child >= 0 is a node, ~value one of the numbers at the end. asks[i]: the question of node i, any hashable number.
    """

    asks: list[int] = field(default_factory=list[int])
    children: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    known: dict[tuple[int, int, int], int] = field(default_factory=dict[tuple[int, int, int], int])

    def node(self, ask: int, no: int, yes: int) -> int:
        """Return the node that goes on to `yes` where the question's bit is 1, else to `no`."""
        if no == yes:
            return no
        key = ask, no, yes
        if key not in self.known:
            self.known[key] = len(self.asks)
            self.asks.append(ask)
            self.children.append((no, yes))
        return self.known[key]

    def below(self, root: int) -> list[int]:
        """Return the nodes that a root reaches, children first."""
        found: set[int] = set()
        pending = [root]
        while pending:
            at = pending.pop()
            if at >= 0 and at not in found:
                found.add(at)
                pending += self.children[at]
        return sorted(found)

    def ends(self, root: int, function: Callable[[int], int]) -> tuple[Diagram, int]:
        """Return the diagram, and its root, with a function >= 0 of the numbers at the ends."""
        made = Diagram()
        place_of: dict[int, int] = {}

        def moved(child: int) -> int:
            return place_of[child] if child >= 0 else ~function(~child)

        for at in self.below(root):
            no, yes = self.children[at]
            place_of[at] = made.node(self.asks[at], moved(no), moved(yes))
        return made, moved(root)


@dataclass(frozen=True, slots=True)
class Piece:
    """One LUT: it gives the node's bit from these questions and the bits of these nodes."""

    node: int
    asks: tuple[int, ...]
    nodes: tuple[int, ...]


Cut = tuple[int, int]
"""A set of signals as a mask, and the LUTs below it."""


def cover(diagram: Diagram, root: int, inputs: int) -> list[Piece]:
    """Return the LUTs of at most `inputs` inputs that compute a root whose ends are 0 and 1; those read come first."""
    nodes = diagram.below(root)
    asks = sorted({diagram.asks[at] for at in nodes})
    signal = {ask: 1 << i for i, ask in enumerate(asks)}
    own = {at: 1 << (len(asks) + i) for i, at in enumerate(nodes)}
    best: dict[int, Cut] = {}
    ways: dict[int, list[Cut]] = {}
    for at in nodes:
        no, yes = (
            [*ways[child], (own[child], 1 + best[child][1])] if child >= 0 else [(0, 0)]
            for child in diagram.children[at]
        )
        found: dict[int, int] = {}
        for left, below_left in no:
            for right, below_right in yes:
                mask = left | right | signal[diagram.asks[at]]
                cost = below_left + below_right
                if mask.bit_count() <= inputs and cost < found.get(mask, 1 << 30):
                    found[mask] = cost
        ranked = sorted(found.items(), key=lambda cut: (cut[1], cut[0].bit_count(), cut[0]))
        ways[at] = ranked[:KEPT]
        best[at] = ranked[0]
    pieces: list[Piece] = []
    pending, seen = [root], {root}
    node_of = {bit: at for at, bit in own.items()}
    while pending:
        at = pending.pop()
        mask = best[at][0]
        read = tuple(child for bit, child in node_of.items() if mask & bit)
        pieces.append(Piece(at, tuple(ask for ask in asks if mask & signal[ask]), read))
        pending += [child for child in read if child not in seen]
        seen |= set(read)
    return sorted(pieces, key=lambda piece: piece.node)


def truth_table(diagram: Diagram, piece: Piece) -> list[int]:
    """Return what a piece gives for every pattern of its inputs, the first of its questions lowest, then its nodes."""
    count = len(piece.asks) + len(piece.nodes)
    patterns = [sum(1 << k for k in range(1 << count) if k >> i & 1) for i in range(count)]
    known = dict(zip(piece.nodes, patterns[len(piece.asks) :], strict=True))
    asked = dict(zip(piece.asks, patterns, strict=False))
    full = (1 << (1 << count)) - 1

    def column(at: int) -> int:
        if at < 0:
            return full if ~at else 0
        if at not in known:
            no, yes = (column(child) for child in diagram.children[at])
            question = asked[diagram.asks[at]]
            known[at] = (question & yes) | (~question & full & no)
        return known[at]

    whole = column(piece.node)
    return [whole >> k & 1 for k in range(1 << count)]
