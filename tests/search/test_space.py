"""The space of a search: keys of the configuration, choices and ranges; each mistake is an error before any trial."""

import random
from typing import Any

import pytest

from gatewright.config import load_config, parse_config
from gatewright.errors import ConfigError
from gatewright.search.space import Choice, Layers, Span, configure, describe, draw, read_space
from gatewright.search.toml import toml_text


def config(space=None, **tables):
    tables = {"name": "t", "data": {"source": "sklearn:iris"}, **tables}
    return parse_config({**tables, "search": {"space": space or {}}})


def dimensions(space=None, **tables) -> dict[str, Any]:
    return {dimension.key: dimension for dimension in read_space(config(space, **tables))}


class Random:
    """Draws like a trial; remembers the names."""

    def __init__(self, seed):
        self.random, self.names = random.Random(seed), []

    def suggest_categorical(self, name, choices):
        self.names.append(name)
        return self.random.choice(choices)

    def suggest_int(self, name, low, high, *, step=1, log=False):
        assert step == 1 or not log
        self.names.append(name)
        return self.random.randrange(low, high + 1, step)

    def suggest_float(self, name, low, high, *, step=None, log=False):
        assert step is None or not log
        self.names.append(name)
        return self.random.uniform(low, high)


def test_the_default_space_lies_around_the_configuration():
    found = dimensions(student={"hidden": [16, 8], "learning_rate": 0.003})
    assert found["student.hidden"] == Layers(key="student.hidden", low=4, high=32, log=True, least=1, most=2)
    assert found["student.weight_bits"] == Span(
        key="student.weight_bits", low=3, high=8, log=False, step=None, whole=True
    )
    assert found["student.learning_rate"].low == pytest.approx(0.001)
    assert found["teacher.hidden"] == Choice(key="teacher.hidden", options=("[128, 64]", "[64, 32]"))
    assert "student.learned.width_rate" not in found


def test_learnt_widths_search_their_cost_instead_of_widths():
    found = dimensions(student={"precision": "learned"})
    assert "student.learned.width_rate" in found
    assert "student.weight_bits" not in found
    both = dimensions({"student.precision": ["fixed", "learned"]})
    assert {"student.learned.width_rate", "student.weight_bits"} <= set(both)


def test_truth_tables_search_their_number_and_nothing_of_weights():
    found = dimensions(student={"precision": "tables", "tables": {"layers": [20, 6]}})
    assert found["student.tables.layers"].options == ("[20, 6]", "[40, 12]", "[80, 24]")
    assert not found.keys() & {"student.hidden", "student.weight_bits", "student.sparsity"}
    both = dimensions({"student.precision": ["fixed", "tables"]})
    assert {"student.tables.layers", "student.hidden", "student.weight_bits"} <= both.keys()


def test_lines_of_layers_are_choices_in_place_of_sizes():
    lines = ["conv 3x3 4", "pool 2"]
    stream = {"hardware": {"architecture": "auto"}}
    own = dimensions(student={"layers": lines}, teacher={"layers": ["conv 3x3 8"]}, **stream)
    assert not own.keys() & {"student.hidden", "teacher.hidden"}
    space = {"student.layers": [lines, ["dense 8"]]}
    assert not dimensions(space, **stream).keys() & {"student.hidden"}
    with pytest.raises(ConfigError, match=r"layer 'conv 3x3': FILTERS is missing"):
        read_space(config({"student.layers": [["conv 3x3"]]}, **stream))


def test_widths_per_layer_keep_the_number_of_layers():
    found = dimensions(student={"hidden": [8, 8], "weight_bits": [4, 4, 6]})["student.hidden"]
    assert (found.least, found.most) == (2, 2)


def test_quoted_keys_and_nested_tables_mean_the_same():
    nested = dimensions(
        {
            "student": {
                "sparsity": {"low": 0.2, "high": 0.4},
                "learned": {"points": [4, 8]},
                "precision": ["learned", "fixed"],
            }
        }
    )
    flat = dimensions(
        {
            "student.sparsity": {"low": 0.2, "high": 0.4},
            "student.precision": ["learned", "fixed"],
            "student.learned.points": [4, 8],
        }
    )
    assert nested == flat


def test_what_a_trial_drew_becomes_its_configuration():
    base = config({"student.precision": ["fixed", "learned"], "distill.temperature": {"low": 1, "high": 4}})
    space = read_space(base)
    for seed in range(20):
        trial = Random(seed)
        values = draw(space, trial, "fixed")
        made = configure(base, values, "trial 0")
        assert list(made.student.hidden) == values["student.hidden"]
        learned = made.student.precision == "learned"
        assert ("student.learned.width_rate" in values) == learned
        assert ("student.weight_bits" in values) == (not learned)
        assert isinstance(values["distill.temperature"], float)
        assert len(set(trial.names)) == len(trial.names)


def test_a_key_with_one_choice_is_fixed_and_not_asked_for():
    base = config({"student.sparsity": [0.7]})
    trial = Random(1)
    assert draw(read_space(base), trial, "fixed")["student.sparsity"] == 0.7
    assert "student.sparsity" not in trial.names


