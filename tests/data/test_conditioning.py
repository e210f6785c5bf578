"""Codes equal exact rational arithmetic; statistics come from the training rows; a contract reproduces codes."""

import json
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.config import Data
from gatewright.data import condition, input_format, load_dataset
from gatewright.data.conditioning import condition_counted, conditioned_shape, make_contract
from gatewright.errors import DataError, FormatError
from gatewright.fixedpoint import Fixed

FORMATS = st.builds(Fixed, width_bits=st.integers(1, 32), frac_bits=st.integers(-8, 32), signed=st.booleans())


def contract(x, number, **keys):
    return make_contract(x, np.ones(len(x), dtype=bool), Data(source="-", **keys), number)


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=20), FORMATS)
def test_rounding_without_scaling_is_exact(values, number):
    x = np.array(values)[:, None]
    exact = [floor(Fraction(v) * Fraction(2) ** number.frac_bits + Fraction(1, 2)) for v in values]
    rules = contract(x, number)
    if all(number.lo <= code <= number.hi for code in exact):
        assert condition(x, rules)[:, 0].tolist() == exact
    else:
        with pytest.raises(DataError, match="samples must fit"):
            condition(x, rules)


@given(st.sampled_from([0.49999999999999994, -0.49999999999999994, 0.5, -0.5, 1.5, -1.5, 2**52 + 1.0, -1e-300]))
def test_half_up_has_no_double_rounding(value):
    number = Fixed(width_bits=32, frac_bits=0, signed=True)
    rules = contract(np.array([[1.0]]), number, scaling="range")
    rules["scaling"].update(scale=[1.0], offset=[0.0])
    exact = floor(Fraction(value) + Fraction(1, 2))
    assert condition(np.array([[value]]), rules).item() == min(max(exact, number.lo), number.hi)


@given(
    st.lists(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3), min_size=2, max_size=12),
    FORMATS,
    st.sampled_from(["range", "standard"]),
)
def test_scaled_codes_follow_the_contract_exactly(rows, number, scaling):
    x = np.array(rows)
    if scaling == "standard" and not number.signed:
        with pytest.raises(FormatError, match="needs a signed format"):
            contract(x, number, scaling=scaling)
        return
    try:
        rules = contract(x, number, scaling=scaling)
    except DataError:  # a span so small that its reciprocal is not finite; test_scale_beyond_float64 has the text
        return
    rules = json.loads(json.dumps(rules))  # survives being written to a file
    codes, clipped = condition_counted(x, rules)
    for i, row in enumerate(rows):
        exact = []
        for value, scale, offset in zip(row, rules["scaling"]["scale"], rules["scaling"]["offset"], strict=True):
            scaled = Fraction(value * scale + offset)
            exact.append(floor(scaled * Fraction(2) ** number.frac_bits + Fraction(1, 2)))
        assert codes[i].tolist() == [min(max(code, number.lo), number.hi) for code in exact]
        assert clipped[i] == sum(not number.lo <= code <= number.hi for code in exact)


def test_range_maps_training_ends_to_the_formats_ends_and_ignores_other_rows():
    x = np.array([[0.0, 7.0], [10.0, 7.0], [20.0, 9.0]])
    number = Fixed.parse("fixed<8,3>")
    rules = make_contract(x, np.array([True, True, False]), Data(source="-", scaling="range"), number)
    codes, clipped = condition_counted(x, rules)
    assert codes.tolist() == [[-128, 0], [127, 0], [127, 0]]  # the constant second feature is code 0
    assert clipped.tolist() == [0, 0, 1]
    assert rules["scaling"]["constant_features"] == [1]


def test_scale_beyond_float64():
    x = np.array([[0.0, 1.0], [5e-324, 2.0]])
    text = r"feature 0 must have a range that float64 can scale, not 0 \.\. 4.94066e-324; drop it or rescale"
    with pytest.raises(DataError, match=text):
        contract(x, Fixed.parse("ufixed<8,8>"), scaling="range")


def test_standard_uses_training_mean_and_deviation():
    x = np.array([[1.0], [3.0], [500.0]])
    rules = make_contract(
        x, np.array([True, True, False]), Data(source="-", scaling="standard"), Fixed.parse("fixed<8,4>")
    )
    assert rules["scaling"]["scale"] == [1.0]
    assert rules["scaling"]["offset"] == [-2.0]
    assert condition(x, rules)[:, 0].tolist() == [-16, 16, 127]


