"""What the page says of an imported model: its origin, its layers, the verification chain, its ranges."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from gatewright.errors import ConfigError
from gatewright.export import profile
from gatewright.graph import load_graph, save_graph
from gatewright.graph.figures import figures
from gatewright.graph.nodes import Activation
from gatewright.report.page import render
from gatewright.report.ranges import range_pictures, save_ranges
from gatewright.report.schema import validate_results
from tests.graphs import chain, dense, quantizer
from tests.report.sample import classification

RNG = np.random.default_rng(5)
GRAPH = chain(
    (4,),
    quantizer("q", 0.25, -8, 7),
    dense("fc1", RNG.integers(-3, 4, (4, 5)) / 4, RNG.integers(-3, 4, 5) / 16),
    Activation(name="relu", kind="relu"),
    quantizer("act", 0.5, 0, 15),
    dense("fc2", RNG.normal(size=(5, 3))),
)
ROWS = [asdict(row) for row in profile(GRAPH, RNG.normal(size=(200, 4)))]


def results(road: str) -> dict:
    layer = {"name": "fc1", "op": "Dense", "shape": [5], "parameters": 25}
    model = {
        "file": "jets.h5",
        "sha256": "ab" * 32,
        "format": "keras-h5",
        "framework": "Keras 2.13.1",
        "quantize": road,
        "start": "model" if road == "qat" else "",
        "notes": ["The softmax 'softmax' at the end is left to the host: the result is what it reads."],
        "layers": [{**layer, "weight_format": "fixed<3,1>", "result_format": "float"}],
    }
    return {**classification(), "model": model}


@pytest.mark.parametrize("road", ["exact", "post-training", "qat"])
def test_the_page_says_where_the_model_came_from(road):
    found = results(road)
    validate_results(found)
    page = render(found, ranges=ROWS)
    for text in ("The imported model", "jets.h5", "ab" * 32, "Keras 2.13.1", "left to the host", "0 differ"):
        assert text in page
    assert "gatewright verify jets.h5" in page
    assert ("Test accuracy, student" in page) == (road == "qat")
    assert ("Test accuracy, quantized model" in page) == (road != "qat")
    assert "Test accuracy, teacher" not in page
    assert page.count('id="ranges-') > 10
    assert page == render(found, ranges=ROWS)


def test_a_run_without_a_model_says_nothing_of_one():
    assert "imported model" not in render(classification())


def test_pictures_speak_of_their_ranges():
    weights, values = range_pictures(ROWS)
    assert weights.alt.startswith("Weights and biases of 3 layers: magnitudes from 0.0625 to ")
    assert "Results of 6 layers" in values.alt
    assert range_pictures([]) == []


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_file_each_time(tmp_path, suffix):
    one, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    save_ranges(ROWS, one)
    save_ranges(ROWS, other)
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_size > 5_000


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"written as \.svg or \.png, not 'a.jpg'"):
        save_ranges(ROWS, tmp_path / "a.jpg")


def test_profiles_know_the_formats():
    rows = {(row["layer"], row["role"]): row for row in ROWS}
    assert [rows["fc1", "weights"][f"fixed_{key}"] for key in ("least", "greatest", "step")] == [-1.0, 0.75, 0.25]
    assert [rows["relu", "values"][f"fixed_{key}"] for key in ("least", "greatest", "step")] == [0.0, 7.5, 0.5]
    assert rows["fc2", "weights"]["fixed_step"] is None
    least, _, middle, _, greatest = rows["q", "values"]["magnitudes"]
    assert 0.25 == least <= middle <= greatest <= 2.0


def test_a_saved_graph_is_described_as_a_network(tmp_path):
    save_graph(GRAPH, tmp_path / "graph.npz")
    part = figures(load_graph(tmp_path / "graph.npz")).part()
    first, second = part["layers"]
    assert part["shape"] == [4, 5, 3]
    assert part["parameters"] == 43
    assert (first["weight_format"], first["activation_format"]) == ("fixed<3,1>", "ufixed<4,3>")
    assert first["bits"] == 20 * 3 + 5 * int(first["bias_format"].split()[0])
    assert (second["weight_format"], second["bits"]) == ("float", 18 * 32 - 3 * 31)  # a bias of zeros counts a bit each
    assert part["bits"] == first["bits"] + second["bits"]
    assert 0.0 <= part["sparsity"] < 1.0


def test_networks_are_read_counted_and_judged_without_torch(tmp_path):
    save_graph(GRAPH, tmp_path / "graph.npz")
    lines = (
        "import sys, numpy as np",
        "import gatewright.report.collect",
        "from gatewright.export.vectors import graph_outputs",
        "from gatewright.fit import choose, evaluate_predictions, metrics",
        "from gatewright.fixedpoint import Fixed",
        "from gatewright.graph import load_graph",
        "from gatewright.graph.figures import figures",
        f"graph = load_graph(__import__('pathlib').Path({str(tmp_path / 'graph.npz')!r}))",
        "figures(graph).part()",
        "scores = graph_outputs(graph, np.zeros((4, 4), dtype=np.int64), Fixed(width_bits=6, frac_bits=3))",
        "y = np.arange(4) % 3",
        "evaluate_predictions('classification', y, scores.argmax(axis=1), scores, classes=('a', 'b', 'c'))",
        "assert 'torch' not in sys.modules",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
