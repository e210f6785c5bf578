"""What hls4ml's types lose is said by layer, and types that lose nothing are found; without hls4ml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatewright.errors import ConfigError, FormatError, LowerError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph import Graph
from gatewright.graph.nodes import Activation, Dense, Input, Quantize, Softmax
from gatewright.hls.project import (
    HlsLayerGraph,
    ReadLayer,
    Verdict,
    bounds,
    judge,
    judged_table,
    read_configuration,
    record,
    suggest,
    suggested_table,
)
from gatewright.hls.project.numbers import assign, assign_real, parse_type

WEIGHT = np.array([[0.5, -1.25], [3.75, 0.25]])
BIAS = np.array([0.25, -0.5])


def made(name, kind, sources, shape, types, weights=None, **settings):
    return ReadLayer(
        name=name,
        kind=kind,
        sources=tuple(sources),
        shape=shape,
        types={role: parse_type(text) for role, text in types.items()},
        names={},
        settings=settings,
        weights=weights or {},
        computes=True,
    )


def network(accum="fixed<16,6,TRN,WRAP,0>", scores="fixed<16,6,TRN,WRAP,0>", soft=True):
    """Return dense, relu and, with `soft`, dense and softmax, as hls4ml has them."""
    wide = "fixed<16,6,TRN,WRAP,0>"
    own = {"weight": WEIGHT, "bias": BIAS}
    dense = {"weight": wide, "bias": wide, "accum": accum}
    size = parse_type(scores).fixed
    told = (
        f"exp_table_size = 1024; inv_table_size = 1024; typedef ap_ufixed<{size.width_bits - 1}, "
        f"{size.width_bits - size.frac_bits - 1}> inp_norm_t;"
    )
    tables = dict.fromkeys(("exp_table", "inv_table", "inv_inp", "accum"), "fixed<18,8,RND,SAT,0>")
    layers = [
        made("x", "Input", (), (2,), {"result": wide}),
        made("fc", "Dense", ("x",), (2,), {**dense, "result": accum}, own, strategy="latency"),
        made("relu", "Activation", ("fc",), (2,), {"result": wide}, activation="relu"),
        made("out", "Dense", ("relu",), (2,), {**dense, "accum": scores, "result": scores}, own, strategy="latency"),
        made(
            "soft", "Softmax", ("out",), (2,), {**tables, "result": wide}, activation="softmax", n_in=2,
            implementation="stable", config_cpp=told,
        ),
    ]  # fmt: skip
    layers = layers if soft else layers[:3]
    used = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    names = tuple(layer.name for layer in layers)
    return HlsLayerGraph(layers=tuple(layers), output=names[-1], version="1.3.0", used=used, parsed=names)


def framework(*, quantized=False):
    nodes = [Input(name="x", shape=(2,)), Dense(name="fc", sources=("x",), weight=WEIGHT, bias=BIAS)]
    nodes.append(Activation(name="relu", sources=("fc",), kind="relu"))
    if quantized:
        limits = {"lo": np.array(0), "hi": np.array(63), "zero_point": np.array(0), "scale": np.array(0.25)}
        modes = {"rounding": Rounding.HALF_EVEN, "overflow": Overflow.SATURATE}
        nodes.append(Quantize(name="relu.quantize", sources=("relu",), **limits, **modes))
        metadata = {"layers": {"relu.quantize": "relu"}}
        return Graph(name="net", nodes=tuple(nodes), output="relu.quantize", metadata=metadata)
    nodes.append(Dense(name="out", sources=("relu",), weight=WEIGHT, bias=BIAS))
    nodes.append(Softmax(name="soft", sources=("out",)))
    return Graph(name="net", nodes=tuple(nodes), output="soft")


X = np.random.default_rng(0).integers(-8 * 256, 8 * 256, (200, 2)) / 256


def test_the_layer_whose_accumulator_wraps_is_named_and_the_types_that_are_suggested_restore_every_value():
    graph = network(accum="fixed<14,4,TRN,WRAP,0>", soft=False)
    judged = judge(graph, framework(quantized=True), X, "")
    broken = judged.broken
    assert broken is not None
    assert broken.name == "fc"
    (accum,) = (loss for loss in broken.losses if loss.role == "accum")
    exact = X @ WEIGHT + BIAS
    assert accum.overflowed == int(((exact < -8) | (exact >= 8)).sum()) > 0
    assert accum.possible is not None
    assert accum.possible[1] == (32 - 2.0**-10) * (0.5 + 3.75) + 0.25
    assert "accum fixed<14,4>" in judged_table(judged)
    assert f"{accum.overflowed:,} of 400 wrap, they reach" in judged_table(judged)

    found = suggest(graph, judged)
    assert found.layers["relu"]["Precision"]["result"] == "ufixed<6,4,RND_CONV,SAT>"
    assert "weight fixed<16,6>" in suggested_table(found)
    again = with_types(graph, found)
    after = judge(again, framework(quantized=True), X, "")
    assert [layer.verdict for layer in after.layers] == [Verdict.EQUAL] * 3
    assert after.first_different is None
    assert set(bounds(again, after).values()) == {0.0, None}


def with_types(graph, found):
    """Return the layers with the suggested types, as hls4ml makes them."""
    layers = []
    for layer in graph.layers:
        settings = found.layers[layer.name]
        types = dict(settings["Precision"])
        types |= {key.removesuffix("_t"): text for key, text in settings.items() if key.endswith("_t")}
        parsed = {role: parse_type(full(text)) for role, text in types.items()}
        layers.append(replace(layer, types={**layer.types, **parsed}))
    return replace(graph, layers=tuple(layers))


def full(text):
    return f"{text[:-1]},0>" if text.count(",") == 3 else f"{text[:-1]},TRN,WRAP,0>"


def test_a_softmax_reads_its_table_by_the_top_bits_of_its_scores_so_that_a_wide_type_makes_all_equal():
    judged = judge(network(scores="fixed<38,18,TRN,WRAP,0>", accum="fixed<38,18,TRN,WRAP,0>"), framework(), X, "")
    assert judged.broken is not None
    assert judged.broken.name == "soft"
    assert (judged.layer("soft").result == judged.layer("soft").result[0, 0]).all()
    assert "1,024 entries, read in steps of 128 over" in judged_table(judged)
    told = record(judged, {})
    assert told["first_broken"] == "soft"
    assert told["layers"][4]["losses"][0]["role"] == "inp_norm"

    found = suggest(network(), judged)
    assert found.layers["soft"]["inv_inp_t"] == "ufixed<18,2,RND,SAT>"
    assert "TableSize" in found.hls["LayerName"]["soft"]


def test_a_bound_holds_and_a_type_in_the_configuration_without_effect_is_said():
    graph = network()
    judged = judge(graph, framework(), np.round(X) / 16, "")
    limits = bounds(graph, judged)
    for layer in judged.layers:
        limit = limits[layer.name]
        assert limit is not None
        assert layer.error <= limit
    assert "accum fixed<16,6>: sums of other inputs can reach -" in judged_table(judged)
    names = {"soft": {"Precision": {"inv_inp": "ufixed<18,2>"}}, "sof": {}}
    noted = judge(replace(graph, used={**graph.used, "LayerName": names}), framework(), X, "").notes
    assert "Precision.inv_inp = ufixed<18,2> has no effect: hls4ml makes it fixed<18,8,RND,SAT>" in noted[0]
    assert noted[1].startswith("LayerName 'sof' is no layer of the model: hls4ml passes over it. Did you mean 'soft'?")


def test_a_layer_that_hls4ml_reads_as_another_function_is_noted():
    graph = network()
    other = replace(graph.layers[1], weights={"weight": WEIGHT, "bias": BIAS + 3})
    judged = judge(replace(graph, layers=(graph.layers[0], other, *graph.layers[2:])), framework(), X, "")
    assert "layer 'relu': hls4ml's Activation is not what the framework computes there" in judged.notes[0]


def test_assignments_are_those_of_ap_fixed():
    q, loss = assign(np.array([-5, 5, 300]), 2, parse_type("fixed<6,5,RND_CONV,SAT,0>"), "result")
    assert q.tolist() == [-2, 2, 31]
    assert (loss.rounded, loss.overflowed) == (2, 1)
    with pytest.raises(FormatError, match=r"result: 3 bits at a step of 2\*\*-2 do not fit int64 as fixed"):
        assign(np.array([5]), 2, parse_type("fixed<62,-2,TRN,WRAP,0>"), "result")
    q, _ = assign_real(np.array([np.inf, -0.3]), parse_type("fixed<6,5,TRN,WRAP,0>"), "weight")
    assert q.tolist() == [0, -1]
    with pytest.raises(FormatError, match="must be a fixed-point one such as fixed<16,6,TRN,WRAP,0>"):
        parse_type("XnorPrecisionType")
    with pytest.raises(FormatError, match="has 1 saturation bits, which are not understood; expected 0"):
        parse_type("fixed<6,5,TRN,WRAP,1>")
    layer = replace(network().layers[1], types={"weight": None})
    with pytest.raises(LowerError, match=r"layer 'fc' \(Dense\): the type of its weight is no fixed-point type"):
        layer.type("weight")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "expected an hls4ml configuration such as 'HLSConfig: ...', not"),
        ("HLSConfig: {Model: {Precision: fixed<8,3>}}", "HLSConfig.Model has no ReuseFactor, which hls4ml needs"),
        ("Model: {Precision: a, ReuseFactor: 1}\nLayerNames: {}", "names no model"),
        ("HLSConfig: {Model: {Precision: a, ReuseFactor: 1}, LayerNames: {}}", "'LayerNames', which hls4ml"),
        (
            "KerasH5: n.h5\nBackend: Quartus\nHLSConfig: {Model: {Precision: a, ReuseFactor: 1}}",
            "backend 'Quartus'",
        ),
        ("KerasH5: n.h5\nIOType: io_serial\nHLSConfig: {Model: {Precision: a, ReuseFactor: 1}}", "IOType must be"),
        ("KerasH5: n.h5\nHLSConfig: {Model: {Precision: a, ReuseFactor: 1}}", "no model file"),
        ("PytorchModel: m.pt\nHLSConfig: {Model: {Precision: a, ReuseFactor: 1}}", "hls4ml opens a .pt by running"),
    ],
)
def test_configurations_that_hls4ml_would_misread_are_refused(tmp_path, text, message):
    pytest.importorskip("yaml")
    (tmp_path / "m.pt").touch()
    file = tmp_path / "c.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_configuration(file)
