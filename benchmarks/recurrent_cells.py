"""A recurrent network's description in; the same numbers as an ONNX model, a torch module or a Keras request out.

The numbers make float32 exact: what gates read is an odd multiple of 4 (128 for a real sigmoid), so that every gate is
0 or 1; a tanh reads an odd multiple of 32; elsewhere all is integer. So a framework's own result is compared with ==.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[np.float32]]
Framework = Literal["keras 2", "keras 3", "qkeras", "onnx", "torch"]
Kind = Literal["rnn", "lstm", "gru"]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}  # Keras' order: i f c o and z r h
_ONNX_ROWS = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}
_TORCH_ROWS = {"rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """layers of one kind of cell over (steps, features). both: two directions; real: sigmoid and tanh, not their cuts.

    before: of a GRU, whether the reset gate is applied before the product with the state.
    """

    framework: Framework
    kind: Kind
    steps: int
    features: int
    units: int
    layers: int = 1
    backwards: bool = False
    both: bool = False
    sequences: bool = False
    before: bool = False
    bias: bool = True
    real: bool = False

    @property
    def label(self) -> str:
        """The cell with its options."""
        flags = ("backwards", "both", "sequences", "before", "real")
        more = [name for name in flags if getattr(self, name)] + ["no bias"] * (not self.bias)
        more += [f"{self.layers} layers"] * (self.layers > 1)
        return ", ".join([f"{self.kind.upper()}({self.units})", *more])

    @property
    def directions(self) -> int:
        """How many cells a layer has."""
        return 1 + self.both

    def numbers(self) -> list[list[list[Array]]]:
        """Return kernel, recurrent and bias in Keras' order of every cell, layer by layer."""
        rng = np.random.default_rng(self.units + 100 * self.features)
        sizes = [self.features] + [self.units * self.directions] * (self.layers - 1)
        return [[self._cell(rng, size) for _ in range(self.directions)] for size in sizes]

    def _cell(self, rng: np.random.Generator, features: int) -> list[Array]:
        units, gated = self.units, self.kind != "rnn"
        step = 32 if self.real else 1
        kernel = rng.integers(-2, 3, (features, units * GATES[self.kind])) * 8 * step
        recurrent = rng.integers(-1, 2, (units, units * GATES[self.kind])) * (8 if self.real else 8 * step)
        bias = (2 * rng.integers(-2, 3, (2, units * GATES[self.kind])) + [[1], [0]]) * 4 * step
        own = slice(2 * units, 3 * units) if gated else slice(None)  # the candidate's
        if self.real:
            turn = 2 if self.kind == "lstm" else 64  # an LSTM's state is no integer
            kernel[:, own], recurrent[:, own] = (rng.integers(-2, 3, (size, units)) for size in (features, units))
            kernel[:, own] *= 64
            recurrent[:, own] *= turn
            bias[:, own] = (2 * rng.integers(-1, 2, (2, units)) + [[1], [0]]) * 32
        else:
            kernel[:, own] = rng.integers(-1, 2, (features, units))
            recurrent[:, own] = -(rng.random((units, units)) < 0.3).astype(int)
            bias[:, own] = rng.integers(0, 4, (2, units))
        inner = self.kind == "gru" and not self.before
        whole = bias if inner else bias.sum(axis=0)
        return [array.astype(np.float32) for array in (kernel, recurrent, whole if self.bias else 0 * whole)]


def _rows(array: Array, order: tuple[int, ...], units: int) -> Array:
    """Columns of gates in Keras' order as rows in another; (..., gates * units) in, (gates * units, ...) out."""
    blocks = array.T.reshape(len(order), units, -1)[list(order)]
    return (
        blocks.reshape(len(order) * units, -1).squeeze(-1)
        if array.ndim == 1
        else blocks.reshape(len(order) * units, -1)
    )


def _halves(bias: Array, order: tuple[int, ...], units: int) -> tuple[Array, Array]:
    """Return the biases of the input's and of the state's sums; where Keras has one, an uneven part of it each."""
    if bias.ndim == 2:
        return _rows(bias[0], order, units), _rows(bias[1], order, units)
    part = np.rint(bias / 4).astype(np.float32)
    return _rows(bias - part, order, units), _rows(part, order, units)


