"""The project's own promises: cheap import, one version, documented dependencies, no registry named in a file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gatewright

HEAVY = ("torch", "matplotlib", "sklearn", "pandas", "scipy", "jinja2")


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def child(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_pulls_nothing_heavy():
    code = f"import sys, gatewright; print([m for m in {HEAVY} if m in sys.modules])"
    assert child(code).strip() == "[]"


def test_compiling_pulls_no_torch():
    code = "import sys, gatewright.ir, gatewright.lower, gatewright.rtl, gatewright.sim; print('torch' in sys.modules)"
    assert child(code).strip() == "False"


def test_version_is_the_projects(pyproject):
    assert gatewright.__version__ == pyproject["project"]["version"]


def tracked_files(root: Path) -> list[Path]:
    """Return the files that belong to the project: git's list, or (without git) everything outside hidden folders."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        found = [root / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        skip = {"runs", "build", "_build"}
        found = [
            path
            for path in root.rglob("*")
            if not any(part.startswith(".") or part in skip for part in path.relative_to(root).parts)
        ]
    return [path for path in found if path.is_file()]


def test_no_file_names_a_package_registry(root):
    hosts = [
        b"pypi" + b".org",
        b"pythonhosted" + b".org",
        b"download.pytorch" + b".org",
        b"registry.npmjs" + b".org",
        b"deb.debian" + b".org",
        b"--index" + b"-url",
        b"--find" + b"-links",
    ]
    files = tracked_files(root)
    assert len(files) > 10
    named = [(path.name, host) for path in files for host in hosts if host in path.read_bytes()]
    assert named == []


def dependency_lines(root: Path) -> list[str]:
    """Return the lines of pyproject.toml that name a requirement."""
    text = (root / "pyproject.toml").read_text()
    blocks = re.findall(
        r"^(?:dependencies|fit|import|search|ray|parquet|hdf5|root|wfdb|miniseed|sim|zig|synth|place-more|soc|hls|all|dev|bench"
        r"|docs) = \[\n(.*?)^\]",
        text,
        re.MULTILINE | re.DOTALL,
    )
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_every_dependency_has_its_reason(root, pyproject):
    lines = dependency_lines(root)
    project = pyproject["project"]
    assert len(lines) == len(project["dependencies"]) + sum(map(len, project["optional-dependencies"].values()))
    assert [line for line in lines if not re.search(r'",\s+# \S.{8,}', line)] == []


def test_every_dependency_is_pinned(root, pyproject):
    pinned = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (root / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[<>=!~ ]", item)[0].lower() for group in groups for item in group} - {"gatewright"}
    assert names - pinned == set()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt"])
def test_project_file_exists(root, name):
    assert (root / name).stat().st_size > 300


def test_every_extra_is_tried_alone_at_night(root, pyproject):
    tried = re.search(r"^EXTRAS \?= (.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert tried is not None
    several = {"all", "dev", "bench", "docs"}  # for whole machines
    assert set(tried[1].split()) - {"none"} == set(pyproject["project"]["optional-dependencies"]) - several
