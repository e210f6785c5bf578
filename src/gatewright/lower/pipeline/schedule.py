"""Circuit and clock target in, the pipeline stage of every node out (initiation interval 1).

The latency is the least possible: nodes as soon as their operands allow, a node that would end after the period in
the next stage. At that latency the register bits are the fewest possible (`registers.py`). A value read s stages
after it was made passes s registers; results are registered once more at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewright.chips.delays import Delays
from gatewright.lower.circuit.nodes import Circuit, Const, operands
from gatewright.lower.circuit.values import OUTPUT, Values, values
from gatewright.lower.cost.delays import delay_ns, delays, in_register
from gatewright.lower.pipeline.asap import apart, earliest
from gatewright.lower.pipeline.clock import Goal, Timing
from gatewright.lower.pipeline.registers import fewest_registers


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A pipeline: in which stage every node lies.

    stages[i]: stage of node i; latency_cycles: register stages from input to output; II is 1.

    period_ns: the longest chain plus register overhead by the delay model, the claim behind fmax_mhz.
    """

    family: str
    clock_mhz: float
    stages: tuple[int, ...]
    latency_cycles: int
    period_ns: float

    @property
    def fmax_mhz(self) -> float:
        """Estimated highest clock in MHz."""
        return 1000.0 / self.period_ns


def schedule(
    circuit: Circuit, *, family: str, clock_mhz: float, max_latency_cycles: int = 0, max_latency_ns: float = 0.0
) -> Schedule:
    """Return the pipeline of the least latency for a clock, with the fewest register bits at that latency.

    max_latency_cycles, max_latency_ns: limits, 0 for none. With clock_mhz 0 the clock is the fastest that keeps them,
    by the family's delay model; the schedule then says which.
    A ReLU, or a saturation of one end, is placed right before a register, whose reset or set then does it without
    logic; where that misses the latency, only those are for which it costs no stage and fewer bits than it saves.
    Raises LowerError when a limit cannot be kept, naming the best that can.
    """
    goal = Goal(clock_mhz=clock_mhz, max_latency_cycles=max_latency_cycles, max_latency_ns=max_latency_ns)
    model, known = delays(family), values(circuit)
    slowest = [delay_ns(circuit, node, model) for node in circuit.nodes]
    relus = frozenset(index for index in range(len(slowest)) if in_register(circuit, index))

    def plan(clock_mhz: float, alone: frozenset[int]) -> tuple[list[int], int]:
        stages = earliest(known, *_stage(slowest, clock_mhz, model), alone)
        return stages, 1 + max((stages[ref.node] for ref in circuit.outputs), default=0)

    timing = Timing(
        name=repr(circuit.name),
        cycles_at=lambda clock_mhz: plan(clock_mhz, frozenset())[1],
        highest_mhz=1e3 / (max(slowest, default=0.0) + model.register_ns),
    )
    clock_mhz, limit = timing.choose(goal)
    alone = relus
    stages, latency = plan(clock_mhz, alone)
    if limit and latency > limit:
        alone = frozenset[int]()
        stages, latency = plan(clock_mhz, alone)
    if limit and latency > limit:
        raise timing.too_slow(goal, latency, limit, family)
    after_relu = [(index, read.reader) for index in alone for read in known.reads[index] if read.reader != OUTPUT]
    pairs = apart(known, *_stage(slowest, clock_mhz, model), stages)
    pairs = np.concatenate([pairs, np.array(after_relu, dtype=np.int64).reshape(-1, 2)])
    stages = fewest_registers(circuit, known, stages, latency, pairs, sorted(relus - alone))
    return Schedule(
        family=family,
        clock_mhz=clock_mhz,
        stages=tuple(stages),
        latency_cycles=latency,
        period_ns=period_ns(circuit, stages, family),
    )


def _stage(slowest: list[float], clock_mhz: float, model: Delays) -> tuple[list[float], float]:
    """Return every node's delay and a stage's room, in ns; a node slower than a whole stage just fills it."""
    room = max(1e3 / clock_mhz - model.register_ns, 1e-9)
    return [min(delay, room) for delay in slowest], room


def period_ns(circuit: Circuit, stages: list[int], family: str) -> float:
    """Return the longest register-to-register delay of a schedule on a family, by its delay model."""
    model = delays(family)
    cost = [delay_ns(circuit, node, model) for node in circuit.nodes]
    return round(max(_arrivals(circuit, cost, stages), default=0.0) + model.register_ns, 4)


def _arrivals(circuit: Circuit, cost: list[float], stages: list[int]) -> list[float]:
    arrival: list[float] = []
    for index, node in enumerate(circuit.nodes):
        same = [arrival[i] for i in operands(node) if stages[i] == stages[index]]
        arrival.append(max(same, default=0.0) + cost[index])
    return arrival


def last_use(circuit: Circuit, stages: list[int], latency: int) -> list[int]:
    """Return for every node the stage up to which its value must be kept (its own stage: no register)."""
    last = list(stages)
    for index, node in enumerate(circuit.nodes):
        for operand in operands(node):
            last[operand] = max(last[operand], stages[index])
    for ref in circuit.outputs:
        last[ref.node] = latency
    return [
        made if isinstance(node, Const) else kept for node, kept, made in zip(circuit.nodes, last, stages, strict=True)
    ]


def register_bits(circuit: Circuit, stages: list[int], latency: int, known: Values | None = None) -> int:
    """Return the number of flip-flops that the schedule needs in the core, every bit kept once."""
    known = known or values(circuit)
    return sum(
        bits * (max(latency if reader == OUTPUT else stages[reader] for reader in readers) - stages[index])
        for index in range(len(stages))
        for bits, readers in known.segments(index)
    )
