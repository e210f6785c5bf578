"""Errors of configurations: one line for each fault, none for what a union would have taken instead."""

import json

import pytest

from gatewright.config import override, parse_config
from gatewright.errors import ConfigError


@pytest.mark.parametrize(
    ("student", "lines"),
    [
        ({"weight_bits": 40}, ["student.weight_bits: input should be less than or equal to 32, not 40"]),
        ({"weight_bits": [40, 3]}, ["student.weight_bits.0: input should be less than or equal to 32, not 40"]),
        (
            {"weight_bits": "abc"},
            [
                "student.weight_bits: input should be a valid integer, unable to parse string as an integer, not 'abc'",
                "student.weight_bits: input should be a valid list, not 'abc'",
            ],
        ),
        ({"weight_bits": "4"}, ["student.weight_bits: input should be an integer, not '4'"]),
        ({"hidden": [True]}, ["student.hidden: input should be an integer, not True"]),
        (
            {"tables": {"thresholds": -1}},
            ["student.tables.thresholds: input should be greater than or equal to 1, not -1"],
        ),
        ({"tables": {"thresholds": []}}, ["student.tables.thresholds: list should have at least 1 item, not []"]),
        ({"tables": {"layers": [0]}}, ["student.tables.layers.0: input should be greater than or equal to 1, not 0"]),
        (
            {"learned": {"points": 0, "lut_end": -1}},
            [
                "student.learned.points: input should be greater than or equal to 1, not 0",
                "student.learned.lut_end: input should be greater than or equal to 0, not -1",
            ],
        ),
    ],
)
def test_each_fault_is_told_once(student, lines):
    with pytest.raises(ConfigError) as caught:
        parse_config({"name": "a", "data": {"source": "sklearn:iris"}, "student": student}, where="a.toml")
    assert str(caught.value).splitlines() == [f"a.toml: {line}" for line in lines]


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("seed", True, "an integer"),
        ("seed", "1", "an integer"),
        ("hardware.clock_mhz", "200", "a number"),
        ("hardware.clock_mhz", False, "a number"),
        ("hardware.io_registers", 1, "true or false"),
        ("hardware.io_registers", "yes", "true or false"),
    ],
)
def test_texts_numbers_and_truth_values_are_not_turned_into_each_other(key, value, right):
    raw = {"name": "a", "data": {"source": "sklearn:iris"}}
    override(raw, f"{key}={json.dumps(value)}")
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, where="a.toml")
    assert str(caught.value) == f"a.toml: {key}: input should be {right}, not {value!r}"
