"""Windows of a stream, vectorised, against the definition said once more sample by sample; and what is refused."""

import json
from dataclasses import asdict
from math import floor
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.capture import Capture, Edge, Every, capture, edges, first_windows, starts
from gatewright.errors import FormatError
from gatewright.fixedpoint import Fixed
from gatewright.rtl.captured import unit_of

ADC, CODES = Fixed.parse("ufixed<6,6>"), Fixed.parse("fixed<7,7>")


@st.composite
def units(draw):
    """Draw a unit with small windows of a 6-bit ADC."""
    length = draw(st.integers(1, 12))
    before = draw(st.integers(0, length - 1))
    threshold = draw(st.integers(9, 54))
    edge = Edge(
        threshold=threshold,
        hysteresis=draw(st.integers(0, 8)),
        pretrigger=before,
        holdoff=draw(st.integers(0, 6)),
        falling=draw(st.booleans()),
    )
    rule = draw(st.sampled_from([edge, Every(stride=draw(st.integers(1, 9)), first=draw(st.integers(0, 5)))]))
    average = draw(st.booleans())
    powers = [n for n in (1, 2, 4, 8) if n <= length]
    return Capture(
        samples=ADC,
        rule=rule,
        length=length,
        codes=draw(st.sampled_from([CODES, Fixed.parse("ufixed<5,6>"), Fixed.parse("fixed<9,7>")])),
        baseline=draw(st.sampled_from([0, *powers])),
        factor=draw(st.sampled_from(powers)) if average else draw(st.integers(1, length)),
        average=average,
    )


def sample_by_sample(samples, unit):
    """Return the windows as a digitizer's manual would say it."""
    begins, armed, busy = [], False, 0
    for place, sample in enumerate(samples):
        if isinstance(unit.rule, Every):
            if place >= unit.rule.first and (place - unit.rule.first) % unit.rule.stride == 0:
                begins.append(place)
            continue
        rule, sign = unit.rule, -1 if unit.rule.falling else 1
        if sign * sample >= sign * rule.threshold:
            if armed and place >= max(rule.pretrigger, busy):
                begins.append(place - rule.pretrigger)
                busy = begins[-1] + unit.length + rule.holdoff
            armed = False
        elif sign * sample < sign * rule.threshold - rule.hysteresis:
            armed = True
    windows = []
    for begin in begins:
        window = [int(sample) for sample in samples[begin : begin + unit.needed]]
        if len(window) < unit.needed:
            continue
        level = floor(sum(window[: unit.baseline]) / unit.baseline + 0.5) if unit.baseline else 0
        values = [sample - level for sample in window]
        groups = [values[at : at + unit.factor] for at in range(0, unit.elements * unit.factor, unit.factor)]
        if unit.average:
            values = [sum(group) // unit.factor for group in groups]
        else:
            values = [group[0] for group in groups]
        codes = [floor(value * 2.0**unit.codes.frac_bits + 0.5) for value in values]
        windows.append([min(max(code, unit.codes.lo), unit.codes.hi) for code in codes])
    return np.array(windows, dtype=np.int64).reshape(-1, unit.elements)


@settings(max_examples=60)
@given(units(), st.lists(st.integers(0, 63), max_size=80))
def test_windows_are_those_of_the_definition(unit, samples):
    x = np.array(samples, dtype=np.int64)
    assert np.array_equal(capture(x, unit), sample_by_sample(samples, unit))
    if isinstance(unit.rule, Edge) and samples:
        wanted = starts(x, unit.rule, unit.length)
        assert first_windows(x[None], unit.rule, unit.length).tolist() == [wanted[0] if len(wanted) else -1]
    assert unit_of(json.loads(json.dumps(asdict(unit)))) == unit


def test_an_edge_needs_a_quiet_sample_in_front():
    edge = Edge(threshold=10, hysteresis=3)
    #               not armed  armed    edge  over  not quiet enough  quiet enough: edge
    samples = np.array([12, 9, 6, 8, 10, 12, 8, 10, 7, 10, 6, 11])
    assert np.flatnonzero(edges(samples, edge)).tolist() == [4, 11]


def test_unsigned_bytes_are_compared_below_their_range():
    edge = Edge(threshold=3, hysteresis=5)  # nothing is below -2: it is never armed
    assert not edges(np.array([[0, 5, 0, 5]], dtype=np.uint8), edge).any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"samples": Fixed.parse("ufixed<8,6>")},
            r"adc_format must be whole numbers .*, not ufixed<8,6>; e.g. ufixed<12",
        ),
        ({"baseline": 3}, r"baseline.samples must be a power of two and at most the 8 samples of the window, not 3"),
        (
            {"factor": 3, "average": True},
            r"factor must be 1 to 8, and a power of two to average on the chip, not 3; take",
        ),
        ({"factor": 9}, r"factor must be 1 to 8"),
        ({"length": 0}, r"window.length must be 1 to 65536 samples, not 0"),
        ({"depth": 8}, r"frontend.buffer must be a power of two from 16 on for windows of 8 samples, not 8; 0 takes"),
        (
            {"codes": Fixed(width_bits=40, frac_bits=0)},
            r"input_format must have -8 to 16 fractional bits and at most 32",
        ),
        (
            {"rule": Edge(threshold=9, pretrigger=8)},
            r"pretrigger must be less than the 8 samples of data.window.length",
        ),
        (
            {"rule": Edge(threshold=70)},
            r"threshold and its hysteresis must lie within the ADC's 0 .. 63, not 70 and 70",
        ),
    ],
)
def test_what_has_no_hardware_is_refused(change, text):
    given = {"samples": ADC, "rule": Edge(threshold=20), "length": 8, "codes": CODES}
    with pytest.raises(FormatError, match=text):
        Capture(**{**given, **change})


def test_samples_that_no_adc_gives_are_refused():
    unit = Capture(samples=ADC, rule=Edge(threshold=20), length=8, codes=CODES)
    with pytest.raises(
        FormatError, match=r"ADC of ufixed<6,6> must lie in 0 .. 63, not 0 .. 64; set frontend.adc_format"
    ):
        capture(np.array([0, 64]), unit)
    with pytest.raises(FormatError, match="one row of integers, not float64 of shape"):
        capture(cast(Any, np.zeros(3)), unit)
    for rule, text in (({"stride": 0}, "stride of 1 or more"), ({"stride": 1, "first": -1}, "not 1, -1")):
        with pytest.raises(FormatError, match=text):
            Every(**rule)
    with pytest.raises(FormatError, match="a trigger's holdoff must be 0 or more, not -1"):
        Edge(threshold=1, holdoff=-1)
