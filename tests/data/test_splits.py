"""Splits: stratified, seeded, groups whole, the user's own respected; every refusal's text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.config import Data
from gatewright.data.draws import draw_by_class, draw_groups, draw_rows
from gatewright.data.splits import make_split, parse_split
from gatewright.errors import DataError


def split_of(y, *, classes=("a", "b"), group=None, given=None, **keys):
    data = Data(source="-", **keys)
    return make_split(np.array(y), data, origin="file", classes=classes, group=group, given=given)[0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(30, 90), min_size=2, max_size=4),
    st.sampled_from([(0.1, 0.2), (0.15, 0.2), (0.0, 0.3), (0.25, 0.25)]),
    st.integers(0, 2**31 - 2),
)
def test_stratified_and_seeded(counts, shares, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    classes = tuple("abcd"[: len(counts)])
    keys = {"validation_fraction": shares[0], "test_fraction": shares[1], "split_seed": seed}
    split = split_of(y, classes=classes, **keys)
    assert (split == split_of(y, classes=classes, **keys)).all()
    for index, count in enumerate(counts):
        for part, share in ((1, shares[0]), (2, shares[1])):
            assert abs(((split == part) & (y == index)).sum() - share * count) <= 2
    assert (split != split_of(y, classes=classes, **{**keys, "split_seed": seed + 1})).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(25, 60), st.booleans())
def test_groups_never_straddle(seed, groups, classified):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, 600)
    y = rng.integers(0, 2, 600)
    classes = ("a", "b") if classified else ()
    split = split_of(y if classified else rng.random(600), classes=classes, group=group, split_seed=seed)
    assert all(len(set(split[group == g])) == 1 for g in np.unique(group))
    assert abs((split == 2).mean() - 0.20) < 0.09
    assert abs((split == 1).mean() - 0.15) < 0.09


def test_own_split_is_respected_in_every_spelling():
    names = np.array(["train", "Training", "val", "validation", "test", "TEST"])
    assert parse_split(names, "f").tolist() == [0, 0, 1, 1, 2, 2]
    assert parse_split(np.array([0, 2, 1]), "f").tolist() == [0, 2, 1]
    assert parse_split(np.array([0.0, 2.0]), "f").tolist() == [0, 2]
    given = np.array(["train", "train", "val", "test"] * 5)
    split = split_of([0, 1] * 10, given=given)
    assert split.tolist() == [0, 0, 1, 2] * 5


def test_validation_rows_come_from_training_when_the_own_split_has_none():
    given = np.array(["train"] * 80 + ["test"] * 20)
    split = split_of([0, 1] * 50, given=given, validation_fraction=0.25)
    assert (split[80:] == 2).all()
    assert (split[:80] == 1).sum() == 20
    assert (split_of([0, 1] * 50, given=given, validation_fraction=0.0)[:80] == 0).all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["train", "tets"], "file: a row's split must be train, validation .val. or test, not 'tets'; correct"),
        (["train", "val"], "file: the given split must have test rows, not only train, val; mark some rows 'test'"),
        (["test", "val"], "file: the given split must have train rows, not only test, val; mark some rows 'train'"),
    ],
)
def test_own_split_errors(given, text):
    with pytest.raises(DataError, match=text):
        split_of([0, 1], given=np.array(given))


def test_straddling_group_in_own_split():
    with pytest.raises(DataError, match="a group must lie in one split, not group 'run0' in train and test; correct"):
        split_of(
            [0, 1] * 2,
            given=np.array(["train", "train", "test", "test"]),
            group=np.array(["run0", "run1"] * 2),
            validation_fraction=0.0,
        )


def test_rare_class():
    with pytest.raises(DataError, match="class 'b' needs at least 3 rows, one per split, not 2; add rows, merge"):
        split_of([0] * 50 + [1] * 2)
    with pytest.raises(DataError, match=r"class 'b' must have rows in the (test|validation) split, but none of its 3"):
        split_of([0] * 500 + [1] * 3)


def test_class_absent_from_own_training_rows():
    given = np.array(["train"] * 10 + ["val"] * 2 + ["test"] * 4)
    with pytest.raises(DataError, match="class 'b' must have rows in the train split"):
        split_of([0] * 12 + [0, 0, 1, 1], given=given)


def test_one_group():
    with pytest.raises(DataError, match="a split by group needs several groups, not 1; check the group column"):
        split_of([0, 1] * 20, group=np.zeros(40))


def test_too_few_groups_for_each_class():
    group = np.repeat([0, 1, 2], [40, 40, 1])
    with pytest.raises(DataError, match=r"(must have rows in|split has no rows|several groups)"):
        split_of([0] * 40 + [1] * 40 + [1], group=group)


def test_too_few_rows():
    with pytest.raises(DataError, match=r"file: 1 rows cannot be split with a share of 0.20"):
        split_of([0.5], classes=())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(3, 70), min_size=2, max_size=5), st.sampled_from([0.1, 0.2, 0.33, 0.5]), st.integers(0, 999)
)
def test_the_rows_are_those_that_scikit_learn_draws(counts, share, seed):
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n, group = len(y), np.arange(len(y)) // 4
    theirs = {
        "class": StratifiedShuffleSplit(1, test_size=max(round(share * n), len(counts)), random_state=seed),
        "rows": ShuffleSplit(1, test_size=share, random_state=seed),
        "groups": GroupShuffleSplit(1, test_size=share, random_state=seed),
    }
    drawn = {
        name: sorted(next(picker.split(y, y, group if name == "groups" else None))[1].tolist())
        for name, picker in theirs.items()
    }
    ours = {
        "class": draw_by_class(y, share, seed),
        "rows": draw_rows(n, share, seed),
        "groups": draw_groups(group, share, seed),
    }
    assert {name: sorted(rows.tolist()) for name, rows in ours.items()} == drawn


def test_a_draw_that_leaves_too_few_rows_says_so():
    for y, text in (([0, 0, 1], "a class has a single row"), ([0, 0, 1, 1], "1 rows would stay for 2 classes")):
        with pytest.raises(DataError, match=text):
            draw_by_class(np.array(y), 0.5 if "single" in text else 0.75, 0)
