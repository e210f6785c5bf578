"""Lines of layers: what they ask for, and what is said of a wrong one."""

import pytest

from gatewright.config import parse_config
from gatewright.config.layers import FORMS, LayerLine, network_lines, parse_layer
from gatewright.errors import ConfigError


def config(**student: object):
    raw = {"name": "x", "data": {"source": "y"}, "hardware": {"architecture": "auto"}, "student": student}
    return parse_config(raw)


def test_lines_are_layers():
    assert parse_layer("conv 3x2 8 padding valid stride 2") == LayerLine(
        text="conv 3x2 8 padding valid stride 2", kind="conv", size=(3, 2), stride=(2,), padding="valid", units=8
    )
    assert parse_layer("dense 8 norm") == LayerLine(text="dense 8 norm", kind="dense", units=8, norm=True)
    assert parse_layer("conv 3 8 norm stride 2").stride == (2,)
    assert parse_layer("pool 2").kind == parse_layer("max pool 2x2").kind == "max"
    assert parse_layer("global average pool").kind == "global average"
    for words, form in FORMS.items():
        assert parse_layer(form.example).kind == form.kind
        assert form.example.startswith(words)
    student = config(layers=["conv  3 8", "dense 5"]).student
    assert student.layers == ("conv 3 8", "dense 5")  # as they are written, spaces aside
    assert (student.weighted, student.plain) == (2, False)
    assert network_lines((), (7, 5)) == network_lines(("dense 7", "dense 5"), ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("convv 3x3 8", "student.layers.0: layer 'convv 3x3 8': there is no layer 'convv'. Did you mean 'conv'?"),
        ("max pol 2", "there is no layer 'max pol'. Did you mean 'max pool'?"),
        (
            "relu6",
            "there is no layer 'relu6'. Write one of 'conv KERNEL FILTERS [stride N] [padding same|valid] [norm]'",
        ),
        (
            "batch norm",
            "layer 'batch norm': a norm is part of the layer whose sums it takes; write it there, e.g. 'conv",
        ),
        (
            "conv 3x3",
            "FILTERS is missing; write 'conv KERNEL FILTERS [stride N] [padding same|valid] [norm]', e.g. ",
        ),
        ("conv 3x3x3 8", "KERNEL must be a whole number from 1 to 65,536 or two as in 3x2, not '3x3x3'; write 'conv"),
        ("residual", "LINES is missing; write 'residual LINES', e.g. 'residual 2'"),
        (
            "dense 0",
            "NEURONS must be a whole number from 1 to 65,536, not '0'; write 'dense NEURONS [norm]', e.g. 'dense",
        ),
        ("conv 3 8 strid 2", "'strid' is not expected. Did you mean 'stride'? Write 'conv KERNEL FILTERS"),
        (
            "pool 2 padding same",
            "'padding' is not expected. Known: stride. Write 'pool SIZE [stride N]', e.g. 'pool 2'",
        ),
        ("conv 3 8 padding sam", "padding must be 'same' or 'valid', not 'sam'. Did you mean 'same'?"),
        ("conv 3 8 norm norm", "layer 'conv 3 8 norm norm': norm is given twice; write 'conv KERNEL"),
        ("conv 3 8 stride", "stride needs a value; write 'conv KERNEL"),
        ("", "layer '': it is empty; write one of 'conv KERNEL"),
    ],
)
def test_a_wrong_line_says_the_nearest_right_one(line: str, message: str):
    with pytest.raises(ConfigError) as caught:
        config(layers=[line])
    assert message in str(caught.value)


CONV = ["conv 3 8", "dense 4"]


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"hidden": [4], "layers": CONV}, "student: hidden and layers both name the hidden layers; leave one out"),
        (
            {"layers": CONV, "precision": "tables"},
            "precision \"tables\" has no layers like 'conv 3 8'; set precision =",
        ),
        (
            {"layers": CONV, "precision": "learned"},
            "adders, and one behind the map of 'conv 3 8' shares multipliers; write \"global average pool\" before it",
        ),
        (
            {"layers": ["depthwise 3", "global max pool"], "precision": "learned"},
            'precision "learned" has no depthwise layers; set precision = "fixed", or take layers of conv',
        ),
        ({"layers": CONV, "activation": "sign"}, "activation \"sign\" is for dense layers, not beside 'conv 3 8'; set"),
        (
            {"layers": ["depthwise 3"], "pruning": {"kind": "neurons"}},
            "pruning.kind \"neurons\" cannot take channels of 'depthwise 3', which are those of layers before",
        ),
        (
            {"layers": ["dense 4", "dense 4", "residual 1"], "pruning": {"kind": "neurons"}},
            "cannot take channels of 'residual 1', which are those of layers before it; use another kind",
        ),
        ({"layers": CONV, "weight_bits": [4, 4]}, "weight_bits must be one number or 3 numbers (one per layer), not 2"),
    ],
)
def test_what_layers_of_maps_do_not_have_is_refused(student: dict[str, object], message: str):
    with pytest.raises(ConfigError) as caught:
        config(**student)
    assert message in str(caught.value)


def test_layers_of_maps_need_streams_and_dense_hints():
    raw = {"name": "x", "data": {"source": "y"}, "student": {"layers": CONV}}
    with pytest.raises(
        ConfigError, match=r"student\.layers 'conv 3 8' is built on streams of pixels; set hardware\.arch"
    ):
        parse_config(raw)
    hints = {"hint_weight": 0.1, "hint_layers": [-1, 0]}
    with pytest.raises(
        ConfigError, match=r"hint_layers must name dense layers, not 'conv 3 8' of the student; set dist"
    ):
        parse_config({**raw, "hardware": {"architecture": "stream"}, "distill": hints})


def test_a_residual_of_dense_layers_needs_no_stream():
    raw = {"name": "x", "data": {"source": "y"}, "student": {"layers": ["dense 4", "dense 4", "residual 1"]}}
    assert parse_config(raw).student.lines[2].block == 1
