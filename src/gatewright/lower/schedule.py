"""Circuit and clock target in, the pipeline stage of every node out (initiation interval 1).

Nodes are placed as soon as their operands allow; a node that would end after the period starts the next stage. Then
nodes move to later stages where that saves register bits, as long as no chain breaks the period and the latency
stays. A value read s stages after it was made passes s registers; results are registered once more at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.errors import LowerError
from gatewright.lower.circuit import Circuit, Clamp, Const, Select, operands, width
from gatewright.lower.timing import delay_ns, delays


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """stages[i]: stage of node i; latency_cycles: register stages from input to output; II is 1.

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


def schedule(circuit: Circuit, *, family: str, clock_mhz: float, max_latency_cycles: int = 0) -> Schedule:
    """Return the pipeline for a clock target.

    A ReLU is placed right before a register, whose reset then does it without logic; where that misses
    max_latency_cycles (0: no limit), it is placed like any other node.
    Raises LowerError when max_latency_cycles cannot be met at that clock.
    """
    model = delays(family)
    budget = 1000.0 / clock_mhz - model.register_ns
    cost = [delay_ns(circuit, node, model) for node in circuit.nodes]
    stages = _as_soon_as_possible(circuit, cost, budget, relu_in_register=True)
    last = max((stages[ref.node] for ref in circuit.outputs), default=0)
    if max_latency_cycles and last + 1 > max_latency_cycles:
        stages = _as_soon_as_possible(circuit, cost, budget, relu_in_register=False)
        last = max((stages[ref.node] for ref in circuit.outputs), default=0)
    stages = _save_registers(circuit, cost, budget, stages, last)
    latency = last + 1
    if max_latency_cycles and latency > max_latency_cycles:
        raise LowerError(
            f"{circuit.name!r} needs {latency} cycles at {clock_mhz:g} MHz on {family}, allowed are "
            f"{max_latency_cycles}; lower hardware.clock_mhz, or make the network shallower or narrower"
        )
    return Schedule(
        family=family,
        clock_mhz=clock_mhz,
        stages=tuple(stages),
        latency_cycles=latency,
        period_ns=period_ns(circuit, stages, family),
    )


def period_ns(circuit: Circuit, stages: list[int], family: str) -> float:
    """Return the longest register-to-register delay of a schedule on a family, by its delay model."""
    model = delays(family)
    cost = [delay_ns(circuit, node, model) for node in circuit.nodes]
    return round(max(_arrivals(circuit, cost, stages), default=0.0) + model.register_ns, 4)


def _as_soon_as_possible(circuit: Circuit, cost: list[float], budget: float, *, relu_in_register: bool) -> list[int]:
    stages: list[int] = []
    arrival: list[float] = []
    for index, node in enumerate(circuit.nodes):
        reads = [i for i in operands(node) if not isinstance(circuit.nodes[i], Const)]
        stage = max((stages[i] for i in reads), default=0)
        start = max((arrival[i] for i in reads if stages[i] == stage), default=0.0)
        after_relu = relu_in_register and any(stages[i] == stage and in_register(circuit, i) for i in reads)
        if after_relu or (start > 0 and start + cost[index] > budget):
            stage, start = stage + 1, 0.0
        stages.append(stage)
        arrival.append(start + cost[index])
    return stages


def in_register(circuit: Circuit, index: int) -> bool:
    """Whether a flip-flop can do a node by its reset: a ReLU."""
    node = circuit.nodes[index]
    match node:
        case Clamp():
            return node.lo == 0 and node.hi == circuit.nodes[node.a].hi
        case Select():
            other = circuit.nodes[node.b]
            return isinstance(other, Const) and other.lo == 0
        case _:
            return False


def _arrivals(circuit: Circuit, cost: list[float], stages: list[int]) -> list[float]:
    arrival: list[float] = []
    for index, node in enumerate(circuit.nodes):
        same = [arrival[i] for i in operands(node) if stages[i] == stages[index]]
        arrival.append(max(same, default=0.0) + cost[index])
    return arrival


def readers(circuit: Circuit) -> list[list[int]]:
    """Return for every node the nodes that read it."""
    result: list[list[int]] = [[] for _ in circuit.nodes]
    for index, node in enumerate(circuit.nodes):
        for operand in set(operands(node)):
            result[operand].append(index)
    return result


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


def register_bits(circuit: Circuit, stages: list[int], latency: int) -> int:
    """Return the number of flip-flops that the schedule needs in the core."""
    kept = last_use(circuit, stages, latency)
    return sum(width(n) * (k - s) for n, k, s in zip(circuit.nodes, kept, stages, strict=True))


def _save_registers(circuit: Circuit, cost: list[float], budget: float, stages: list[int], last: int) -> list[int]:
    """Move nodes later, one at a time from the end, where the bits kept become fewer."""
    stages = list(stages)
    users = readers(circuit)
    widths = [width(node) for node in circuit.nodes]
    outputs = {ref.node for ref in circuit.outputs}
    tail = [0.0] * len(stages)  # longest chain from a node's start to the end of its stage
    for index in reversed(range(len(stages))):
        node = circuit.nodes[index]
        reads = [i for i in set(operands(node)) if not isinstance(circuit.nodes[i], Const)]
        limit = min([stages[u] for u in users[index]] + ([last] if index in outputs or not users[index] else []))
        best = stages[index]
        if reads and best < limit:
            spared = 0
            for operand in reads:
                others = [stages[u] for u in users[operand] if u != index]
                floor = max([stages[operand], *others])
                spared += widths[operand] * (1 if floor <= stages[index] else 0)
            if widths[index] >= spared:
                for target in range(limit, stages[index], -1):
                    after = max((tail[u] for u in users[index] if stages[u] == target), default=0.0)
                    if after + cost[index] <= max(budget, cost[index]):
                        best = target
                        break
        stages[index] = best
        after = max((tail[u] for u in users[index] if stages[u] == best), default=0.0)
        tail[index] = after + cost[index]
    return stages
