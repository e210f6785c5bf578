"""`gatewright search` from the outside: what is wrong is one line and exit status 2, and nothing is left behind."""

import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from tests.search.test_kill import TINY

pytestmark = pytest.mark.search


@pytest.fixture
def refused(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)

    def refused(*words):
        result = CliRunner().invoke(main, ["search", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "s"), *words])
        assert result.exit_code == 2, result.output
        assert result.stderr.count("gatewright: error: ") == 1
        return result.stderr

    return refused


def test_an_unknown_key_of_the_space(refused, tmp_path):
    text = refused("--set", "search.space.student.sparsty=[0.5]")
    assert "search.space: unknown key 'student.sparsty'. Did you mean 'student.sparsity'?" in text
    assert not (tmp_path / "s").exists()


def test_a_search_without_a_clock(refused, tmp_path):
    assert "hardware.clock_mhz must be above 0, e.g. 200" in refused("--set", "hardware.clock_mhz=0")
    assert not (tmp_path / "s").exists()


def test_an_imported_model_is_not_searched(refused, tmp_path):
    text = refused("--set", "model.file=net.onnx")
    assert "cannot start from [model]; take the table out" in text
    assert not (tmp_path / "s").exists()


def test_an_unknown_objective(refused):
    text = refused("--set", 'search.objectives=["speed"]')
    assert "search.objectives.0: input should be 'metric', 'lut', 'ff', 'dsp' or 'latency', not 'speed'" in text


def test_a_point_of_a_search_that_never_was(refused, tmp_path):
    assert "holds no finished search (search.json); run `gatewright search" in refused("--pick", "3")
    assert not (tmp_path / "s").exists()


def test_a_storage_that_cannot_be_reached(refused):
    text = refused("--storage", "postgresql+nodriver://me:hunter2@db/x")
    assert "cannot open search.storage 'postgresql+nodriver://me:***@db/x'" in text
    assert "hunter2" not in text


def test_an_output_that_does_not_suit_the_classes(refused):
    text = refused("--set", "hardware.output=topk", "--set", "hardware.top_k=9")
    assert "hardware.top_k" in text


@pytest.mark.ray
def test_a_cluster_that_is_not_there(refused):
    text = refused("--ray", "127.0.0.1:1")
    assert "no Ray cluster at '127.0.0.1:1' ([Errno 111] Connection refused); start one with `ray start --head`" in text


@pytest.mark.parametrize("package", ["optuna", "ray"])
def test_a_package_that_is_not_installed(refused, package, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    text = refused(*(["--ray", "127.0.0.1:1"] if package == "ray" else []))
    assert f"pip install 'gatewright[{ {'optuna': 'search'}.get(package, package) }]'" in text
