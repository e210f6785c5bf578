"""The contract of units, kept by each kind that there is."""

import re
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import random_codes
from gatewright.ir import Dense, Program
from gatewright.lower.dataflow import Dataflow, Unit
from gatewright.lower.folded.unit import Folded
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.moving import Moving
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.rule import Rule
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Boundaries, Engine
from gatewright.lower.unrolled import Unrolled
from tests.images import divisors, image_programs
from tests.lower.test_recurrent import recurrent
from tests.lower.units_contract import Case, UnitContract
from tests.lowering import lower_for
from tests.operators import operator_programs
from tests.programs import codes

BOUNDARIES = get_args(Boundaries)


class UnrolledContract(UnitContract):
    kind = Unrolled

    def lowered(self, data: st.DataObject, program: Program) -> Dataflow:
        family, clock_mhz = data.draw(st.sampled_from((("xc7", 200.0), ("ecp5", 60.0), ("ice40", 40.0))))
        tables = data.draw(st.booleans())
        return lower_for(
            program,
            codes(program, 24),
            family=family,
            clock_mhz=clock_mhz,
            truth_tables=tables,
            boundaries=data.draw(st.sampled_from(BOUNDARIES)),
        )


class FoldedContract(UnitContract):
    kind = Folded

    def lowered(self, data: st.DataObject, program: Program) -> Dataflow:
        """Fold each layer by a factor of its own; unrolled ones are among them."""
        sizes = [program.constants[op.weight].q.size for op in program.ops if isinstance(op, Dense)]
        return lower_for(
            program,
            codes(program, 24),
            family=data.draw(st.sampled_from(("xc7", "ecp5"))),
            clock_mhz=100.0,
            reuse=tuple(data.draw(st.integers(1, size)) for size in sizes),
            multiplier=data.draw(st.sampled_from(("dsp", "lut"))),
            boundaries=data.draw(st.sampled_from(BOUNDARIES)),
        )


class StreamContract(UnitContract):
    """Units on streams, of images and signals. No kind itself: its beats have to do with each other.

    moves: most of the layers that are drawn move rows, columns and frames about.
    """

    moves: ClassVar[bool] = False

    engine: ClassVar[Engine] = "parallel"
    intervals: ClassVar[tuple[int, ...]] = (0, 200)

    def drawn(self, data: st.DataObject) -> tuple[Program, Ints]:
        program = data.draw(image_programs(layers=3, moves=self.moves))
        return program, random_codes(program, 8, seed=1)

    def lowered(self, data: st.DataObject, program: Program) -> Dataflow:
        family, clock_mhz = data.draw(st.sampled_from((("xc7", 200.0), ("ecp5", 60.0), ("ice40", 40.0))))
        try:
            return lower_for(
                program,
                random_codes(program, 8, seed=1),
                family=family,
                clock_mhz=clock_mhz,
                stream="always",
                interval=data.draw(st.sampled_from(self.intervals)),
                engine=self.engine,
                multiplier=data.draw(st.sampled_from(("dsp", "lut"))),
                pixels_per_beat=data.draw(st.sampled_from(divisors(program))),
            )
        except LowerError as error:
            if not re.search(r"no streaming hardware for|hardware\.interval allows", str(error)):
                raise
            reject()  # several pixels a beat do not suit it, or it is too large

    def law_several_beats_are_as_many_evaluations(self, unit: Any, case: Case) -> None:
        """Frames have nothing to do with each other: one by one or together, the numbers are the same."""
        given = [port.codes(case.trace) for port in unit.takes]
        (together,) = unit.replay(given)
        apart = [unit.replay([beats[i : i + 1] for beats in given])[0] for i in range(len(case.x))]
        assert np.array_equal(together, np.concatenate(apart))

    def law_a_frame_gives_as_many_results_as_its_rule_says(self, unit: Any, case: Case) -> None:
        rule: Rule = unit.rule
        assert rule.interval <= case.dataflow.initiation_interval
        assert rule.beats == sum(port.stream.beats for port in unit.takes)
        assert rule.results == unit.gives[0].stream.beats


class WindowedContract(StreamContract):
    kind = Windowed


class PooledContract(StreamContract):
    kind = Pooled


class SummedContract(StreamContract):
    kind = Summed


class MovingContract(StreamContract):
    """Units that move beats about: resampled, regrouped, joined and reordered ones."""

    kind = Moving
    moves = True


class SweptContract(StreamContract):
    kind = Swept
    engine = "folded"
    intervals = (0, 3000)


class RecurrentContract(StreamContract):
    """Drawn bodies: initial states, parts of the result that leave, both directions, formats of any fineness."""

    kind = Recurrent

    def drawn(self, data: st.DataObject) -> tuple[Program, Ints]:
        program = data.draw(operator_programs(max_ops=1, kinds=("scan",), shape=(3, 2)))
        return program, random_codes(program, 8, seed=1)


class FoldedCellContract(StreamContract):
    """Drawn cells: kinds, parts that leave, both directions, initial states of both signs; any word, any block."""

    kind = FoldedCell
    engine = "folded"
    intervals = (0, 100, 300)

    def drawn(self, data: st.DataObject) -> tuple[Program, Ints]:
        kind, reset_after = data.draw(st.sampled_from((("rnn", False), ("lstm", False), ("gru", True))))
        ways = {"sequences": data.draw(st.booleans()), "backwards": data.draw(st.booleans())}
        program = recurrent(kind, reset_after=reset_after, units=data.draw(st.sampled_from((1, 2, 4))), **ways)
        return program, random_codes(program, 8, seed=1)


KINDS = (
    UnrolledContract,
    FoldedContract,
    WindowedContract,
    PooledContract,
    SummedContract,
    SweptContract,
    MovingContract,
    RecurrentContract,
    FoldedCellContract,
)
CONTRACTS = {contract.kind: contract() for contract in KINDS}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind is FoldedCell)) for kind in CONTRACTS]
)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_units_keep_their_contract(kind: type, data: st.DataObject):
    CONTRACTS[kind].check(data)


def test_every_kind_of_unit_has_a_contract():
    assert all(any(issubclass(kind, known) for known in CONTRACTS) for kind in get_args(Unit))
