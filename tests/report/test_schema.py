"""The schema of results.json: accepts real results, names what breaks it, agrees with a full implementation."""

from __future__ import annotations

import copy
from typing import get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import GatewrightError
from gatewright.ir import OutputKind
from gatewright.report.hardware import design_facts
from gatewright.report.schema import markdown_table, problems, results_schema, rows, validate_results
from tests.report.sample import classification, regression

OUTPUTS = " or ".join(f'"{kind}"' for kind in get_args(OutputKind))
REFERENCE = jsonschema.Draft202012Validator(results_schema())

# The keys that issue 2 asks for, and that scripts may rely on.
PROMISED = (
    "teacher.test_accuracy",
    "student.test_accuracy",
    "student.parameters",
    "student.sparsity",
    "hardware.vectors",
    "hardware.mismatches",
    "hardware.latency_cycles",
    "hardware.initiation_interval",
    "estimate.lut",
    *(f"synthesis.<family>.{key}" for key in ("lut", "ff", "dsp", "bram", "fmax_mhz")),
    "bitstream",
)


def test_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(results_schema())


@pytest.mark.parametrize("results", [classification(), regression()], ids=["classification", "regression"])
def test_real_results_pass(results):
    validate_results(results)
    jsonschema.validate(results, results_schema())


def test_promised_keys_are_in_the_schema():
    assert set(PROMISED) <= {key for key, _, _ in rows()}


def test_every_key_has_a_meaning():
    assert [key for key, _, text in rows() if not text] == []


def test_documentation_lists_the_schema(root):
    assert markdown_table() in (root / "docs" / "results.md").read_text(), (
        "docs/results.md: replace its table by the text of gatewright.report.schema.markdown_table()"
    )


@pytest.mark.parametrize("kind", get_args(OutputKind))
def test_every_output_kind_has_results_words_and_a_row_of_the_manual(kind, root):
    results = set_in(classification(), "hardware.output", kind)
    validate_results(results)
    assert dict(design_facts(results))["Output"]
    assert f"| `{kind}` |" in (root / "docs" / "outputs.md").read_text()


def set_in(results: dict, path: str, value: object) -> dict:
    """Return a copy with one key replaced, or removed where value is Ellipsis."""
    changed = copy.deepcopy(results)
    *parents, last = path.split(".")
    place = changed
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("student.sparsity", 1.5, "results.student.sparsity: expected at most 1, got 1.5"),
        ("hardware.vectors", "many", "results.hardware.vectors: expected integer, got 'many'"),
        ("hardware.vectors", -1, "results.hardware.vectors: expected at least 0, got -1"),
        ("hardware.vectors", True, "results.hardware.vectors: expected integer, got True"),
        ("hardware.clock_mhz", 0, "results.hardware.clock_mhz: expected more than 0, got 0"),
        ("hardware.output", "best", f"expected {OUTPUTS}, got"),
        ("config_hash", "zz", "results.config_hash: expected text like ^[0-9a-f]{8,64}$, got 'zz'"),
        ("estimate.lut", ..., "results.estimate.lut: required and absent"),
        ("student.acuracy", 0.9, "results.student.acuracy: not a key of the schema."),
        ("synthesis.xc7.luts", 3, "results.synthesis.xc7.luts: not a key of the schema. Did you mean 'lut'?"),
        ("teacher.test_accuracy", ..., "results.teacher: expected one of test_accuracy | test_rmse"),
        ("student.layers.0.bits", None, "results.student.layers[0].bits: expected integer, got None"),
        ("student.confusion", [[1, 2.5]], "results.student.confusion[0][1]: expected integer, got 2.5"),
        ("student.test_accuracy", float("nan"), "results.student.test_accuracy: expected at least 0, got nan"),
    ],
)
def test_a_broken_key_is_named(path, value, message):
    with pytest.raises(GatewrightError) as caught:
        validate_results(set_in(classification(), path, value))
    assert message in str(caught.value)


PATHS = [
    "name",
    "seed",
    "data.samples.test",
    "teacher.parameters",
    "student.sparsity",
    "student.layers.0.shape",
    "hardware.output",
    "synthesis.ecp5.fmax_mhz",
    "synthesis.ecp5.core",
    "tool_versions.torch",
    "bitstream",
    "board",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([-0.5, 0.25, 1.75]),
    st.sampled_from(["", "argmax", "ab12cd34"]),
    st.lists(st.integers(-1, 2), max_size=2),
    st.dictionaries(st.sampled_from(["lut", "other"]), st.integers(-1, 2), max_size=2),
    st.just(...),
)


@given(path=st.sampled_from(PATHS), value=VALUES)
def test_our_validator_agrees_with_jsonschema(path, value):
    results = set_in(classification(), path, value)
    assert bool(list(problems(results))) == (not REFERENCE.is_valid(results))
