"""Recurrent cells: Keras' equations, exact programs, quantization after training, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import ConfigError, ExportError, LowerError, ModelError
from gatewright.export import Calibration, calibrate, check_graph_export, differences, export_graph, profile
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.graph import evaluate, load_graph, save_graph, table, trace
from gatewright.graph.functions import activate, quantize
from gatewright.graph.nodes import Activation, Concat, Dense, Quantize, Recurrent, Scan, Slice
from gatewright.graph.recurrent import as_scan
from gatewright.ir import Scan as ScanOp
from gatewright.ir import parse_program, print_program
from tests.graphs import chain, dense, quantizer
from tests.lowering import lower_for

RNG = np.random.default_rng(3)
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
KINDS = [("rnn", False), ("lstm", False), ("gru", False), ("gru", True)]
INPUT = Fixed(width_bits=8, frac_bits=4)


@pytest.fixture(autouse=True)
def _seeded():
    """Give every test the same numbers, whatever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(3).bit_generator.state


def cell(kind, reset_after=False, *, features=3, units=4, exact=False, hard=False, name="r", **fields):
    """Return a random cell; exact: weights of few bits, and quantizers behind functions and states."""
    wide = GATES[kind] * units
    bias = (2, wide) if kind == "gru" and reset_after else (wide,)
    kernel, recurrent, offset = (RNG.normal(0, 0.5, shape) for shape in ((features, wide), (units, wide), bias))
    if exact:
        kernel, recurrent, offset = (np.rint(v * 16) / 16 for v in (kernel, recurrent, offset))
        fields = {
            "state_quantizer": quantizer("q", 1 / 64, -127, 127),
            "gate_quantizer": quantizer("q", 1 / 32, 0, 31),
            "activation_quantizer": quantizer("q", 1 / 32, -32, 31),
        } | fields
    squash = Activation(name="", kind="hard_tanh", parameters=(-1.0, 1.0)) if hard else Activation(name="", kind="tanh")
    gate = Activation(name="", kind="hard_sigmoid", parameters=(0.25, 0.5))
    return Recurrent(
        name=name,
        kind=kind,
        kernel=kernel,
        recurrent=recurrent,
        bias=offset,
        activation=squash,
        gate_activation=gate if hard else Activation(name="", kind="sigmoid"),
        reset_after=reset_after,
        **{"sequences": True, "backwards": False, **fields},
    )


def keras(node, x):
    """Run a cell by Keras' equations, step by step: x (n, steps, features)."""
    maybe = lambda q, v: v if q is None else quantize(q, v)  # noqa: E731
    act = lambda v: maybe(node.activation_quantizer, activate(node.activation, v))  # noqa: E731
    gate = lambda v: maybe(node.gate_quantizer, activate(node.gate_activation, v))  # noqa: E731
    units = len(node.recurrent)
    h = c = np.zeros((len(x), units))
    results = []
    for t in reversed(range(x.shape[1])) if node.backwards else range(x.shape[1]):
        h, c = maybe(node.state_quantizer, h), maybe(node.state_quantizer, c)
        given = x[:, t] @ node.kernel
        match node.kind:
            case "rnn":
                h = act(given + h @ node.recurrent + node.bias)
            case "lstm":
                i, f, g, o = np.split(given + h @ node.recurrent + node.bias, 4, axis=1)
                c = gate(f) * c + gate(i) * act(g)
                h = gate(o) * act(c)
            case _ if node.reset_after:
                (xz, xr, xh), (hz, hr, hh) = (
                    np.split(v, 3, axis=1) for v in (given + node.bias[0], h @ node.recurrent + node.bias[1])
                )
                z, r = gate(xz + hz), gate(xr + hr)
                h = z * h + (1 - z) * act(xh + r * hh)
            case _:
                xz, xr, xh = np.split(given + node.bias, 3, axis=1)
                rz, rr, rh = np.split(node.recurrent, 3, axis=1)
                z, r = gate(xz + h @ rz), gate(xr + h @ rr)
                h = z * h + (1 - z) * act(xh + (r * h) @ rh)
        results.append(h)
    return np.stack(results, axis=1) if node.sequences else h


@pytest.mark.parametrize(("kind", "reset_after"), KINDS)
@pytest.mark.parametrize("exact", [False, True])
def test_a_cell_computes_kerass_equations(kind, reset_after, exact):
    node = cell(kind, reset_after, exact=exact, backwards=exact, sequences=not exact)
    x = np.rint(RNG.normal(0, 2, (9, 6, 3)) * 16) / 16
    got, want = evaluate(chain((6, 3), node), x), keras(node, x)
    assert (got == want).all() if exact else np.abs(got - want).max() < 1e-12


