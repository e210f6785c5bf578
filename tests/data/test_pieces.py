"""What is computed of samples in pieces equals, bit for bit, what NumPy computes of the whole array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.config import Data
from gatewright.data import pieces
from gatewright.data.auto_format import auto_format
from gatewright.data.conditioning import condition_counted, make_contract
from gatewright.data.pieces import Rows, slices
from gatewright.data.raw import Raw, checked
from gatewright.errors import DataError
from gatewright.fixedpoint import Fixed


def drawn(seed, shape, kind, order):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 9, shape[1:]) + 3e5
    return np.asarray(values, order=order).astype(kind)


@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 60), st.integers(1, 5)),
    st.sampled_from(["float64", "float32", "int64", "uint8", "int16"]),
    st.sampled_from(["C", "F"]),
    st.integers(1, 40),
)
def test_statistics_are_numpys(seed, shape, kind, order, values):
    x = drawn(seed, shape, kind, order)
    kept = np.random.default_rng(seed).random(len(x)) < 0.7
    kept[0] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "VALUES", values)
        for mask in (None, kept):
            rows = Rows(x=x, features=shape[1], kept=mask)
            whole = pieces.wide(x) if mask is None else pieces.wide(x)[mask]
            assert len(rows) == len(whole)
            assert np.array_equal(rows.mean(), whole.mean(axis=0, dtype=np.float64))
            assert np.array_equal(rows.deviation(), whole.std(axis=0, dtype=np.float64))
            for got, want in zip(rows.ends(), (whole.min(axis=0), whole.max(axis=0)), strict=True):
                assert np.array_equal(got, want)
                assert got.dtype == want.dtype


@given(
    st.integers(0, 2**32),
    st.sampled_from(["float64", "float32", "int16"]),
    st.sampled_from(["range", "standard", "none"]),
    st.sampled_from([{}, {"subsample": {"factor": 3, "mode": "average"}}, {"window": {"start": 2, "length": 1}}]),
)
def test_codes_do_not_depend_on_the_pieces(seed, kind, scaling, keys):
    x = (drawn(seed, (30, 2, 9), "float64", "C") % 250).astype(kind)
    train = np.random.default_rng(seed).random(30) < 0.6
    train[:2] = True
    data, number = Data(source="-", scaling=scaling, **keys), Fixed.parse("fixed<12,9>")
    found = []
    for values in (20, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "VALUES", values)
            rules = make_contract(x, train, data, number)
            found.append((rules, *condition_counted(x, rules)))
    assert found[0][0] == found[1][0]
    assert found[0][1].dtype == found[1][1].dtype == np.int16
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])


def test_a_fault_is_found_in_a_later_piece(monkeypatch):
    monkeypatch.setattr(pieces, "VALUES", 4)
    x = np.ones((6, 2))
    x[4, 1] = x[5, 0] = np.nan
    with pytest.raises(DataError, match=r"not nan of sample 5, x\[4, 1\] \(2 such values\)"):
        checked(Raw(x=x, y=np.arange(6), origin="here"))
    codes = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 300.0]])
    rules = make_contract(codes, np.ones(3, dtype=bool), Data(source="-"), Fixed.parse("ufixed<8,8>"))
    with pytest.raises(DataError, match=r'when data.scaling is "none", not 1 .. 300; .*\(ufixed<9,9> holds them\)'):
        condition_counted(codes, rules)
    number, _ = auto_format(np.array([[1.0, 0.5], [2.0, 0.0], [0.0, 0.125]]), "none")
    assert (number.frac_bits, number.width_bits) == (3, 5)


@pytest.mark.parametrize(("most", "kind"), [(127, "int8"), (128, "int16"), (40000, "int32"), (2.0**40, "int64")])
def test_whole_floats_become_the_narrowest_integers(most, kind):
    raw = checked(Raw(x=np.array([[0.0, most]]), y=np.zeros(1), origin="-"))
    assert raw.x.dtype == kind
    assert raw.x.tolist() == [[0, most]]
    assert checked(Raw(x=np.array([[0.5, most]]), y=np.zeros(1), origin="-")).x.dtype == np.float64


def test_a_piece_is_as_many_rows_as_hold_so_many_values(monkeypatch):
    monkeypatch.setattr(pieces, "VALUES", 6)
    x = np.zeros((5, 3))
    assert [len(x[rows]) for rows in slices(x)] == [2, 2, 1]
    assert [len(x[rows]) for rows in slices(np.asfortranarray(x))] == [5]
    assert [len(x[rows]) for rows in slices(x, 1)] == [5]
    assert list(slices(x[:0])) == []
