import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import FormatError
from gatewright.fixedpoint import Fixed


@pytest.mark.parametrize(
    ("spelling", "width", "frac", "signed"),
    [
        ("ap_fixed<16,6>", 16, 10, True),
        ("fixed<9, 1>", 9, 8, True),
        ("ap_ufixed<8,0,AP_RND,AP_SAT>", 8, 8, False),
        ("ufixed<4,4>", 4, 0, False),
        ("quantized_bits(9,1)", 9, 7, True),
        ("quantized_bits(9,1,alpha=1)", 9, 7, True),
        ("quantized_bits(8,2,0)", 8, 6, False),
        ("quantized_relu(16,15)", 16, 1, False),
    ],
)
def test_spellings(spelling: str, width: int, frac: int, signed: bool):
    assert Fixed.parse(spelling) == Fixed(width_bits=width, frac_bits=frac, signed=signed)


@given(st.integers(1, 62), st.integers(-40, 40), st.booleans())
def test_print_parse(width: int, frac: int, signed: bool):
    fixed = Fixed(width_bits=width, frac_bits=frac, signed=signed)
    assert Fixed.parse(str(fixed)) == fixed


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_holding_is_narrowest(lo: int, span: int):
    fixed = Fixed.holding(lo, lo + span, 0)
    assert fixed.lo <= lo
    assert lo + span <= fixed.hi
    if fixed.width_bits > 1:
        small = Fixed(width_bits=fixed.width_bits - 1, frac_bits=0, signed=fixed.signed)
        assert lo < small.lo or lo + span > small.hi


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("fixed<0,0>", "width_bits must be 1..62, not 0"),
        ("fixed<99,1>", "width_bits must be 1..62, not 99"),
        ("fixed<8>", "write fixed<W,I>"),
        ("quantized_bits(4,1,alpha='auto')", "is not understood"),
        ("ap_fixed<8,2,AP_ODD>", "mode 'AP_ODD' must be"),
    ],
)
def test_errors(spelling: str, message: str):
    with pytest.raises(FormatError, match=message):
        Fixed.parse(spelling)
