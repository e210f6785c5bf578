"""Records through trigger and baseline: the rows that are kept, their codes and names, new rows."""

import numpy as np
import pytest

from gatewright.config import parse_config
from gatewright.data import condition
from gatewright.data.load import dataset_from_arrays
from gatewright.errors import ConfigError, DataError

TRIGGER = {"threshold": 100, "hysteresis": 10, "pretrigger": 4}
KEYS = {
    "window": {"length": 12},
    "trigger": TRIGGER,
    "baseline": {"samples": 4},
    "subsample": {"factor": 2, "mode": "average"},
    "input_format": "fixed<10,10>",
}


def records(count=60):
    """Return records of 40 samples with a pulse of 11, 22, ... at a random place, and which have one."""
    random = np.random.default_rng(4)
    x = np.full((count, 40), 50, dtype=np.uint8) + (np.arange(count) % 3).astype(np.uint8)[:, None]
    places = random.integers(6, 30, count)
    for row, place in enumerate(places):
        if row % 10 != 9:
            x[row, place : place + 4] = 100, 122, 90, 60
    return x, np.arange(count) % 10 != 9, places


def test_windows_begin_at_the_edge_and_lie_on_their_baseline():
    x, has, places = records()
    data = dataset_from_arrays(x, np.arange(60) % 2, **KEYS)
    kept = has & (places <= 32)
    assert len(data.x) == kept.sum()
    assert data.contract["untriggered"] == 60 - kept.sum()
    pulse = np.array([0, 0, 0, 0, 100, 122, 90, 60, 50, 50, 50, 50])
    level = 50 + np.arange(60)[kept] % 3
    wanted = np.stack([np.where(pulse >= 60, pulse, base) - base for base in level])
    wanted[:, :4] = 0
    wanted[:, 8:] = 0
    assert np.array_equal(data.x, wanted.reshape(-1, 6, 2).sum(axis=2) // 2)
    assert data.feature_names[:3] == ("mean(t-4..t-3)", "mean(t-2..t-1)", "mean(t+0..t+1)")
    assert np.array_equal(condition(x[kept], data.contract), data.x)


def test_a_record_without_an_edge_is_no_sample():
    x, _, _ = records()
    data = dataset_from_arrays(x, np.arange(60) % 2, **KEYS)
    with pytest.raises(
        DataError, match=r"window of 12 samples around an edge at 100 \(4 before it\), and 1 of 2 have non"
    ):
        condition(x[8:10], data.contract)
    with pytest.raises(DataError, match=r"none of 60 records has a window .*; compare its threshold with .* 50 .. 122"):
        dataset_from_arrays(x, np.arange(60) % 2, **{**KEYS, "trigger": {**TRIGGER, "threshold": 200}})
    with pytest.raises(DataError, match=r"takes records of one row of samples, \(n, samples\), not \(60, 2, 20\)"):
        dataset_from_arrays(x.reshape(60, 2, 20), np.arange(60) % 2, **KEYS)
    with pytest.raises(DataError, match=r"baseline.samples must be at most the 40 samples of the window, not 64"):
        dataset_from_arrays(x, np.arange(60) % 2, baseline={"samples": 64})


def test_a_baseline_of_real_numbers_is_not_rounded():
    x = np.array([[0.25, 0.5, 1.0, 2.0], [1.25, 1.75, 3.0, 5.0]] * 10)
    data = dataset_from_arrays(x, [0, 1] * 10, baseline={"samples": 2}, input_format="fixed<8,4>")
    assert (data.x[1] * 2.0**-data.format.frac_bits).tolist() == [-0.25, 0.25, 1.5, 3.5]


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        (
            {"data": {"trigger": TRIGGER, "window": {"start": 3, "length": 9}}},
            r"window.start must be 0 .*, not 3 and 9",
        ),
        ({"data": {"trigger": TRIGGER}}, r"more than trigger.pretrigger \(4\), not 0 and 0"),
        ({"data": {"baseline": {"samples": 6}}}, r"baseline.samples must be a power of two, not 6"),
        (
            {"data": {"baseline": {"samples": 16}, "window": {"length": 8}}},
            r"a power of two and at most window.length \(8\), not 16",
        ),
        ({"frontend": {}, "data": {"scaling": "range"}}, r'set data.scaling = "none", not "range"'),
        ({"frontend": {}, "hardware": {"framing": "packets"}}, r"takes an endless stream; leave hardware.framing out"),
        (
            {"frontend": {}, "hardware": {"architecture": "stream", "pixels_per_beat": 2}},
            r"one sample a beat; set hardware.pixels_per_beat = 1, not 2",
        ),
        (
            {"frontend": {"stride": 4}, "data": {"trigger": TRIGGER, "window": {"length": 9}}},
            r"says where windows begin, and so does frontend.stride; leave one out",
        ),
        ({"frontend": {"strde": 4}}, r"strde"),
    ],
)
def test_tables_that_do_not_go_together_are_refused(tables, text):
    with pytest.raises(ConfigError, match=text):
        parse_config({"name": "a", **tables, "data": {"source": "x.npz", **tables.get("data", {})}})
