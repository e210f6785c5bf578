"""Clocks as text: ranges where nothing was placed, "not known" where nothing was timed, no nanoseconds out of reach."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.report.clocks import clock_text, misses, ns_text, usable_mhz
from gatewright.report.hardware import board_facts, latency_table, target
from gatewright.report.page import render
from gatewright.report.view import cost_cards
from tests.report import sample


def run(**ecp5: Any) -> dict[str, Any]:
    """Return the sample's results with another clock of the chosen part."""
    results = sample.classification()
    results["synthesis"]["ecp5"] |= ecp5
    return results


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        ({"fmax_mhz": 111.94, "fmax_source": "place and route"}, "111\u202fMHz"),
        ({"fmax_mhz": 117.0, "fmax_source": "static timing", "fmax_range_mhz": [117, 207]}, "117 to 207\u202fMHz"),
        ({"fmax_mhz": None, "fmax_source": None}, "not known"),
    ],
)
def test_a_clock_is_a_range_or_a_whole_number_or_not_known(clock: dict[str, Any], text: str):
    assert clock_text(clock) == text
    assert target(run(**clock)).fmax == text


def test_latency_is_never_at_a_clock_out_of_reach():
    """Seven cycles at the 100 MHz asked for, where that is reached; at 80 MHz where nextpnr says 80."""
    reached, missed = run(fmax_mhz=111.3), run(fmax_mhz=80.0)
    assert [card.value for card in cost_cards(reached)][1] == "70.0\u202fns"
    assert [card.value for card in cost_cards(missed)][1] == "87.5\u202fns"
    assert "7 cycles at 80\u202fMHz of 100\u202fMHz asked for" in render(missed)
    assert misses(missed["synthesis"]["ecp5"], 100.0)
    header, rows = latency_table(missed)
    assert header[2] == "at 80\u202fMHz, for the target of 100\u202fMHz"
    assert rows[0][2] == "87.5\u202fns"


def test_a_range_of_clocks_is_a_range_of_latencies():
    timed = run(fmax_mhz=70.0, fmax_source="static timing", fmax_range_mhz=[70, 140])
    assert usable_mhz(timed, timed["synthesis"]["ecp5"]) == (70, 100.0)
    assert [card.value for card in cost_cards(timed)][1] == "70.0 to 100\u202fns"
    assert not misses(timed["synthesis"]["ecp5"], 100.0)
    assert misses(timed["synthesis"]["ecp5"], 141.0)
    assert ns_text(7, (70.0, 140.0), exact=True) == "50.0 to 100.0\u202fns"


def test_an_estimate_counts_where_nothing_was_timed():
    results = run(fmax_mhz=None, fmax_source=None)
    results["estimate"] |= {"reachable_mhz": 50.0, "clock_range_mhz": [30, 65]}
    assert usable_mhz(results, results["synthesis"]["ecp5"]) == (50.0, 50.0)
    del results["synthesis"]["ecp5"]
    assert target(results).fmax == "30 to 65\u202fMHz"


def test_a_board_whose_clock_is_not_known_says_so():
    results = sample.classification()
    results["board"]["fmax_mhz"] = None
    assert ("Highest clock, placed and routed", "not known") in board_facts(results)
