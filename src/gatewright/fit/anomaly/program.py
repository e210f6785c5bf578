"""An autoencoder's layers and the weights of its errors in; the integer Program of the anomaly score out.

Every layer carries the inputs along in lanes of weight 1 (wires in hardware), the last one subtracts, and
|r| = 2 relu(r) - r.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag

from gatewright.errors import ExportError
from gatewright.export.builder import integers
from gatewright.export.vectors import input_format
from gatewright.fit.frozen import dense_layers, read_node
from gatewright.fixedpoint import Fixed, Ints, Overflow, Rounding
from gatewright.graph import Graph
from gatewright.graph import nodes as graph_nodes
from gatewright.graph.figures import element_formats
from gatewright.graph.nodes import Floats, Quantize, Thresholds
from gatewright.ir import Constant, Dense, Input, Op, Program, Requant, ranges


def score_program(network: Graph, shifts: tuple[int, ...], name: str) -> Program:
    """Return the program of sum_i 2**shift_i |x_i - xhat_i|, errors rounded half up to the inputs' LSB.

    Ops: x, where the network cuts its inputs `read` and `read.act` (what it reads, then the whole inputs), per hidden
    layer `fc1`, `fc1.act`, then `residual`, `residual.act`, `score`. The last elements of a hidden layer are the
    inputs. Raises ExportError for steps and for formats that wrap.
    """
    cut = read_node(network)
    rounds = {node.layer: node for node in network.nodes if isinstance(node, Quantize) and node is not cut}
    wraps = any(node.overflow is Overflow.WRAP for node in rounds.values())
    if wraps or any(isinstance(node, Thresholds) for node in network.nodes):
        raise ExportError("an autoencoder needs ReLUs and formats that saturate; train it as a student")
    built = _Builder(name, input_format(network), len(shifts))
    if cut is not None:
        built.read(element_formats(cut)[0])
    *hidden, last = dense_layers(network)
    for layer in hidden:
        built.hidden(layer, rounds[layer.name])
    built.residual(last)
    built.score(shifts)
    return built.program()


class _Builder:
    """A program under construction whose hidden layers carry the inputs along as their last elements."""

    def __init__(self, name: str, source: Fixed, features: int) -> None:
        self._name, self._input, self._features = name, source, features
        self._ops: list[Op] = [Input(name="x", layer="input", shape=(features,), format=source)]
        self._constants: dict[str, Constant] = {}

    def program(self) -> Program:
        """Return what is built so far."""
        return Program(name=self._name, ops=tuple(self._ops), output=self._ops[-1].name, constants=self._constants)

    def read(self, kept: Ints) -> None:
        """Add the leading bits of each feature that the network reads, then the whole inputs: wires, no logic."""
        source, lanes = self._input, np.eye(self._features)
        widths = np.append(kept, np.full(self._features, source.width_bits))
        keeps = source.frac_bits - source.width_bits + widths
        self._dense("read", np.hstack((lanes, lanes)), np.zeros(2 * self._features))
        self._requant("read", widths, keeps, (source.signed,) * 2 * self._features)

    def hidden(self, layer: graph_nodes.Dense, rounds: Quantize) -> None:
        """Add a layer: its activations, then the inputs. The unsigned format's lower end is the ReLU."""
        source, lanes = self._input, np.eye(self._features)
        widths, keeps = (
            np.append(np.broadcast_to(own, layer.bias.shape), np.full(self._features, carried))
            for own, carried in zip(element_formats(rounds), (source.width_bits, source.frac_bits), strict=True)
        )
        first = len(self._ops) == 1
        weight = (
            np.hstack((layer.weight, lanes)) if first else np.asarray(block_diag(layer.weight, lanes), dtype=np.float64)
        )
        self._dense(layer.name, weight, np.append(layer.bias, np.zeros(self._features)), keeps, carried=self._features)
        self._requant(layer.name, widths, keeps, (False,) * layer.bias.size + (source.signed,) * self._features)

    def residual(self, layer: graph_nodes.Dense) -> None:
        """Add r = xhat - x, rounded: relu(r) of every feature, then r itself, each as wide as it can become."""
        frac_bits = self._input.frac_bits
        keeps = np.full(2 * self._features, frac_bits)
        error = np.vstack((layer.weight, -np.eye(self._features)))
        self._dense("residual", np.tile(error, 2), np.tile(layer.bias, 2), keeps)
        sums = ranges(self.program())["residual"]
        drop = sums.frac_bits - frac_bits
        ends = [(_shifted(lo, drop), _shifted(hi, drop)) for lo, hi in zip(sums.lo, sums.hi, strict=True)]
        positive, whole = ends[: self._features], ends[self._features :]
        formats = [
            *(Fixed.holding(0, max(hi, 0), frac_bits) for _, hi in positive),
            *(Fixed.holding(lo, hi, frac_bits) for lo, hi in whole),
        ]
        widths = np.array([v.width_bits for v in formats])
        self._requant("residual", widths, keeps, tuple(v.signed for v in formats))

    def score(self, shifts: tuple[int, ...]) -> None:
        """Add sum_i 2**shift_i (2 relu(r_i) - r_i)."""
        parts = np.exp2(np.array(shifts, dtype=np.float64))[:, None]
        self._dense("score", np.vstack((2.0 * parts, -parts)), np.zeros(1))

    def _dense(self, name: str, weight: Floats, bias: Floats, keeps: Ints | None = None, *, carried: int = 0) -> None:
        """Add a dense layer; the half that rounding to `keeps` needs goes into its bias, where sums are finer.

        carried: how many of the last elements are inputs, which need none.
        """
        dense = Dense(name=name, layer=name, source=self._ops[-1].name, weight=f"{name}.weight", bias=f"{name}.bias")
        self._constants[dense.weight] = Constant(*integers(weight))
        self._constants[dense.bias] = Constant(*integers(bias))
        self._ops.append(dense)
        if keeps is None:
            return
        finer = ranges(self.program())[name].frac_bits > keeps
        half = np.where(finer & (np.arange(bias.size) < bias.size - carried), np.exp2(-keeps - 1.0), 0.0)
        self._constants[dense.bias] = Constant(*integers(bias + half))

    def _requant(self, layer: str, widths: Ints, keeps: Ints, signed: tuple[bool, ...]) -> None:
        self._ops.append(
            Requant(
                name=f"{layer}.act",
                layer=layer,
                source=layer,
                frac_bits=int(keeps.max()),
                width_bits=tuple(widths.tolist()),
                keep_frac_bits=tuple(keeps.tolist()),
                signed=signed,
                rounding=Rounding.TRUNCATE,
                overflow=Overflow.SATURATE,
            )
        )


def _shifted(value: int, drop: int) -> int:
    return int(value) >> drop if drop > 0 else int(value) << -drop
