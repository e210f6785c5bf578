from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.errors import FitError
from gatewright.fit import Grid, Layer, Network, compression_table
from gatewright.fit.layer import mean_digits
from gatewright.fixedpoint import Fixed, frac_bits

from .test_export import random_network

pytestmark = pytest.mark.torch


@pytest.fixture
def network() -> Network:
    return random_network(np.random.default_rng(5), [4, 5, 3], per="weight", bias_bits=7)


def test_save_and_load_keep_every_bit(network, tmp_path):
    network.save(tmp_path / "net")
    again = Network.load(tmp_path / "net")
    assert again.checksum == network.checksum
    assert again.describe() == network.describe()
    codes = np.arange(40).reshape(10, 4) % 30
    assert np.array_equal(again.evaluate(codes), network.evaluate(codes))


def test_damaged_or_mixed_folders_are_refused(network, tmp_path):
    with pytest.raises(FitError, match=r"must hold a network \(network.json, arrays.npz\).*train it again"):
        Network.load(tmp_path / "absent")
    network.save(tmp_path)
    random_network(np.random.default_rng(6), [4, 5, 3], per="weight", bias_bits=7).save(tmp_path / "other")
    (tmp_path / "arrays.npz").write_bytes((tmp_path / "other" / "arrays.npz").read_bytes())
    with pytest.raises(FitError, match="checksums differ"):
        Network.load(tmp_path)
    (tmp_path / "arrays.npz").write_bytes(b"PK broken")
    with pytest.raises(FitError, match="train it again"):
        Network.load(tmp_path)


def test_description_is_json_and_counts_are_right():
    grid = Grid.uniform(4, 1, signed=True)
    layer = Layer(
        name="out",
        weight=np.array([[0.0, 1.5], [3.5, -0.5]]),
        bias=np.array([2.5, -1.0]),
        relu=False,
        weight_grid=grid,
    )
    network = Network(input=Fixed(width_bits=3, frac_bits=0, signed=False), layers=(layer,), classes=("a", "b"))
    (row,) = network.describe()
    json.dumps(row)
    assert row["weight_format"] == "fixed<4,3>"
    assert row["bias_format"] == "accumulator, 4 bits"
    assert (row["parameters"], row["nonzero"], row["sparsity"], row["bits"]) == (6, 3, 0.25, 4 * 4 + 2 * 4)
    assert mean_digits(layer) == (2 + 2 + 1) / 3  # 3 = 4-1, 7 = 8-1, 1
    assert network.quantized


def test_finest_fraction_in_use():
    assert frac_bits(np.array([0.0, 6.0])) == -1
    assert frac_bits(np.array([0.75, 6.0])) == 2
    assert frac_bits(np.zeros(3)) == 0


def test_compression_table():
    student = random_network(np.random.default_rng(5), [4, 5, 3], sparsity=0.5)
    teacher = Network(
        input=student.input,
        layers=(Layer(name="out", weight=np.ones((4, 30)), bias=np.zeros(30), relu=False),),
    )
    table = compression_table(teacher, student)
    json.dumps(table)
    assert table["parameters"] == {"teacher": 150, "student": 43, "ratio": 150 / 43}
    assert table["bits"]["teacher"] == 150 * 32
    assert table["multiply_accumulates"]["student"] == 35
    assert table["nonzero_multiply_accumulates"]["student"] == student.nonzero


def test_wrong_input_shape_and_values_are_refused(network):
    with pytest.raises(FitError, match=r"input codes must be \(n, 4\), not \(2, 3\)"):
        network.evaluate(np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(FitError, match="layer 'out': weight must be finite; lower learning_rate"):
        Layer(name="out", weight=np.full((1, 1), np.inf), bias=np.zeros(1), relu=False)


def test_evaluation_in_chunks_equals_evaluation_at_once(network):
    codes = np.random.default_rng(0).integers(0, 30, (8200, 4))
    assert np.array_equal(network.evaluate(codes)[8190:], network.evaluate(codes[8190:]))
