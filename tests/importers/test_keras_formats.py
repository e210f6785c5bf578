"""Containers: the same network out of .h5, .json + .h5 and .keras, and every way in which a file can be bad."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import layer, sequential, singles, write_h5, write_json, write_v3

MODEL = sequential(
    layer("Dense", "fc1", units=5, activation="relu", use_bias=True),
    layer("Dense", "fc2", units=3, activation="linear", use_bias=False),
    shape=(4,),
)
W1, B1, W2 = singles(1, 4, 5), singles(2, 5), singles(3, 5, 3)
WEIGHTS = {"fc1": {"kernel": W1, "bias": B1}, "fc2": {"kernel": W2}}
X = singles(4, 20, 4)
EXPECTED = np.maximum(X.astype(float) @ W1 + B1, 0) @ W2.astype(float)


def test_three_containers_hold_the_same_network(tmp_path):
    paths = [
        write_h5(tmp_path / "a.h5", MODEL, WEIGHTS),
        write_json(tmp_path / "b.json", MODEL, WEIGHTS),
        write_json(tmp_path / "c.json", MODEL, WEIGHTS, suffix=".h5"),
        write_v3(tmp_path / "d.keras", MODEL, {"dense": [W1, B1], "dense_1": [W2]}, {"dense": "fc1", "dense_1": "fc2"}),
    ]
    for path in paths:
        graph = load_keras(path)
        assert np.array_equal(evaluate(graph, X), EXPECTED), path
        assert [node.name for node in graph.nodes] == ["x", "fc1", "fc1.relu", "fc2"]
    named = load_keras(tmp_path / "b.json", weights=tmp_path / "c.h5")
    assert np.array_equal(evaluate(named, X), EXPECTED)


def test_every_cut_of_a_file_is_refused(tmp_path):
    for path in (
        write_h5(tmp_path / "a.h5", MODEL, WEIGHTS),
        write_v3(tmp_path / "d.keras", MODEL, {"dense": [W1, B1], "dense_1": [W2]}, {}),
    ):
        whole = path.read_bytes()
        for keep in np.linspace(0, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:keep])
            with pytest.raises(ModelError):
                load_keras(path)


def test_flipped_bytes_never_escape_the_error_tree(tmp_path):
    path = write_h5(tmp_path / "a.h5", MODEL, WEIGHTS)
    whole = bytearray(path.read_bytes())
    generator = np.random.default_rng(7)
    for _ in range(150):
        broken = whole.copy()
        for at in generator.integers(0, len(whole), 8):
            broken[at] ^= int(generator.integers(1, 256))
        path.write_bytes(broken)
        with contextlib.suppress(ModelError):
            load_keras(path)


def test_claim_of_gigabytes_is_refused_before_allocating(tmp_path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(layer("Dense", "fc", units=2, use_bias=False), shape=(4,)))
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"fc"]
        inner = group.create_group("fc")
        inner.attrs["weight_names"] = [b"fc/kernel:0"]
        inner.create_dataset("fc/kernel:0", shape=(1 << 29, 1), dtype="float32", chunks=(1 << 20, 1))
    assert path.stat().st_size < 20_000
    with pytest.raises(ModelError, match=r"claims shape .* \(2,147,483,648 bytes\).*refused"):
        load_keras(path)


def test_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(MODEL))
        archive.writestr("model.weights.h5", bytes(100 << 20))
    with pytest.raises(ModelError, match=r"claims 104,857,600 bytes out of .* refused"):
        load_keras(path)


def test_links_out_of_the_file_are_refused(tmp_path):
    other = write_h5(tmp_path / "other.h5", MODEL, WEIGHTS)
    path = write_h5(tmp_path / "a.h5", MODEL, WEIGHTS)
    with h5py.File(path, "a") as file:
        del file["model_weights/fc2/fc2/kernel:0"]
        file["model_weights/fc2/fc2/kernel:0"] = h5py.ExternalLink(other.name, "model_weights/fc2/fc2/kernel:0")
    with pytest.raises(ModelError, match="link to elsewhere"):
        load_keras(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_weights_name_layer_and_weight(tmp_path, bad):
    broken = W2.copy()
    broken[1, 1] = bad
    path = write_h5(tmp_path / "a.h5", MODEL, {**WEIGHTS, "fc2": {"kernel": broken}})
    with pytest.raises(ModelError, match=r"a\.h5: .*'fc2'.*'kernel': 1 of 15 values are NaN or infinite"):
        load_keras(path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({**WEIGHTS, "fc2": {"kernel": W1}}, r"'fc2'.*'kernel' must have the shape \(5, 3\), the file has \(4, 5\)"),
        ({"fc1": WEIGHTS["fc1"]}, r"'fc2'.*expected one weight 'kernel' in the file, found 0"),
        (
            {**WEIGHTS, "fc2": {"kernel": W2, "bias": B1}},
            r"'fc2'.*holds a weight .*bias' that this layer does not have",
        ),
        ({**WEIGHTS, "fc3": {"kernel": W2}}, r"weights of layer 'fc3', which the architecture does not have"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, weights, message):
    with pytest.raises(ModelError, match=message):
        load_keras(write_h5(tmp_path / "a.h5", MODEL, weights))


def test_v3_weights_that_do_not_fit(tmp_path):
    with pytest.raises(ModelError, match=r"expected 1 weight\(s\) \(kernel\) in '/layers/dense_1/vars', found 2"):
        load_keras(write_v3(tmp_path / "d.keras", MODEL, {"dense": [W1, B1], "dense_1": [W2, B1]}, {}))
    with pytest.raises(ModelError, match="belong to a layer named 'other', not 'fc1'"):
        load_keras(write_v3(tmp_path / "d.keras", MODEL, {"dense": [W1, B1], "dense_1": [W2]}, {"dense": "other"}))


def test_wrong_files_say_what_they_are(tmp_path):
    def written(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    cases = [
        (tmp_path / "absent.h5", "no such file"),
        (written("pickle.h5", b"\x80\x04\x95" + bytes(20)), "neither a Keras"),
        (written("alone.json", json.dumps(MODEL).encode()), r"no weights beside it \(looked for alone_weights.h5"),
        (written("list.json", b"[1]"), "expected a JSON object|no weights beside"),
        (written("notzip.keras", b"PK\x03\x04" + bytes(40)), "not a complete .keras file"),
    ]
    for path, message in cases:
        with pytest.raises(ModelError, match=message):
            load_keras(path)
    bare = tmp_path / "weights_only.h5"
    with h5py.File(bare, "w") as file:
        file.attrs["keras_version"] = "2"
    with pytest.raises(ModelError, match="holds weights but no architecture"):
        load_keras(bare)
    with pytest.raises(ModelError, match=r"is for a \.json architecture"):
        load_keras(write_h5(tmp_path / "a.h5", MODEL, WEIGHTS), weights=bare)


def test_json_of_absurd_depth_is_refused(tmp_path):
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 200_000)
        data = io.BytesIO()
        h5py.File(data, "w").close()
        archive.writestr("model.weights.h5", data.getvalue())
    with pytest.raises(ModelError, match="not JSON"):
        load_keras(path)


def test_zip_that_lies_about_its_size(tmp_path):
    path = write_v3(tmp_path / "d.keras", MODEL, {"dense": [W1, B1], "dense_1": [W2]}, {})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")  # last entry of the directory: the weights
    data[at + 24 : at + 28] = struct.pack("<I", 0x7FFFFFFF)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"claims 2,147,483,647 bytes"):
        load_keras(path)