def onnx_model(net: Net, path: Path) -> Path:
    """Write the network as an ONNX file of RNN, LSTM or GRU nodes."""
    order, nodes, tensors = _ONNX_ROWS[net.kind], list[Any](), list[Any]()
    nodes.append(helper.make_node("Transpose", ["x"], ["v0"], perm=[1, 0, 2]))
    names = {"rnn": ["Relu"], "lstm": ["HardSigmoid", "Relu", "Relu"], "gru": ["HardSigmoid", "Relu"]}[net.kind]
    direction = "bidirectional" if net.both else "reverse" if net.backwards else "forward"
    for n, layer in enumerate(net.numbers()):
        biases = [np.concatenate(_halves(bias, order, net.units)) for _, _, bias in layer]
        given = {
            "w": np.stack([_rows(kernel, order, net.units) for kernel, _, _ in layer]),
            "r": np.stack([_rows(recurrent, order, net.units) for _, recurrent, _ in layer]),
            "b": np.stack(biases),
        }
        tensors += [numpy_helper.from_array(value, f"{key}{n}") for key, value in given.items()]
        options: dict[str, Any] = {} if net.real else {"activations": names * net.directions}
        if net.kind == "gru":
            options["linear_before_reset"] = int(not net.before)
        read = [f"v{n}", f"w{n}", f"r{n}", *[f"b{n}"] * net.bias]
        made = [f"y{n}", f"h{n}"]
        node = helper.make_node(net.kind.upper(), read, made, hidden_size=net.units, direction=direction, **options)
        nodes.append(node)
        if n + 1 < net.layers:
            nodes.append(helper.make_node("Transpose", [f"y{n}"], [f"t{n}"], perm=[0, 2, 1, 3]))
            nodes.append(helper.make_node("Reshape", [f"t{n}", "flat"], [f"v{n + 1}"]))
    tensors.append(numpy_helper.from_array(np.array([0, 0, -1], dtype=np.int64), "flat"))
    last = net.layers - 1
    if net.sequences:
        nodes.append(helper.make_node("Transpose", [f"y{last}"], ["ends"], perm=[2, 0, 1, 3]))
        nodes.append(helper.make_node("Reshape", ["ends", "flat"], ["out"]))
        shape: list[Any] = ["n", net.steps, net.units * net.directions]
    else:
        nodes.append(helper.make_node("Transpose", [f"h{last}"], ["ends"], perm=[1, 0, 2]))
        nodes.append(helper.make_node("Flatten", ["ends"], ["out"], axis=1))
        shape = ["n", net.units * net.directions]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", net.steps, net.features])
    y = helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "cells", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


class TorchNet(torch.nn.Module):
    """The network as torch's own cell; what leaves is every step or the last."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        kind: Any = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[net.kind]
        options = {"nonlinearity": "tanh" if net.real else "relu"} if net.kind == "rnn" else {}
        self.cell = kind(
            net.features, net.units, net.layers, bias=net.bias, batch_first=True, bidirectional=net.both, **options
        )
        self.sequences = net.sequences
        order = _TORCH_ROWS[net.kind]
        with torch.no_grad():
            for n, layer in enumerate(net.numbers()):
                for (kernel, recurrent, bias), way in zip(layer, ("", "_reverse"), strict=False):
                    values = [_rows(kernel, order, net.units), _rows(recurrent, order, net.units)]
                    values += _halves(bias, order, net.units) if net.bias else ()
                    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                    for name, value in zip(names, values, strict=False):
                        getattr(self.cell, f"{name}_l{n}{way}").copy_(torch.from_numpy(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, steps, features) -> (n, steps, values) or (n, values)."""
        y = self.cell(x)[0]
        return y if self.sequences else y[:, -1]


def keras_request(net: Net, folder: Path) -> dict[str, Any]:
    """Return what `recurrent_worker` makes a Keras file of: layers by class and configuration, and their weights."""
    quantized = net.framework == "qkeras"
    layers: list[dict[str, Any]] = []
    for n in range(net.layers):
        inner = n + 1 < net.layers
        config: dict[str, Any] = {
            "units": net.units,
            "return_sequences": net.sequences or inner,
            "use_bias": net.bias,
            "go_backwards": net.backwards,
        }
        if net.kind == "gru":
            config["reset_after"] = not net.before
        gate = {} if net.kind == "rnn" else {"recurrent_activation": "sigmoid" if net.real else "hard_sigmoid"}
        config |= _quantizers(net) if quantized else {"activation": "tanh" if net.real else "relu", **gate}
        name = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}[net.kind]
        layers.append({"class": ("Q" if quantized else "") + name, "config": config, "both": net.both})
    weights = [array for layer in net.numbers() for cell in layer for array in cell[: 2 + net.bias]]
    if quantized:
        rng = np.random.default_rng(net.units)
        weights = [rng.normal(0, 0.5, array.shape).astype(np.float32) for array in weights]
    stem = f"{net.framework}_{net.label}_{net.steps}_{net.features}".replace(" ", "").replace(",", "_")
    np.savez(folder / f"{stem}.npz", *weights)
    model = folder / f"{stem}{'.keras' if net.framework == 'keras 3' else '.h5'}"
    return {
        "model": str(model),
        "weights": str(folder / f"{stem}.npz"),
        "shape": [net.steps, net.features],
        "layers": layers,
    }


def _quantizers(net: Net) -> dict[str, Any]:
    bits = "quantized_bits(6,1,1,alpha=1)"
    squash = "6,use_real_tanh=True" if net.real else "6"
    found = {
        **{f"{what}_quantizer": bits for what in ("kernel", "recurrent", "bias")},
        "state_quantizer": "quantized_bits(8,1,1,alpha=1)",
        "activation": f"quantized_tanh({squash})",
    }
    if net.kind != "rnn":
        gate = "6,use_real_sigmoid=True" if net.real else "6"
        found["recurrent_activation"] = f"quantized_sigmoid({gate})"
    return found
