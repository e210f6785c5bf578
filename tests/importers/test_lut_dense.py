"""HGQ2's LUT-dense layers: every edge's function of its codes by definition, and whole networks against HGQ2."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.data import Dataset
from gatewright.errors import ModelError
from gatewright.export import check_graph_export, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate
from gatewright.graph.figures import figures
from gatewright.graph.nodes import Dense, Table
from gatewright.importers.keras import load_keras
from gatewright.ir import Interpreter, load_program, ranges
from tests.importers.keras_files import write_v3
from tests.importers.test_hgq import conf
from tests.lowering import lower_for

N_IN, N_OUT, WIDTH = 3, 2, 4


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layer(kind="QDenseT", **more):
    config = {
        "name": "t",
        "n_out": N_OUT,
        "n_hl": 1,
        "d_hl": WIDTH,
        "activation": "linear",
        "subnn_activation": "tanh",
        "use_bias": True,
        "batch_norm": True,
        "enable_iq": True,
        "enable_ebops": False,
        "iq_conf": conf("kif", "datalane", "WRAP"),
        "toq_conf": conf("kbi", "table", "SAT_SYM"),
        **more,
    }
    start = {"class_name": "InputLayer", "config": {"batch_shape": [None, N_IN], "name": "x"}}
    made = {"class_name": kind, "module": "hgq.layers.table.dense", "registered_name": f"hgq>{kind}", "config": config}
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [start, made]}}


SIGNS, WHOLE = np.ones((1, N_IN, N_OUT)), np.array([[[1, 0], [2, 1], [0, 1]]])
FRACTION = np.array([[[2, 3], [1, 0], [2, -2]]])  # the last edge has no bits
KERNELS = [numbers(1, N_IN, N_OUT, 1, WIDTH), numbers(2, N_IN, N_OUT, WIDTH)]
HIDDEN, OUTER = [numbers(3, N_IN, N_OUT, WIDTH), numbers(4, N_IN, N_OUT)], [numbers(5, N_OUT), numbers(6, N_OUT)]
MEAN, VARIANCE = numbers(7, N_OUT), np.abs(numbers(8, N_OUT)) + 1
BITS, TOP = np.array([[[6, 4], [5, 6], [3, 6]]]), np.array([[[1, 1], [0, 2], [1, 1]]])
SIGNS[0, 2, 1], WHOLE[0, 2, 1] = 0, 1
ARRAYS = {
    "q_dense_t/iq/quantizer": [FRACTION, SIGNS, WHOLE, np.zeros(())],
    "q_dense_t/toq/quantizer": [BITS, TOP, np.ones((1, N_IN, N_OUT))],
    "q_dense_t/module/layers/einsum_dense": [KERNELS[0], HIDDEN[0]],
    "q_dense_t/module/layers/einsum_dense_1": [KERNELS[1], HIDDEN[1]],
    "q_dense_t/bn_module": [OUTER[0], OUTER[1], MEAN, VARIANCE],
}


def edge(x, i, o):
    """The result of one edge, from the layer's definition, in float64. x: a number."""
    k, whole, f = int(SIGNS[0, i, o]), int(WHOLE[0, i, o]), int(FRACTION[0, i, o])
    code = 0
    if k + whole + f > 0:
        span = 1 << (whole + f)
        code = (int(np.floor(x * 2.0**f + 0.5)) + k * span) % (span * (1 + k)) - k * span
    hidden = np.tanh(code * 2.0**-f * KERNELS[0][i, o, 0] + HIDDEN[0][i, o])
    y = hidden @ KERNELS[1][i, o].astype(float) + HIDDEN[1][i, o]
    y = ((y - MEAN[o]) / np.sqrt(VARIANCE[o] + 1e-3) * OUTER[0][o] + OUTER[1][o]) / np.sqrt(N_IN)
    bits, top = int(BITS[0, i, o]), int(TOP[0, i, o])
    most = 2 ** (bits) - 1
    step = 2.0 ** (top - bits)
    return np.clip(np.floor(y / step + 0.5), -most, most) * step


def test_every_edge_is_its_function_of_its_codes(tmp_path):
    graph = load_keras(write_v3(tmp_path / "t.keras", layer(), ARRAYS, {}))
    x = np.random.default_rng(9).integers(-320, 320, (300, N_IN)) / 64
    expected = [[sum(edge(row[i], i, o) for i in range(N_IN)) for o in range(N_OUT)] for row in x]
    assert np.array_equal(evaluate(graph, x), expected)
    (table,) = (node for node in graph.nodes if isinstance(node, Table))
    assert (table.values[2 + N_IN] == table.values[2 + N_IN, 0]).all()  # output 1's third edge: no bits
    summed = graph.nodes[-1]
    assert isinstance(summed, Dense)
    assert summed.weight[2 + N_IN].tolist() == [0, 0]
    others = np.delete(table.values, 2 + N_IN, axis=0).astype(int)
    assert (others.min(axis=1) == 0).all()
    assert (np.bitwise_or.reduce(others, axis=1) % 2 == 1).all()  # no bit that is always 0 is added
    assert [(row.parameters, row.weights) for row in figures(graph).layers] == [(table.values.size + N_OUT, 0)]
    for entry in (None, Fixed.parse("fixed<9,5>")):
        exported = export_graph(graph, name="p", input_format=entry)
        assert check_graph_export(exported, x) == len(x)
        assert exported.program.input.shape == (N_IN,)
        if entry is None:  # what enters holds the bit below the finest edge's last, so that nothing is rounded twice
            assert exported.program.input.format == Fixed.parse("fixed<7,3>")
            assert np.array_equal(np.ldexp(exported.run(x).astype(float), -exported.frac_bits), expected)
        codes = exported.encode(x)
        design = lower_for(exported.program, codes, family="xc7", clock_mhz=50.0)
        assert np.array_equal(design.replay(codes), exported.run(x))
    assert {type(op).__name__ for op in exported.program.ops} == {"Input", "Concat", "Requant", "Lookup", "Dense"}