def test_each_dimension_is_described_in_words():
    words = describe(read_space(config({"student.sparsity": {"low": 0.5, "high": 0.75, "step": 0.25}})))
    assert words["student.sparsity"] == "0.5 .. 0.75, step 0.25"
    assert words["student.hidden"] == "1 .. 1 layers of 16 .. 64, logarithmic"
    assert words["student.weight_digits"] == "0 | 1 | 2"


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"student.sparsty": [0.5]}, r"unknown key 'student.sparsty'. Did you mean 'student.sparsity'\?"),
        ({"studnt.sparsity": [0.5]}, r"unknown key 'studnt.sparsity'. Did you mean 'student.sparsity'\?"),
        ({"data.split_seed": [1, 2]}, "unknown key 'data.split_seed'"),
        ({"student.learned": [1]}, "'student.learned' is a table; name one of its keys"),
        ({"student.learned.pionts": [1]}, "Did you mean 'student.learned.points'"),
        ({"student.learned.point": [1]}, "every point of every front is a candidate; take it out"),
        ({"hardware.clock_mhz": [100, 200]}, "cannot be searched: a search has one budget"),
        ({"student.learned.points": [4]}, "is read with student.precision 'learned' only, which this search never has"),
        ({"student.sparsity": []}, "choices must not be empty"),
        ({"student.sparsity": 0.5}, r"must be a list of choices or a range .*, not 0.5; to fix the key write \[0.5\]"),
        ({"student.sparsity": {"low": 0.5}}, "high must be a number, not None"),
        ({"student.sparsity": {"low": 0.5, "high": 0.2}}, "low must not exceed high, not 0.5 > 0.2"),
        (
            {"student.sparsity": {"low": 0.5, "high": 0.7, "lgo": True}},
            "unknown key 'lgo' of a range. Did you mean 'lo.'",
        ),
        ({"student.sparsity": {"low": 0, "high": 0.7, "log": True}}, "low must be above 0 in a logarithmic range"),
        ({"student.sparsity": {"low": 0.1, "high": 0.7, "log": True, "step": 0.1}}, "log or step, not both"),
        ({"student.sparsity": {"low": 0.1, "high": 0.7, "step": 0}}, "step must be above 0, not 0"),
        ({"student.sparsity": {"low": 0.5, "high": 1.5}}, "student.sparsity: input should be less than 1, not 1.5"),
        ({"student.weight_bits": {"low": 4, "high": 99}}, "student.weight_bits: input should be less than or equal"),
        ({"student.weight_bits": {"low": 4, "high": 8, "step": 0.5}}, "step must be a whole number"),
        (
            {"student.precision": ["fixed", "leanred"]},
            "input should be 'fixed', 'learned' or 'tables'",
        ),
        ({"student.hidden": {"low": 0, "high": 8}}, "greater than or equal to 1, not 0"),
        ({"student.hidden": {"low": 4.5, "high": 8}}, "layer sizes must be whole numbers"),
        ({"student.hidden": {"low": 4, "high": 8, "layers": [2, 1]}}, "layers must be .* not .2, 1."),
        ({"student.sparsity": {"low": 0.1, "high": 0.2, "layers": [1, 2]}}, "only hidden has layers"),
        ({"student.weight_bits": {"low": True, "high": 8}}, "low must be a number, not True"),
    ],
)
def test_a_wrong_space_is_an_error_that_names_key_and_remedy(space, says):
    with pytest.raises(ConfigError, match=says):
        read_space(config(space))


def test_settings_that_do_not_go_together_name_their_trial():
    base = config()
    with pytest.raises(ConfigError, match=r"trial 3: student: prune_start must not exceed prune_end"):
        configure(base, {"student.prune_start": 0.9, "student.prune_end": 0.1}, "trial 3")


@pytest.mark.parametrize("example", ["cosmic/cosmic.toml", "cosmic/search.toml", "digits/digits.toml"])
def test_a_configuration_comes_back_from_its_toml(root, tmp_path, example):
    before = load_config(root / "examples" / example)
    (tmp_path / "c.toml").write_text(toml_text(before, "two\nlines"))
    after = load_config(tmp_path / "c.toml")
    assert after.model_dump(exclude={"search"}) == before.model_dump(exclude={"search"})


def test_odd_strings_and_values_come_back_from_their_toml(tmp_path):
    odd = config(
        data={"source": "sklearn:iris", "label_column": 'a "b"\\ \n\x7f é', "image_size": [3, 4], "group_key": ""},
        student={"hidden": [3, 2], "weight_bits": [4, 5, 6], "learned": {"width_rate": 1e-07, "points": 4}},
        hardware={"output": "threshold", "threshold": [0.5, -1.0]},
    )
    (tmp_path / "c.toml").write_text(toml_text(odd, ""))
    assert load_config(tmp_path / "c.toml").model_dump(exclude={"search"}) == odd.model_dump(exclude={"search"})
