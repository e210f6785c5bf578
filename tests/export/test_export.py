"""The exported program equals the evaluated graph on every sample and node, with ==."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from gatewright.errors import ExportError
from gatewright.export import check_graph_export, export_graph
from gatewright.export.builder import ProgramBuilder
from gatewright.export.inputs import quantize_input
from gatewright.fixedpoint import Fixed, Overflow
from gatewright.graph.evaluate import evaluate
from gatewright.graph.nodes import Activation, Affine, Combine, Softmax
from gatewright.ir import Constant, Lookup, Requant, run
from gatewright.ir import Softmax as SoftmaxOp
from gatewright.ir.op_tables import Thresholds as ThresholdsOp
from gatewright.ir.output import softmax_error
from tests.graphs import chain, dense, quantized_graphs, quantizer

RNG = np.random.default_rng(3)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def samples(graph, n=12):
    shape = graph.nodes[0].shape
    return np.concatenate([RNG.normal(0, 2, (n, *shape)), RNG.integers(-9, 9, (n, *shape)) / 4])


def checked(graph, **options):
    exported = export_graph(graph, name="g", **options)
    x = samples(graph)
    assert check_graph_export(exported, x) == len(x)
    return exported, x


@many
@given(quantized_graphs())
def test_any_fixed_point_graph_is_exported_exactly(graph):
    try:
        exported, x = checked(graph)
    except ExportError as error:  # honest refusals only: a function that no table or threshold can hold
        assume("fits neither a table" not in str(error))
        raise
    result = np.ldexp(exported.run(x).astype(float), -exported.frac_bits)
    expected = evaluate(graph, x, precision="single")
    assert np.array_equal(result.reshape(expected.shape), expected)


@many
@given(quantized_graphs(scaled=True))
def test_any_graph_with_real_scales_is_exported_exactly(graph):
    try:
        checked(graph)
    except ExportError as error:
        assume("fits neither a table" not in str(error))
        raise


def float32_chain(acc, scale, affine, kind, quantize):
    """Return what a framework computes from integer sums, step by step in float32."""
    x = acc.astype(np.float64) * scale
    x = x.astype(np.float32) * affine[0].astype(np.float32) + affine[1].astype(np.float32)
    x = {"sigmoid": lambda v: 1 / (1 + np.exp(-v)), "relu": lambda v: np.maximum(v, 0)}[kind](x)
    step, lo, hi = quantize
    return np.clip(np.rint(x / np.float32(step)), lo, hi)


@pytest.mark.parametrize("bits", [4, 14])  # 14 input bits: too many integers for one table
def test_thresholds_are_the_float32_chain_on_every_integer(bits):
    top = (1 << bits) - 1
    scale, affine = RNG.normal(0, 1, 5), np.array([0.3, 0.1, -0.2, 0.05, 1.0])
    weight = np.array([[3.0, -2.0, 1.0, 5.0, -7.0]])
    graph = chain(
        (1,),
        quantizer("in", 1.0, 0, top),
        dense("d", weight * 0.037, weight_scale=0.037),
        Affine(name="bn", scale=scale, offset=affine),
        Activation(name="r", kind="relu"),
        quantizer("out", 0.1, 0, 7),
    )
    exported = export_graph(graph, name="g")
    x = np.arange(top + 1, dtype=float)[:, None]
    assert check_graph_export(exported, x) == top + 1
    expected = float32_chain(x * weight, 0.037, (scale, affine), "relu", (0.1, 0, 7))
    assert np.array_equal(exported.run(x), expected)
    assert np.ptp(expected) > 0
    assert float(exported.output_scale) == 0.1
    kinds = {type(op) for op in exported.program.ops}
    assert (ThresholdsOp in kinds) == (bits == 14)


def test_bisection_finds_what_enumeration_finds(monkeypatch):
    graph = chain(
        (2,),
        quantizer("in", 0.25, -128, 127),
        dense("d", RNG.integers(-9, 9, (2, 6))),
        Affine(name="bn", scale=RNG.normal(0, 0.3, 6), offset=RNG.normal(0, 1, 6)),
        Activation(name="s", kind="tanh"),
        quantizer("out", 1 / 8, -8, 7),
    )
    x = samples(graph, 300) * 8
    monkeypatch.setattr("gatewright.export.levels.ENTRIES", 0)
    listed = export_graph(graph, name="g")
    monkeypatch.setattr("gatewright.export.levels.ENUMERATED", 0)
    sought = export_graph(graph, name="g")
    assert check_graph_export(listed, x) == check_graph_export(sought, x) == 600
    assert any(isinstance(op, ThresholdsOp) for op in sought.program.ops)
    assert np.array_equal(listed.run(x), sought.run(x))


def test_a_quantizer_alone_is_a_requant_and_a_small_function_a_table():
    graph = chain(
        (3,),
        quantizer("in", 0.5, -8, 7),
        dense("d", [[1.0, 2.0], [0.5, 0.0], [1.0, -1.0]]),
        quantizer("q", 0.25, -8, 7),
        Activation(name="s", kind="sigmoid"),
        quantizer("out", 2.0**-8, 0, 255),
    )
    exported, x = checked(graph)
    kinds = [type(op) for op in exported.program.ops]
    assert kinds[2] is Requant
    assert kinds[3] is Lookup
    assert (exported.program.input.format, exported.frac_bits) == (Fixed(width_bits=4, frac_bits=1), 8)
    assert np.array_equal(run(exported.program, exported.encode(x)), evaluate(graph, x, precision="single") * 256)


def test_a_float_bias_stays_exact():
    graph = chain(
        (4,),
        quantizer("in", 0.125, -128, 127),
        dense("d", RNG.integers(-8, 8, (4, 3)) / 8, RNG.normal(0, 1, 3)),
        Activation(name="r", kind="relu"),
        quantizer("out", 0.125, 0, 31),
    )
    checked(graph)


def test_the_host_scales_and_encodes_the_input():
    graph = chain(
        (2, 3),
        Affine(name="norm", scale=np.full(3, 1 / 255), offset=np.full(3, -0.5)),
        quantizer("in", 2.0**-4, -8, 7),
        dense("d", RNG.integers(-4, 4, (3, 2))),
    )
    exported = export_graph(graph, name="g")
    x = RNG.integers(0, 256, (20, 2, 3)).astype(float)
    assert exported.program.input.shape == (2, 3)
    assert np.array_equal(exported.encode(x), np.clip(np.rint((x / 255 - 0.5) * 16), -8, 7))
    assert check_graph_export(exported, x) == 20


def test_the_models_own_input_quantizer_runs_on_the_chip_where_an_input_format_is_given():
    graph = chain((2,), quantizer("in", 0.5, -4, 3), dense("d", np.eye(2)))
    exported = export_graph(graph, name="g", input_format=Fixed(width_bits=8, frac_bits=4))
    assert exported.program.input.format == Fixed(width_bits=8, frac_bits=4)
    assert any(isinstance(op, Requant) for op in exported.program.ops)
    assert check_graph_export(exported, samples(graph)) == 24


@pytest.mark.parametrize("last", [Softmax(name="s"), Activation(name="s", kind="sigmoid")])
def test_the_class_needs_no_softmax(last):
    graph = chain((3,), quantizer("in", 0.5, -8, 7), dense("d", RNG.integers(-4, 4, (3, 5))), last)
    graph = replace(graph, classes=tuple("abcde"))
    exported = export_graph(graph, name="g", output="argmax")
    assert exported.program.classes == tuple("abcde")
    x = samples(graph)
    assert np.array_equal(exported.run(x)[:, 0], evaluate(graph, x).argmax(axis=1))
    assert "left to the host" in exported.notes[0]


def test_a_last_softmax_is_computed_by_tables_within_its_bound():
    scores = dense("scores", RNG.integers(-9, 9, (4, 5)) / 8)
    graph = chain((4,), quantizer("q", 0.125, -128, 127), scores, Softmax(name="s"))
    x = RNG.normal(0, 6, (500, 4))
    exported = export_graph(graph, name="p", output="softmax", output_format=Fixed.parse("ufixed<10,0>"))
    assert check_graph_export(exported, x) == 500
    bound = exported.probability_error
    assert bound == softmax_error(exported.program)
    assert bound is not None
    assert bound < 0.05
    assert exported.notes == (
        f"The softmax at the end is computed by tables: each probability is within {bound:.3g} of the exact.",
    )
    worst = np.abs(exported.run(x) / 1024 - evaluate(graph, x)).max()
    assert 1 / 4096 < worst <= bound
    classes = export_graph(graph, name="p", output="argmax")
    assert (classes.run(x)[:, 0] == evaluate(graph, x).argmax(axis=1)).all()
    broken = replace(exported, program=spoiled(exported.program))
    with pytest.raises(
        ExportError, match=r"export: softmax 'probability', sample \d+, element \d: .* away from the exact softmax"
    ):
        check_graph_export(broken, x)


def test_a_softmax_is_computed_of_a_model_that_ends_in_scores_too():
    scores = dense("scores", RNG.integers(-9, 9, (4, 5)) / 8)
    ends = [chain((4,), quantizer("q", 0.125, -128, 127), scores, *last) for last in ((), (Softmax(name="s"),))]
    made = [export_graph(graph, name="p", output="softmax") for graph in ends]
    assert made[0].program == made[1].program
    assert check_graph_export(made[0], RNG.normal(0, 6, (50, 4))) == 50


def spoiled(program):
    """Return the program with a wrong entry in the table of reciprocals."""
    name = next(op.reciprocal_table for op in program.ops if isinstance(op, SoftmaxOp))
    table = program.constants[name]
    wrong = np.where(np.arange(table.q.size) % 2, table.q, table.q // 2)
    return replace(program, constants={**program.constants, name: Constant(wrong, table.frac_bits)})


def test_one_score_is_a_class_by_its_sign():
    graph = chain((3,), quantizer("in", 0.5, -8, 7), dense("d", [[1], [-2], [1]]), Activation(name="s", kind="sigmoid"))
    x = samples(graph)
    got = export_graph(graph, name="g", output="argmax").run(x)
    assert np.array_equal(got, evaluate(graph, x) >= 0.5)


def test_a_real_output_is_quantized_on_request():
    graph = chain((3,), quantizer("in", 0.5, -8, 7), dense("d", [[1], [-2], [1]]), Activation(name="s", kind="sigmoid"))
    exported = export_graph(graph, name="g", output_format=Fixed.parse("ufixed<8,0>"))
    x = samples(graph)
    expected = np.clip(np.floor(evaluate(graph, x, precision="single") * 256 + 0.5), 0, 255)
    assert np.array_equal(exported.run(x), expected)


def test_an_input_format_may_be_given_again():
    fixed = Fixed.parse("fixed<8,4>")
    graph = quantize_input(chain((3,), dense("d", np.eye(3) / 4)), fixed)
    exported = export_graph(graph, name="g", input_format=fixed)
    x = samples(graph)
    assert check_graph_export(exported, x) == len(x)


def test_a_quantizer_that_wraps_is_never_bisected():
    graph = chain(
        (1,),
        quantizer("in", 2.0**-24, -(1 << 25), 1 << 25),
        Activation(name="t", kind="tanh"),
        quantizer("q", 1 / 16, 0, 3, overflow=Overflow.WRAP),
    )
    with pytest.raises(ExportError, match=r"tanh .* not known to be monotone"):
        export_graph(graph, name="g")


QUANTIZED = quantizer("in", 0.5, -8, 7)


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([dense("d", np.ones((3, 2)))], {}, "reads the model's input, which is not quantized; give input_format"),
        ([QUANTIZED, dense("d", RNG.normal(size=(3, 2)))], {}, "'d' .*weights are floats.*gatewright quantize"),
        ([QUANTIZED, Activation(name="s", kind="silu")], {}, "real numbers at the output; give output_format"),
        (
            [QUANTIZED, Activation(name="s", kind="silu"), dense("d", np.ones((3, 2)))],
            {},
            "'d' .*real number \\(after s\\); put a quantizer before it",
        ),
        ([QUANTIZED, Softmax(name="s"), quantizer("q", 0.5, 0, 1)], {}, "'s' .*not the model's output"),
        (
            [QUANTIZED, dense("d", np.eye(3)), Activation(name="s", kind="sigmoid")],
            {"output": "softmax"},
            "'s' .*it gives real numbers at the output; give output_format",
        ),
        (
            [QUANTIZED, dense("d", np.ones((3, 2)) * [0.3, 0.7], weight_scale=[0.3, 0.7])],
            {"output": "topk"},
            "each score has its own scale",
        ),
        (
            [QUANTIZED, dense("d", np.ones((3, 2)) * 0.3, weight_scale=0.3)],
            {"output": "threshold"},
            "'d' .*the threshold that reads it needs fixed point, and it is an integer times a real scale; use output=",
        ),
        (
            [QUANTIZED, dense("d", np.ones((3, 2)) * 0.3, weight_scale=0.3), Softmax(name="s")],
            {"output": "softmax"},
            "'d' .*the softmax that reads it needs fixed point, and it is an integer times a real scale; use output=",
        ),
        (
            [QUANTIZED, dense("d", np.ones((3, 2)) * [0.3, 0.7], weight_scale=[0.3, 0.7])],
            {"output": "argmax"},
            "each score has its own scale",
        ),
        (
            [
                quantizer("in", 2.0**-12, -(1 << 20), 1 << 20),
                dense("d", np.ones((3, 2)) * 100),
                Activation(name="s", kind="silu"),
                quantizer("q", 0.5, 0, 1),
            ],
            {},
            "silu of 'd' .*not known to be monotone.*fits neither",
        ),
    ],
)
def test_what_has_no_exact_form_is_named(nodes, options, message):
    with pytest.raises(ExportError, match=message):
        export_graph(chain((3,), *nodes), name="g", **options)


def test_two_input_quantizers_are_refused():
    graph = chain((3,), QUANTIZED, quantizer("other", 0.25, -8, 7, sources=("x",)), dense("d", np.eye(3)))
    both = Combine(name="sum", sources=("in", "other"), kind="add")
    with pytest.raises(ExportError, match="needs one quantizer behind its input"):
        export_graph(replace(graph, nodes=(*graph.nodes, both), output="sum"), name="g")


def test_two_layers_of_a_model_stay_two_layers():
    """What a program's names may not contain becomes an underscore, and two names would be one layer."""
    builder = ProgramBuilder(name="net")
    found: list[str] = []
    for name in ("層", "字", "a b", "a_b", "層"):
        builder.enter(Activation(name=f"node of {name}", kind="relu", layer=name))
        found.append(builder.layer)
    assert found == ["_", "__2", "a_b", "a_b_2", "_"]
