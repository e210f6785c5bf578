from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import ExportError, ModelError, ProgramError
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import graph_outputs, samples
from gatewright.fit.frozen import cut, dense_layer, frozen_graph, relu, steps, tables
from gatewright.fixedpoint import Fixed, Grid
from gatewright.flow.stages.program import check_reads
from gatewright.graph import evaluate
from gatewright.graph.nodes import Quantize, Stored, Table
from gatewright.ir import ArgMax, Constant, Dense, OutputKind, OutputStage, Requant, Thresholds, TopK, ranges, run
from tests.graphs import chain, dense, quantizer

from .networks import dataset_for, float_network, proved, random_network

ARGMAX, SCORES = OutputStage(), OutputStage(kind="scores")


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    per=st.sampled_from(["tensor", "channel", "weight"]),
    bias_bits=st.sampled_from([0, 5, 9]),
    frac=st.integers(-3, 5),
    signed=st.booleans(),
    output=st.sampled_from(
        [
            ARGMAX,
            SCORES,
            OutputStage(kind="topk", top_k=2),
            OutputStage(kind="threshold", threshold=0.3),
            OutputStage(kind="threshold", threshold=(-1.0, 0.0, 2.5)),
            OutputStage(kind="softmax"),
            OutputStage(kind="softmax", softmax="latency", softmax_format="ufixed<6,1>", softmax_entries=64),
        ]
    ),
)
def test_program_equals_float64_network(seed, hidden, per, bias_bits, frac, signed, output):
    rng = np.random.default_rng(seed)
    network = random_network(rng, [4, *hidden, 3], per=per, bias_bits=bias_bits, frac=frac, signed=signed)
    codes = dataset_for(network).x
    program = proved(network, codes, output)
    if output is ARGMAX:
        assert np.array_equal(run(program, codes)[:, 0], graph_outputs(network, codes).argmax(axis=1))


def test_names_of_ops_and_classes():
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    program = export_graph(network, name="net", output=ARGMAX).program
    assert [op.name for op in program.ops] == ["x", "fc1", "fc1.relu", "fc1.act", "out", "class"]
    assert list(program.constants) == ["fc1.weight", "fc1.bias", "out.weight", "out.bias"]
    assert program.layers == ("fc1", "out", "argmax")
    assert program.classes == ("c0", "c1")
    assert export_graph(network, name="net", output=SCORES).program.output == "out"


def test_names_of_what_is_cut_counted_and_looked_up():
    bits, table = np.array([[0.0, 1.0, 1.0, 0.0]]), np.array([[1.0], [2.0]])
    wires = Stored(weight=None)
    source = Fixed(width_bits=4, frac_bits=1)
    layers = [
        cut(source, (2, 0)),
        dense_layer("bits", np.eye(2), np.array([-1.0, -2.0]), stored=wires, then=steps("bits", (0.0,))),
        dense_layer("tables1", table, np.zeros(1), stored=wires, then=tables("tables1", bits)),
        dense_layer("out", np.ones((1, 1)), np.zeros(1), stored=wires),
    ]
    network = frozen_graph(source, layers, classes=())
    program = proved(network, np.array([[-8, 7], [7, -8], [3, 3], [0, 0]]), SCORES)
    assert [(op.name, op.layer) for op in program.ops] == [
        ("x", "input"),
        ("x.read", "read"),
        ("bits", "bits"),
        ("bits.act", "bits"),
        ("tables1", "tables1"),
        ("tables1.act", "tables1"),
        ("out", "out"),
    ]
    named = ["bits.weight", "bits.bias", "bits.thresholds", "tables1.weight", "tables1.bias", "tables1.table"]
    assert list(program.constants) == [*named, "out.weight", "out.bias"]
    read = program.op("x.read")
    assert isinstance(read, Requant)
    assert (read.frac_bits, read.width_bits, read.keep_frac_bits, read.signed) == (1, (2, 0), (-1, -3), (True,))


def test_configured_formats_are_exported_element_by_element():
    """A format per channel stays one per channel even where all are equal, or always 0; imported ones are narrowed."""
    grid = Grid(width_bits=np.array([3, 3, 0]), frac_bits=np.array([2, 2, 5]), signed=False)
    stored = Stored(weight=Grid.uniform(3, 0, signed=True))
    layers = [
        dense_layer("fc1", np.ones((2, 3)), np.zeros(3), stored=stored, then=relu("fc1", grid)),
        dense_layer("out", np.ones((3, 1)), np.zeros(1), stored=stored),
    ]
    network = frozen_graph(Fixed(width_bits=4, frac_bits=0), layers, classes=())
    codes = np.array([[1, 2], [-8, 7], [0, 0]])
    act = proved(network, codes, SCORES).op("fc1.act")
    assert isinstance(act, Requant)
    assert (act.frac_bits, act.width_bits, act.keep_frac_bits, act.signed) == (5, (3, 3, 0), (2, 2, 5), (False,))
    free = [replace(n, frac_bits=None) if isinstance(n, Quantize) else n for n in network.nodes]
    act = proved(replace(network, nodes=tuple(free)), codes, SCORES).op("fc1.act")
    assert isinstance(act, Requant)
    assert (act.frac_bits, act.width_bits, act.keep_frac_bits) == (2, (3, 3, 0), (2,))


