"""The right importer is chosen by content, and what none reads is refused with the remedy; nothing is executed."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate, save_graph
from gatewright.importers import load_model
from gatewright.importers import model_kind as kind
from tests.graphs import chain, dense


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from a model file was executed",))


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps(Bomb()))


def test_our_own_graphs_come_back(tmp_path):
    graph = chain((2,), dense("d", [[1.0], [2.0]]))
    save_graph(graph, tmp_path / "g.npz")
    x = np.ones((1, 2))
    assert np.array_equal(evaluate(load_model(tmp_path / "g.npz"), x), evaluate(graph, x))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.h5", b"\x89HDF\r\n\x1a\n...", "keras"),
        ("m.bin", b"\x89HDF\r\n\x1a\n...", "keras"),  # content counts, not the name
        ("m.json", json.dumps({"class_name": "Sequential"}).encode(), "keras"),
        ("m.onnx", b"\x08\x07\x12", "onnx"),
        ("m.pt", pickle.dumps(Bomb()), "torch"),
    ],
)
def test_content_chooses_the_importer(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert kind(tmp_path / name) == expected


def test_archives_are_told_apart(tmp_path):
    zipped(tmp_path / "a.keras", "config.json", "model.weights.h5")
    zipped(tmp_path / "b.pth", "archive/data.pkl")
    assert (kind(tmp_path / "a.keras"), kind(tmp_path / "b.pth")) == ("keras", "torch")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.pkl", pickle.dumps(Bomb()), "is a pickle, which can run any code"),
        ("m.bin", pickle.dumps(Bomb()), "is a pickle.*load_torch"),
        ("m.tflite", b"\x1c\0\0\0TFL3", "is a TFLite model.*tf2onnx"),
        ("m.keras", b"", "is empty"),
        ("m.keras", b"PK\x03\x04", "is a damaged zip file"),
        ("m.xyz", b"hello", "is no model file that gatewright reads"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / name)


def test_archives_and_folders_are_refused(tmp_path):
    zipped(tmp_path / "m.bin", "archive/data.pkl")
    zipped(tmp_path / "m.pt2", "serialized_exported_program.json")
    zipped(tmp_path / "m.zip", "readme")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\x08")
    for name, message in (
        ("m.bin", "is a pickle"),
        ("m.pt2", r"whose loader may run code.*torch\.export\.load"),
        ("m.zip", "without a model"),
        ("saved", "TensorFlow SavedModel.*model.keras"),
        ("absent.onnx", "cannot read model .*No such file"),
    ):
        with pytest.raises(ModelError, match=message):
            load_model(tmp_path / name)


def test_weights_go_with_keras_only(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(ModelError, match=r"weights go with a Keras \.json"):
        load_model(tmp_path / "m.onnx", weights=tmp_path / "w.h5")


def test_a_missing_importer_says_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Bomb()))
    monkeypatch.setitem(__import__("sys").modules, "gatewright.importers.torch", None)
    with pytest.raises(ModelError, match="reading torch models needs"):
        load_model(tmp_path / "b.pt")
