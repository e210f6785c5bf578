"""The table of layers: a layer's class in, the handler that makes its nodes out; everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from gatewright.errors import ModelError
from gatewright.importers.hints import misspelt
from gatewright.importers.keras import activation_layers as act
from gatewright.importers.keras import attention, conv, dense, folded, lut_dense, merging, pooling, shaping, wrappers
from gatewright.importers.keras.builder import Builder, Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.einsum import einsum_dense
from gatewright.importers.keras.families import Hgq2Call, KerasCall, QKerasCall
from gatewright.importers.keras.hgq1 import fixed_point_quantizer
from gatewright.importers.keras.normalization import batch_normalization, normalization, rescaling
from gatewright.importers.keras.recurrent import recurrent
from gatewright.importers.keras.rules import described
from gatewright.importers.keras.settings import Settings
from gatewright.importers.keras.softmax import softmax
from gatewright.importers.keras.weights import LayerWeights

Handler = Callable[[Call], Value]

KERAS: dict[str, Handler] = {
    "Dense": dense.dense,
    "EinsumDense": einsum_dense,
    "BinaryDense": dense.binary_dense,
    "TernaryDense": dense.ternary_dense,
    "Conv1D": conv.conv(1),
    "Conv2D": conv.conv(2),
    "DepthwiseConv1D": conv.depthwise(1),
    "DepthwiseConv2D": conv.depthwise(2),
    "SeparableConv1D": conv.separable(1),
    "SeparableConv2D": conv.separable(2),
    "Conv1DTranspose": conv.transposed(1),
    "Conv2DTranspose": conv.transposed(2),
    "BatchNormalization": batch_normalization,
    "BatchNormalizationV1": batch_normalization,
    "BatchNormalizationV2": batch_normalization,
    "Normalization": normalization,
    "Rescaling": rescaling,
    "Activation": act.activation,
    "ReLU": act.relu,
    "LeakyReLU": act.leaky_relu,
    "ELU": act.elu,
    "PReLU": act.prelu,
    "ThresholdedReLU": act.threshold_relu,
    "Softmax": act.softmax,
    "MaxPooling1D": pooling.pool("max", 1),
    "MaxPooling2D": pooling.pool("max", 2),
    "AveragePooling1D": pooling.pool("average", 1),
    "AveragePooling2D": pooling.pool("average", 2),
    "GlobalMaxPooling1D": pooling.global_pool("max", 1),
    "GlobalMaxPooling2D": pooling.global_pool("max", 2),
    "GlobalAveragePooling1D": pooling.global_pool("average", 1),
    "GlobalAveragePooling2D": pooling.global_pool("average", 2),
    "Add": merging.merge("add"),
    "Subtract": merging.merge("sub", exactly=2),
    "Multiply": merging.merge("mul"),
    "Maximum": merging.merge("max"),
    "Minimum": merging.merge("min"),
    "Average": merging.average,
    "Concatenate": shaping.concatenate,
    "Flatten": shaping.flatten,
    "Reshape": shaping.reshape,
    "Permute": shaping.permute,
    "RepeatVector": shaping.repeat_vector,
    "ZeroPadding1D": shaping.zero_padding(1),
    "ZeroPadding2D": shaping.zero_padding(2),
    "Cropping1D": shaping.cropping(1),
    "Cropping2D": shaping.cropping(2),
    "UpSampling1D": shaping.upsampling(1),
    "UpSampling2D": shaping.upsampling(2),
    "Identity": shaping.identity(),
    "Dropout": shaping.identity("rate", "noise_shape"),
    "AlphaDropout": shaping.identity("rate", "noise_shape"),
    "SpatialDropout1D": shaping.identity("rate", "noise_shape"),
    "SpatialDropout2D": shaping.identity("rate", "noise_shape", "data_format"),
    "GaussianDropout": shaping.identity("rate"),
    "GaussianNoise": shaping.identity("stddev"),
    "ActivityRegularization": shaping.identity("l1", "l2"),
    "SimpleRNN": recurrent("rnn"),
    "LSTM": recurrent("lstm"),
    "GRU": recurrent("gru"),
    "TimeDistributed": lambda call: wrappers.time_distributed(call, run_inside),
    "Bidirectional": lambda call: wrappers.bidirectional(call, run_inside),
    "PruneLowMagnitude": lambda call: wrappers.pruned(call, run_inside),
    "FixedPointQuantizer": fixed_point_quantizer,
}
QKERAS: dict[str, Handler] = {
    "QDense": dense.dense,
    "QConv1D": conv.conv(1),
    "QConv2D": conv.conv(2),
    "QConv2DTranspose": conv.transposed(2),
    "QDepthwiseConv2D": conv.depthwise(2),
    "QSeparableConv1D": conv.separable(1),
    "QSeparableConv2D": conv.separable(2),
    "QConv2DBatchnorm": folded.conv_batchnorm,
    "QDepthwiseConv2DBatchnorm": folded.depthwise_batchnorm,
    "QActivation": act.activation,
    "QBatchNormalization": batch_normalization,
    "QAveragePooling2D": pooling.pool("average", 2),
    "QGlobalAveragePooling2D": pooling.global_pool("average", 2),
    "QSimpleRNN": recurrent("rnn"),
    "QLSTM": recurrent("lstm"),
    "QGRU": recurrent("gru"),
    "QBidirectional": lambda call: wrappers.bidirectional(call, run_inside),
}
HGQ2: dict[str, Handler] = {
    "QDense": dense.dense,
    "QEinsumDense": einsum_dense,
    "QMultiHeadAttention": attention.multi_head,
    "QLinformerAttention": attention.linformer,
    "QSoftmax": softmax,
    "QBatchNormDense": dense.batch_norm_dense,
    "QDenseT": lut_dense.dense_t,
    "QConvT1D": lut_dense.conv_t(1),
    "QConvT2D": lut_dense.conv_t(2),
    "QEinsumDenseT": lut_dense.einsum_dense_t,
    "QEinsumDenseBatchnorm": dense.einsum_dense_batchnorm,
    "QConv1D": conv.conv(1),
    "QConv2D": conv.conv(2),
    "QBatchNormalization": batch_normalization,
    "QUnaryFunctionLUT": act.table,
    "QMaxPooling1D": pooling.pool("max", 1),
    "QMaxPooling2D": pooling.pool("max", 2),
    "QAveragePooling1D": pooling.pool("average", 1),
    "QAveragePooling2D": pooling.pool("average", 2),
    "QGlobalMaxPooling1D": pooling.global_pool("max", 1),
    "QGlobalMaxPooling2D": pooling.global_pool("max", 2),
    "QGlobalAveragePooling1D": pooling.global_pool("average", 1),
    "QGlobalAveragePooling2D": pooling.global_pool("average", 2),
    "QAdd": merging.merge("add"),
    "QSubtract": merging.merge("sub", exactly=2),
    "QMultiply": merging.merge("mul"),
    "QMaximum": merging.merge("max"),
    "QMinimum": merging.merge("min"),
    "QAveragePow2": merging.average_power_of_two,
    "Quantizer": act.quantizer_layer,
}
FAMILIES: dict[str, tuple[type[KerasCall | QKerasCall | Hgq2Call], dict[str, Handler]]] = {
    "keras": (KerasCall, KERAS),
    "qkeras": (QKerasCall, QKERAS),
    "hgq": (Hgq2Call, HGQ2),
}
# Roots of the modules whose layers the tables describe; a layer from elsewhere is custom, whatever its name.
MODULES = {
    "keras": "keras", "tf_keras": "keras", "tensorflow": "keras", "tensorflow_model_optimization": "keras",
    "builtins": "keras", "HGQ": "keras", "qkeras": "qkeras", "hgq": "hgq", "hgq2": "hgq",
}  # fmt: skip
CODE = {
    "Lambda": "it is Python code stored in the file, and loading a model never runs code from it; use layers instead",
    "TFOpLambda": "it is a TensorFlow function call; use Keras layers instead",
    "SlicingOpLambda": "it is a slice in Python; use Cropping or Reshape layers instead",
    **dict.fromkeys(
        (
            "MultiHeadAttention",
            "GroupQueryAttention",
            "Attention",
            "AdditiveAttention",
        ),
        "attention multiplies computed values with each other, for which there is no support yet",
    ),
    **dict.fromkeys(
        ("LayerNormalization", "RMSNormalization", "GroupNormalization", "UnitNormalization"),
        "it normalises by statistics of each sample, for which there is no support yet; BatchNormalization's are fixed",
    ),
    "Embedding": "its input is an index into a table, not a number; give the model the embedded values",
    "QAdaptiveActivation": "its range follows the data it has seen; use QActivation with the quantizer it arrived at",
    "QDenseBatchnorm": "it is of a newer QKeras than 0.9; use QDense behind QBatchNormalization, or fold the two",
    "Masking": "masks are not supported: every step counts; pad the sequences alike and remove it",
}


def family_of(entry: dict[str, Any], where: str) -> tuple[str, str]:
    """Return (family, class) of a layer's entry; ModelError for layers registered by somebody else."""
    kind = str(entry.get("class_name"))
    registered = str(entry.get("registered_name") or "")
    package, _, kind = kind.rpartition(">")
    if not package and ">" in registered:
        package = registered.rpartition(">")[0]
    root = package or str(entry.get("module") or "").split(".")[0]
    if not root:
        return ("qkeras" if kind in QKERAS else "keras"), kind
    if root not in MODULES:
        raise ModelError(
            f"{where}: layer {entry.get('class_name')!r} comes from {root!r}, not from Keras, QKeras or HGQ; "
            f"what it computes is unknown.{misspelt(kind, [*KERAS, *QKERAS])}"
        )
    return MODULES[root], kind


