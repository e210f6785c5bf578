"""Every layout of weights that Keras itself reads, and what is said of one that it does not."""

from __future__ import annotations

import json
import zipfile

import h5py
import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import layer, sequential, singles, write_json, write_v3

DEPENDENCIES = "_layer_checkpoint_dependencies"  # Keras 2.12 to 2.14
INNER = sequential(layer("Dense", "b", units=2), layer("Dense", "c", units=3), shape=(5,))
MODEL = sequential(
    layer("Dense", "a", units=5),
    {"class_name": "Sequential", "config": {**INNER["config"], "name": "inner"}},
    layer("LSTM", "r", units=2, activation="tanh", recurrent_activation="sigmoid"),
    shape=(4, 4),
)
ARRAYS = {
    "a": [singles(1, 4, 5), singles(2, 5)],
    "b": [singles(3, 5, 2), singles(4, 2)],
    "c": [singles(5, 2, 3), singles(6, 3)],
    "r": [singles(7, 3, 8), singles(8, 2, 8), singles(9, 8)],
}
X = singles(10, 6, 4, 4)


def groups(container):
    """Where each layer's weights lie below a container, as saving_lib names the groups."""
    places = ("dense", f"sequential/{container}/dense", f"sequential/{container}/dense_1", "lstm/cell")
    return dict(zip(places, ARRAYS.values(), strict=True))


@pytest.fixture
def expected(tmp_path):
    return evaluate(load_keras(write_v3(tmp_path / "new.keras", MODEL, groups("layers"), {})), X)


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_keras_2_12_to_2_14_name_another_group(tmp_path, expected, slash):
    path = write_v3(tmp_path / "old.keras", MODEL, groups(DEPENDENCIES), {}, DEPENDENCIES, slash)
    assert np.array_equal(evaluate(load_keras(path), X), expected)
    more = {**groups(DEPENDENCIES), "dense_7": [singles(1, 2)], "lstm": [singles(1, 2)]}
    path = write_v3(tmp_path / "more.keras", MODEL, more, {}, DEPENDENCIES, slash)
    with pytest.raises(
        ModelError, match=r"holds a weight '/_layer_checkpoint_dependencies/lstm/vars/0' that this layer"
    ):
        load_keras(path)


def test_keras_2_13_leaves_numbers_out(tmp_path):
    """Its counter also rises at layers that are already written: of each layer with weights twice."""
    layers = [layer("Dense", f"d{at}", units=3) for at in range(12)]
    arrays = {at: [singles(2 * at, 3, 3), singles(2 * at + 1, 3)] for at in range(12)}
    model, x = sequential(*layers, shape=(3,)), singles(40, 5, 3)
    numbered = [write_v3(tmp_path / f"{step}.keras", model, {f"dense_{step * at}" if at else "dense": arrays[at]
                for at in range(12)}, {}, DEPENDENCIES) for step in (1, 2)]  # fmt: skip
    one, two = (evaluate(load_keras(path), x) for path in numbered)
    assert np.array_equal(one, two)


@pytest.mark.parametrize("container", ["layers", DEPENDENCIES])
def test_weights_by_position_beside_an_architecture(tmp_path, expected, container):
    archive = write_v3(tmp_path / "new.keras", MODEL, groups(container), {}, container)
    path = write_json(tmp_path / "m.json", MODEL, None)
    with zipfile.ZipFile(archive) as files:
        (tmp_path / "m.weights.h5").write_bytes(files.read("model.weights.h5"))
    assert np.array_equal(evaluate(load_keras(path), X), expected)
    (tmp_path / "m.weights.h5").rename(tmp_path / "other.weights.h5")
    assert np.array_equal(evaluate(load_keras(path, weights=tmp_path / "other.weights.h5"), X), expected)


def sharded(folder, content):
    """Every array in a file of its own; a layer's arrays may lie in two files."""
    places = {}
    for number, (group, arrays) in enumerate(content.items()):
        for at, array in enumerate(arrays):
            name = f"m_{number:03}{at:02}.weights.h5"
            with h5py.File(folder / name, "w") as file:
                file.create_dataset(f"layers/{group}/vars/{at}", data=array)
            places.setdefault(f"/layers/{group}/vars", []).append(name)
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": places})
    (folder / "m.weights.json").write_text(text)
    return write_json(folder / "m.json", MODEL, None)


def test_weights_in_shards(tmp_path, expected):
    path = sharded(tmp_path, groups("layers"))
    assert np.array_equal(evaluate(load_keras(path), X), expected)
    (tmp_path / "m_00201.weights.h5").unlink()
    with pytest.raises(
        ModelError, match=r"m\.weights\.json: the shard 'm_00201\.weights\.h5' is not beside it; copy all"
    ):
        load_keras(path)
    shards = tmp_path / "m.weights.json"
    for text, message in {
        '{"weight_map": {"/layers/dense/vars": "../m.h5"}}': r"its shards must be files beside it, not \['../m.h5'\]",
        '{"weight_map": {"/layers/dense/vars": 3}}': "must be files beside it",
        "{}": "expected a map of shards with a 'weight_map'",
        "[": "the map of the weights' shards cannot be read",
    }.items():
        shards.write_text(text)
        with pytest.raises(ModelError, match=message):
            load_keras(path)


def test_an_unknown_layout_says_so(tmp_path):
    path = write_v3(tmp_path / "new.keras", MODEL, groups("blocks"), {}, "blocks")
    told = r"lie in the groups blocks, which is none of Keras' layouts: layers or _layer_checkpoint_dependencies"
    with pytest.raises(ModelError, match=told):
        load_keras(path)


def test_pickled_weights_and_checkpoints_are_refused(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(MODEL))
        archive.writestr("model.weights.npz", b"")
    with pytest.raises(
        ModelError, match=r"pickled in model\.weights\.npz, which could run code; load it in Keras and save"
    ):
        load_keras(path)
    path = write_json(tmp_path / "m.json", MODEL, None)
    (tmp_path / "ckpt.index").write_bytes(b"x")
    for name in ("ckpt", "ckpt.index", "ckpt.data-00000-of-00001"):
        with pytest.raises(ModelError, match=f"{name}: a TensorFlow checkpoint, which only TensorFlow reads; load it"):
            load_keras(path, weights=tmp_path / name)
