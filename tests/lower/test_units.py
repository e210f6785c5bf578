"""The contract of units, kept by each kind that there is."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.ir import Dense, Program
from gatewright.lower.dataflow import Dataflow, Unit
from gatewright.lower.folded.unit import Folded
from gatewright.lower.target import Boundaries
from gatewright.lower.unrolled import Unrolled
from tests.lower.units_contract import UnitContract
from tests.lowering import lower_for
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


CONTRACTS = {contract.kind: contract() for contract in UnitContract.__subclasses__()}


@pytest.mark.parametrize("kind", CONTRACTS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_units_keep_their_contract(kind: type, data: st.DataObject):
    CONTRACTS[kind].check(data)


def test_every_kind_of_unit_has_a_contract():
    assert set(CONTRACTS) == set(get_args(Unit))
