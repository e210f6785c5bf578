"""Files that other libraries write, read back: Parquet, HDF5, ROOT, MiniSEED, WFDB, MATLAB; or the extra to install."""

import importlib
import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gatewright.config import Data
from gatewright.data.raw import Raw, checked
from gatewright.data.sources import check_source, read_source
from gatewright.errors import DataError, MissingToolError

X = np.arange(24, dtype=np.int32).reshape(6, 4)
Y = np.array([0, 1, 2, 0, 1, 2])
NAMES = ["a", "b", "c", "a", "b", "c"]


def library(name: str) -> ModuleType:
    return pytest.importorskip(name, reason=f"needs {name}, of the extra that its format names")


def raw(path: Path, **keys: Any) -> Raw:
    data = Data(source=str(path), **keys)
    check_source(data)
    return checked(read_source(data))


def refused(path: Path, *texts: str, **keys: Any) -> None:
    with pytest.raises(DataError) as error:
        raw(path, **keys)
    for text in texts:
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("d.parquet", "pyarrow", "parquet"),
        ("d.h5", "h5py", "hdf5"),
        ("d.root", "uproot", "root"),
        ("d.mseed", "obspy", "miniseed"),
        ("d.hea", "wfdb", "wfdb"),
    ],
)
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: Any, name: str, module: str, extra: str):
    monkeypatch.setattr("gatewright.tools.extras.find_spec", lambda _: None)
    (tmp_path / name).touch()
    with pytest.raises(MissingToolError) as error:
        check_source(Data(source=str(tmp_path / name)))
    said = f"reading {name} needs the package {module}, which is not installed; pip install 'gatewright[{extra}]'"
    assert str(error.value) == said


def test_parquet(tmp_path: Path):
    pa = library("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "d.parquet"
    columns = {"width": X[:, 0], "kind": NAMES, "wave": X[:, 1:].tolist()}
    parquet.write_table(pa.table(columns), path, row_group_size=4)
    read = raw(path, label_column="kind")
    assert read.feature_names == ("width", "wave_0", "wave_1", "wave_2")
    assert np.array_equal(read.x, X)
    assert read.y.tolist() == NAMES
    refused(path, "has no column 'kin' (data.label_column). Did you mean 'kind'?", label_column="kin")
    parquet.write_table(pa.table({"kind": NAMES, "wave": [[1], [1, 2], None, [1], [1], [1]]}), path)
    refused(
        path, "column 'wave' holds vectors of several lengths (none, 1, 2), a sample needs one", label_column="kind"
    )
    path.write_bytes(path.read_bytes()[:-9])
    refused(path, "cannot be read as a Parquet file", "truncated or damaged: fetch it again", label_column="kind")


def test_hdf5(tmp_path: Path):
    h5py = library("h5py")
    path = tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        file["run7/adc"] = X
        file["run7/kind"] = NAMES
        file["run7/both"] = np.zeros(6, dtype=[("u", "i4"), ("v", "f8")])
    read = raw(path, x_key="run7/adc", y_key="/run7/kind")
    assert np.array_equal(read.x, X)
    assert read.y.tolist() == NAMES
    refused(path, "has no array 'x' (data.x_key). Known: run7/adc, run7/both, run7/kind.", y_key="run7/kind")
    refused(path, "'run7/both' is a table of the fields u, v; save each", x_key="run7/both", y_key="run7/kind")
    path.write_bytes(path.read_bytes()[:900])
    refused(path, "cannot be read as an HDF5 file", "truncated", x_key="run7/adc")


def test_matlab(tmp_path: Path):
    from scipy.io import savemat

    path = tmp_path / "d.mat"
    savemat(path, {"x": X, "y": Y, "names": np.array(NAMES, dtype=object), "s": {"a": 1}})
    read = raw(path)
    assert np.array_equal(read.x, X)
    assert read.y.tolist() == Y.tolist()
    assert raw(path, y_key="names").y.tolist() == NAMES
    refused(path, "has no array 'k' (data.y_key). Known: names, s, x, y.", y_key="k")
    refused(path, "'s' is a struct of a; save its fields as variables", y_key="s")
    path.write_bytes(path.read_bytes()[:300])
    refused(path, "cannot be read as a MATLAB file", "the file is truncated or damaged: fetch it again")


def test_matlab_of_version_7_3(tmp_path: Path):
    h5py = library("h5py")
    path = tmp_path / "d.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = X.T  # MATLAB's order of axes
        file["y"] = Y[None, :]
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    read = raw(path)
    assert np.array_equal(read.x, X)
    assert read.y.tolist() == Y.tolist()


def test_root(tmp_path: Path):
    uproot = library("uproot")
    path = tmp_path / "d.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("events", {"e": "float64", "wave": ("int32", (3,)), "kind": "int32"})
        tree.extend({"e": X[:, 0] / 2, "wave": X[:, 1:], "kind": Y})
    read = raw(path, label_column="kind")
    assert read.feature_names == ("e", "wave_0", "wave_1", "wave_2")
    assert np.array_equal(read.x, np.column_stack([X[:, 0] / 2, X[:, 1:]]))
    assert read.y.tolist() == Y.tolist()
    with uproot.update(path) as file:
        file.mktree("noise", {"e": "float64"}).extend({"e": X[:, 0]})
    refused(path, "data.table must say which tree is meant; it holds events, noise", label_column="kind")
    refused(path, "has no tree 'event' (data.table). Did you mean 'events'?", label_column="kind", table="event")
    assert raw(path, label_column="kind", table="events").y.tolist() == Y.tolist()
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "cannot be read as a ROOT file", "truncated or damaged: fetch it again", label_column="kind")


