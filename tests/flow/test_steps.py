"""The code that a stage's key covers is what its step runs: found, not listed; neither too little nor far too much."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from gatewright.config import Config, parse_config
from gatewright.flow.run import Flow
from gatewright.flow.rundir import RunDirectory, Stage, unheard
from gatewright.flow.steps import WALKED, step_digest, step_rooms
from gatewright.sources import PACKAGE, code_digest, is_room, rooms_of

TINY = {
    "name": "tiny",
    "data": {"source": "sklearn:iris", "input_format": "ufixed<6,3>"},
    "teacher": {"hidden": [4], "epochs": 2},
    "student": {"hidden": [3], "epochs": 2},
    "simulation": {"vectors": 10},
    "synthesis": {"families": ["xc7"]},
}


def config(**tables: object) -> Config:
    return parse_config({**TINY, **tables}, where="a test")


def stages_of(settings: Config, out: Path, *, progress: bool = False) -> dict[str, Stage]:
    flow = Flow.prepare(settings, out, progress=progress, notify=unheard)
    return {stage.name: stage for stage in flow.stages()}


@pytest.fixture
def stages(tmp_path: Path) -> dict[str, Stage]:
    return stages_of(config(hardware={"board": "ulx3s_25f"}), tmp_path / "run")


def edited(package: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the package in which one file says something else."""
    copy = package / "gatewright"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text()
    assert old in text, f"{file} has no {old!r}"
    (copy / file).write_text(text.replace(old, new, 1))
    return copy


ALL = {"data", "teacher", "student", "program", "rtl", "sim", "synth/xc7", "synth/ecp5", "bitstream", "report"}
HARDWARE = {"rtl", "sim", "synth/xc7", "synth/ecp5", "bitstream", "report"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        # decides every fitted format of a student: once the old student stayed in use
        ("fixedpoint/lsb.py", "SEARCH_BITS = 6", "SEARCH_BITS = 1", ALL),
        ("report/figures.py", '"""', '"""New: ', {"report"}),
        ("report/style.css", "{", " {", {"report"}),
        ("rtl/netlist.py", '"""', '"""New: ', HARDWARE),
        ("rtl/leaf/gw_fifo.v", "module", "module ", HARDWARE),
        ("sim/bench.cpp", "#include", "#include ", {"sim", "report"}),
        ("synth/yosys.py", '"""', '"""New: ', {"synth/xc7", "synth/ecp5", "bitstream", "report"}),
        ("deploy/links/host/uart_host.py", '"""', '"""New: ', {"synth/xc7", "synth/ecp5", "bitstream", "report"}),
        ("lower/compile.py", '"""', '"""New: ', HARDWARE | {"program"}),
        ("data/splits.py", '"""', '"""New: ', ALL - {"bitstream", "synth/xc7", "synth/ecp5"}),
        ("fit/training/loop.py", '"""', '"""New: ', {"teacher", "student", "report"}),
        ("search/drive.py", '"""', '"""New: ', set()),
        ("importers/layers.py", '"""', '"""New: ', set()),
    ],
)
def test_a_change_of_code_changes_the_stages_that_run_it(stages, tmp_path, file, old, new, changed):
    copy = edited(tmp_path, file, old, new)
    differ = {name for name, stage in stages.items() if step_digest(stage.run) != step_digest(stage.run, copy)}
    assert set(stages) == ALL
    assert differ == changed


@pytest.mark.parametrize(("file", "changes"), [("fixedpoint/lsb.py", True), ("report/figures.py", False)])
def test_the_key_of_a_stage_holds_its_code(stages, tmp_path, monkeypatch, file, changes):
    directory = RunDirectory(tmp_path / "run")
    before = directory.key(stages["student"])
    copy = edited(tmp_path, file, '"""', '"""New: ')
    monkeypatch.setattr("gatewright.flow.rundir.step_digest", lambda step: step_digest(step, copy))
    assert (directory.key(stages["student"]) != before) == changes


def test_only_a_student_in_a_budget_of_luts_needs_the_compiler(tmp_path):
    pruned = {**TINY["student"], "sparsity": 0.0, "pruning": {"budget_lut": 50}}
    assert "lower" in step_rooms(stages_of(config(student=pruned), tmp_path)["student"].run)
    assert "lower" not in step_rooms(stages_of(config(), tmp_path)["student"].run)


