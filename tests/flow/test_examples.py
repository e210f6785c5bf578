"""The shipped examples, as they are but for a small training budget, up to the simulated hardware."""

import json
from pathlib import Path

import pytest

from gatewright.config import load_config
from gatewright.flow.run import run

pytestmark = [pytest.mark.torch, pytest.mark.sim, pytest.mark.slow]
SMALL = {
    "digits/digits": ["teacher.epochs=8", "teacher.hidden=[64]", "teacher.dropout=0.2", "student.epochs=30"],
    "cosmic/cosmic": ["teacher.epochs=5", "student.epochs=12", "data.generator.count=4000", "hardware.clock_mhz=0"],
    "digits/convolution": [
        'teacher.layers=["conv 3x3 8", "pool 4", "dense 32"]',
        "teacher.epochs=6",
        "student.epochs=15",
        "student.batch_size=32",
    ],
}


@pytest.mark.parametrize(
    ("name", "accuracy"), [("digits/digits", 0.85), ("cosmic/cosmic", 0.88), ("digits/convolution", 0.8)]
)
def test_example(root: Path, tmp_path: Path, name: str, accuracy: float):
    config = load_config(root / "examples" / f"{name}.toml", SMALL[name])
    done = run(config, tmp_path / name, until="sim")
    assert done.ran == ("data", "teacher", "student", "program", "rtl", "sim")
    report = json.loads((tmp_path / name / "sim" / "report.json").read_text())
    assert report["mismatches"] == 0
    assert report["vectors"] >= 800
    assert report["latency_cycles"] == report["claimed_latency_cycles"]
    history = json.loads((tmp_path / name / "student" / "history.json").read_text())
    assert max(row["score"] for row in history) > accuracy


@pytest.mark.parametrize("name", sorted(SMALL))
def test_example_is_listed_whole(root: Path, name: str):
    """What stands in examples/ is what the tests run."""
    shipped = sorted(path.name for path in (root / "examples").iterdir() if path.is_dir())
    others = {"anomaly", "notebooks", "trees", "trigger"}  # anomaly: test_anomaly.py, trigger: test_frontend.py
    assert shipped == sorted({name.split("/")[0] for name in SMALL} | others)
    assert load_config(root / "examples" / f"{name}.toml").name.startswith(name.split("/", maxsplit=1)[0])


def test_trees(root: Path, tmp_path: Path):
    """The example's trees are grown, rounded and compiled; the stages are those of a network."""
    done = run(load_config(root / "examples" / "trees" / "trees.toml"), tmp_path, until="rtl")
    assert done.ran == ("data", "teacher", "student", "program", "rtl")
    assert "= trees layer=trees" in (tmp_path / "program" / "program.txt").read_text()
    assert json.loads((tmp_path / "student" / "trees.json").read_text())["leaf_bits"] == 3


def test_notebooks_are_executed_and_hold_no_paths_of_a_machine(root: Path):
    books = sorted((root / "examples" / "notebooks").glob("*.ipynb"))
    assert books
    for book in books:
        text = book.read_text(encoding="utf-8")
        code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), book
        kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
        assert "error" not in kinds, book
        assert kinds, book
        assert not any(place in text for place in ("site-packages", "/home/", "/root/", "/tmp/", str(root))), book
