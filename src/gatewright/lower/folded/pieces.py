"""The pieces of a program with folded layers, one behind another, and what they amount to in cycles and adders."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.fixedpoint import Fixed
from gatewright.ir.program import Program
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.folded.plan import FoldedLayer
from gatewright.lower.pipeline.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Unrolled part. Element i of its input is element i of the vector before it."""

    circuit: Circuit
    schedule: Schedule

    @property
    def latency_cycles(self) -> int:
        """Cycles from its input to its outputs."""
        return self.schedule.latency_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Time-multiplexed dense layer. reads: which elements of the vector before it are its inputs.

    tree, schedule: the adders over each unit's products, one output per unit; None where no unit has two products.
    A result of the program is an output << up. ends_layer: whether the dense result is its layer's result.
    """

    plan: FoldedLayer
    reads: tuple[int, ...]
    up: int
    ends_layer: bool
    tree: Circuit | None
    schedule: Schedule | None

    @property
    def tree_cycles(self) -> int:
        """Register stages of the adder tree."""
        return self.schedule.latency_cycles if self.schedule else 0

    @property
    def latency_cycles(self) -> int:
        """Cycles from its input to its outputs: input and product registers, tree, one cycle per step."""
        return 2 + self.plan.gather + self.tree_cycles + self.plan.cycles


Piece = Segment | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredFolded:
    """program: after the program passes; pieces in order; checked: integers compared with the golden program."""

    program: Program
    pieces: tuple[Piece, ...]
    outputs: int
    output_format: Fixed
    family: str
    clock_mhz: float
    checked: int

    @property
    def latency_cycles(self) -> int:
        """Cycles from a vector in to its result out."""
        return sum(piece.latency_cycles for piece in self.pieces)

    @property
    def initiation_interval(self) -> int:
        """Cycles from one vector to the next."""
        return max(piece.plan.cycles for piece in self.pieces if isinstance(piece, Folded))

    @property
    def multipliers(self) -> int:
        """Multipliers of all folded layers."""
        return sum(len(piece.plan.lanes) for piece in self.pieces if isinstance(piece, Folded))

    @property
    def dsp(self) -> bool:
        """Whether multipliers are DSP blocks."""
        return any(piece.plan.dsp for piece in self.pieces if isinstance(piece, Folded))

    @property
    def offsets(self) -> tuple[int, ...]:
        """The cycle in which each piece gets its input, counted from the vector's."""
        return tuple(sum(piece.latency_cycles for piece in self.pieces[:k]) for k in range(len(self.pieces)))

    @property
    def adders(self) -> int:
        """Additions in hardware: those of the circuits, and one per accumulator."""
        total = 0
        for piece in self.pieces:
            circuit = piece.circuit if isinstance(piece, Segment) else piece.tree
            total += (circuit.adders if circuit else 0) + (len(piece.plan.units) if isinstance(piece, Folded) else 0)
        return total
