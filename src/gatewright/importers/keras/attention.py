"""HGQ2's attention layers in; projections, matrix products of two values and the softmax between them out.

QMultiHeadAttention: softmax(Q K^T) V for each head, between four einsum layers that quantize their inputs and results.
QLinformerAttention first projects the steps of key and value to fewer. Source: HGQ2 0.2, hgq/layers/attn.
"""

from __future__ import annotations

from typing import Any

from gatewright.errors import ModelError
from gatewright.graph.nodes import MatMul
from gatewright.importers.keras import hgq2
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.einsum import einsum_dense
from gatewright.importers.keras.settings import Settings
from gatewright.importers.keras.softmax import softmax

PROJECT, MERGE, STEPS = "abc,cde->abde", "abcd,cde->abe", "abc,bd->adc"


def multi_head(call: Call) -> Value:
    """QMultiHeadAttention: inputs query, value, key; the last two are the one before where they are not given."""
    query, value, key = _inputs(call)
    return _attention(call, query, value, key)


def linformer(call: Call) -> Value:
    """QLinformerAttention: as above, of keys and values whose steps are summed up to fewer."""
    query, value, key = _inputs(call)
    call.settings.only("lin_kv_proj_mode", ("dense",), "dense", "use dense")
    call.settings.only("share_kv_proj", (False,), False, "give key and value projections of their own")
    steps = call.settings.sizes("lin_kv_proj_dim", 1)
    own = {"equation": STEPS, "bias_axes": None}
    enabled = {name: call.settings.flag(name, default=False) for name in ("enable_iq", "enable_oq")}
    key = _dense(call, key, "_lin_k_proj", output_shape=[*steps, key.shape[-1]], **own, **enabled)
    value = _dense(call, value, "_lin_v_proj", output_shape=[*steps, value.shape[-1]], **own, **enabled)
    return _attention(call, query, value, key)


def _inputs(call: Call) -> tuple[Value, Value, Value]:
    if not 1 <= len(call.inputs) <= 3:
        raise ModelError(f"{call.where}: expected query, value and key, got {len(call.inputs)} inputs")
    given = (*call.inputs, *(call.inputs[-1],) * (3 - len(call.inputs)))
    for x in given:
        if len(x.shape) != 2:
            raise ModelError(f"{call.where}: expected values of the shape (steps, features), got {x.shape}")
    query, value, key = given
    if value.shape[0] != key.shape[0]:
        raise ModelError(f"{call.where}: {value.shape[0]} steps of values for {key.shape[0]} keys")
    return query, value, key


def _attention(call: Call, query: Value, value: Value, key: Value) -> Value:
    settings, builder = call.settings, call.builder
    heads, size = settings.integer("num_heads"), settings.integer("key_dim")
    depth = size if settings.take("value_dim", None) is None else settings.integer("value_dim")
    settings.only("attention_axes", (None, [1]), None, "attend over the steps, axis 1")
    settings.only("fuse", ("none",), "none", "give query, key and value quantizers of their own")
    settings.only("flash_attention", (None, False), None, "leave it out")
    settings.only("use_gate", (None, False), None, "leave it out")
    settings.ignore("dropout", "parallelization_factor", "enable_iq", "enable_ebops", "ebops_factor", "beta0")
    out = settings.take("output_shape", None)
    out = out[0] if isinstance(out, list) and len(out) == 1 else out
    if out is not None and not isinstance(out, int):
        raise settings.refuse("output_shape", out, "give one size, or leave it out")
    biased, enabled = settings.flag("use_bias", default=True), settings.flag("enable_iq", default=True)
    project = {"equation": PROJECT, "enable_iq": enabled, "enable_oq": True}
    axes = "de" if biased else None
    q, k, v = (
        _dense(call, x, f"{name}_dense", output_shape=[x.shape[0], heads, last], bias_axes=bias, **project)
        for x, name, last, bias in (
            (query, "query", size, axes),
            (key, "key", size, None),
            (value, "value", depth, axes),
        )
    )
    left, right = builder.transpose(q, (1, 0, 2)), builder.transpose(k, (1, 2, 0))
    scores = builder.add(MatMul, [left, right], (*left.shape[:-1], right.shape[-1]), "scores")
    weights = _softmax(call, scores, size)
    values = builder.transpose(v, (1, 0, 2))
    mixed = builder.add(MatMul, [weights, values], (*weights.shape[:-1], values.shape[-1]), "mixed")
    return _dense(
        call,
        builder.transpose(mixed, (1, 0, 2)),
        "output_dense",
        equation=MERGE,
        output_shape=[query.shape[0], query.shape[-1] if out is None else out],
        bias_axes="e" if biased else None,
        enable_iq=True,
        enable_oq=settings.flag("enable_oq", default=False),
    )


def _inside(call: Call, x: Value, kind: str, name: str, config: dict[str, Any]) -> Call:
    """Return the call of a layer that the attention layer holds."""
    shared = {"name": name, "enable_ebops": call.settings.take("enable_ebops", False)}
    settings = Settings(f"{call.settings.name}/{name}", kind, {**shared, **config}, call.settings.path)
    return type(call)(call.builder, settings, call.weights.child(name), (x,), call.major)


def _dense(call: Call, x: Value, name: str, **config: Any) -> Value:
    quantizers = {f"{key}_conf": call.settings.take(f"qkvo_{key}_conf") for key in ("iq", "kq", "bq", "oq")}
    inner = _inside(call, x, "QEinsumDense", name, {**quantizers, **config})
    y = inner.finish(einsum_dense(inner))
    inner.settings.done()
    return y


def _softmax(call: Call, x: Value, key_dim: int) -> Value:
    keys = ("iq", "oq", "exp_iq", "exp_oq", "inv_iq", "inv_oq")
    held = call.weights.child("_softmax").holds("iq")  # of a file that HGQ2 up to 0.1.6 saved
    quantizers = {f"{key}_conf": call.settings.take(f"softmax_{key}_conf") for key in keys}
    config = {
        **quantizers,
        "axes": [-1],
        "stable": call.settings.flag("stable_softmax", default=True),
        "input_scaler": key_dim**-0.5,
        "allow_heterogeneous_table": call.settings.take("softmax_allow_heterogeneous_table", False),
        "enable_iq": held and call.builder.hgq2 == "0.1",
        "enable_oq": True,
    }
    inner = _inside(call, x, "QSoftmax", "_softmax", config)
    if held and call.builder.hgq2 == "0.2":
        hgq2.read(quantizers["iq_conf"], inner.weights.child("iq").child("quantizer"), f"{inner.where}, iq")
        call.builder.note(
            f"{call.settings.name}: the file holds a quantizer of the softmax's input, with which HGQ2 up to 0.1.6 "
            "trains and which later ones do not load; it is left out, as they "
            "compute: load_keras(..., hgq2='0.1') applies it"
        )
    y = inner.finish(softmax(inner))
    inner.settings.done()
    return y