@pytest.mark.parametrize(("kind", "reset_after"), KINDS)
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_a_quantized_cell_is_exactly_a_scan(kind, reset_after, hard, sequences):
    node = cell(kind, reset_after, exact=True, hard=hard, sequences=sequences, backwards=hard)
    exported = export_graph(chain((6, 3), node), name="p", input_format=INPUT)
    x = RNG.normal(0, 3, (50, 6, 3))
    assert check_graph_export(exported, x) == 50
    assert isinstance(exported.program.ops[-1], ScanOp)
    assert parse_program(print_program(exported.program)) == exported.program
    codes = np.clip(np.floor(x.astype(np.float32) * 16 + 0.5), -128, 127) / 16
    if hard:  # exact in any precision: the equations are an oracle that shares nothing with the export
        assert (np.ldexp(exported.run(x).astype(float), -exported.frac_bits) == keras(node, codes)).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_quantizers_of_a_cell_are_kept(data):
    def drawn(*, signed):
        bits = data.draw(st.integers(1, 7))
        lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        zero = data.draw(st.sampled_from((0, 0, 1)))
        wraps = signed and zero == 0  # a gate of a wide sum that wraps has no table
        overflow = data.draw(st.sampled_from(Overflow)) if wraps else Overflow.SATURATE
        rounding = data.draw(st.sampled_from(Rounding))
        scale = 2.0 ** -data.draw(st.integers(0, 6))
        return quantizer("q", scale, lo, max(hi, lo + 1), zero=zero, rounding=rounding, overflow=overflow)

    kind, reset_after = data.draw(st.sampled_from(KINDS))
    fields = {
        "state_quantizer": drawn(signed=True),
        "gate_quantizer": drawn(signed=False),
        "activation_quantizer": drawn(signed=True),
        "sequences": data.draw(st.booleans()),
        "backwards": data.draw(st.booleans()),
    }
    node = cell(kind, reset_after, exact=True, hard=True, units=2, **fields)
    exported = export_graph(chain((4, 3), node), name="p", input_format=INPUT)
    x = RNG.normal(0, 3, (8, 4, 3))
    check_graph_export(exported, x)
    codes = np.clip(np.floor(x.astype(np.float32) * 16 + 0.5), -128, 127) / 16
    assert (np.ldexp(exported.run(x).astype(float), -exported.frac_bits) == keras(node, codes)).all()


def test_both_directions_and_layers_behind():
    there, back = cell("lstm", exact=True, name="there"), cell("lstm", exact=True, name="back", backwards=True)
    turned = Slice(name="turned", starts=(None, None), stops=(None, None), steps=(-1, 1))
    graph = chain(
        (5, 3),
        dataclasses.replace(there, sources=("x",)),
        dataclasses.replace(back, sources=("x",)),
        turned,
        Concat(name="both", sources=("there", "turned"), axis=-1),
        quantizer("q", 1 / 16, -8, 7),
        cell("gru", True, exact=True, features=8, name="second", sequences=False),
        dense("scores", np.rint(RNG.normal(0, 8, (4, 3))) / 8),
    )
    exported = export_graph(graph, name="p", input_format=INPUT, output="argmax")
    x = RNG.normal(0, 2, (40, 5, 3))
    assert check_graph_export(exported, x) == 40
    h = np.concatenate([keras(there, exported.encode(x) / 16), keras(back, exported.encode(x) / 16)[:, ::-1]], axis=-1)
    assert (trace(graph, exported.encode(x) / 16)["both"] == h).all()


@pytest.mark.parametrize(("kind", "reset_after"), KINDS)
def test_float_cells_are_quantized_after_training(kind, reset_after):
    graph = chain((7, 3), cell(kind, reset_after, sequences=False), dense("fc", RNG.normal(0, 1, (4, 5))))
    x = RNG.normal(0, 1, (300, 7, 3))
    wanted = evaluate(graph, x)
    errors = []
    for bits in (4, 8):
        settings = Calibration(weight_bits=bits, activation_bits=bits, table_bits=bits + 2, state_bits=bits + 2)
        quantized = calibrate(graph, x, settings)
        exported = export_graph(quantized, name="p")
        assert check_graph_export(exported, x) == 300
        scores = np.ldexp(exported.run(x).astype(float), -exported.frac_bits)
        errors.append(np.abs(scores - wanted).max() / np.abs(wanted).max())
    assert errors[1] < 0.05
    assert errors[1] < errors[0] / 4


