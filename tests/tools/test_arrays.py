"""Array files whose headers claim what is not there, and compressed ones that grow too much: refused, not allocated."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import struct
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from gatewright.tools import DAMAGE, load_npy, open_npz, open_stream
from gatewright.tools import arrays as module


def npy(shape: str, descr: str = "'<f8'", body: bytes = b"", version: int = 1) -> bytes:
    """Return an .npy file of any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + body


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


HEADERS = [
    npy("(1000000000000, 8)"),
    npy("(4611686018427387904, 4)"),
    npy("(99999999999999999999999999999,)"),
    npy("(-1, 5)", body=bytes(40)),
    npy("(3,)", body=bytes(23)),
    npy("(1000000000,)", descr="'<U1000000'"),
    npy("(1000000000000,)", descr="'<U0'"),
    npy("(1000000000000,)", version=2),
    npy("(1000000000000,)", version=3),
    npy("(" * 3000),
    npy("()", descr="[('a', '<f8')]"),
    npy("(True, 2)", body=bytes(16)),
    b"\x93NUMPY",
    b"",
    npy("(2,)", descr="'|O'", body=bytes(16)),
]


@pytest.mark.parametrize("content", HEADERS)
def test_what_a_header_claims_is_not_allocated(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    (tmp_path / "a.npz").write_bytes(npz({"x.npy": content}))
    for read in (lambda: load_npy(path), lambda: load_npy(content)):
        with pytest.raises(DAMAGE):
            read()
    with open_npz(tmp_path / "a.npz") as archive, pytest.raises(DAMAGE):
        archive["x"]


def test_the_claim_is_told():
    with pytest.raises(ValueError, match=r"claims an array \(1000, 2\) of float64 and 16,000 bytes, but 8 follow"):
        load_npy(npy("(1000, 2)", body=bytes(8)))


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.zeros((0, 4)), np.array(3.5), np.array(["a", "bc"])])
def test_arrays_come_back(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array, **{"with.dot": array})
    np.savez_compressed(tmp_path / "b.npz", x=array)
    assert np.array_equal(load_npy(tmp_path / "a.npy"), array)
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        with open_npz(path) as archive:
            assert np.array_equal(archive["x"], array)
            assert archive["x"].dtype == array.dtype
            with pytest.raises(KeyError):
                archive["y"]
    with open_npz((tmp_path / "a.npz").read_bytes()) as archive:
        assert archive.files == ["x", "with.dot"]
    with pytest.raises(ValueError, match="it is an archive, not a single array"):
        load_npy(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="it is a single array, not an archive"), open_npz(tmp_path / "a.npy"):
        pass


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(module, "FREE_BYTES", 1000)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_stream_that_grows_too_much(tmp_path, small_limit, suffix, pack):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(pack(bytes(1000)))
    with open_stream(path) as file:
        assert file.read() == bytes(1000)
    path.write_bytes(pack(bytes(1_000_000)))
    if path.stat().st_size * 200 > 1_000_000:
        pytest.fail("not compressed enough to be a bomb")
    with (
        open_stream(path) as file,
        pytest.raises(ValueError, match=r"a\.\w+ would grow from [\d,]+ compressed"),
    ):
        file.read()


def test_a_member_that_grows_too_much(small_limit):
    bomb = npz({"x.npy": npy("(100000,)", body=bytes(800_000))})
    said = "over 200 times; if that is meant, store it uncompressed"
    with open_npz(bomb) as archive, pytest.raises(ValueError, match=said):
        archive["x"]
    with open_npz(npz({"x.npy": npy("(100000,)", body=bytes(800_000))}, zipfile.ZIP_STORED)) as archive:
        assert archive["x"].shape == (100_000,)


def test_a_member_that_is_longer_than_the_archive_says(small_limit):
    """Its entry claims few bytes, so the check above passes: no more than these are read."""
    content = npz({"x.npy": npy("(100000,)", body=bytes(800_000))})
    size = struct.pack("<I", len(npy("(100000,)", body=bytes(800_000))))
    assert content.count(size) == 2
    with open_npz(content.replace(size, struct.pack("<I", 500))) as archive, pytest.raises(DAMAGE):
        archive["x"]


VALID = npy("(2, 3)", body=bytes(48))


@pytest.mark.filterwarnings("ignore:Reading")  # of headers as Python 2 wrote them
@given(at=st.integers(0, len(VALID) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(VALID)))
@example(at=0, byte=0, cut=len(VALID))
def test_a_damaged_file_is_an_array_or_damage(at, byte, cut):
    content = bytearray(VALID)
    content[at] = byte
    for source in (bytes(content), bytes(content[:cut])):
        with contextlib.suppress(*DAMAGE):
            assert load_npy(source).nbytes <= len(VALID)


def test_a_plain_stream(tmp_path):
    Path(tmp_path / "a.csv").write_text("1,2\n")
    with open_stream(tmp_path / "a.csv") as file:
        assert file.read() == b"1,2\n"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_large_array_is_the_same(tmp_path, monkeypatch, order, save):
    monkeypatch.setattr("gatewright.tools.arrays.MAPPED_BYTES", 1)
    monkeypatch.setattr("gatewright.tools.arrays._PIECE", 1000)
    array = np.asarray(np.random.default_rng(0).random((70, 30)), order=order)
    save(tmp_path / "a.npz", x=array, none=array[:0])
    np.save(tmp_path / "a.npy", array)
    with open_npz(tmp_path / "a.npz") as archive:
        found = archive["x"]
        assert archive["none"].shape == (0, 30)
    assert found.flags.writeable == (save is np.savez_compressed)  # mapped, or in memory
    for got in (found, load_npy(tmp_path / "a.npy")):
        assert type(got) is np.ndarray
        assert np.array_equal(got, array)
        assert got.flags.f_contiguous == (order == "F")


def test_a_large_array_is_checked_before_it_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr("gatewright.tools.arrays.MAPPED_BYTES", 1)
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(1000.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:3000] + b"?" + whole[3001:])
    with open_npz(path) as archive, pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        archive["x"]
    path.write_bytes(npz({"x.npy": npy("(100000,)", body=bytes(8))}, zipfile.ZIP_STORED))
    with open_npz(path) as archive, pytest.raises(ValueError, match="its header claims"):
        archive["x"]
    np.savez(path, x=np.array([{}]))
    with open_npz(path) as archive, pytest.raises(ValueError, match="allow_pickle=False"):
        archive["x"]
