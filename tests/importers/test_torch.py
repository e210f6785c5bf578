"""torch modules against their own forward pass; pickled ones are read without running anything."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from gatewright.errors import ModelError  # noqa: E402
from gatewright.export import calibrate, check_graph_export, export_graph  # noqa: E402
from gatewright.graph.check import check  # noqa: E402
from gatewright.graph.evaluate import evaluate  # noqa: E402
from gatewright.graph.nodes import Dense  # noqa: E402
from gatewright.importers.torch import load_torch  # noqa: E402
from gatewright.importers.torch.pickles import read_sequential  # noqa: E402

pytestmark = pytest.mark.torch


class Do(nn.Module):
    """A module from a function."""

    def __init__(self, function, **parts):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.function = function

    def forward(self, x):
        return self.function(x, self.parts)


def chain(*modules):
    return nn.Sequential(*modules)


def residual(x, p):
    y = x
    x = F.relu_(p["a"](y))
    return torch.cat([x + y, x * y, torch.maximum(x, y) - 0.5 * y, 1 - x], 1)


def last_step(x, p):
    y, _ = p["cell"](x)
    return y[:, -1]


def final_state(x, p):
    return p["cell"](x)[1].permute(1, 0, 2).flatten(1)


def conv1(*a, **k):
    return nn.Conv1d(4, 6, *a, **k)


def conv2(*a, **k):
    return nn.Conv2d(4, 6, *a, **k)


IMAGE, SIGNAL, VECTOR = (4, 8, 6), (4, 9), (5,)
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.CELU(1.3), nn.SELU(), nn.Sigmoid(), nn.Tanh(),
    nn.Hardtanh(-0.5, 0.6), nn.Hardsigmoid(), nn.Hardswish(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.Softplus(),
    nn.Mish(), nn.PReLU(4), nn.Softmax(1), nn.Softmax(-1), nn.Dropout(0.5), nn.BatchNorm2d(4, affine=False),
    nn.Flatten(), nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, (1, 2)),
    nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((4, 3)), nn.AdaptiveMaxPool2d((2, 3)), nn.Upsample(scale_factor=(2, 3)),
    nn.ZeroPad2d((1, 2, 0, 3)), nn.AvgPool2d((4, 3), (3, 2), (1, 0), ceil_mode=True), nn.AvgPool2d(3, 2, 1, True),
]  # fmt: skip
CASES = {
    **{str(module): (module, IMAGE) for module in ACTIVATIONS},
    "conv 2-D": (chain(conv2(3, stride=(2, 1), padding=(1, 2), dilation=(1, 2)), nn.ReLU()), IMAGE),
    "conv same": (conv2((3, 4), padding="same", dilation=(2, 1)), IMAGE),
    "conv valid": (conv2(2, padding="valid", bias=False), IMAGE),
    "conv groups": (conv2(3, groups=2), IMAGE),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding=1), IMAGE),
    "conv 1-D": (conv1(3, padding=1, stride=2), SIGNAL),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), IMAGE),
    "transposed 1-D": (nn.ConvTranspose1d(4, 3, 4, stride=3, dilation=2), SIGNAL),
    "mlp": (chain(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Linear(8, 3), nn.Softmax(1)), VECTOR),
    "dense on steps": (nn.Linear(9, 3), SIGNAL),
    "cnn": (chain(conv2(3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)), IMAGE),
    "residual, in place": (Do(residual, a=nn.Linear(5, 5)), VECTOR),
    "mean, permute, matmul": (Do(lambda x, _: x.mean((2, 3)) @ torch.ones(4, 2)), IMAGE),
    "attention": (Do(lambda x, _: torch.bmm(torch.softmax(x @ x.transpose(1, 2), -1), x)), SIGNAL),
    "reductions": (Do(lambda x, _: torch.stack([x.amax((1, 2)), x.sum(1).max(1).values], 2)), IMAGE),
    "slices": (Do(lambda x, _: torch.cat([x[:, 1:3, ::2], x.chunk(2, 1)[1][:, :, ::2]], 1)), IMAGE),
    "reshape, select": (Do(lambda x, _: x.view(x.shape[0], 2, -1).transpose(1, 2)[:, 3]), IMAGE),
    "squeeze, unsqueeze": (Do(lambda x, _: x[:, :1].squeeze(1).unsqueeze(-1)), IMAGE),
    "clamp, division": (Do(lambda x, _: torch.clamp(x / 3, min=-0.2) ** 2), VECTOR),
    "arg max": (Do(lambda x, _: x.argmax(1, keepdim=True).float()), VECTOR),
    "lstm": (Do(last_step, cell=nn.LSTM(9, 3, batch_first=True)), SIGNAL),
    "lstm, two layers, both directions": (
        Do(lambda x, p: p["cell"](x)[0], cell=nn.LSTM(9, 3, 2, batch_first=True, bidirectional=True)), SIGNAL),
    "gru": (Do(final_state, cell=nn.GRU(9, 3, 2, batch_first=True, bidirectional=True)), SIGNAL),
    "rnn": (Do(final_state, cell=nn.RNN(9, 3, batch_first=True, nonlinearity="relu", bias=False)), SIGNAL),
}  # fmt: skip


def randomized(module):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 1.2 - 0.3)
        for name, tensor in module.named_buffers():
            if name.endswith("running_var"):
                tensor.add_(1)
    return module


@pytest.mark.parametrize("case", CASES)
def test_a_module_gives_what_its_forward_gives(case):
    module, shape = CASES[case]
    module = randomized(module)
    x = torch.randn(7, *shape, generator=torch.Generator().manual_seed(1))
    if case == "arg max":
        case_module = Do(lambda x, _: x.argmax(1, keepdim=True))
        graph = load_torch(case_module, x)
    else:
        graph = load_torch(module, x)
    check(graph)
    module.eval()
    with torch.no_grad():
        expected = module(x.clone()).numpy()
    got = evaluate(graph, x.numpy())
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


def test_a_padded_set_has_its_mask_as_a_feature():
    """What the members that the mask leaves out hold changes no integer of the result."""
    inner, outer = randomized(nn.Linear(2, 3)), randomized(nn.Linear(3, 2))
    members = Do(
        lambda x, p: p["outer"]((F.relu(p["inner"](x[..., :2])) * x[..., 2:]).sum(1)), inner=inner, outer=outer
    )
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (64, 4, 3)).astype(np.float32)
    x[..., 2] = np.arange(4) < rng.integers(1, 5, (64, 1))
    graph = load_torch(members, torch.from_numpy(x[:2]))
    made = export_graph(calibrate(graph, x), name="set")
    assert check_graph_export(made, x) == 64
    other = x.copy()
    other[x[..., 2] == 0] = (3.0, -3.0, 0.0)
    assert (made.run(other) == made.run(x)).all()
    other[..., 2] = 1
    assert (made.run(other) != made.run(x)).any()


def test_the_mode_of_the_module_is_left_alone():
    module = chain(nn.Linear(3, 2), nn.Dropout()).train()
    load_torch(module)
    assert module.training
    assert module[1].training


def test_weights_of_a_fake_quantizer_are_kept_with_their_scale():
    def forward(x, p):
        w = torch.fake_quantize_per_channel_affine(p["a"].weight, scale, zero, 0, -8, 7)
        return F.linear(torch.fake_quantize_per_tensor_affine(x, 0.1, 3, -128, 127), w)

    scale, zero = torch.tensor([0.1, 0.3]), torch.zeros(2, dtype=torch.int32)
    module = Do(forward, a=nn.Linear(4, 2))
    graph = load_torch(module, torch.zeros(2, 4))
    dense = graph.nodes[-1]
    assert isinstance(dense, Dense)
    assert dense.weight_scale.tolist() == scale.double().tolist()
    integers = dense.weight / dense.weight_scale
    assert (integers == np.round(integers)).all()
    x = torch.randn(50, 4)
    np.testing.assert_allclose(evaluate(graph, x.numpy()), module(x).detach().numpy(), atol=1e-5)


def test_log_softmax_at_the_end_is_left_out_with_a_note():
    graph = load_torch(chain(nn.Linear(3, 2), nn.LogSoftmax(1)))
    assert "left out" in graph.notes[0]


REFUSED = {
    "unknown call": (Do(lambda x, _: torch.erfinv(x)), VECTOR, "operator 'aten.erfinv.default' is not supported"),
    "training dropout": (Do(lambda x, _: F.dropout(x, 0.5, True)), VECTOR, "in training mode"),
    "samples mixed": (Do(lambda x, _: x.mean(0)), VECTOR, "axis of the samples"),
    "argument": (Do(lambda x, _: F.avg_pool2d(x, 2, divisor_override=3)), IMAGE, "divisor_override = 3 is not supp"),
    "branch on values": (Do(lambda x, _: x if x.sum() > 0 else -x), VECTOR, "torch.export cannot follow Do"),
    "two outputs": (Do(lambda x, _: (x + 1, x + 2)), VECTOR, "2 outputs"),
    "softplus of another slope": (nn.Softplus(beta=2.0), VECTOR, "beta = 2.0, threshold = 20.0; expected 1 and 20"),
    "reflection": (nn.ReflectionPad2d(1), IMAGE, "not supported"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_exact_counterpart_is_refused(case):
    module, shape, text = REFUSED[case]
    with pytest.raises(ModelError, match=text):
        load_torch(module, torch.zeros(2, *shape))


def test_nan_weights_unknown_shapes_and_other_things_are_refused():
    broken = nn.Linear(2, 2)
    with torch.no_grad():
        broken.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="'weight' holds NaN"):
        load_torch(broken)
    with pytest.raises(ModelError, match="give example_input"):
        load_torch(nn.Conv1d(1, 1, 1))
    with pytest.raises(ModelError, match=r"must be an nn\.Module"):
        load_torch(3)


def pickled():
    return chain(nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3, bias=False), nn.Softmax(dim=1)).eval()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_saved_sequential_is_read_without_running_it(tmp_path, zipped):
    module = randomized(pickled())
    torch.save(module, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    x = torch.randn(20, 5)
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(evaluate(load_torch(tmp_path / "m.pt"), x.numpy()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.AvgPool1d(2), None),
        (nn.AvgPool2d(2, divisor_override=3), "layer AvgPool2d: setting divisor_override = 3"),
        (nn.MaxPool2d(2, return_indices=True), "layer MaxPool2d: setting return_indices = True"),
        (nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect"), "layer Conv1d: setting padding_mode = 'reflect'"),
    ],
    ids=str,
)
def test_a_saved_setting_that_is_not_rebuilt_is_refused(tmp_path, layer, text):
    torch.save(chain(layer), tmp_path / "m.pt")
    if text is None:
        assert str(read_sequential(tmp_path / "m.pt")[0]) == str(layer)
        return
    with pytest.raises(ModelError, match=text):
        read_sequential(tmp_path / "m.pt")


class Evil:
    """What a hostile file would call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').write('executed')",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_runs_nothing(tmp_path, zipped):
    mark, path = tmp_path / "mark", tmp_path / "evil.pt"
    module = pickled()
    module.__dict__["extra"] = Evil(mark)
    torch.save(module, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"calls '(builtins|__builtin__)\.exec'.*nothing was executed"):
        load_torch(path)
    assert not mark.exists()
    code = f"import torch; torch.load({str(path)!r}, weights_only=False)"
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert mark.exists()  # the file is hostile indeed


