"""What the documentation and docstrings say of the code's layout is so: paths, modules, and who may import whom."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "gatewright"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

TOPS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."} - {"build", "runs"}
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.name[0] not in "_."}
OF_A_RUN = {
    "data",
    "model",
    "teacher",
    "front",
    "student",
    "program",
    "placed",
    "rtl",
    "sim",
    "synth",
    "bitstream",
    "report",
}
ELSEWHERE = {"mydata.py", "NAME_tb.v", "NAME_instance.v"}  # the reader's own, and of a run

FILE = re.compile(r"(?<![\w./<{-])([\w-]+(?:/[\w-]+)*)\.(py|v|cpp|css|html|toml|schema\.json)\b")
FOLDER = re.compile(r"`([\w/]+)/`")
MODULE = re.compile(r"\bgatewright((?:\.[a-z_]\w*)+)")


def lost_files(text: str) -> set[str]:
    """Return the files with a folder that a text names, and that are neither in the checkout nor in the package."""
    found = {f"{stem}.{ending}" for stem, ending in FILE.findall(text) if stem.split("/")[0] in TOPS | ROOMS}
    wanted = {name for name in found if "/" in name and name.split("/")[0] not in {"runs", "run"}}
    return {name for name in wanted if not any((home / name).is_file() for home in (ROOT, PACKAGE, PACKAGE.parent))}


def lost_modules(text: str) -> set[str]:
    """Return the dotted names below gatewright that name neither a module nor a word in one."""
    lost: set[str] = set()
    for dotted in MODULE.findall(text):
        place, *rest = PACKAGE, *dotted.strip(".").split(".")
        while rest and ((place / rest[0]).is_dir() or (place / f"{rest[0]}.py").is_file()):
            place = place / rest.pop(0)
        home = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if rest and not re.search(rf"\b{rest[0]}\b", home.read_text()):
            lost.add(f"gatewright{dotted}")
    return lost


def lost_imports(text: str) -> set[str]:
    """Return what whole examples in Python import from gatewright and no module of it has."""
    lost: set[str] = set()
    for example in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatewright"):
                place = PACKAGE.parent.joinpath(*str(node.module).split("."))
                home = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
                words = set(re.findall(r"\w+", home.read_text())) | {path.stem for path in place.glob("*")}
                lost |= {f"{node.module}.{name.name}" for name in node.names if name.name not in words}
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_import_what_there_is(page):
    assert lost_imports(page.read_text()) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_names_files_and_modules_that_exist(page):
    text = page.read_text()
    made = {name for _, files in recipes(text).values() for name, new in files.items() if new}
    assert lost_files(text) == made
    assert lost_modules(text) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_names_source_files_that_exist(page):
    bare = set(re.findall(r"`(\w+\.(?:py|v|cpp))`", page.read_text())) - ELSEWHERE
    assert bare - {path.name for path in (*PACKAGE.rglob("*"), *SOURCES)} == set()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/design.md"])
def test_folders_of_the_layout_exist(name):
    folders = set(FOLDER.findall((ROOT / name).read_text()))
    homes = (ROOT, PACKAGE, PACKAGE / "flow")
    unknown = {folder for folder in folders if not any((home / folder).is_dir() for home in homes)}
    assert {folder for folder in unknown if folder.split("/")[0] not in OF_A_RUN} == set()
    assert folders


def recipes(text: str) -> dict[str, tuple[int, dict[str, bool]]]:
    """Return for each recipe of CONTRIBUTING its count of files, and whether each file that it lists is new."""
    found: dict[str, tuple[int, dict[str, bool]]] = {}
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        if title := re.match(r"(.+): (\d+) files$", part.splitlines()[0]):
            files = re.findall(r"^\d+\. `(\S+)`( \(new\))?:", part, flags=re.MULTILINE)
            found[title[1]] = int(title[2]), {name: bool(new) for name, new in files}
    return found


def test_recipes_count_the_files_that_they_list_and_these_exist():
    found = recipes((ROOT / "CONTRIBUTING.md").read_text())
    assert len(found) == 5
    for title, (count, files) in found.items():
        assert len(files) == count, title
        for name, new in files.items():
            assert any((home / name).is_file() for home in (ROOT, PACKAGE)) != new, f"{title}: {name}"


def test_comments_and_docstrings_name_files_that_exist():
    paths = [
        path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts
    ]  # tests name files that they write
    lost = {(path.name, name) for path in paths for name in lost_files(path.read_text())}
    assert lost == set()


def test_what_is_lost_is_found_out():
    assert lost_files("see `lower/gone.py`, rtl/leaf/gw_fifo.v and tests/nowhere.py") == {
        "lower/gone.py",
        "tests/nowhere.py",
    }
    assert lost_modules("`gatewright.ir.interp`, `gatewright.target`, gatewright.ir.nothing_such, gatewright.run") == {
        "gatewright.target",
        "gatewright.ir.nothing_such",
    }


def import_order(layers: list[str]) -> str:
    """Return the layers of import-linter's table as the page says them, those that are not built yet left out."""
    rows = ([name.strip(" ()") for name in layer.split("|")] for layer in layers)
    built = ([name for name in row if name in ROOMS] for row in rows)
    return " > ".join(", ".join(f"`{name}`" for name in row) for row in built if row)


def test_the_import_order_of_the_page_is_the_one_that_is_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    wanted = import_order(next(contract["layers"] for contract in contracts if contract["id"] == "layers"))
    said = " ".join((ROOT / "docs" / "design.md").read_text().split())
    assert wanted in said, f"docs/design.md must say: {wanted}"


def test_the_import_order_is_read_from_the_table():
    assert import_order(["(__main__)", "(cli)", "(not_yet) | sim | synth", "ir | data"]) == (
        "`cli` > `sim`, `synth` > `ir`, `data`"
    )
