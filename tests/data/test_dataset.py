"""Dataset: round trip, checksum, summary, refusals."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gatewright.data import Dataset, load_dataset
from gatewright.errors import DataError, FormatError
from gatewright.fixedpoint import Fixed


@pytest.fixture
def data(make):
    return load_dataset(make("sklearn:iris", scaling="range"))


def test_round_trip(data, tmp_path):
    data.save(tmp_path / "a")
    data.save(tmp_path / "b")
    again = Dataset.load(tmp_path / "a")
    assert again.checksum == data.checksum
    assert again.x.dtype == data.x.dtype == np.uint8  # as narrow as the format
    assert again.part("test")[0].dtype == np.int64
    assert (again.x == data.x).all()
    assert again.contract == data.contract
    assert again.shape == data.shape == (4,)
    for name in ("dataset.npz", "dataset.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_round_trip_of_regression_and_signed_wide_codes(make, tmp_path):
    data = load_dataset(make("sklearn:diabetes", task="regression", scaling="standard", input_format="fixed<24,6>"))
    data.save(tmp_path)
    again = Dataset.load(tmp_path)
    assert again.checksum == data.checksum
    assert again.y.shape == (442, 1)
    assert again.classes == ()
    assert again.summary()["targets"] == 1


def test_checksum_depends_on_everything(data, make):
    assert load_dataset(make("sklearn:iris", scaling="range")).checksum == data.checksum
    assert load_dataset(make("sklearn:iris", scaling="range", split_seed=1)).checksum != data.checksum
    assert load_dataset(make("sklearn:iris", scaling="range", input_format="ufixed<8,7>")).checksum != data.checksum


def test_parts_and_summary(data):
    summary = data.summary()
    assert sum(part["rows"] for part in summary["splits"].values()) == 150 == summary["rows"]
    assert set(summary["splits"]["test"]["classes"].values()) == {10}
    x, y = data.part("test")
    assert x.shape == (30, 4)
    assert y.shape == (30,)
    with pytest.raises(DataError, match="split must be one of train, validation, test, not 'tets'"):
        data.part("tets")


@pytest.mark.parametrize(
    ("source", "keys", "shape"),
    [
        ("sklearn:digits", {}, (8, 8)),
        ("sklearn:digits", {"window": {"start": 1, "length": 6}, "subsample": {"factor": 4}}, (8, 2)),
        ("sklearn:digits", {"subsample": {"factor": 3, "mode": "average"}}, (8, 2)),
        ("generator:clyc", {"generator": {"count": 40}, "input_format": "ufixed<10,10>"}, (160,)),
        ("sklearn:wine", {"scaling": "range"}, (13,)),
    ],
)
def test_samples_keep_the_shape_that_the_source_gives_them(make, source, keys, shape):
    data = load_dataset(make(source, **{"scaling": "none", **keys}))
    assert data.shape == shape
    assert data.samples("test").shape == (len(data.part("test")[0]), *shape)
    assert (data.samples("train").reshape(-1, data.x.shape[1]) == data.part("train")[0]).all()
    if source == "sklearn:digits" and not keys:
        images = load_digits(return_X_y=True)[0].reshape(-1, 8, 8)
        first = int(np.flatnonzero(data.split == 0)[0])
        assert (data.samples("train")[0] == images[first]).all()


def test_damaged_files(data, tmp_path):
    with pytest.raises(DataError, match=r"no saved dataset: .*dataset.json is missing; delete the folder"):
        Dataset.load(tmp_path)
    data.save(tmp_path)
    archive = tmp_path / "dataset.npz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-50])
    with pytest.raises(DataError, match=r"the saved dataset is damaged .*; delete the folder .* and run again"):
        Dataset.load(tmp_path)
    np.savez(archive, x=data.x, y=data.y, split=np.zeros_like(data.split))
    with pytest.raises(DataError, match=r"checksum of dataset.npz must be .* not of one run: delete the"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x": np.full((4, 2), 300)}, r"codes must lie in 0..255 \(ufixed<8,8>\), not 300..300"),
        ({"x": np.zeros((4, 2))}, r"x must be non-empty integers \(n, features\), not float64 \(4, 2\)"),
        ({"shape": (2, 2)}, r"a sample's shape must have 2 elements, not \(2, 2\)"),
        ({"shape": ()}, r"a sample's shape must have 2 elements, not \(\)"),
        ({"y": np.zeros(3, dtype=np.int64)}, r"y and split must have x's 4 rows, not \(3,\) and \(4,\)"),
        ({"y": np.full(4, 2)}, r"class indices must lie in 0..1"),
        ({"split": np.full(4, 3, dtype=np.uint8)}, "split must hold 0, 1 or 2, not 3"),
        ({"feature_names": ("a",)}, "2 features need as many names, not 1"),
    ],
)
def test_invariants(change, text):
    fields = {
        "name": "t",
        "task": "classification",
        "x": np.zeros((4, 2), dtype=np.int64),
        "shape": (2,),
        "y": np.zeros(4, dtype=np.int64),
        "split": np.zeros(4, dtype=np.uint8),
        "format": Fixed.parse("ufixed<8,8>"),
        "classes": ("a", "b"),
        "feature_names": ("x0", "x1"),
        "contract": {},
    }
    with pytest.raises(DataError, match=text):
        Dataset(**{**fields, **change})


@pytest.mark.parametrize("number", [Fixed(width_bits=33, frac_bits=0), Fixed(width_bits=8, frac_bits=65)])
def test_a_format_wider_than_an_input_is_refused(number):
    codes = np.zeros((1, 1), dtype=np.int64)
    with pytest.raises(FormatError, match=r"an input('s fraction)? must have (1..32|-64..64) bits, not (33|65)"):
        Dataset(
            name="t",
            task="regression",
            x=codes,
            shape=(1,),
            y=codes.astype(float),
            split=np.zeros(1, dtype=np.uint8),
            format=number,
            classes=(),
            feature_names=("x0",),
            contract={},
        )


def test_import_is_cheap():
    code = (
        "import sys, gatewright.data; "
        "sys.exit(', '.join(m for m in ('sklearn', 'scipy', 'pandas', 'PIL', 'torch') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