@pytest.mark.skipif(importlib.util.find_spec("obspy") is None, reason="needs obspy, of the extra [miniseed]")
def test_miniseed(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        obspy: Any = importlib.import_module("obspy")

    for name, gain in (("quake", 1), ("noise", 3)):
        (tmp_path / name).mkdir()
        traces = [obspy.Trace(wave * gain, {"station": f"ST{i}"}) for i, wave in enumerate(X)]
        obspy.Stream(traces).write(str(tmp_path / name / "a.mseed"), format="MSEED")
    read = raw(tmp_path, group_column="station")
    assert np.array_equal(read.x, np.concatenate([X * 3, X]))
    assert read.y.tolist() == ["noise"] * 6 + ["quake"] * 6
    assert raw(tmp_path, record_length=2).x.shape == (24, 2)
    path = tmp_path / "quake" / "a.mseed"
    path.write_bytes(path.read_bytes()[:100])
    refused(tmp_path, "cannot be read as a MiniSEED recording", "truncated or damaged: fetch it again")


def test_wfdb(tmp_path: Path):
    wfdb = library("wfdb")
    signals = np.column_stack([np.arange(100), -np.arange(100)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wfdb's own, of what pandas will change
        wfdb.wrsamp(
            "r1", fs=360, units=["mV", "mV"], sig_name=["I", "II"], d_signal=signals, fmt=["16", "16"],
            adc_gain=[200.0, 200.0], baseline=[0, 0], write_dir=str(tmp_path),
        )  # fmt: skip
        wfdb.wrann("r1", "atr", np.array([1, 20, 50]), symbol=["N", "V", "N"], write_dir=str(tmp_path))
    path = tmp_path / "r1.hea"
    beats = raw(path, label_column="symbol", record_length=4)
    assert beats.x.tolist() == [[18, 19, 20, 21, -18, -19, -20, -21], [48, 49, 50, 51, -48, -49, -50, -51]]
    assert beats.y.tolist() == ["V", "N"]
    assert np.array_equal(raw(path, label_column="signal").x, signals.T)
    refused(path, "set data.record_length, the samples around each annotation", label_column="symbol")
    (tmp_path / "r1.atr").unlink()
    refused(path, "needs annotations, but there is no r1.atr", label_column="symbol", record_length=4)
    (tmp_path / "r1.dat").unlink()
    refused(path, "cannot be read as a WFDB record", "r1.dat", label_column="signal")
