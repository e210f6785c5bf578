"""What every kind of unit keeps, and every dataflow: subclass UnitContract for a new kind, and its laws are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st

from gatewright.chips import FAMILIES
from gatewright.fixedpoint import Ints
from gatewright.ir import Interpreter, Program
from gatewright.lower.cost.cells import Cost
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.stream import Port, Rigid, Timing
from tests.programs import codes, programs


@dataclass(frozen=True, kw_only=True)
class Case:
    """A lowered program, some inputs, and the interpreter's trace of them."""

    dataflow: Dataflow
    x: Ints
    trace: Mapping[str, Ints]


class UnitContract:
    """kind: the unit's class. A law is a method law_*; those of a unit get each unit of the kind that was drawn."""

    kind: ClassVar[type[Any]]

    def drawn(self, data: st.DataObject) -> tuple[Program, Ints]:
        """Draw a program, and inputs for it, (n, *input shape)."""
        program = data.draw(programs())
        return program, codes(program, 48, seed=1)

    def lowered(self, data: st.DataObject, program: Program) -> Dataflow:
        """Lower a program in a drawn way that makes units of this kind out of most programs."""
        raise NotImplementedError

    def check(self, data: st.DataObject) -> None:
        """Check every law on a drawn program."""
        program, x = self.drawn(data)
        dataflow = self.lowered(data, program)
        case = Case(dataflow=dataflow, x=x, trace=Interpreter(dataflow.program).trace(x))
        check_dataflow(case)
        for name in (name for name in dir(self) if name.startswith("law_")):
            for unit in dataflow.units:
                if isinstance(unit, self.kind):
                    getattr(self, name)(unit, case)

    def law_replay_equals_the_trace_beat_for_beat(self, unit: Any, case: Case) -> None:
        got = unit.replay([port.codes(case.trace) for port in unit.takes])
        assert len(got) == len(unit.gives)
        for port, beats in zip(unit.gives, got, strict=True):
            assert np.array_equal(np.where(np.array(port.live), beats, 0), port.codes(case.trace)), port.value

    def law_several_beats_are_as_many_evaluations(self, unit: Any, case: Case) -> None:
        """Beats have nothing to do with each other: cut into samples or into beats, the numbers are the same."""
        given = [port.codes(case.trace) for port in unit.takes]
        together = unit.replay([beats.reshape(len(case.x) // 4, 4, -1) for beats in given])
        for one, other in zip(together, unit.replay(given), strict=True):
            assert np.array_equal(one.reshape(other.shape), other)

    def law_no_lane_leaves_its_range(self, unit: Any, case: Case) -> None:
        port: Port
        for port in (*unit.takes, *unit.gives):
            numbers = port.codes(case.trace)
            for i, (lane, live) in enumerate(zip(port.lanes, port.live, strict=True)):
                assert not live or (numbers[..., i].min() >= lane.lo and numbers[..., i].max() <= lane.hi)

    def law_cost_period_and_timing_on_every_family(self, unit: Any, case: Case) -> None:
        for family in FAMILIES:
            cost = unit.cost(family)
            assert min(cost.lut, cost.ff, cost.dsp, cost.bram, cost.adders) >= 0
            assert cost + Cost() == cost
            assert unit.period_ns(family) > 0
        timing: Timing = unit.timing
        if isinstance(timing, Rigid):
            assert 1 <= timing.initiation_interval <= case.dataflow.initiation_interval
            assert timing.latency_cycles >= 1
        for port, lanes in zip(unit.takes, unit.wanted, strict=True):
            assert set(lanes) <= set(range(len(port.lanes)))


def check_dataflow(case: Case) -> None:
    """Check that a dataflow computes its program, and its channels."""
    dataflow = case.dataflow
    assert np.array_equal(dataflow.replay(case.x), case.trace[dataflow.program.output])
    check_channels(dataflow)
    assert dataflow.claims.adders == dataflow.cost.adders >= 0
    assert dataflow.checked > 0


def check_channels(dataflow: Dataflow) -> None:
    """Check that channels form a graph without circles, and that both ends of each agree on stream and lanes."""
    units = {unit.name: unit for unit in dataflow.units}
    assert len(units) == len(dataflow.units)
    order = {name: number for number, name in enumerate(units)}
    for channel in dataflow.channels:
        if channel.producer is None:
            assert channel.port == dataflow.source
        else:
            assert channel.port in units[channel.producer].gives
        if channel.consumer is None:
            assert channel.port == dataflow.result
        else:
            assert channel.port in units[channel.consumer].takes
        if channel.producer is not None and channel.consumer is not None:
            assert order[channel.producer] < order[channel.consumer]
    for unit in dataflow.units:
        assert [channel.port for channel in dataflow.into(unit)] == list(unit.takes)
    assert sum(channel.consumer is None for channel in dataflow.channels) == 1
