"""Students of truth tables: candidates, gradients, what is frozen, resuming, errors. Exactness: test_exact.py."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.config import Config, Tables
from gatewright.data import Dataset
from gatewright.errors import ConfigError, FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import train_tables
from gatewright.fit.dead import shrink
from gatewright.fit.frozen import dense_layers, is_quantized
from gatewright.fit.modules import lut_neurons as fit_tables
from gatewright.fit.modules.lut_neurons import Counts, TableLayer, slopes
from gatewright.fit.truth_tables import candidates, table_stack
from gatewright.fixedpoint import Fixed, frac_bits
from gatewright.graph import load_graph
from gatewright.graph.figures import figures
from gatewright.graph.store import checksum, from_bytes, to_bytes

from .conftest import make_config, make_data
from .networks import proved, saved

pytestmark = pytest.mark.torch


def _config(**student: Any) -> Config:
    tables = {"layers": (15,), "inputs": 4, **student.pop("tables", {})}
    return make_config(
        student={"precision": "tables", "tables": tables, "batch_size": 16, "epochs": 12, "learning_rate": 2e-3}
        | student
    )


def _soft(data: Dataset) -> np.ndarray:
    return np.eye(3)[data.y] * 4.0


def test_thresholds_are_quantiles_of_each_feature_on_the_input_grid() -> None:
    data = make_data(frac_bits=2)
    features, codes = candidates(Tables(thresholds=3), data)
    x = data.part("train")[0]
    for feature in range(x.shape[1]):
        wanted = np.ceil(np.quantile(x[:, feature], [0.25, 0.5, 0.75]))
        assert codes[features == feature].tolist() == sorted(set(wanted.tolist()))
    # given: in units of the inputs (codes are quarters), rounded up, and without those that hardly any sample crosses
    features, codes = candidates(Tables(thresholds=(7.1, 15.75)), data)
    assert set(codes.tolist()) <= {29, 63}
    assert (features[codes == 29]).tolist() == list(range(6))


def test_slope_is_the_difference_at_the_address_and_less_of_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    table = torch.tensor([0.1, -0.7, 0.4, 0.9])  # address = pin 0 + 2 * pin 1
    at = (table @ slopes(2)).view(2, 4)
    near, far = -0.7 - 0.1, 0.9 - 0.4
    torch.testing.assert_close(at[0], torch.tensor([near + far / 4, near + far / 4, far + near / 4, far + near / 4]))
    monkeypatch.setattr(fit_tables, "DECAY", 0.0)
    torch.testing.assert_close((table @ slopes(2)).view(2, 4)[1], torch.tensor([0.3, 1.6, 0.3, 1.6]))


def test_a_layer_reads_its_tables_and_its_gradients_are_the_straight_through_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit_tables, "STRIDE", 1.0)
    generator = torch.Generator().manual_seed(2)
    layer = TableLayer(7, 5, 3, generator)
    bits = (torch.rand(7, 40, generator=generator) < 0.5).float().requires_grad_()
    out = layer(bits.T, None)[0].T
    weight = torch.rand(5, 40, generator=generator)
    (out * weight).sum().backward()
    pins = layer.sources().view(5, 3)
    slope = (layer.table.detach() @ slopes(3)).view(5, 3, 8)
    table, read = torch.zeros(5, 8), torch.zeros(7, 40)
    preference = torch.zeros(15, 7)
    for n in range(5):
        for s in range(40):
            address = sum(int(bits[pins[n, k], s]) << k for k in range(3))
            assert out[n, s] == float(layer.table[n, address] >= 0)
            table[n, address] += weight[n, s]
            for k in range(3):
                push = slope[n, k, address] * weight[n, s]
                read[pins[n, k], s] += push
                preference[3 * n + k] += push * (2 * bits[:, s].detach() - 1)
    assert layer.table.grad is not None
    assert bits.grad is not None
    assert layer.preference.grad is not None
    torch.testing.assert_close(layer.table.grad, table)
    torch.testing.assert_close(bits.grad, read)
    torch.testing.assert_close(layer.preference.grad, preference, rtol=0.02, atol=0.02)  # bfloat16
    layer.zero_grad()
    layer.steps += 1  # at every second step
    layer(bits.T, None)[0].sum().backward()
    assert layer.preference.grad is None
    layer.steps += 1
    layer.connect(False)
    layer(bits.T, None)[0].sum().backward()
    assert layer.preference.grad is None


def test_it_learns_and_the_network_is_what_training_computed(data: Dataset, tmp_path: Path) -> None:
    trained = train_tables(_config(epochs=30, tables={"layers": (30,)}), data, _soft(data), work=tmp_path)
    assert max(row["score"] for row in trained.history) > 0.8
    network = trained.network
    layers, held = dense_layers(network), figures(network)
    assert [layer.name for layer in layers] == ["bits", "tables1", "out"]
    assert is_quantized(network)
    bits = layers[0].bias.size
    assert (held.parameters, held.weights, held.nonzero, held.sparsity) == (bits + 30 * 16, 0, 0, 0.0)
    codes = np.ldexp(layers[0].bias, data.format.frac_bits).astype(np.int64)
    frac = frac_bits(layers[0].bias)
    width = Fixed.holding(int(codes.min()), int(codes.max()), 0).width_bits - (data.format.frac_bits - frac)
    assert held.bits == bits * width + 30 * 16
    assert held.layers[0].bias_format == f"thresholds, {width} bits"
    assert [row.weight_format for row in held.layers] == ["connections"] * 3
    assert held.layers[1].activation_format == "table of 16 bits"
    proved(network, data.x)
    saved(network, tmp_path / "saved")
    assert checksum(load_graph(tmp_path / "saved" / "graph.npz")) == checksum(network)
    assert checksum(from_bytes(to_bytes(network))) == checksum(network)


@pytest.mark.parametrize("sizes", [(9,), (20, 9), (40, 12, 6)])
def test_frozen_scores_order_the_classes_as_training_does_without_what_is_never_read(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(sizes))
    source = Fixed(width_bits=6, frac_bits=3)
    features, codes = np.arange(12) % 4, rng.integers(-30, 31, 12)
    stack = table_stack(
        Tables(layers=sizes, inputs=3),
        source=source,
        features=features,
        thresholds=codes,
        inputs=4,
        classes=3,
        generator=torch.Generator().manual_seed(5),
    )
    stack.eval()
    x = rng.integers(-32, 32, (300, 4))
    with torch.no_grad():
        scores = stack(torch.tensor(x / 8, dtype=torch.float32)).numpy()
    network = shrink(stack.freeze(classes=("a", "b", "c")))
    counted = stack.layers[-1]
    assert isinstance(counted, Counts)
    counts = graph_outputs(network, x)
    ones = np.ldexp(counts, round(-np.log2(counted.scale)))
    assert np.allclose(np.diff(scores, axis=1), np.diff(ones, axis=1) * counted.scale)
    for layer, after in pairwise(dense_layers(network)):
        assert (after.weight != 0).any(axis=1).all(), f"{layer.name} has neurons that nothing reads"
    assert dense_layers(network)[-2].weight.shape[1] == sizes[-1]


def test_killed_and_resumed_it_gives_the_same_bits(data: Dataset, tmp_path: Path) -> None:
    config = _config(checkpoint_seconds=0.0)
    whole = train_tables(config, data, _soft(data), work=tmp_path / "whole")

    class KilledError(Exception):
        pass

    def watch(share: float, score: float) -> None:
        if share == 0.5:
            raise KilledError

    with pytest.raises(KilledError):
        train_tables(config, data, _soft(data), work=tmp_path / "torn", watch=watch)
    torn = train_tables(config, data, _soft(data), work=tmp_path / "torn")
    assert checksum(torn.network) == checksum(whole.network)
    assert torn.history == whole.history


def test_what_data_cannot_give_is_an_error(data: Dataset, tmp_path: Path) -> None:
    def fails(tables: dict[str, Any], text: str, on: Dataset = data) -> None:
        with pytest.raises(FitError, match=text):
            train_tables(_config(tables=tables), on, _soft(on), work=tmp_path)

    fails({"layers": (16,)}, r"multiple of the 3 classes, which share its tables, not 16; use 15")
    fails({"layers": (1,)}, r"not 1; use 3")
    fails({"thresholds": (3.0, 16.0)}, r"above 0 and up to 15.75, the ends of the input format .*, not \[3.0, 16.0\]")
    fails({"thresholds": (0.0,)}, r"must lie above 0")
    fails({"thresholds": (15.75,)}, r"must split the training values of at least one feature")
    fails({}, r"must split the training values", replace(data, x=np.full_like(data.x, 7)))


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"student": {"tables": {"inputs": 9}}}, r"student.tables.inputs"),
        ({"student": {"tables": {"inputs": 1}}}, r"student.tables.inputs"),
        ({"student": {"tables": {"layers": []}}}, r"student.tables.layers"),
        ({"student": {"tables": {"layers": [0]}}}, r"student.tables.layers"),
        ({"student": {"tables": {"thresholds": 0}}}, r"student.tables.thresholds"),
        ({"student": {"tables": {"thresholds": []}}}, r"student.tables.thresholds"),
        ({"student": {"activation": "sign"}}, r'"sign" has fixed widths; set precision = "fixed"'),
        ({"student": {"pruning": {"kind": "blocks"}}}, r'"tables" has no weights to prune'),
        ({"task": "regression"}, r'has no values for a regression; use "fixed" or "learned"'),
        ({"hardware": {"architecture": "folded"}}, r'no multipliers to share; set hardware.architecture = "parallel"'),
        ({"distill": {"hint_weight": 1.0}}, r'no effect with student.precision "tables"'),
        ({"model": {"file": "m.onnx", "start": "model"}}, r'set model.start = "random"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(sections: dict[str, Any], text: str) -> None:
    student = {"precision": "tables", **sections.pop("student", {})}
    with pytest.raises(ConfigError, match=text):
        make_config(sections.pop("task", "classification"), student=student, **sections)
