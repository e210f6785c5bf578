"""The closed union of nodes that a model may be made of: what every importer produces and everything else reads.

Values are float64 arrays of shape (n, *shape); shapes and axes below exclude the sample axis n. Images and signals
are channels-last: (height, width, channels), (steps, channels). A node's result is known by its `name`; it reads the
results named in `sources`. Weights are the values that count (a quantized weight is stored after its quantizer).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Grid, Overflow, Rounding

Floats = NDArray[np.float64]
Precision = Literal["double", "single"]
Pads = tuple[tuple[int, int], ...]  # (before, after) per axis

ActivationKind = Literal[
    "relu",  # max(x, 0); parameters: () or (upper,) or (upper, negative slope, threshold) as Keras' ReLU
    "leaky_relu",  # (slope,)
    "prelu",  # parameters: one slope per channel
    "elu",  # (alpha,)
    "selu",
    "celu",  # (alpha,)
    "sigmoid",
    "tanh",
    "hard_sigmoid",  # (slope, offset): clip(slope x + offset, 0, 1)
    "hard_tanh",  # (lo, hi): clip(x, lo, hi)
    "hard_swish",
    "silu",
    "gelu",  # exact, with erf
    "gelu_tanh",  # the tanh approximation
    "softplus",
    "softsign",
    "exp",
    "mish",
    "abs",
    "neg",
    "sqrt",
    "square",
    "sign",  # -1, 0, 1
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """What every node has. origin: the name and type the source file gives it, for messages.

    layer: the layer that reports count it to, where it is not the node's own name.
    """

    name: str
    sources: tuple[str, ...] = ()
    origin: str = ""
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Input(Node):
    """A sample of this shape. A graph has exactly one, its first node."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """The formats in which a layer's numbers are stored, as configured or learnt: what reports count as its bits.

    weight: None where the weights are connections and counts, which store nothing; biases then do where any is not 0.
    bias: None where biases follow the accumulator's own grid.
    """

    weight: Grid | None
    bias: Grid | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense(Node):
    """y = x @ weight + bias over the last axis. weight: (n_in, n_out); bias: (n_out,).

    weight_scale: () or (n_out,): the weights are integers (or dyadic numbers) times this; 1 where they are dyadic.
    stored: the formats of quantized weights and biases; None where they are not known, or numbers are floats.
    """

    weight: Floats
    bias: Floats
    weight_scale: Floats = field(default_factory=lambda: np.array(1.0))
    stored: Stored | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conv(Node):
    """Correlation, zero padded, over the 1 or 2 axes before the last. weight: (*kernel, c_in / groups, c_out).

    Group g of the output channels reads group g of the input channels; depthwise is groups = c_in.
    weight_scale: () or (c_out,), stored: as in Dense.
    """

    weight: Floats
    bias: Floats
    weight_scale: Floats
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    groups: int
    stored: Stored | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvTranspose(Node):
    """The transpose of a convolution: out[i * stride + k] += x[i] @ weight[k], then `crop` removed at each end.

    weight: (*kernel, c_in, c_out); bias: (c_out,), added after. A negative crop appends zeros (output padding).
    weight_scale: () or (c_out,), as in Dense.
    """

    weight: Floats
    bias: Floats
    weight_scale: Floats
    strides: tuple[int, ...]
    crop: Pads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine(Node):
    """y = x * scale + offset per channel (last axis): a batch normalisation in inference. Both: (channels,)."""

    scale: Floats
    offset: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activation(Node):
    """An elementwise function; `parameters` as ActivationKind says."""

    kind: ActivationKind
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool(Node):
    """Greatest value or mean of each window over the axes before the last; global pooling has size = the axes' sizes.

    Padding never wins a maximum; a mean divides by the window's size where include_pad, else by the cells inside.
    """

    kind: Literal["max", "average"]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads
    include_pad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant(Node):
    """A fixed value, broadcast over samples; no sources."""

    value: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combine(Node):
    """Elementwise sum, difference, product, greater or lesser of two results, with NumPy's broadcasting."""

    kind: Literal["add", "sub", "mul", "max", "min"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatMul(Node):
    """The matrix product of two results over their last two axes, (..., n, k) @ (..., k, m); the others broadcast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concat(Node):
    """Results joined along an axis (of the shape without the sample axis; negative counts from the end)."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reshape(Node):
    """Row-major reshape to `shape` (no -1)."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transpose(Node):
    """Axes reordered: result axis i is axis axes[i] of the source."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice(Node):
    """Python slicing per axis; stop None runs to the end, a negative step runs backwards."""

    starts: tuple[int | None, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pad(Node):
    """A constant added around, per axis (all axes of the shape)."""

    pads: Pads
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upsample(Node):
    """Each element repeated factors[i] times along axis i (nearest neighbour); one factor per axis of the shape."""

    factors: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax(Node):
    """exp(x - max) / sum over the last axis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TopK(Node):
    """The indices of the k greatest of the last axis, greatest first, the lowest index among equals."""

    k: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recurrent(Node):
    """A recurrent cell over axis 0 of (steps, features), Keras' equations and gate order (LSTM: i f c o; GRU: z r h).

    kernel: (features, gates * units); recurrent: (units, gates * units); bias: (gates * units,), or (2, gates * units)
    for a GRU with reset_after. sequences: return every step, else the last; backwards: steps are read last to first,
    and results come in that order. gate_quantizer and activation_quantizer follow the two activations wherever they are
    applied; state_quantizer is applied to the states (h, and c of an LSTM) as the next step reads them, as QKeras does.
    """

    kind: Literal["rnn", "lstm", "gru"]
    kernel: Floats
    recurrent: Floats
    bias: Floats
    activation: Activation
    gate_activation: Activation
    sequences: bool
    backwards: bool
    reset_after: bool = False
    state_quantizer: Quantize | None = None
    gate_quantizer: Quantize | None = None
    activation_quantizer: Quantize | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan(Node):
    """A body graph run over axis 0 of (steps, features), carrying a state.

    The body reads concat(x[t], state), (features + states,); its results named in `states`, joined, are the next state,
    and its output, a vector, is the step's result. initial: (states,). sequences: return every step, (steps, emitted),
    else the last, (emitted,); backwards: steps are read last to first, and results come in that order.
    """

    body: Graph
    states: tuple[str, ...]
    initial: Floats
    sequences: bool
    backwards: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantize(Node):
    """q = overflow(round(x / scale) + zero_point, lo, hi); y = (q - zero_point) * scale.

    scale, lo, hi, zero_point: broadcast over the value; scale > 0 (a power of two for fixed point); lo = hi = 0 gives
    the constant 0 (a pruned element). WRAP is modulo hi - lo + 1.
    frac_bits: of a format that was configured, or learnt, the common step 2**-frac_bits at which results are kept, no
    coarser than any element's: the exported op then has this format element by element; else the narrowest.
    """

    scale: Floats
    lo: NDArray[np.int64]
    hi: NDArray[np.int64]
    zero_point: NDArray[np.int64]
    rounding: Rounding
    overflow: Overflow
    frac_bits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thresholds(Node):
    """y = start + step * (number of thresholds t of the channel with x >= t): binary, MultiThreshold activations.

    thresholds: (1 or channels, count), each row ascending; channels: the last axis. start, step: () or (channels,).
    comparisons: the exported op compares with these thresholds; else it may be a table of the sums, if that is smaller.
    """

    thresholds: Floats
    start: Floats
    step: Floats
    comparisons: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table(Node):
    """A function of fixed-point values by its results: y = values[channel, x * 2**frac_bits - first].

    values: (1 or channels, count), multiples of powers of two; channels: the last axis. x must be a multiple of
    2**-frac_bits and lie inside the table. Truth tables read a number that weights 1, 2, 4, ... make of bits.
    """

    values: Floats
    first: int = 0
    frac_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees(Node):
    """The sum of decision trees and a bias. x: (n_features,) -> (n_out,).

    Node i goes on to children[i, 1] where x[feature[i]] >= thresholds[i], else to children[i, 0]. A child c >= 0 is a
    node, c > i; c < 0 is leaf ~c. roots: (trees,), as children are. feature, thresholds: (nodes,); children:
    (nodes, 2); leaves: (leaves, n_out), of which each tree adds one row; bias: (n_out,). thresholds may be infinite.
    """

    feature: NDArray[np.int64]
    thresholds: Floats
    children: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaves: Floats
    bias: Floats


AnyNode = (
    Input
    | Dense
    | Conv
    | ConvTranspose
    | Affine
    | Activation
    | Pool
    | Constant
    | Combine
    | MatMul
    | Concat
    | Reshape
    | Transpose
    | Slice
    | Pad
    | Upsample
    | Softmax
    | TopK
    | Recurrent
    | Scan
    | Quantize
    | Thresholds
    | Table
    | Trees
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A whole model: nodes in an order in which every source comes first; output: the result's name.

    format: what the file was ("keras-h5", "onnx", ...), "" of what was trained here; notes: what the importer decided
    and the user should know, one sentence each; classes: what the outputs are scores of, () where they are values;
    precision: in which its real numbers are computed, that of the frameworks unless it was trained here.
    """

    name: str
    nodes: tuple[AnyNode, ...]
    output: str
    format: str = ""
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    classes: tuple[str, ...] = ()
    precision: Precision = "single"
