"""Any value in any field: a valid configuration, or a ConfigError that names the field; never anything else."""

from __future__ import annotations

import datetime as dt
import json
import types
from collections.abc import Callable
from typing import Any, get_args, get_origin

import annotated_types
import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from pydantic import BaseModel

from gatewright.config import Config, Section, load_config, override, parse_config
from gatewright.config.plain import DEPTH, MOST_TEXT
from gatewright.errors import ConfigError, GatewrightError
from gatewright.search.space import read_space
from gatewright.search.toml import _key, _value

HUGE = [2**63 - 1, 2**63, -(2**63) - 1, 10**400, -(10**4000), 2**31, 65_537, -1, 0, 1]
REALS = [float("inf"), -float("inf"), float("nan"), 1e308, -1e308, 5e-324, 0.0, -0.0, 1e12, 0.5]
TEXTS = ["", "\0", "\ud800", "a" * (MOST_TEXT + 1), "a" * 300, "../..", "9" * 5000, "nan", "auto", "python:", ":", "~"]
DATES = [dt.date(2024, 1, 1), dt.time(1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]

scalars = (
    st.sampled_from([*HUGE, *REALS, *TEXTS, *DATES])
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=20)
    | st.none()
)
names = st.text(max_size=6) | st.sampled_from(["low", "high", "student.sparsity"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["low", "high"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def tables(section: type[BaseModel]) -> list[tuple[str, Any]]:
    """Return every key with its type, those of inner tables as well."""
    found: list[tuple[str, Any]] = []
    for name, field in section.model_fields.items():
        inner = [
            t for t in (field.annotation, *get_args(field.annotation)) if isinstance(t, type) and issubclass(t, Section)
        ]
        found.append((name, field))
        found += [(f"{name}.{key}", kind) for key, kind in (tables(inner[0]) if inner else [])]
    return found


KEYS = dict(tables(Config))


def base(key: str) -> dict[str, Any]:
    raw: dict[str, Any] = {"name": "a", "data": {"source": "sklearn:iris"}}
    return {**raw, "model": {"file": "m.onnx"}} if key.startswith("model.") else raw


def put(raw: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *path, last = key.split(".")
    table = raw
    for part in path:
        table = table.setdefault(part, {})
    table[last] = value
    return raw


def names_it(text: str, key: str) -> bool:
    """Whether an error speaks of a key: by its name, that of its table, or a value that only it has."""
    return all(line.startswith("a.toml: ") for line in text.splitlines()) and (
        key in text or key.rsplit(".", maxsplit=1)[-1] in text or (key == "task" and "regression" in text)
    )


def refusal(call: Callable[[], object]) -> str:
    """Return the text of the ConfigError that a call raises; "" where it raises none."""
    try:
        call()
    except ConfigError as error:
        return str(error) or "a refusal without a word"
    return ""


@given(key=st.sampled_from(sorted(KEYS)), value=values)
@example(key="search.space", value={"student.sparsity": [dt.date(2024, 1, 1)]})
@example(key="data.source", value="a/" + "b" * 300)
@example(key="model.precision", value={"a": [10**4000]})
@example(key="hardware", value=[])
def test_any_value_in_any_field(key, value):
    raw = put(base(key), key, value)
    said = refusal(lambda: parse_config(raw, where="a.toml"))
    if said:
        assert names_it(said, key), said
        assert len(said) < 5000
        return
    config = parse_config(raw)
    said = refusal(lambda: read_space(config))
    assert not said or "search.space" in said
    assert parse_config(config.model_dump(mode="json")) == config


ranges = st.fixed_dictionaries({}, optional=dict.fromkeys(("low", "high", "log", "step", "layers"), scalars))


@given(space=st.dictionaries(st.sampled_from(sorted(KEYS)), values | st.lists(scalars) | ranges, max_size=3))
@example(space={"student.precision": 3})
@example(space={"student.precision": [["fixed"]]})
@example(space={"student.hidden": {"low": 1, "high": 2, "layers": [1, 2**40]}})
@example(space={"student.sparsity": {"low": 0, "high": 0.5, "step": 1e-300}})
def test_any_search_space(space):
    raw = {**base(""), "search": {"space": space}}
    said = refusal(lambda: read_space(parse_config(raw)))
    assert not said or "search.space" in said


@given(key=st.sampled_from(sorted(KEYS)), value=values)
def test_any_value_in_a_file(key, value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "a.toml"
    try:
        path.write_text("".join(f"{_key(k)} = {_value(v)}\n" for k, v in put(base(key), key, value).items()))
    except (AssertionError, ValueError):  # TOML has no null and no half of a pair
        return
    said = refusal(lambda: load_config(path))
    assert not said or str(path) in said


@given(text=st.text(max_size=60), setting=st.text(max_size=30), suffix=st.sampled_from([".toml", ".json"]))
@example(text="a = " + "9" * 5000, setting="a=" + "9" * 5000, suffix=".toml")
@example(text="[" * 100_000, setting="seed=" + "[" * 100_000, suffix=".toml")
@example(text="a = " + "[" * 100_000, setting="a." * 10_000 + "b=1", suffix=".toml")
@example(text="[" * 100_000, setting="seed", suffix=".json")
@example(text='{"seed": ' + "9" * 5000 + "}", setting="=", suffix=".json")
@example(text="[]", setting="data=3", suffix=".json")
@example(text='{"name": "\\ud800", "data": {"source": "x"}}', setting="seed=1", suffix=".json")
@example(text='{"name": "a", "seed": NaN, "data": {"source": "x"}}', setting="seed=nan", suffix=".json")
def test_any_text(text, setting, suffix, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_text(text, encoding="utf-8", errors="replace")
    assert refusal(lambda: load_config(path)), "no text this short is a configuration"
    assert refusal(lambda: load_config(path, [setting]))
    raw: dict[str, Any] = {"name": "a", "data": {"source": "sklearn:iris"}}
    said = refusal(lambda: override(raw, setting)) or refusal(lambda: parse_config(raw))
    assert len(said) < 5000


@pytest.mark.parametrize(
    ("root", "rest", "said"),
    [
        ("seed = " + "9" * 5000, "", "is not valid TOML: line 2 holds a number of more than 4,300 digits"),
        ("seed = " + "[" * 5000, "", f"nested too deeply: at most {DEPTH} lists and tables in each other"),
        ("seed = 9223372036854775808", "", "seed: whole numbers must lie within 64 bits, not 9223372036854775808"),
        ("seed = -1", "", "seed: input should be greater than or equal to 0, not -1"),
        ("", "[teacher]\nlearning_rate = inf", "teacher.learning_rate: numbers must be finite, not inf"),
        (
            "",
            "[teacher]\nlearning_rate = 1e300",
            "learning_rate: input should be less than or equal to 1000000, not",
        ),
        ("", "[teacher]\nhidden = [65536, 65536]", "teacher.hidden asks for 4,294,967,296 weights between its layers"),
        ("", "[search.space]\nx = 2024-01-01", "search.space.x: must be a text, a number, true or false, a list or"),
        ("", "[search.space]\n" + ".".join("a" * 20) + " = 1", f"must not be nested more than {DEPTH} deep"),
        ("", "labels = '" + "x" * 300 + "'", "data.labels: a file's name has at most 255 bytes, not 'xxx"),
        ("", 'labels = "a\\u0000b"', "data.labels: texts must not hold NUL"),
    ],
)
def test_what_is_said(tmp_path, root, rest, said):
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\n{root}\n[data]\nsource = "sklearn:iris"\n{rest}\n')
    with pytest.raises(ConfigError, match=r"a\.toml") as caught:
        load_config(path)
    assert said in str(caught.value)


def test_a_number_that_python_does_not_print():
    """Hypothesis neither, so it is no example above."""
    for raw in ({"seed": 10**5000}, {"search": {"space": {"a": [10**5000]}}}):
        with pytest.raises(
            ConfigError, match="whole numbers must lie within 64 bits, not a number of about 5,000 digits"
        ):
            parse_config({"name": "a", "data": {"source": "sklearn:iris"}, **raw})


def bounds(kind: Any, metadata: tuple[Any, ...]) -> list[str]:
    """Return which bounds a number, or the numbers in a list, or a list's length, has not."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is types.UnionType:
        return [found for part in get_args(kind) for found in bounds(part, ())]
    if hasattr(kind, "__metadata__"):
        return bounds(kind.__origin__, (*kind.__metadata__, *metadata))
    flat = [item for entry in metadata for item in (getattr(entry, "metadata", None) or [entry])]
    if kind in (int, float):
        low = any(isinstance(item, annotated_types.Ge | annotated_types.Gt) for item in flat)
        high = any(isinstance(item, annotated_types.Le | annotated_types.Lt) for item in flat)
        return ["least"] * (not low) + ["greatest"] * (not high)
    if get_origin(kind) is tuple:
        return [found for part in get_args(kind) if part is not ... for found in bounds(part, ())]
    return []


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_number_of_the_schema_has_a_least_and_a_greatest_value(key):
    field = KEYS[key]
    assert bounds(field.annotation, tuple(field.metadata)) == []


def test_json_of_a_run_with_tables_that_are_none(tmp_path):
    path = tmp_path / "config.json"
    for raw, said in (
        ([], "must hold tables"),
        ({"data": 3}, "data: input should be a"),
        ({"name": "a"}, "'data' is required"),
    ):
        path.write_text(json.dumps(raw))
        with pytest.raises(GatewrightError, match=said):
            load_config(path)
    path.write_text(json.dumps({"name": "a", "search": 3, "data": {"source": "x"}}))
    with pytest.raises(ConfigError, match="search: input should be a table, not 3"):
        load_config(path, (), {"search": {"trials": 3}})