def _class_of(entry: dict[str, Any]) -> str:
    """Return a layer's class without the package that it is registered for."""
    return str(entry.get("class_name")).rpartition(">")[2]


def refuse_unknown(entry: dict[str, Any], path: str, rules: Collection[str] = ()) -> None:
    """Raise ModelError for a layer that no table has and no rule, before anything else about the model is judged."""
    if _class_of(entry) in rules:
        return
    config = entry.get("config")
    name = str((config.get("name") if isinstance(config, dict) else None) or entry.get("name") or entry["class_name"])
    family, kind = family_of(entry, f"layer {path + name!r}")
    where = f"layer {path + name!r} ({kind})"
    if kind in CODE:
        raise ModelError(f"{where} is not supported: {CODE[kind]}")
    table = FAMILIES[family][1]
    if kind not in table and kind not in KERAS:
        raise ModelError(f"{where} is not supported.{misspelt(kind, list(table))}")


def run_layer(
    builder: Builder, entry: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...], major: int, path: str
) -> Value:
    """Apply one layer; every setting and weight of it must have been understood."""
    config = entry.get("config")
    name = str(
        (config.get("name") if isinstance(config, dict) else None) or entry.get("name") or entry.get("class_name")
    )
    rule = builder.rules.get(_class_of(entry))
    family, kind = ("keras", _class_of(entry)) if rule else family_of(entry, f"layer {path + name!r}")
    where = f"layer {path + name!r} ({kind})"
    refuse_unknown(entry, path, builder.rules)
    if not isinstance(config, dict):
        raise ModelError(f"{where}: its configuration must be an object, not {config!r}")
    make, table = FAMILIES[family]
    if rule is None and kind not in table:  # a plain layer under the name of another package
        make, table = FAMILIES["keras"]
    settings = Settings(name, kind, config, path)
    settings.check_dtype()
    before = builder.layer, builder.kind
    builder.enter(name, kind)
    call = make(builder, settings, weights, inputs, major)
    y = call.finish(table[kind](call) if rule is None else described(call, rule))
    settings.done()
    weights.done()
    builder.layer, builder.kind = before
    return y


def run_inside(call: Call, entry: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...]) -> Value:
    """Apply a layer that stands inside another one."""
    return run_layer(call.builder, entry, weights, inputs, call.major, f"{call.settings.path}{call.settings.name}/")
