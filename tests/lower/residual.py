"""A residual network as an elastic dataflow: fc1 feeds fc2 and, past it, the sum of both; x may be added too."""

from __future__ import annotations

import dataclasses

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir import Constant, Dense, Input, Program, Relu, verify
from gatewright.ir.ops import Add as Sum
from gatewright.lower.build.elements import format_of
from gatewright.lower.circuit.nodes import Add, Circuit, Node, Ref, Source
from gatewright.lower.dataflow import Channel, Dataflow
from gatewright.lower.elastic import elastic
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.unrolled import Unrolled
from tests.lowering import lower_for

SIZE = 4
_CLOCK_MHZ = {"xc7": 250.0, "ecp5": 60.0}


def residual(x: Ints, *, with_input: bool = False, reuse: tuple[int, int] = (1, 1), family: str = "xc7") -> Dataflow:
    """Return relu(fc1) + fc2(relu(fc1)), plus x where with_input, sized. The join is built by hand from three ports."""
    rng = np.random.default_rng(4)
    chain = _chain(rng)
    made = lower_for(chain, x, family=family, clock_mhz=_CLOCK_MHZ[family], reuse=reuse, boundaries="elastic")
    (first,) = (port for unit in made.units for port in unit.gives if port.value == "fc1.relu")
    terms = [first, made.result, *([made.source] * with_input)]
    ops = [*chain.ops, Sum(name="sum", layer="sum", left="fc1.relu", right="fc2")]
    if with_input:
        ops.append(Sum(name="all", layer="sum", left="sum", right="x"))
    program = Program(name="residual", ops=tuple(ops), output=ops[-1].name, constants=chain.constants)
    verify(program)
    join = _join(terms, program.output, made)
    makers: dict[str, str | None] = {port.value: unit.name for unit in made.units for port in unit.gives}
    makers[made.source.value] = None
    inner = [c for c in made.channels if c.consumer is not None]
    joins = [
        Channel(name=port.value, producer=makers[port.value], consumer=join.name, port=port, depth=1) for port in terms
    ]
    (result,) = join.gives
    leaving = Channel(name=result.value, producer=join.name, consumer=None, port=result, depth=1)
    return elastic(
        dataclasses.replace(
            made,
            program=program,
            units=(*made.units, join),
            channels=(*inner, *joins, leaving),
            result=result,
            result_format=join.circuit.output_format,
        )
    )


def _chain(rng: np.random.Generator) -> Program:
    """Return fc1, ReLU, fc2, all with two fractional bits, so that values add without shifts."""
    ops = [
        Input(name="x", layer="input", shape=(SIZE,), format=Fixed(width_bits=6, frac_bits=2)),
        Dense(name="fc1", layer="fc1", source="x", weight="fc1.weight", bias="fc1.bias"),
        Relu(name="fc1.relu", layer="fc1", source="fc1"),
        Dense(name="fc2", layer="fc2", source="fc1.relu", weight="fc2.weight", bias="fc2.bias"),
    ]
    constants: dict[str, Constant] = {}
    for layer in ("fc1", "fc2"):
        constants[f"{layer}.weight"] = Constant(rng.integers(-7, 8, (SIZE, SIZE)), 0)
        constants[f"{layer}.bias"] = Constant(rng.integers(-9, 10, SIZE), 2)
    return Program(name="residual", ops=tuple(ops), output="fc2", constants=constants)


def _join(terms: list[Port], value: str, made: Dataflow) -> Unrolled:
    """Return the unit that adds its ports element by element."""
    lanes = [lane for port in terms for lane in port.lanes]
    nodes: list[Node] = [Source(layer="sum", lo=lane.lo, hi=lane.hi, element=i) for i, lane in enumerate(lanes)]
    outputs: list[Ref] = []
    for element in range(SIZE):
        total, shift = element, lanes[element].shift
        for number in range(1, len(terms)):
            other = number * SIZE + element
            least = min(shift, lanes[other].shift)
            ups = (shift - least, lanes[other].shift - least)
            a, b = nodes[total], nodes[other]
            lo, hi = ((end_a << ups[0]) + (end_b << ups[1]) for end_a, end_b in ((a.lo, b.lo), (a.hi, b.hi)))
            nodes.append(
                Add(
                    layer="sum", lo=lo, hi=hi, a=total, b=other, shift_a=ups[0], shift_b=ups[1], minus=False
                )
            )  # fmt: skip
            total, shift = len(nodes) - 1, least
        outputs.append(Ref(total, shift))
    given = [Lane(nodes[ref.node].lo, nodes[ref.node].hi, ref.shift) for ref in outputs]
    circuit = Circuit(
        name="residual_join",
        nodes=tuple(nodes),
        input_format=format_of([dataclasses.replace(lane, shift=0) for lane in lanes], 0),
        input_elements=len(lanes),
        layer_values=(("sum", tuple(outputs)),),
        outputs=tuple(outputs),
        output_format=format_of(given, 2),
    )
    pipeline = schedule(circuit, family=made.target.family, clock_mhz=made.target.clock_mhz)
    port = Port(value=value, stream=Stream.whole((SIZE,)), lanes=tuple(given), live=(True,) * SIZE)
    return Unrolled(name=circuit.name, takes=tuple(terms), gives=(port,), circuit=circuit, schedule=pipeline)