def test_front_needs_the_compiler_and_the_choice_of_its_point_does_not(tmp_path):
    made = stages_of(config(student={**TINY["student"], "precision": "learned"}), tmp_path)
    assert "lower" in step_rooms(made["front"].run)
    assert "lower" not in step_rooms(made["student"].run)


def test_where_a_run_lies_and_what_it_prints_do_not_matter(tmp_path):
    one = stages_of(config(), tmp_path / "one")
    two = stages_of(config(), tmp_path / "two", progress=True)
    assert {n: step_digest(s.run) for n, s in one.items()} == {n: step_digest(s.run) for n, s in two.items()}


def test_a_constant_of_the_flow_is_part_of_the_step(tmp_path, monkeypatch):
    made = stages_of(config(student={**TINY["student"], "precision": "learned"}), tmp_path)
    before = {name: step_digest(stage.run) for name, stage in made.items()}
    monkeypatch.setattr("gatewright.flow.lowering.COST_SAMPLES", 8)
    after = {name: step_digest(stage.run) for name, stage in made.items()}
    assert {name for name in made if before[name] != after[name]} >= {"front"}
    assert {name for name in made if before[name] != after[name]} <= {"front", "report"}


def test_a_step_is_a_function():
    with pytest.raises(AttributeError, match="__code__"):
        step_digest(print)


def rooms_called(step: Callable[[Path], None], directory: RunDirectory, stage: Stage) -> set[str]:
    """Run a stage and return the rooms of every function that was called."""
    called: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (module := frame.f_globals.get("__name__", "")).startswith("gatewright."):
            called.add(module.split(".")[1])

    def watched(out: Path) -> None:
        sys.setprofile(watch)
        try:
            step(out)
        finally:
            sys.setprofile(None)

    assert directory.execute(replace(stage, run=watched))
    return called


@pytest.mark.parametrize(
    "names",
    [
        ("data",),
        pytest.param(("data", "teacher", "student", "program", "rtl"), marks=[pytest.mark.torch, pytest.mark.slow]),
    ],
)
def test_the_rooms_of_a_step_are_all_whose_functions_it_calls(tmp_path, names):
    directory = RunDirectory(tmp_path / "run")
    made = stages_of(config(), tmp_path / "run")
    for name in names:
        step = made[name].run
        called, found = rooms_called(step, directory, made[name]), set(step_rooms(step))
        assert called & found, f"nothing was seen of {name}"
        assert called - found - set(WALKED) <= {"sources"}, name  # which only hashes


def imports_of(path: Path) -> set[str]:
    """Return the rooms that a file imports, by the grammar; those for type checkers only left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gatewright.")}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports are not read"
            if node.module == "gatewright":
                found |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("gatewright."):
                found.add(node.module.split(".")[1])
    return found


ROOMS = sorted(path.stem for path in PACKAGE.iterdir() if path.name[0] not in "_." and is_room(path.stem))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_are_read_as_the_grammar_has_them(room):
    file = PACKAGE / f"{room}.py"
    paths = [file] if file.is_file() else list((PACKAGE / room).rglob("*.py"))
    direct = set.union(*map(imports_of, paths))
    assert direct <= set(ROOMS), "a name of the package's top is loaded by a table, which no reader of imports sees"
    assert set(rooms_of([room])) == {room}.union(*(rooms_of([other]) for other in direct - {room}))


def test_hidden_files_and_compiled_ones_are_no_code(tmp_path):
    copy = edited(tmp_path, "ir/ops.py", '"""', '"""')
    before = code_digest("ir", package=copy)
    (copy / "ir" / ".ops.py.swp").write_text("an editor's")
    (copy / "ir" / "__pycache__").mkdir(exist_ok=True)
    (copy / "ir" / "__pycache__" / "ops.pyc").write_text("compiled")
    second = tmp_path / "second"
    shutil.copytree(copy, second)
    assert code_digest("ir", package=second) == before == code_digest("ir")
    (second / "ir" / "new.v").write_text("module new; endmodule")
    third = tmp_path / "third"
    shutil.copytree(second, third)
    assert code_digest("ir", package=third) != before


def test_what_is_no_room_is_refused():
    with pytest.raises(AssertionError, match=re.escape("the package has no room 'garden'")):
        code_digest("garden")