def test_a_table_reads_whole_numbers_only():
    table = Table(name="t.act", values=np.eye(2))
    weight = dense("t", np.eye(2))
    half = chain((2,), quantizer("q", 0.5, 0, 1), weight, table)
    with pytest.raises(ExportError, match=r"'t.act' \(Table\) has no exact integer form: its input is no integer"):
        export_graph(half, name="t")
    with pytest.raises(ModelError, match=r"'t.act' \(Table\): expected inputs of 0, 1, ..., 1, got 0 .. 0.5"):
        evaluate(half, np.array([[0.5, 0.0]]))
    with pytest.raises(ModelError, match=r"expected values \(1 or 2, count\), got \(3, 2\)"):
        evaluate(chain((2,), quantizer("q", 1.0, 0, 1), replace(table, values=np.eye(3, 2))), np.zeros((1, 2)))


def test_a_wrong_program_is_caught_with_layer_sample_element_and_difference():
    network = random_network(np.random.default_rng(3), [4, 3, 2])
    data = dataset_for(network)
    made = export_graph(network, name="net", output=ARGMAX)
    bias = made.program.constants["fc1.bias"]
    q = bias.q.copy()
    q[1] += 1
    wrong = replace(made.program, constants={**made.program.constants, "fc1.bias": Constant(q, bias.frac_bits)})
    text = r"op 'fc1', sample 0, element 1: the network gives .*, the program .* LSB; 40 of 120 values"
    with pytest.raises(ExportError, match=text):
        check_graph_export(replace(made, program=wrong), samples(network, data.x))


@pytest.mark.parametrize("kind", ["argmax", "topk", "threshold"])
def test_a_wrong_output_is_caught(kind: OutputKind):
    network = random_network(np.random.default_rng(3), [4, 3, 2])
    made = export_graph(network, name="net", output=OutputStage(kind=kind, threshold=(-1.0, 2.0)))
    last = made.program.ops[-1]
    if isinstance(last, Thresholds):
        other = replace(made.program, ops=(*made.program.ops[:-1], replace(last, start=1)))
    else:
        assert isinstance(last, ArgMax | TopK)
        minus = Dense(name="flipped", layer="out", source="out", weight="flip", bias="none")
        tables = {"flip": Constant(-np.eye(2, dtype=np.int64), 0), "none": Constant(np.zeros(2, dtype=np.int64), 0)}
        ops = (*made.program.ops[:-1], minus, replace(last, source="flipped"))
        other = replace(made.program, ops=ops, constants={**made.program.constants, **tables})
    wrong = replace(made, program=other, known=ranges(other))
    with pytest.raises(ExportError, match=rf"op '{last.name}', sample \d+, element \d: the network gives"):
        check_graph_export(wrong, samples(network, dataset_for(network).x))


def test_float_network_cannot_be_exported():
    source = Fixed(width_bits=6, frac_bits=2)
    network = float_network(np.random.default_rng(0), [4, 3, 2], source)
    with pytest.raises(ExportError, match=r"'fc1' \(Dense\) .*: its weights are floats; quantize.* trained student"):
        export_graph(network, name="net")


def test_data_of_another_format_or_width_is_refused():
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    data = dataset_for(network)
    made = export_graph(network, name="net")
    check_reads(made, data)
    other = replace(data, format=Fixed(width_bits=7, frac_bits=2, signed=True))
    with pytest.raises(ExportError, match=r"reads fixed<6,4>, not fixed<7,5>; train it on this dataset"):
        check_reads(made, other)
    short = replace(data, x=data.x[:, :3], shape=(3,), feature_names=data.feature_names[:3])
    with pytest.raises(ExportError, match="reads 4 features, not 3"):
        check_reads(made, short)
    with pytest.raises(ModelError, match=r"input codes must be \(n, 4\), not \(40, 3\)"):
        graph_outputs(network, short.x)


def test_sums_past_53_bits_are_refused():
    stored = Stored(weight=Grid.uniform(32, 0, signed=True))
    layer = dense_layer("out", np.full((4, 1), 2.0**30 - 1), np.zeros(1), stored=stored)
    network = frozen_graph(Fixed(width_bits=30, frac_bits=0), [layer], classes=())
    with pytest.raises(ExportError, match=r"'out' .*: its sums need more than 53 bits.*; use fewer bits"):
        export_graph(network, name="n")


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (OutputStage(kind="topk", top_k=3), r"hardware.top_k must be 1..2, the number of scores, not 3"),
        (OutputStage(kind="threshold", threshold=(1.0, 2.0, 3.0)), r"must be one number or 2, one per score, not 3"),
        (
            OutputStage(kind="softmax", softmax_format="fixed<8,1>"),
            r"must be ufixed<W,0> or ufixed<W,1>.*not fixed<8,1>",
        ),
    ],
)
def test_output_stages_that_do_not_suit(stage: OutputStage, message: str):
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    with pytest.raises(ProgramError, match=message):
        export_graph(network, name="net", output=stage)


def test_a_wrong_softmax_is_caught():
    network = random_network(np.random.default_rng(3), [4, 3, 2])
    data = dataset_for(network)
    made = export_graph(network, name="net", output=OutputStage(kind="softmax"))
    program = made.program
    top = program.constants["probability.exp"]
    wrong = replace(
        program, constants={**program.constants, "probability.exp": Constant(top.q // 2 + 1, top.frac_bits)}
    )
    with pytest.raises((ExportError, ProgramError), match=r"away from the exact softmax|reads entries"):
        check_graph_export(replace(made, program=wrong), samples(network, data.x))
