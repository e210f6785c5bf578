"""The page of every key and the JSON schema are those of the configuration that is read."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import gatewright
from gatewright.chips import PARTS
from gatewright.cli.main import main
from gatewright.config.reference import page, schema
from gatewright.deploy import BOARDS

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").rglob("*.toml"))


def test_the_page_is_made_of_the_schema():
    made = page()
    assert (ROOT / "docs" / "reference.md").read_text() == made, (
        "docs/reference.md: write gatewright.config.reference.page() to it"
    )
    for row in (
        "| `weight_bits` | whole number, from 1 to 32 or list: whole number, from 1 to 32 | `6` |",
        '| `missing` | `"error"`, `"drop"`, `"mean"` | `"error"` |',
        "| `max_lut` | whole number, from 0 to 2,147,483,647 | `none` |",
        "| `validation_fraction` | number, from 0 below 1 | `0.15` |",
        "## `[search.budget]`",
    ):
        assert row in made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_keep_the_schema_and_a_misspelt_key_does_not(path: Path):
    assert path.read_text().startswith("#:schema ../schema.json\n"), "an editor then completes its keys"
    kept = (ROOT / "examples" / "schema.json").read_text()
    assert json.loads(kept) == schema(), "gatewright schema > examples/schema.json"
    checker = jsonschema.Draft202012Validator(schema())
    tables = tomllib.loads(path.read_text())
    assert not list(checker.iter_errors(tables))
    wrong = {**tables, "student": {**tables.get("student", {}), "weight_bit": 5}}
    assert [error.validator for error in checker.iter_errors(wrong)] == ["additionalProperties"]


def test_every_public_name_has_its_place_in_the_manual():
    told = re.findall(r"^\.\. auto\w+:: (?:gatewright\.)?(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert set(gatewright.__all__) - set(told) == {"GatewrightError"}  # with its children, by their module


def test_lists_for_programs():
    def said(*words: str) -> Any:
        return json.loads(CliRunner().invoke(main, list(words), catch_exceptions=False).stdout)

    assert [row["name"] for row in said("parts", "--json")] == list(PARTS)
    assert [row["name"] for row in said("boards", "--json")] == list(BOARDS)
    assert "hardware" in said("schema")["properties"]
    assert "XC7A35T" in CliRunner().invoke(main, ["parts"]).stdout
    assert "ulx3s_25f" in CliRunner().invoke(main, ["boards"]).stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run a.toml --until s", ["student", "sim", "synth"]),
        ("estimate net.txt --part xc7a", ["XC7A35T", "XC7A100T"]),
        ("init a.csv --board ulx3s_2", ["ulx3s_25f"]),
        ("run a.toml --set student.sp", ["student.sparsity="]),
        ("run a.toml --set data.scaling=", ["data.scaling=none", "data.scaling=range", "data.scaling=standard"]),
        ("search a.toml --set hardware.board=ulx3s_2", ["hardware.board=ulx3s_25f"]),
    ],
)
def test_the_shell_completes(line: str, words: list[str]):
    *before, begun = line.split()
    offered = ShellComplete(main, {}, "gatewright", "_GATEWRIGHT_COMPLETE").get_completions(before, begun)
    assert [item.value for item in offered] == words
