"""A model against its framework, which a fake interpreter plays: agreement, each kind of difference, what is absent."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import MismatchError, ToolError
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate
from gatewright.importers import load_model
from gatewright.importers.samples import random_samples
from gatewright.importers.verify import compare, verify_model
from tests.graphs import chain, dense, quantizer

pytest.importorskip("onnx")
FAKE = """#!{python}
import json, sys
import numpy as np
(request,) = json.load(open(sys.argv[2]))
x = np.load(request["inputs"])["x"]
{body}
"""


@pytest.fixture
def model(tmp_path):
    """A dense layer of eighths: exact in float32 on samples of eighths."""
    from tests.importers.onnx_models import node, save

    weight = np.array([[0.5, -1.25], [0.125, 2.0], [-0.75, 0.25]], np.float32)
    path = save(tmp_path / "m.onnx", [node("MatMul", "w")], (3,), {"w": weight})
    np.save(tmp_path / "w.npy", weight)
    return path


def fake(model, answer):
    """Return an interpreter that answers with this expression of x and w."""
    script = model.with_name("python-fake")
    body = f"w = np.load({str(model.with_name('w.npy'))!r})\nnp.savez(request['answer'], **{answer})"
    script.write_text(FAKE.format(python=sys.executable, body=body))
    script.chmod(0o755)
    return str(script)


def call(*words):
    return CliRunner().invoke(main, ["verify", *map(str, words)])


def test_a_float_model_agrees_within_the_tolerance(model):
    result = call(model, "--python", fake(model, "{'output': (x @ w) * (1 + 9e-6)}"))
    assert result.exit_code == 0, result.output
    assert "data: 1000 random samples, normal" in result.output
    assert "program: none: the model is not quantized" in result.output
    assert "agrees with onnxruntime" in result.output
    tighter = call(model, "--tolerance", 1e-6, "--python", fake(model, "{'output': (x @ w) * (1 + 9e-6)}"))
    assert tighter.exit_code == 2
    assert "within 1e-06 of the greatest" in tighter.output


def test_a_quantized_model_agrees_exactly_or_not_at_all(model):
    right = verify_model(model, input_format=Fixed.parse("fixed<8,4>"), python=fake(model, "{'output': x @ w}"))
    assert [(row.exact, row.equal, row.samples) for row in right.rows] == [(True, 1000, 1000)]
    assert right.program.endswith("ops (scores), equal to the model on 1000 samples")
    off = "y = x @ w\ny[17, 1] += 2.0**-20\nnp.savez(request['answer'], output=y)\nraise SystemExit"
    wrong = fake(model, "{}")
    script = model.with_name("python-fake")
    script.write_text(script.read_text().replace("np.savez(request['answer'], **{})", off))
    x = np.rint(np.random.default_rng(1).normal(size=(40, 3)) * 16) / 16
    np.save(model.with_name("x.npy"), x)
    data = ("--data", model.with_name("x.npy"), "--input-format", "fixed<8,4>")
    result = call(model, *data, "--python", wrong)
    assert result.exit_code == 2
    y = evaluate(load_model(model), x)[17, 1]
    assert "sample 17, element 1: expected" in result.output
    assert f"of the reference exactly (==), got {y}; 1 of 40 samples differ" in result.output


def test_many_values_are_compared_in_batches(model, monkeypatch):
    # 3 inputs, their codes and 2 outputs are 8 values a sample
    monkeypatch.setattr("gatewright.importers.verify.BATCH_VALUES", 70)
    seen = []
    settings = {"input_format": Fixed.parse("fixed<8,4>"), "samples": 20}
    done = verify_model(model, python=fake(model, "{'output': x @ w}"), progress=seen.append, **settings)
    assert seen == [8, 8, 4]
    assert [(row.exact, row.equal, row.samples) for row in done.rows] == [(True, 20, 20)]
    assert done.program.endswith("equal to the model on 20 samples")
    late = "{'output': x @ w + (len(x) == 4) * np.ones((1, 2))}"
    with pytest.raises(MismatchError, match=r"in the batch from sample 16 on: .* sample 0, element 0: expected"):
        verify_model(model, python=fake(model, late), **settings)


def test_a_quantizer_with_a_real_step_is_exact_in_float32():
    graph = chain((2,), dense("fc", np.eye(2)), quantizer("q", 0.1, -8, 7), name="net")
    x, said = random_samples(graph, 50)
    assert said.startswith("50 random samples, normal")
    expected = evaluate(graph, x, precision="single").astype(np.float32)
    assert compare(graph, x, {"q": expected})[0].exact
    expected[3, 0] = np.nextafter(expected[3, 0], np.float32(9))
    with pytest.raises(MismatchError, match=r"node 'q' .* sample 3, element 0: expected .* exactly"):
        compare(graph, x, {"q": expected})
    with pytest.raises(MismatchError, match="expected nan"):
        compare(graph, x, {"fc": np.full((50, 2), np.nan)})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("{'missing': np.array('onnxruntime')}", "Python package 'onnxruntime' is not installed for"),
        ("{'missing': np.array('qonnx')}", "--python or GATEWRIGHT_REFERENCE_PYTHON, or run: PYTHON -m pip"),
        ("{'error': np.array('Fail: no such op')}", "onnxruntime itself fails on"),
        ("{'output': x}", "expected (1000, 2) values of the reference, got (1000, 3)"),
        ("{'output': (x @ w).ravel()}", "got (2000,)"),
        ("{'q:other': x, 'output': x @ w}", "gave a result 'other'; the graph has no such node"),
        ("{}", "lacks 'output'"),
        ("{'output': np.array([{}], dtype=object)}", "Object arrays cannot be loaded"),
    ],
)
def test_what_the_reference_may_do_wrong(model, answer, message):
    result = call(model, "--python", fake(model, answer))
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")


def test_bad_input_is_one_line(model, monkeypatch):
    assert "is no program that can be run" in call(model, "--python", "/no/python").output
    monkeypatch.setenv("GATEWRIGHT_REFERENCE_PYTHON", "/no/other")
    result = call(model)
    assert result.exit_code == 2
    assert "'/no/other' is no program" in result.output
    assert "with onnxruntime or qonnx, not with 'keras'" in call(model, "--against", "keras").output
    assert "tolerance must be" in call(model, "--tolerance", -1).output
    assert "samples must be at least 1, not 0" in call(model, "--samples", 0).output
    np.save(model.with_name("x.npy"), np.full((2, 3), np.nan))
    assert "finite numbers" in call(model, "--data", model.with_name("x.npy")).output


def test_an_interpreter_that_crashes_shows_its_last_words(model):
    script = model.with_name("python-fake")
    script.write_text(FAKE.format(python=sys.executable, body="raise SystemExit('out of luck')"))
    script.chmod(0o755)
    with pytest.raises(ToolError, match="out of luck"):
        verify_model(model, python=str(script))


@pytest.mark.slow
def test_the_real_worker_in_an_interpreter_with_onnxruntime(model):
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install -e '.[dev]'")
    assert verify_model(model, python=sys.executable).rows[0].max_difference < 1e-5


@pytest.mark.torch
def test_a_pickled_sequential_agrees_with_torch(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "m.pt"
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)), path)
    done = verify_model(path, samples=100)
    assert (done.against, done.rows[0].samples) == ("torch", 100)
    assert done.rows[0].max_difference < 1e-5
    assert "torch runs in this interpreter" in call(path, "--python", sys.executable).output


def spoken(folder, nodes, constants, shape, answer, kind=None):
    """A model and a fake interpreter that answers with this expression of x and w."""
    from onnx import TensorProto, load
    from onnx import save as write

    from tests.importers.onnx_models import save

    path = save(folder / "m.onnx", nodes, shape, constants)
    if kind is not None:
        made = load(path)
        for value in (*made.graph.input, *made.graph.output):
            value.type.tensor_type.elem_type = getattr(TensorProto, kind)
        write(made, path)
    np.save(folder / "w.npy", constants["w"])
    return path, fake(path, answer)


@pytest.mark.parametrize("axis", [1, -1])
def test_a_log_softmax_that_the_import_leaves_out_is_compared_all_the_same(tmp_path, axis):
    from tests.importers.onnx_models import chain as steps

    w = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    nodes = steps(("MatMul", ["w"], {}), ("Reshape", ["s"], {}), ("LogSoftmax", [], {"axis": axis}))
    constants = {"w": w, "s": np.array([0, 2, 3])}
    scores = f"(lambda s: {{'output': s - np.log(np.exp(s).sum({axis}, keepdims=True))}})((x @ w).reshape(-1, 2, 3))"
    path, right = spoken(tmp_path, nodes, constants, (4,), scores)
    graph = load_model(path)
    assert graph.metadata is not None
    assert graph.metadata["left_out"] == ["log_softmax", axis % 3]
    (note,) = graph.notes
    assert note.endswith("left out: the graph gives the scores before it, which have the same order")
    (row,) = verify_model(path, python=right, samples=50).rows
    assert (row.exact, row.samples) == (False, 50)
    assert row.max_difference < 1e-5
    with pytest.raises(MismatchError, match=r"expected .* of the reference within"):
        verify_model(path, python=fake(path, "{'output': x @ w}"), samples=50)


@pytest.mark.parametrize(("kind", "name", "tolerance"), [("DOUBLE", "float64", 1e-5), ("FLOAT16", "float16", 2**-9)])
def test_inputs_of_other_types_are_given_in_them_and_compared_as_they_round(tmp_path, kind, name, tolerance):
    from tests.importers.onnx_models import node

    w = np.random.default_rng(0).normal(size=(4, 3)).astype(name)
    answer = "{'output': (x.astype(w.dtype) @ w)}"
    path, right = spoken(tmp_path, [node("MatMul", "w")], {"w": w}, (4,), answer, kind)
    x = np.random.default_rng(1).normal(size=(30, 4))
    done = verify_model(path, x, python=right)
    assert done.rows[0].max_difference <= tolerance * done.rows[0].largest
    said = "30 given samples, rounded to float16, in which the model computes: results agree within 0.00195312"
    assert done.data == (said if name == "float16" else "30 given samples")
    graph = load_model(path)
    assert graph.metadata is not None
    assert graph.metadata["input_type"] == name
    assert f"the model computes in {name}, of which every result here is the real number" in graph.notes[0]
    wrong = fake(path, "{'output': (x.astype(w.dtype) @ w) * w.dtype.type(1.05)}")
    with pytest.raises(MismatchError):
        verify_model(path, x, python=wrong)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16"])
def test_onnxruntime_itself_on_inputs_of_each_type(tmp_path, kind):
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install -e '.[dev]'")
    from tests.importers.onnx_models import chain as steps

    w = np.ones((4, 3), {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2"}[kind])
    path, _ = spoken(tmp_path, steps(("Gemm", ["w"], {}), ("LogSoftmax", [], {})), {"w": w}, (4,), "{}", kind)
    assert verify_model(path, samples=20, python=sys.executable).rows[0].samples == 20


def test_whole_inputs_get_whole_samples(tmp_path):
    from tests.importers.keras_files import layer, sequential, write_h5

    made = sequential(layer("Flatten", "f"), shape=(3,))
    made["config"]["layers"][0]["config"]["dtype"] = "uint8"
    path = write_h5(tmp_path / "m.h5", made, {})
    np.save(tmp_path / "w.npy", np.zeros(0))
    script = fake(path, "{'y': np.trunc(x), 'last': np.array('f')}")
    done = verify_model(path, np.array([[0.4, 2.6, 300.0], [-1.0, 7.0, 8.5]]), python=script)
    assert done.data == "2 given samples, rounded to uint8"
    assert done.rows[0].equal == 2


def test_a_difference_names_its_likely_cause():
    x = np.rint(np.random.default_rng(1).normal(size=(8, 2)) * 16) / 16
    on_grid = chain(
        (2,), quantizer("q", 1 / 16, -128, 127), dense("fc", np.eye(2)), quantizer("r", 0.1, -8, 7), name="n"
    )
    wrong = evaluate(on_grid, x, precision="single").astype(np.float32) + 1
    with pytest.raises(MismatchError, match="Its scales are no powers of two: a value near the middle between two"):
        compare(on_grid, x, {"r": wrong})
    with pytest.raises(MismatchError, match="Data finer than the model's input format are rounded differently"):
        compare(on_grid, x / 3, {"r": wrong})
    told = ". Keras ran on torch"
    with pytest.raises(MismatchError, match=r"8 of 8 samples differ. Report the model. Keras ran on torch$"):
        compare(on_grid, x, {"fc": wrong}, told=told)


def test_a_choice_that_no_program_makes_is_compared_all_the_same(tmp_path):
    """The last of equal scores: the graph names it, hardware names the first; the model stays comparable."""
    from tests.importers.onnx_models import chain as steps

    codes = [("QuantizeLinear", ["s"], {}), ("DequantizeLinear", ["s"], {})]
    nodes = steps(*codes, ("ArgMax", [], {"axis": 1, "select_last_index": 1}))
    constants = {"s": np.float32(1), "w": np.zeros(0)}
    path, right = spoken(tmp_path, nodes, constants, (3,), "{'output': np.array([[2.0], [1.0]])}")
    done = verify_model(path, np.array([[0.0, 0.0, 0.0], [1.0, 3.0, 2.0]]), python=right)
    assert [(row.exact, row.equal) for row in done.rows] == [(True, 2)]
    assert done.program.startswith("none: program 'm', op")
    assert "ArgMax may only be the output" in done.program
    assert "no program does: leave select_last_index out to make one" in load_model(path).notes[0]
