"""Published models beside the project (../shared/data/models): imported, exported, and as accurate as they are."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

pytest.importorskip("onnx")

from gatewright.errors import ModelError
from gatewright.export import export_graph
from gatewright.graph import evaluate
from gatewright.graph.check import check
from gatewright.importers import load_model

pytestmark = pytest.mark.data

# right answers among the first 1,000, 2,000, ... test images of TFC-W1A1 on an FPGA, as AMD's finn-examples publishes
# them in finn_examples/notebooks/0_mnist_with_fc_networks.ipynb ("Final accuracy: 92.96%")
ON_FPGA = [913, 1800, 2714, 3619, 4535, 5488, 6438, 7399, 8371, 9296]
TFC = "models/qonnx_model_zoo/MNIST/Brevitas_FINN_TFC/TFC/TFC_{}.onnx"


@pytest.fixture
def mnist(shared_data):
    def read(what, offset):
        packed = (shared_data / f"mnist/t10k-{what}-ubyte.gz").read_bytes()
        return np.frombuffer(gzip.decompress(packed), np.uint8, offset=offset)

    images, labels = read("images-idx3", 16), read("labels-idx1", 8)
    return images.reshape(-1, 1, 28, 28) / np.float32(255), labels


@pytest.mark.parametrize(("name", "correct"), [("1W1A", 9296), ("1W2A", 9474), ("2W2A", 9660)])
def test_tfc_is_as_accurate_as_qonnx_runs_it_and_equals_its_program(shared_data, mnist, name, correct):
    x, labels = mnist
    graph = load_model(shared_data / TFC.format(name))
    check(graph)
    classes = evaluate(graph, x, precision="single").argmax(1)
    assert (classes == labels).sum() == correct  # QONNX 1.0 gives the same 10,000 classes
    program = export_graph(graph, name="tfc", output="argmax")
    assert (program.run(x[:300]).reshape(-1) == classes[:300]).all()


def test_tfc_1w1a_counts_as_its_authors_fpga_does(shared_data, mnist):
    x, labels = mnist
    exported = export_graph(load_model(shared_data / TFC.format("1W1A")), name="tfc", output="argmax")
    right = exported.run(x).reshape(-1) == labels
    assert right.reshape(10, 1000).sum(axis=1).cumsum().tolist() == ON_FPGA


def test_every_onnx_file_is_imported_but_one_that_breaks_the_standard(shared_data):
    paths = sorted((shared_data / "models/example_models/onnx").glob("*.onnx"))
    assert len(paths) == 14
    for path in paths:
        if path.stem == "three_layer_bn_keras":  # onnxruntime: "Invalid input scale: 0th dimension != 1"
            with pytest.raises(ModelError, match=r"parameters of the shape \(64,\) for the 1 channels"):
                load_model(path)
        else:
            check(load_model(path))
