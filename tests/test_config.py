"""Errors of configurations: one line for each fault, none for what a union would have taken instead."""

import pytest

from gatewright.config import parse_config
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
