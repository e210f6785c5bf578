"""Fixtures of the data tests: a configuration maker, small files, the shared real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatewright.config import Config, parse_config

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def make() -> Callable[..., Config]:
    """Return a maker of configurations: make(source, key=value...) sets keys of [data]."""

    def maker(source: Any, task: str = "classification", **data: Any) -> Config:
        output = {"hardware": {"output": "scores"}} if task == "regression" else {}
        return parse_config({"name": "t", "task": task, "data": {"source": str(source), **data}, **output})

    return maker


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Return a finder of real data; the test is skipped, with the reason, where the file is absent."""

    def finder(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs {path}")
        return path

    return finder
