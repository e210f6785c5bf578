"""Windowed: a unit that slides a window over a stream of pixels, with one pipelined circuit for what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit, Source, simulate
from gatewright.lower.cost.cells import Cost
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Port, lane_bits
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.streaming.window import Window
from gatewright.lower.without_multipliers import WithoutMultipliers


@dataclass(frozen=True, kw_only=True)
class Windowed(WithoutMultipliers, Counted):
    """takes, gives: one port each. window: of pixels whose lanes are those of `takes`, pixel by pixel.

    The circuit's input elements are the window's: row of taps, column, lane of the pixel, the last fastest; its outputs
    the lanes of `gives`. fill: for each lane of a pixel the number that it has outside the frame. Where a beat has more
    pixels than a step of the window takes, those left over wait for the next one.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    window: Window
    fill: tuple[int, ...]
    circuit: Circuit
    schedule: Schedule

    def counted(self) -> Rule:
        """Return the rule. A step takes a beat, or what earlier ones left, and shows its windows a cycle later."""
        return Rule(
            steps=self.window.beats,
            emits=self.window.fires,
            latency_cycles=1 + self.schedule.latency_cycles,
            takes=self.takes_beat if self.regroups else (),
        )

    @property
    def beat_pixels(self) -> int:
        """Pixels of a beat."""
        return len(self.takes[0].lanes) // self.pixel_lanes

    @property
    def regroups(self) -> bool:
        """Whether beats have more pixels than a step takes."""
        return self.beat_pixels != self.window.per_beat

    @cached_property
    def left_over(self) -> tuple[int, ...]:
        """For each step the pixels that earlier beats have left."""
        per_step, beat = self.window.per_beat, self.beat_pixels
        ends = (min(step * per_step, self.window.width) for step in range(self.window.beats))
        return tuple(-(-end // beat) * beat - end for end in ends)

    @cached_property
    def takes_beat(self) -> tuple[bool, ...]:
        """For each step whether it takes a beat: where pixels lack, as long as there are any."""
        per_step, beat = self.window.per_beat, self.beat_pixels
        due = [-(-min(step * per_step, self.window.width) // beat) for step in range(self.window.beats + 1)]
        return tuple(after > before for before, after in pairwise(due))

    @property
    def pixel_lanes(self) -> int:
        """Lanes of one pixel."""
        return len(self.fill)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        pixels = given.reshape(len(given), self.window.grid[0], self.window.width, self.pixel_lanes)
        shown = self.window.gather(pixels, np.array(self.fill, dtype=np.int64))
        flat = shown.reshape(-1, self.circuit.input_elements)
        found = simulate(self.circuit, flat)["output"] >> np.array([ref.shift for ref in self.circuit.outputs])
        return (found.reshape(*shown.shape[:2], -1),)

    @cached_property
    def reads(self) -> frozenset[int]:
        """The window's elements that the circuit reads."""
        return frozenset(node.element for node in self.circuit.nodes if isinstance(node, Source))

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that the circuit reads, at any place of the window."""
        read = {element % self.pixel_lanes for element in self.reads}
        lanes = range(len(self.takes[0].lanes))
        return (tuple(lane for lane in lanes if lane % self.pixel_lanes in read),)

    @property
    def start_cost(self) -> Cost:
        """The registers that a start passes beside the values."""
        return Cost(ff=self.rule.latency_cycles)

    @property
    def beat_bits(self) -> int:
        """Bits of a beat that the window reads."""
        return lane_bits([self.takes[0].lanes[i] for i in self.wanted[0]])

    @property
    def line_beats(self) -> int:
        """Beats by which a line memory delays."""
        return self.window.dilation[0] * self.window.row_beats

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: line memories, the window's registers, counters and the circuit."""
        window, lines = self.window, self.window.size[0] - 1
        total = circuit_cost(self.circuit, self.schedule, family)
        if lines and self.line_beats > 2:
            total += memory_cost(self.line_beats, lines * self.beat_bits, family)
        elif lines:
            total += Cost(ff=self.line_beats * lines * self.beat_bits)
        pixel = self.beat_bits // self.beat_pixels
        held = window.size[0] * pixel * window.columns
        padded = window.size[0] * pixel * window.pads[1][1]
        if self.regroups:
            total += Cost(lut=2 * pixel * window.per_beat, ff=pixel * max(self.left_over))
        counters = (window.beats - 1).bit_length() + 6
        masks = sum(map(sum, window.pads))
        return total + Cost(lut=2 * counters + 2 * masks + 6, ff=held + padded + counters)

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        return period_ns(self.circuit, list(self.schedule.stages), family)
