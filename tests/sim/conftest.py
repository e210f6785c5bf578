"""Fixtures: one folder for Verilator's compiled runtime, shared by all builds of a session."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verilated")
