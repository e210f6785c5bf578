"""What is said of each unit: cells that add up to the core's, the cycles that set the interval, what feeds it."""

from __future__ import annotations

import numpy as np
import pytest

from gatewright.lower.dataflow import Dataflow
from gatewright.lower.inventory import inventory, slowest
from tests.lower import residual as vectors
from tests.lower.test_streams import residual, signal, stream
from tests.lowering import lower_for
from tests.programs import codes, mlp


def folded() -> Dataflow:
    program = mlp((6, 8, 5), seed=1)
    return lower_for(program, codes(program, 20), family="xc7", clock_mhz=100, reuse=(2, 8))


@pytest.mark.parametrize(
    "dataflow",
    [stream(residual()), stream(signal(64, 3, 5), pixels_per_beat=8), folded()],
    ids=["image", "signal", "rigid and folded"],
)
def test_cells_add_up_and_the_slowest_sets_the_interval(dataflow: Dataflow):
    rows = inventory(dataflow)
    assert [row.name for row in rows[1:-1]] == [unit.name for unit in dataflow.units]
    cost = dataflow.cost
    assert [sum(getattr(row, key) for row in rows) for key in ("lut", "ff", "dsp", "bram")] == [
        cost.lut,
        cost.ff,
        cost.dsp,
        cost.bram,
    ]
    assert slowest(rows).cycles <= dataflow.initiation_interval
    assert {feed.value for row in rows for feed in row.feeds} == {channel.value for channel in dataflow.channels}


def test_a_skip_is_a_feed_with_its_words():
    dataflow = stream(residual())
    last = inventory(dataflow)[-2]
    assert [(feed.source, feed.bits, feed.beats) for feed in last.feeds] == [("b", 28, 64), ("input", 8, 64)]
    assert last.feeds[1].words == max(channel.depth for channel in dataflow.channels) > 20


def test_an_elastic_core_has_the_same():
    dataflow = vectors.residual(np.random.default_rng(0).integers(-32, 32, (20, vectors.SIZE)), reuse=(2, 4))
    rows = inventory(dataflow)
    assert sum(row.lut for row in rows) == dataflow.cost.lut
    assert slowest(rows).cycles == dataflow.initiation_interval == 4