@given(st.lists(st.integers(0, 1023), min_size=12, max_size=12), st.integers(1, 5), st.integers(0, 3))
def test_average_of_codes_is_adders_and_a_floor(values, factor, start):
    rules = contract(
        np.array([values]),
        Fixed.parse("ufixed<10,10>"),
        window={"start": start, "length": 9},
        subsample={"factor": factor, "mode": "average"},
    )
    kept = values[start : start + 9]
    want = [sum(kept[i : i + factor]) // factor for i in range(0, 9 - factor + 1, factor)]
    assert condition(np.array([values]), rules)[0].tolist() == want


def test_average_of_real_numbers_is_the_mean_and_decimate_picks():
    x = np.array([[0.5, 1.0, 2.0, 4.0, 9.0]])
    mean = contract(x, Fixed.parse("ufixed<8,4>"), subsample={"factor": 2, "mode": "average"})
    assert condition(x, mean).tolist() == [[12, 48]]
    pick = contract(x, Fixed.parse("ufixed<8,4>"), subsample={"factor": 2})
    assert condition(x, pick).tolist() == [[8, 32, 144]]


def test_window_and_subsample_act_on_the_last_axis():
    x = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    rules = contract(x, Fixed.parse("ufixed<8,8>"), window={"start": 2, "length": 6}, subsample={"factor": 3})
    assert condition(x, rules)[0].tolist() == [2, 5, 10, 13, 18, 21]
    assert conditioned_shape(rules) == (3, 2)


@given(st.integers(1, 12), st.integers(0, 11), st.integers(1, 12), st.sampled_from(["decimate", "average"]))
def test_the_shape_is_that_of_what_is_left(length, start, factor, mode):
    start, factor = min(start, length - 1), min(factor, length - min(start, length - 1))
    x = np.zeros((2, 3, length), dtype=np.int64)
    rules = contract(x, Fixed.parse("ufixed<8,8>"), window={"start": start}, subsample={"factor": factor, "mode": mode})
    assert condition(x, rules).shape == (2, np.prod(conditioned_shape(rules)))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"window": {"start": 8}}, "data.window must lie within the 8 samples of the last axis, not 8..7"),
        ({"window": {"start": 4, "length": 5}}, "data.window must lie within the 8 samples of the last axis, not 4..8"),
        ({"subsample": {"factor": 9}}, "data.subsample.factor must be at most the 8 samples of the window, not 9"),
    ],
)
def test_window_errors(keys, text):
    with pytest.raises(DataError, match=text):
        contract(np.zeros((2, 8), dtype=np.int64), Fixed.parse("ufixed<8,8>"), **keys)


def test_out_of_range_error_names_range_and_remedy():
    x = np.array([[3, 300]])
    with pytest.raises(DataError) as caught:
        condition(x, contract(x, Fixed.parse("ufixed<8,8>")))
    assert str(caught.value) == (
        'samples must fit ufixed<8,8> (0 .. 255 in steps of 1) when data.scaling is "none", not 3 .. 300; '
        'choose a wider data.input_format (ufixed<9,9> holds them) or data.scaling = "range"'
    )


def test_condition_refuses_other_shapes_and_nan():
    rules = contract(np.zeros((2, 8)), Fixed.parse("ufixed<8,8>"))
    with pytest.raises(DataError, match=r"raw samples must have shape \(n, 8\), not \(2, 7\)"):
        condition(np.zeros((2, 7)), rules)
    with pytest.raises(DataError, match="raw samples must be finite"):
        condition(np.full((1, 8), np.nan), rules)


def test_contract_reproduces_a_data_sets_codes(make):
    from sklearn.datasets import load_wine

    raw = load_wine(return_X_y=True)[0]
    for scaling, spelling in (("range", "ufixed<6,6>"), ("standard", "fixed<9,4>")):
        data = load_dataset(make("sklearn:wine", scaling=scaling, input_format=spelling))
        again = condition(np.asarray(raw), json.loads(json.dumps(data.contract)))
        assert (again == data.x).all()


@pytest.mark.parametrize(
    ("spelling", "width", "frac", "signed", "text"),
    [
        ("ufixed<8,8>", 8, 0, False, "ufixed<8,8>"),
        ("ap_fixed<16,6>", 16, 10, True, "fixed<16,6>"),
        (" ap_ufixed< 4 , -2 > ", 4, 6, False, "ufixed<4,-2>"),
        ("fixed<8,10>", 8, -2, True, "fixed<8,10>"),
    ],
)
def test_format_spellings(spelling, width, frac, signed, text):
    number = input_format(spelling)
    assert number == Fixed(width_bits=width, frac_bits=frac, signed=signed)
    assert str(number) == text
    assert number.hi - number.lo == 2**width - 1


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("ufixed<0,0>", r"data.input_format: format 'ufixed<0,0>': width_bits must be 1..62, not 0; choose another"),
        ("fixed<33,3>", r"data.input_format: an input must have 1..32 bits, not 33; choose a width the sensor really"),
        ("fixed<8,99>", r"data.input_format: an input's fraction must have -64..64 bits, not -91; in fixed<W,I> it is"),
        ("float32", r"data.input_format: format 'float32' is not understood; write fixed<W,I>, .*for an 8-bit ADC"),
        ("fixed<8,3,RND,SAT>", r"data.input_format: format 'fixed<8,3,RND,SAT>' must be without rounding and overflow"),
    ],
)
def test_format_errors(spelling, text):
    with pytest.raises(FormatError, match=text):
        input_format(spelling)
