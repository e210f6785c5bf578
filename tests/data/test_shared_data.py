"""The loaders on real data beside the project (../shared/data); skipped, with the reason, where it is absent."""

import lzma

import pytest

from gatewright.data import load_dataset

pytestmark = pytest.mark.data


def test_mnist(make, shared):
    images, labels = shared("mnist/t10k-images-idx3-ubyte.gz"), shared("mnist/t10k-labels-idx1-ubyte.gz")
    data = load_dataset(make(images, labels=str(labels)))
    assert data.x.shape == (10000, 784)
    assert data.classes == tuple("0123456789")
    assert data.summary()["splits"]["test"]["rows"] == 2000


def test_magic04(make, shared):
    data = load_dataset(make(shared("magic04/magic04.data.xz"), label_column="class", scaling="range"))
    assert data.x.shape == (19020, 10)
    assert data.classes == ("g", "h")
    assert data.feature_names[0] == "fLength"


def test_htru2(make, shared):
    path = shared("htru2/HTRU_2.csv.xz")
    data = load_dataset(make(path, label_column="y", scaling="standard", input_format="fixed<8,4>"))
    with lzma.open(path) as file:
        assert len(data.x) == sum(1 for _ in file) - 1
    assert data.classes == ("0", "1")
