"""SimpleRNN, LSTM, GRU and their QKeras forms in, `Recurrent` nodes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import Activation, Quantize, Recurrent
from gatewright.importers.keras import qkeras
from gatewright.importers.keras.activations import FUNCTIONS, HARD_SIGMOID, function_name
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.families import KerasCall

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
STATELESS = "each sample starts from zero states; save a stateless model"


def recurrent(kind: Literal["rnn", "lstm", "gru"]) -> Callable[[Call], Value]:
    """One layer of cells from zero states."""

    def handler(call: Call) -> Value:
        settings = call.settings
        x = call.ranked_input(2, "(steps, features)")
        units = settings.integer("units")
        settings.only("stateful", (False,), False, STATELESS)
        settings.only("return_state", (False,), False, "return the sequence or the last step only")
        settings.only("time_major", (False,), False, "put the steps behind the samples")
        settings.ignore(
            "unit_forget_bias", "implementation", "unroll", "use_cudnn", "dropout", "recurrent_dropout",
            "zero_output_for_mask", "recurrent_dropout_seed", "input_length",
        )  # fmt: skip
        sequences = settings.flag("return_sequences", default=False)
        backwards = settings.flag("go_backwards", default=False)
        reset_after = kind == "gru" and settings.flag("reset_after", default=call.major == 3)
        use_bias = settings.flag("use_bias", default=True)
        cell = call.weights.child("cell")
        stored = cell.take("kernel", "recurrent_kernel", *["bias"] * use_bias)
        width = GATES[kind] * units
        kernel = call.quantize_weight("kernel", call.check(stored["kernel"], (x.shape[-1], width), "kernel"))
        inner = call.quantize_weight(
            "recurrent", call.check(stored["recurrent_kernel"], (units, width), "recurrent_kernel")
        )
        shape = (2, width) if reset_after else (width,)
        if use_bias:
            bias = call.quantize_weight("bias", call.check(stored["bias"], shape, "bias")).values
        else:
            settings.ignore("bias_quantizer")
            bias = np.zeros(shape)
        plain = "tanh" if isinstance(call, KerasCall) else None  # QKeras' default is a quantizer, always in its files
        activation, activation_quantizer = _function(call, "activation", plain)
        gate, gate_quantizer = activation, None
        if kind != "rnn":
            gate, gate_quantizer = _function(call, "recurrent_activation", None)
        return call.builder.add(
            Recurrent,
            [x],
            (x.shape[0], units) if sequences else (units,),
            kind=kind,
            kernel=kernel.values,
            recurrent=inner.values,
            bias=bias,
            activation=activation,
            gate_activation=gate,
            sequences=sequences,
            backwards=backwards,
            reset_after=reset_after,
            state_quantizer=_state_quantizer(call),
            gate_quantizer=gate_quantizer,
            activation_quantizer=activation_quantizer,
        )

    return handler


def _function(call: Call, key: str, default: str | None) -> tuple[Activation, Quantize | None]:
    """Return a cell's activation and the quantizer that follows it."""
    spec: Any = call.settings.take(key, default) if default else call.settings.take(key)
    own = call.quantizer_of(spec, f"{call.where}, {key}")
    if own is not None:
        found = qkeras.in_cell(own, call.where)
        if found is None:
            raise call.settings.refuse(
                key, spec, "inside a cell use quantized_tanh, quantized_sigmoid, quantized_relu, _bits or hard_sigmoid"
            )
        kind, parameters, quantizer = found
        return Activation(name="", kind=kind, parameters=parameters), quantizer
    name = function_name(spec, call.where)
    if name == "linear":
        return Activation(name="", kind=qkeras.IDENTITY[0], parameters=qkeras.IDENTITY[1]), None
    if name == "hard_sigmoid":
        return Activation(name="", kind="hard_sigmoid", parameters=HARD_SIGMOID[call.major]), None
    if name not in FUNCTIONS:
        raise ModelError(f"{call.where}: {key} {name!r} is not supported inside a cell; use tanh, sigmoid, relu, ...")
    kind, parameters = FUNCTIONS[name]
    return Activation(name="", kind=kind, parameters=parameters), None


def _state_quantizer(call: Call) -> Quantize | None:
    spec = call.settings.take("state_quantizer", None)
    call.settings.ignore("state_range", "recurrent_range")
    if spec is None:
        return None
    found = qkeras.pair(qkeras.parse(spec, f"{call.where}, state_quantizer"), call.where)
    if found is None or found[0] is not None:
        raise call.settings.refuse("state_quantizer", spec, "use quantized_bits with alpha 1")
    return found[2]
