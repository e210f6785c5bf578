"""A whole run small enough for tests: the iris flowers on an ECP5 board."""

from pathlib import Path

import pytest

SMALL = """
name = "small"
seed = 3
[data]
source = "sklearn:iris"
input_format = "ufixed<6,3>"
[teacher]
hidden = [16]
epochs = 40
batch_size = 16
learning_rate = 0.01
checkpoint_seconds = 0.0
[student]
hidden = [6]
epochs = 60
batch_size = 16
learning_rate = 0.01
weight_bits = 5
activation_bits = 5
sparsity = 0.3
checkpoint_seconds = 0.0
[hardware]
board = "ulx3s_25f"
clock_mhz = 40.0
stream_bits = 16
[simulation]
vectors = 150
[synthesis]
families = ["ice40"]  # yosys reads the cells of xc7 for 6 s
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return the path of the small configuration, in a folder of its own."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path
