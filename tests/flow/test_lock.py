"""A run directory belongs to one process at a time, however often others ask for it."""

import pytest

from gatewright.errors import GatewrightError
from gatewright.flow.rundir import RunDirectory


def test_a_refused_run_leaves_the_others_lock(tmp_path):
    with RunDirectory(tmp_path / "run").locked():
        for _ in range(2):
            with (
                pytest.raises(GatewrightError, match="is in use by another gatewright run"),
                RunDirectory(tmp_path / "run").locked(),
            ):
                pass
        (tmp_path / "run" / "kept").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["kept"]
    with RunDirectory(tmp_path / "run").locked():
        pass
