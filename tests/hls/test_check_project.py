"""`gatewright hls-check` on a Keras file: hls4ml's C++, compiled, computes what was predicted of its own types."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import LowerError
from gatewright.flow import hls_check
from gatewright.hls.project.network import _graph
from tests.importers.keras_files import layer, sequential, write_h5

pytestmark = [pytest.mark.hls, pytest.mark.slow]


def test_a_softmax_that_says_nothing_is_predicted_confirmed_by_the_compiler_and_mended(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    model = sequential(
        layer("Dense", "fc", units=4, activation="relu", use_bias=True),
        layer("Dense", "out", units=3, activation="softmax", use_bias=True),
        shape=(2,),
    )
    sizes = {"fc": (2, 4), "out": (4, 3)}
    weights = {
        name: {"kernel": rng.normal(size=size), "bias": rng.normal(size=size[1])} for name, size in sizes.items()
    }
    file = write_h5(tmp_path / "net.h5", model, weights)
    config = tmp_path / "hls.yml"
    config.write_text("Model: {Precision: 'ap_fixed<28,18>', ReuseFactor: 1}\nLayerName: {out: {Precision: auto}}\n")
    compiled = []

    def once(configuration, judged, x, work, python):
        """Compile what is configured; that what is suggested is computed as predicted too, the benchmark shows."""
        compiled.append(judged)
        return real(configuration, judged, x, work, python) if len(compiled) == 1 else 0

    real = hls_check._confirmed
    monkeypatch.setattr(hls_check, "_confirmed", once)
    argv = ["hls-check", str(config), "--model", str(file), "--backend", "vitis", "--samples", "50", "--compile"]
    done = CliRunner().invoke(main, [*argv, "--out", str(tmp_path / "out"), "--width", "16"])
    assert done.exit_code == 1, done.output
    assert "first layer that breaks: out_softmax" in done.output
    assert "with that:" in done.output
    assert f"compiled by g++: all of {50 * (4 + 4 + 3 + 3):,} values are the predicted ones" in done.output
    assert compiled[1].broken is None
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["configured"]["first_broken"] == "out_softmax"
    assert told["with_that"]["first_broken"] is None
    bad = CliRunner().invoke(main, [*argv[:4], "--python", "/nowhere/python"])
    assert bad.exit_code == 2
    assert "expected a Python with hls4ml; name a Python that has it with --python" in bad.output


def test_a_model_of_hgq_is_refused_since_hls4ml_chooses_its_types_itself():
    with pytest.raises(LowerError, match="the model is of HGQ, for which hls4ml chooses every type itself"):
        _graph({"graph": np.array(json.dumps({"bit_exact": True}))})