@pytest.mark.sim
@pytest.mark.slow
def test_a_file_becomes_hardware_that_equals_every_edge(tmp_path):
    """Each input goes through all of its codes, in steps finer than the hardware's."""
    model = write_v3(tmp_path / "t.keras", layer(), ARRAYS, {})
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.integers(-32, 32, (64 * N_IN, N_IN)), rng.integers(-32, 32, (40, N_IN))]) / 8
    for i in range(N_IN):
        x[64 * i : 64 * (i + 1), i] = np.arange(-32, 32) / 8
    expected = np.array([[sum(edge(row[i], i, o) for i in range(N_IN)) for o in range(N_OUT)] for row in x])
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(len(x)) % 2, split=np.resize(["test", "train", "validation"], len(x)))
    words = ["run", "--model", model, "--data", tmp_path / "d.npz", "--out", tmp_path / "run"]
    for setting in (
        "hardware.part=LFE5U-25F",
        "synthesis.families=[]",
        "synthesis.place=false",
        "hardware.output=scores",
        "data.split_key=split",
    ):
        words += ["--set", setting]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["hardware"]["mismatches"] == results["export"]["mismatches"] == 0
    data, program = Dataset.load(tmp_path / "run" / "data"), load_program(tmp_path / "run" / "program" / "program.txt")
    assert data.format == Fixed.parse("fixed<6,3>")
    q = np.concatenate([Interpreter(program).run(data.part(part)[0]) for part in ("test", "train", "validation")])
    order = np.concatenate([np.arange(at, len(x), 3) for at in range(3)])
    assert np.array_equal(np.ldexp(q.astype(float), -ranges(program)[program.output].frac_bits), expected[order])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"enable_iq": False}, "enable_iq = False is not supported; an edge without codes has no table"),
        ({"toq_conf": conf("dummy", "table", "SAT")}, "an edge without a quantizer at both ends has no table"),
        ({"subnn_activation": "softmax"}, "subnn_activation = 'softmax' is not supported; use one of relu"),
        ({"n_out": 3}, r"weight 'kernel' must have the shape \(3, 3, 1, 4\), the file has \(3, 2, 1, 4\)"),
        ({"fancy": 1}, "setting 'fancy' = 1 is not understood"),
    ],
)
def test_what_has_no_table_is_refused(tmp_path, more, message):
    with pytest.raises(ModelError, match=message):
        load_keras(write_v3(tmp_path / "t.keras", layer(**more), ARRAYS, {}))


def test_other_equations_are_refused(tmp_path):
    made = layer("QEinsumDenseT", equation="abc,acd->abd", output_shape=[3, 2])
    with pytest.raises(
        ModelError, match="equation = 'abc,acd->abd' is not supported; only a product over the last axis"
    ):
        load_keras(write_v3(tmp_path / "t.keras", made, {}, {}))


NAMES = ("two", "deep", "linear", "steps", "einsum", "einsum_norm", "conv1", "conv2")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    python = os.environ.get("GATEWRIGHT_BENCH_HGQ2")
    if not python:
        pytest.skip("needs HGQ2: name a Python with keras, torch and HGQ2 0.2 in GATEWRIGHT_BENCH_HGQ2")
    folder = tmp_path_factory.mktemp("hgq2")
    maker = Path(__file__).with_name("make_lut_dense.py")
    subprocess.run(
        [python, str(maker), str(folder)], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": ""}
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_hgq2_are_equal_on_every_sample(networks, name):
    stored = np.load(networks / f"{name}.npz")
    graph = load_keras(networks / f"{name}.keras")
    assert np.array_equal(evaluate(graph, stored["x"], precision="single"), stored["y"])
    exported = export_graph(graph, name="p")
    assert np.array_equal(
        np.ldexp(exported.run(stored["x"][:200]).astype(float), -exported.frac_bits), stored["y"][:200]
    )


def test_names_of_both_packages_are_known(tmp_path):
    made = layer("QConvT1D")
    entry = made["config"]["layers"][1]
    entry |= {"module": "hgq.layers.table.conv", "registered_name": "hgq2>QConvT1D"}
    assert "hgq2" in json.dumps(made)
    with pytest.raises(ModelError, match=r"'t' \(QConvT1D\): expected 1 axis/axes and channels, got the shape \(3,\)"):
        load_keras(write_v3(tmp_path / "t.keras", made, {}, {}))
