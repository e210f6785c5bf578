"""HGQ2: formats per element against their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import singles, write_v3


def conf(kind, place, overflow, rounding="RND", **more):
    config = {"q_type": kind, "place": place, "round_mode": rounding, "overflow_mode": overflow, "scaler": None, **more}
    return {"class_name": "QuantizerConfig", "config": {**config, "trainable": True, "is_weight": place != "datalane"}}


def model(iq, kq, bq):
    start = {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}}
    config = {
        "name": "q",
        "units": 3,
        "enable_ebops": True,
        "enable_iq": True,
        "iq_conf": iq,
        "kq_conf": kq,
        "bq_conf": bq,
    }
    made = {
        "class_name": "QDense",
        "module": "hgq.layers.core.dense",
        "registered_name": "hgq>QDense",
        "config": config,
    }
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [start, made]}}


def slow(x, k, i, f, overflow):
    """floor(x 2^f + 1/2), then the format's ends; no bits give 0."""
    if k + i + f <= 0:
        return 0.0
    code = (Fraction(float(x)) * Fraction(2) ** f + Fraction(1, 2)).__floor__()
    low, high = -k * 2 ** (i + f), 2 ** (i + f) - 1
    if overflow == "WRAP":
        code = (code - low) % (high - low + 1) + low
    else:
        code = max(low + k, min(high, code))
    return float(code * Fraction(2) ** -f)


def test_formats_per_element(tmp_path):
    generator = np.random.default_rng(3)
    k, i, f = generator.integers(0, 2, 4), generator.integers(-1, 3, 4), generator.integers(-1, 4, 4)
    k[0], i[0], f[0] = 0, -1, 1  # no bits
    i = np.maximum(i, -f)
    wk, wi, wb = np.ones((4, 3)), generator.integers(-1, 2, (4, 3)), generator.integers(0, 5, (4, 3))
    wb = np.maximum(wb, 0)
    w, b, x = singles(1, 4, 3), singles(2, 3), singles(4, 30, 4) * 4
    exact = np.full(3, 8.0)  # bias: 8 bits of which 3 are integer bits: its values fit
    iq = [f + 0.3, k, i - 0.2, np.array(0.01)]  # stored as floats, rounded when read
    arrays = {
        "q_dense": [w, b, np.array(1e-5), np.array(7)],
        "q_dense/iq/quantizer": [np.asarray(iq[0])[None], k[None], np.asarray(iq[2])[None], iq[3]],
        "q_dense/kq/quantizer": [wb.astype(float), wi.astype(float), wk],
        "q_dense/bq/quantizer": [exact, np.ones(3), np.full(3, 3.0), np.array(np.inf)],
    }
    made = model(conf("kif", "datalane", "WRAP"), conf("kbi", "weight", "SAT_SYM"), conf("kbi", "bias", "WRAP"))
    graph = load_keras(write_v3(tmp_path / "h.keras", made, arrays, {"q_dense": "q"}))
    h = np.array([[slow(v, kk, ii, ff, "WRAP") for v, kk, ii, ff in zip(row, k, i, f, strict=True)] for row in x])
    weight = np.array(
        [[slow(w[r, c], 1, wi[r, c], int(wb[r, c] - wi[r, c]), "SAT_SYM") for c in range(3)] for r in range(4)]
    )
    assert np.array_equal(evaluate(graph, x), h @ weight + b)


def test_quantizers_that_have_no_counterpart_are_refused(tmp_path):
    good = conf("kbi", "bias", "WRAP")
    for bad, message in (
        (conf("kif", "datalane", "WRAP_SM"), "overflow_mode = 'WRAP_SM' is not supported; use WRAP, SAT or SAT_SYM"),
        (conf("float", "datalane", "WRAP"), "q_type = 'float' is not supported"),
        (conf("kif", "datalane", "WRAP", affine=[0.25, 0.5]), "affine = .* is not supported"),
        (conf("kif", "datalane", "WRAP", wobble=1), "setting 'wobble' = 1 is not understood"),
    ):
        with pytest.raises(ModelError, match=message):
            load_keras(write_v3(tmp_path / "h.keras", model(bad, good, good), {"q_dense": [singles(1, 4, 3)]}, {}))
