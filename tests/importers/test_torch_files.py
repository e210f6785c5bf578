"""Saved torch files: the layers read from them are those that a live module may have; everything else by its name."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from gatewright.cli.main import main  # noqa: E402
from gatewright.errors import ModelError  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.importers.torch import load_torch  # noqa: E402
from gatewright.importers.torch.pickles import LAYERS, read_sequential  # noqa: E402

pytestmark = pytest.mark.torch
VECTOR, SIGNAL, IMAGE = (6,), (4, 8), (3, 8, 8)
MADE = {
    "Linear": (nn.Linear(6, 4), VECTOR),
    "Conv1d": (nn.Conv1d(4, 2, 3), SIGNAL),
    "Conv2d": (nn.Conv2d(3, 2, 3, padding=1, bias=False), IMAGE),
    "ConvTranspose1d": (nn.ConvTranspose1d(4, 2, 3), SIGNAL),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 2, 3, 2, 1, 1), IMAGE),
    "BatchNorm1d": (nn.BatchNorm1d(6, affine=False), VECTOR),
    "BatchNorm2d": (nn.BatchNorm2d(3), IMAGE),
    "MaxPool1d": (nn.MaxPool1d(2), SIGNAL),
    "MaxPool2d": (nn.MaxPool2d((2, 4)), IMAGE),
    "AvgPool1d": (nn.AvgPool1d(2), SIGNAL),
    "AvgPool2d": (nn.AvgPool2d(2), IMAGE),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d((2,)), SIGNAL),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((None, 1)), IMAGE),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(2), SIGNAL),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d((2, 2)), IMAGE),
    "ZeroPad1d": (nn.ZeroPad1d(2), SIGNAL),
    "ZeroPad2d": (nn.ZeroPad2d((1, 0, 2, 0)), IMAGE),
    "ConstantPad1d": (nn.ConstantPad1d(1, 0.5), SIGNAL),
    "ConstantPad2d": (nn.ConstantPad2d(1, 0.5), IMAGE),
    "LPPool1d": (nn.LPPool1d(2, 2), SIGNAL),
    "LPPool2d": (nn.LPPool2d(2, 2), IMAGE),
    "Upsample": (nn.Upsample(scale_factor=2), IMAGE),
    "UpsamplingNearest2d": (nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "Flatten": (nn.Flatten(1, 2), IMAGE),
    "Unflatten": (nn.Unflatten(1, (2, 3)), VECTOR),
    "Softmax": (nn.Softmax(1), VECTOR),
    "Softmin": (nn.Softmin(1), VECTOR),
    "LogSoftmax": (nn.LogSoftmax(1), VECTOR),
    "LeakyReLU": (nn.LeakyReLU(0.1), VECTOR),
    "ELU": (nn.ELU(0.5), VECTOR),
    "CELU": (nn.CELU(0.5), VECTOR),
    "Hardtanh": (nn.Hardtanh(-2, 3), VECTOR),
    "Threshold": (nn.Threshold(0, 0), VECTOR),
    "PReLU": (nn.PReLU(6), VECTOR),
    "GELU": (nn.GELU("tanh"), VECTOR),
    "Dropout1d": (nn.Dropout1d(), SIGNAL),
    "Dropout2d": (nn.Dropout2d(), IMAGE),
    "Softmax2d": (nn.Softmax2d(), IMAGE),
    **{name: (getattr(nn, name)(), VECTOR) for name, keys in LAYERS.items() if not keys and "2d" not in name
       and "1d" not in name},
    "Softplus": (nn.Softplus(), VECTOR),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_layer_of_a_file_is_the_live_importers(tmp_path, name):
    layer, shape = MADE[name]
    module = nn.Sequential(layer).eval()
    torch.save(module, tmp_path / "m.pt")
    x = torch.randn(3, *shape)
    live, read = load_torch(module, x), load_torch(tmp_path / "m.pt", shape)
    got = evaluate(read, x.numpy())
    assert np.array_equal(got, evaluate(live, x.numpy()))
    if name != "LogSoftmax":  # left out, with a note
        with torch.no_grad():
            np.testing.assert_allclose(got, module(x).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.LayerNorm(6), VECTOR), (nn.GroupNorm(1, 3), IMAGE), (nn.ReflectionPad1d(1), SIGNAL), (nn.Hardshrink(), VECTOR),
     (nn.LSTM(8, 3, batch_first=True), SIGNAL), (nn.CrossMapLRN2d(2), IMAGE),
     (nn.UpsamplingBilinear2d(None, 2), IMAGE)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_the_live_importer_refuses_a_file_may_not_have(tmp_path, layer, shape):
    torch.save(nn.Sequential(layer), tmp_path / "m.pt")
    with pytest.raises(ModelError, match=f"{type(layer).__name__}', a layer of torch that is not read from files"):
        load_torch(tmp_path / "m.pt", shape)
    with pytest.raises(ModelError, match=r"not supported|cannot decompose|3 outputs"):
        load_torch(nn.Sequential(layer), shape)


def small():
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).eval()


def agrees(path, module):
    x = torch.randn(7, 5)
    with torch.no_grad():
        np.testing.assert_allclose(evaluate(load_torch(path), x.numpy()), module(x).numpy(), rtol=1e-5, atol=1e-6)


def test_models_inside_checkpoints_and_wrappers_are_found(tmp_path):
    path, module = tmp_path / "m.pt", small()
    torch.save(nn.DataParallel(module), path)
    agrees(path, module)
    optimizer = torch.optim.Adam(module.parameters()).state_dict()
    torch.save({"epoch": 3, "model": module, "optimizer": optimizer, "loss": 0.25}, path)
    agrees(path, module)
    torch.save({"model": module, "ema": small()}, path)
    with pytest.raises(ModelError, match=r"the file holds 2 modules, \['ema', 'model'\]; save one of them alone"):
        load_torch(path)
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, path)
    with pytest.raises(ModelError, match=r"weights only .a state_dict; entries 'epoch', 'state_dict'., not the layers"):
        load_torch(path)


@pytest.mark.parametrize("permanent", [True, False])
def test_pruned_modules_are_their_masked_weights(tmp_path, permanent):
    module = small()
    prune.l1_unstructured(module[0], "weight", amount=0.5)
    prune.random_structured(module[2], "weight", amount=0.5, dim=0)
    if permanent:
        prune.remove(module[0], "weight")
    torch.save(module, tmp_path / "m.pt")
    agrees(tmp_path / "m.pt", module)
    assert (read_sequential(tmp_path / "m.pt")[0].weight == 0).sum() == 10


def test_files_of_other_kinds_are_refused_by_their_kind(tmp_path):
    path = tmp_path / "m.pt"

    def refused(text):
        with pytest.raises(ModelError, match=text):
            load_torch(path)

    with pytest.warns(DeprecationWarning, match="is deprecated"):
        script = torch.jit.script(small())
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        torch.jit.save(script, path)
    refused(r"the file is TorchScript \(torch.jit.save\): its operations are stored as code; save the nn.Module")
    with pytest.raises(ModelError, match="is TorchScript: its operations are stored as code"):
        load_torch(script)
    normed = small()
    with pytest.warns(FutureWarning, match="is deprecated"):
        torch.nn.utils.weight_norm(normed[0])
    torch.save(normed, path)
    refused("a hook that computes a weight before each call; remove it before saving")
    torch.save(torch.fx.symbolic_trace(small()), path)
    refused("'torch.fx.graph_module.reduce_graph_module', a GraphModule, which is Python code stored in the file")


class Counts(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return self.how(x)


@pytest.mark.parametrize(
    "how", [lambda x: x * x.shape[0], lambda x: x + len(x), lambda x: x / x.size(0), lambda x: x - x.mean(0)]
)
def test_a_result_that_depends_on_the_number_of_samples_is_refused(how):
    with pytest.raises(ModelError, match=r"another result in a batch of 2 than in a batch of 3|axis of the samples"):
        load_torch(Counts(how), torch.zeros(3, 4))


def test_ties_of_topk_are_noted_and_errors_of_torch_are_whole():
    graph = load_torch(Counts(lambda x: x.topk(2).indices), (5,))
    (note,) = graph.notes
    assert note.endswith(
        "of equal scores the lowest index comes first, as ONNX' TopK says; torch leaves their order open"
    )
    assert evaluate(graph, np.array([[1.0, 5, 5, 5, 2]])).tolist() == [[1, 2]]
    with pytest.raises(ModelError, match="argument sorted = False leaves the order of its results open"):
        load_torch(Counts(lambda x: x.topk(2, sorted=False).indices), (5,))
    with pytest.raises(
        ModelError, match=r"torch.export cannot follow Counts: a and b must have same reduction dim.*5, 3"
    ):
        load_torch(Counts(lambda x: x @ torch.ones(5, 3)), (4,))


@pytest.mark.parametrize("swap", [False, True])
def test_functions_written_as_arithmetic_are_one_node(swap):
    def gelu(x):
        term = 1 + torch.erf(x / 2**0.5)
        return 0.5 * x * term if swap else (x * term) * 0.5

    x = torch.randn(50, 4)
    for function, kind in ((gelu, "gelu"), (lambda x: x / (1 + x.abs()), "softsign")):
        graph = load_torch(Counts(function), (4,))
        assert [getattr(node, "kind", "") for node in graph.nodes] == ["", kind]
        np.testing.assert_allclose(evaluate(graph, x.numpy()), function(x).numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match="the error function, which is supported inside a GELU only"):
        load_torch(Counts(torch.erf), (4,))


def test_the_shape_of_a_sample_is_given_or_that_of_the_data(tmp_path):
    """A file whose first layer is no Linear does not say how large its images are."""
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(32, 3))
    torch.save(net, tmp_path / "m.pt")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 1, 6, 6)))

    def call(*words):
        return CliRunner().invoke(main, [*map(str, words)])

    told = call("inspect", tmp_path / "m.pt")
    assert told.exit_code == 2
    assert "m.pt: the shape of the input of Sequential is unknown; give example_input, a batch" in told.output
    assert "(on the command line --shape, or --data of that shape)" in told.output
    for shape in ("1,6,6", "1x6x6"):
        assert "(1, 6, 6) -> (3,)" in call("import", tmp_path / "m.pt", "--shape", shape).output
    assert call("inspect", tmp_path / "m.pt", "--shape", "1,6,6").exit_code == 0
    told = call("import", tmp_path / "m.pt", "--shape", "1;6")
    assert "--shape must be sizes such as 3,32,32, not '1;6'" in told.output
    done = call("quantize", tmp_path / "m.pt", "--data", tmp_path / "x.npy", "--out", tmp_path / "q.npz")
    assert done.exit_code == 0, done.output
