import itertools
from typing import Any

import numpy as np
import pytest

from benchmarks import networks
from gatewright.errors import GatewrightError


@pytest.fixture(autouse=True)
def fresh():
    networks.load.cache_clear()
    yield
    networks.load.cache_clear()


@pytest.mark.data
@pytest.mark.parametrize("name", networks.NAMES)
def test_a_baseline_is_exact_on_its_test_vectors(name):
    try:
        networks.folder()
    except GatewrightError as error:
        pytest.skip(str(error))
    baseline = networks.load(name)
    assert len(baseline.x) == 2000
    assert baseline.matches()


def hgq_file(seed) -> dict[str, Any]:
    """Return an HGQ network as the baselines' README describes the files, evaluated in float64."""
    rng = np.random.default_rng(seed)
    sizes = (5, 7, 3)
    data = {}
    h = rng.normal(0, 4, (200, sizes[0]))
    data["x_test"] = h
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        k, i, f = rng.integers(0, 2, n_in), rng.integers(-2, 5, n_in), rng.integers(-3, 5, n_in)
        k[0], i[0], f[0] = 1, 3, 4  # one live element at least
        data |= {f"in{layer}_k": k, f"in{layer}_i": i, f"in{layer}_f": f}
        q = np.floor(h * 2.0**f + 0.5) / 2.0**f
        q = (q + k * 2.0**i) % ((1 + k) * 2.0**i) - k * 2.0**i
        q = np.where(k + i + f <= 0, 0.0, q)
        data[f"W{layer}"] = (rng.integers(-15, 16, (n_in, n_out)) / 8).astype(np.float32)
        data[f"b{layer}"] = (rng.integers(-40, 41, n_out) / 16).astype(np.float32)
        h = q @ data[f"W{layer}"].astype(np.float64) + data[f"b{layer}"]
        h = np.maximum(h, 0) if layer == 0 else h
    return data | {"y_test": h}


@pytest.mark.parametrize("seed", range(5))
def test_a_network_of_per_element_quantizers_is_exact(seed, tmp_path, monkeypatch):
    np.savez(tmp_path / "net.npz", **hgq_file(seed))
    monkeypatch.setenv(networks.VARIABLE, str(tmp_path))
    assert networks.load("net").matches()


def test_an_absent_folder_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv(networks.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(GatewrightError, match=r"must lie in .*none, which is no folder; set GATEWRIGHT_BASELINES"):
        networks.folder()


def test_an_unknown_network_lists_those_there(tmp_path, monkeypatch):
    (tmp_path / "a.npz").touch()
    monkeypatch.setenv(networks.VARIABLE, str(tmp_path))
    with pytest.raises(GatewrightError, match=r"no baseline network .*b\.npz; there are: a"):
        networks.load("b")


def test_weights_that_are_not_dyadic_are_refused(tmp_path, monkeypatch):
    data = hgq_file(0)
    data["W0"] = data["W0"].astype(np.float64) + 1e-300
    np.savez(tmp_path / "net.npz", **data)
    monkeypatch.setenv(networks.VARIABLE, str(tmp_path))
    with pytest.raises(GatewrightError, match="dyadic"):
        networks.load("net")