def test_files_that_are_not_a_sequential(tmp_path):
    path = tmp_path / "m.pt"

    def refused(text):
        with pytest.raises(ModelError, match=text):
            load_torch(path)

    torch.save(pickled().state_dict(), path)
    refused(r"weights only .a state_dict.")
    path.write_bytes(pickle.dumps({"a": 1}))
    refused("no torch file")
    path.write_bytes(b"")
    refused("truncated or no torch file")
    for zipped in (True, False):
        torch.save(pickled(), path, _use_new_zipfile_serialization=zipped)
        whole = path.read_bytes()
        for length in (3, len(whole) // 2, len(whole) - 20):
            path.write_bytes(whole[:length])
            refused("truncated|damaged|no torch file")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", bytes(1 << 22))
    refused("claims to unpack to more")
    module = pickled()
    module[0].register_forward_hook(print)
    torch.save(module, path)
    refused(r"calls '(builtins|__builtin__)\.print'")
    with pytest.raises(ModelError, match="may run code"):
        load_torch(tmp_path / "m.pt2")


def test_a_tensor_that_claims_more_than_its_storage_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save(chain(nn.Linear(5, 4)), buffer)
    source = zipfile.ZipFile(buffer)
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[: len(data) // 2] if "/data/" in name else data)
    with pytest.raises(ModelError, match="reaches past its storage"):
        load_torch(tmp_path / "m.pt")
