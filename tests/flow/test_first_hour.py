"""What a new user meets first: quick commands, missing extras named before any work, defaults, plain texts."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright import load_config, load_program, run
from gatewright.chips import part
from gatewright.cli.main import main
from gatewright.config import parse_config
from gatewright.data import load_dataset
from gatewright.data.auto_format import auto_format
from gatewright.errors import ConfigError, FormatError, MissingToolError, nearest
from gatewright.flow.advice import advice, rises
from gatewright.flow.lowering import cost_as_built
from tests.programs import codes, mlp

IRIS = {"name": "iris", "data": {"source": "sklearn:iris", "input_format": "auto"}}


def loaded_by(*words: str, folder: Path) -> set[str]:
    """Return the modules that a command has imported, in a process of its own."""
    code = (
        "import sys, json\nfrom gatewright.cli.main import main\n"
        f"main({list(words)!r}, standalone_mode=False)\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_no_library_and_data_only_those_that_read_it(tmp_path: Path):
    heavy = {"torch", "scipy", "sklearn", "matplotlib", "optuna"}
    assert not loaded_by("--help", folder=tmp_path) & {*heavy, "numpy", "pandas", "pydantic"}
    rows = "".join(f"{i},{i * i},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("x,y,kind\n" + rows)
    (tmp_path / "t.toml").write_text(
        'name = "t"\n[data]\nsource = "t.csv"\nlabel_column = "kind"\ninput_format = "auto"'
    )
    assert not loaded_by("data", "t.toml", folder=tmp_path) & heavy


def test_all_that_is_missing_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatewright.tools.extras.find_spec", lambda _: None)
    monkeypatch.setattr("gatewright.synth.yosys.importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingToolError) as caught:
        run(parse_config(IRIS), tmp_path / "out")
    text = str(caught.value)
    assert "`--until STAGE` stops before, e.g. at data" in text
    assert (
        "stage teacher: training needs the package torch, which is not installed; pip install 'gatewright[fit]'" in text
    )
    assert "synthesis needs yosys, which is not installed" in text
    assert not (tmp_path / "out").exists()
    assert run(parse_config(IRIS), str(tmp_path / "out"), until="data").ran == ("data",)  # needs none of them


def test_a_missing_data_file_is_told_before_the_model_is_read(tmp_path: Path):
    raw = {"name": "a", "data": {"source": "gone.csv"}, "model": {"file": "gone.onnx"}}
    with pytest.raises(Exception, match=r"data\.source .*gone\.csv does not exist"):
        run(parse_config(raw, base=tmp_path), tmp_path / "out")


def test_texts_serve_as_paths_and_a_byte_order_mark_is_no_fault(tmp_path: Path):
    file = tmp_path / "x.toml"
    file.write_text('name = "x"\n[data]\nsource = "sklearn:iris"\n', encoding="utf-8-sig")
    assert load_config(str(file)) == load_config(file)
    assert load_config(str(file)).name == "x"
    with pytest.raises(Exception, match="cannot read program p: "):
        load_program("p")


def test_a_clock_to_be_chosen_costs_what_no_clock_can_keep():
    program = mlp((8, 10, 4), seed=3, output="scores")
    hardware = {"clock_mhz": 0, "max_latency_cycles": 1, "max_latency_ns": 1.0}
    raw = {"name": "a", "data": {"source": "x.csv"}, "hardware": hardware}
    assert cost_as_built(program, codes(program, 64), parse_config(raw), part("XC7A35T")).lut > 0
    with pytest.raises(ConfigError, match='clock_mhz must be above 0 with architecture "folded"; give a clock'):
        parse_config({**raw, "hardware": {**hardware, "architecture": "folded"}})


def test_a_regression_needs_no_settings_and_takes_several_targets(tmp_path: Path):
    lines = [f"{i},{i % 7},{2 * i},{i / 2}" for i in range(80)]
    (tmp_path / "r.csv").write_text("a,b,t1,t2\n" + "\n".join(lines))
    data = {"source": "r.csv", "label_columns": ["t1", "t2"], "scaling": "range"}
    config = parse_config({"name": "r", "task": "regression", "data": data}, base=tmp_path)
    assert config.hardware.output == "scores"
    found = load_dataset(config)
    assert found.feature_names == ("a", "b")
    assert found.y.tolist() == [[2.0 * i, i / 2] for i in range(80)]
    with pytest.raises(ConfigError, match=r'data\.label_columns are the targets of task = "regression"'):
        parse_config({"name": "r", "data": data})


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"name": "my run"}, "name must be letters, digits and _ and begin with a letter, not 'my run'; e.g. 'my_run'"),
        ({"data": {"source": " "}}, "data.source must name a file, a folder or a SCHEME:NAME, not nothing"),
        (
            {"data": {"source": "a.csv", "drop_columns": []}},
            "unknown key 'data.drop_columns'. Did you mean 'exclude_columns'?",
        ),
    ],
)
def test_what_is_wrong_is_said_plainly(raw, text):
    with pytest.raises(ConfigError) as caught:
        parse_config({**IRIS, **raw}, where="c.toml")
    assert text in str(caught.value)


def test_names_that_begin_alike_are_all_named():
    assert (
        nearest("ulx3s", ["ulx3s_12f", "ulx3s_85f", "icebreaker"]) == " Did you mean one of 'ulx3s_12f', 'ulx3s_85f'?"
    )


def test_the_command_line_tells_what_it_does_not_take(tmp_path: Path):
    file = tmp_path / "x.toml"
    file.write_text('name = "x"\n[data]\nsource = "x.csv"\n')
    with pytest.raises(ConfigError, match="--set takes one key=value, not several lines"):
        load_config(file, ["seed=1\nb=2"])
    assert load_config(file, ["data.label_column=0"]).data.label_column == "0"
    done = CliRunner().invoke(main, ["estimate", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds no program yet: it is no run directory, or its run ended before" in done.stderr


def test_only_the_boards_family_is_counted_where_a_board_is_named():
    assert parse_config(IRIS).families == ("xc7", "xcup", "ecp5")
    assert parse_config({**IRIS, "hardware": {"board": "ulx3s_25f"}}).families == ()
    assert parse_config({**IRIS, "synthesis": {"families": ["xc7"]}}).families == ("xc7",)


def test_small_sets_get_small_batches():
    student = parse_config(IRIS).student
    assert [student.batch(n) for n in (60, 320, 5000)] == [8, 20, 64]
    assert parse_config({**IRIS, "student": {"batch_size": 3}}).student.batch(5000) == 3


def test_the_input_format_follows_from_the_samples():
    number, why = auto_format(np.arange(34).reshape(17, 2) / 16, "none")
    assert (str(number), why) == ("ufixed<6,2>", "exact for all 17 samples, 0 to 2.0625")
    normal = np.random.default_rng(0).normal(size=(400, 3))
    number, why = auto_format(normal, "none")
    step = 2.0**-number.frac_bits
    assert step**2 / 12 <= (normal.std(axis=0) ** 2).min() / 10**4.8 < (2 * step) ** 2 / 12
    assert "48 dB or more" in why
    with pytest.raises(FormatError, match="finds no format of at most 16 bits: features reach from 0 to 90000"):
        auto_format(np.array([[0.0, 1 / 3], [90000.0, 0.1]]), "none")
    contract = load_dataset(parse_config(IRIS)).contract
    assert contract["format"]["chosen"].startswith("48 dB or more between")


def test_too_short_a_training_is_remarked_upon():
    assert rises([0.2, 0.3, 0.4, 0.9], 100)
    assert not rises([0.2, 0.9, 0.9, 0.91], 100)
    assert not rises([], 100)
    low = {"test_accuracy": 0.6, "test_accuracy_low": 0.55, "test_accuracy_high": 0.65}
    high = {"test_accuracy": 0.9, "test_accuracy_low": 0.85, "test_accuracy_high": 0.95}
    samples = {"data": {"samples": {"validation": 50}}}
    told = advice(
        {**samples, "teacher": low, "student": high}, {"student": [{"score": s} for s in (0.1, 0.2, 0.3, 0.9)]}
    )
    assert told[0] == "the student's validation score was still rising when its training ended; raise student.epochs"
    assert "the teacher (60.0% on test) is worse than its student (90.0%); raise teacher.epochs" in told[1]
    assert "far below its teacher" in advice({**samples, "teacher": high, "student": low}, {})[0]


def test_data_or_a_run_given_for_a_configuration_are_told_apart(tmp_path: Path):
    (tmp_path / "pulses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        ConfigError, match=r"is not valid TOML: .*; if pulses\.csv holds data, `gatewright init .*` writes"
    ):
        load_config(tmp_path / "pulses.csv")
    with pytest.raises(
        ConfigError, match="is a directory, no configuration file; `gatewright init` makes one of a data"
    ):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no configuration file; a run's configuration is .*config\.json$"):
        load_config(tmp_path)
    done = CliRunner().invoke(main, ["compare", str(tmp_path)])
    assert "must be a finished run, with results.json, which is not there; `gatewright run` ends it" in done.stderr