def test_inner_results_have_widths_of_their_own():
    graph = chain((7, 3), cell("lstm", sequences=False))
    x = RNG.normal(0, 1, (50, 7, 3))
    settings = Calibration(layer_activation_bits={"r.c": 5}, layer_weight_bits={"r.sums": 3}, state_bits=9)
    scan = next(node for node in calibrate(graph, x, settings).nodes if isinstance(node, Scan))
    inner = {node.name: node for node in scan.body.nodes}
    spans = {name: int(q.hi - q.lo) + 1 for name, q in inner.items() if isinstance(q, Quantize)}
    assert (spans["r.c.q"], spans["r.h.q"], spans["r.gates.q"]) == (32, 512, 256)
    sums = inner["r.sums"]
    assert isinstance(sums, Dense)
    assert len(np.unique(sums.weight[:, 0])) <= 7


def test_profile_and_table_look_inside():
    graph = chain((7, 3), cell("gru", sequences=False))
    rows = {(row.layer, row.role): row for row in profile(graph, RNG.normal(0, 1, (50, 7, 3)))}
    assert rows["r.gates", "values"].least >= 0
    assert rows["r.gates", "values"].greatest <= 1
    assert rows["r.sums", "weights"].count == 4 * 4 + 3 * 4
    source, recurrent = graph.nodes
    assert isinstance(recurrent, Recurrent)
    compact, written = table(graph)[1], table(dataclasses.replace(graph, nodes=(source, as_scan(recurrent))))[1]
    assert (compact.parameters, compact.operations) == (written.parameters, written.operations) == (96, 588)


def test_the_trace_finds_what_is_worst_inside():
    graph = chain((7, 3), cell("lstm", sequences=False), dense("fc", np.eye(4)))
    x = RNG.normal(0, 1, (40, 7, 3))
    coarse = calibrate(graph, x, Calibration(layer_activation_bits={"r.candidate": 1}))
    rows = differences(graph, coarse, x)
    by_name = {row.layer: row for row in rows}
    assert {"r", "r.sums", "r.gates", "r.candidate", "r.c", "r.h", "fc"} <= set(by_name)
    assert by_name["r.candidate"].snr_db + 6 < by_name["r.sums"].snr_db
    assert all(0 <= row.worst_sample < 40 for row in rows)


def test_a_scan_survives_a_file(tmp_path):
    graph = calibrate(chain((7, 3), cell("lstm")), x := RNG.normal(0, 1, (50, 7, 3)))
    save_graph(graph, tmp_path / "g.npz")
    loaded = load_graph(tmp_path / "g.npz")
    assert [repr(node) for node in loaded.nodes] == [repr(node) for node in graph.nodes]
    assert np.array_equal(evaluate(loaded, x), evaluate(graph, x))


def test_a_state_that_nothing_rounds_is_refused_by_name():
    node = cell("lstm", exact=True, state_quantizer=None)
    with pytest.raises(
        ExportError, match=r"node 'r' \(Scan\) has no exact integer form: its state 'r\.c' is not rounded"
    ):
        export_graph(chain((6, 3), node), name="p", input_format=INPUT)
    with pytest.raises(ExportError, match=r"its state 'r\.h' is not rounded to a format at each step; use a cell with"):
        export_graph(chain((6, 3), cell("rnn")), name="p", input_format=INPUT)


def test_hardware_names_the_layer():
    exported = export_graph(chain((6, 3), cell("gru", exact=True, name="memory")), name="p", input_format=INPUT)
    with pytest.raises(
        LowerError,
        match=r"layer 'memory': no hardware for Scan \(op 'memory'\) in the parallel and the folded architecture; set",
    ):
        lower_for(exported.program, exported.encode(np.zeros((2, 6, 3))), family="ecp5", clock_mhz=100.0)


def test_bad_scans_and_settings_are_named():
    scan = as_scan(cell("rnn"))
    for change, message in (
        ({"initial": np.zeros(3)}, r"'r' \(Scan\): expected an input \(steps, features\), initial \(4,\)"),
        (
            {"states": ("nowhere",)},
            r"'r' \(Scan\): expected states and an output that are vectors of the body, got nowhere",
        ),
        ({"states": ()}, r"vectors of the body, got no states"),
        ({"initial": np.full(4, np.nan)}, r"'r' \(Scan\): expected finite numbers in initial, got 4 NaN or infinite"),
    ):
        with pytest.raises(ModelError, match=message):
            evaluate(chain((6, 3), dataclasses.replace(scan, **change)), np.zeros((1, 6, 3)))
    with pytest.raises(ConfigError, match=r"state_bits must be 1\.\.14, not 15"):
        Calibration(state_bits=15)
