"""Elements that ONNX picks by constant indices and masks, as torch exports adaptive pools: `==` onnx's reference."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.importers import shaping  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import equals_reference, ints, node, save  # noqa: E402


def adaptive(indices, mask, divisor, sums):
    """An adaptive mean as torch 2.13 writes it: windows gathered, what lies past them masked, summed and divided."""
    nodes = [
        helper.make_node("Transpose", ["x4"], ["t"], perm=[2, 3, 0, 1]),
        helper.make_node("GatherND", ["t", "indices"], ["g"], name="G", batch_dims=0),
        helper.make_node("Transpose", ["g"], ["w"], perm=[4, 5, 0, 1, 2, 3]),
        helper.make_node("Where", ["mask", "zero", "w"], ["m"]),
    ]
    total = ""
    for row, column in sums:
        name = f"{row}{column}"
        nodes += [
            helper.make_node("Gather", ["m", f"i{row}"], [f"r{name}"], axis=3),
            helper.make_node("Gather", [f"r{name}", f"i{column}"], [f"c{name}"], axis=4),
        ]
        if total:
            nodes.append(helper.make_node("Add", [total, f"c{name}"], [f"s{name}"]))
        total = f"s{name}" if total else f"c{name}"
    nodes.append(helper.make_node("Div", [total, "divisor"], ["d"]))
    numbers = {f"i{i}": np.int64(i) for i in range(3)}
    return nodes, {"indices": indices, "mask": mask, "zero": np.float32(0), "divisor": divisor, **numbers}


def windows(size, count):
    """First elements, and the greatest number of them, of adaptive windows."""
    first = [size * i // count for i in range(count)]
    lengths = [-(-size * (i + 1) // count) - f for i, f in enumerate(first)]
    return np.array(first), np.array(lengths)


def test_an_adaptive_mean_of_windows_that_differ(tmp_path):
    """1 to 5 in three windows: two, three and two elements."""
    first, lengths = windows(5, 3)
    columns = np.minimum(first[:, None] + np.arange(3), 4)
    indices = np.stack([np.zeros_like(columns), columns], -1)[None, None].astype(np.int64)
    mask = np.arange(3) >= lengths[:, None]
    nodes, constants = adaptive(indices, mask, lengths.astype(np.float32), [(0, j) for j in range(3)])
    nodes.insert(0, helper.make_node("Unsqueeze", ["x", "axis"], ["x4"]))
    nodes.append(helper.make_node("Squeeze", ["d", "axis"], ["y"]))
    path = save(tmp_path / "m.onnx", nodes, (2, 5), {**constants, "axis": ints(-2)}, 20)
    x = np.array([[[1, 2, 3, 4, 5], [6, -6, 12, 0, 3]]])
    assert equals_reference(path, x).tolist() == [[[1.5, 3, 4.5], [0, 2, 1.5]]]


def test_an_adaptive_mean_of_an_image(tmp_path):
    (rows, heights), (columns, _) = windows(5, 3), windows(5, 2)
    at = [np.minimum(first[:, None] + np.arange(3), 4) for first in (rows, columns)]
    grid = np.broadcast_arrays(at[0][:, :, None, None], at[1])
    mask = (np.arange(3) >= heights[:, None])[..., None, None]
    divisor = (3.0 * heights[:, None]).astype(np.float32)
    sums = [(i, j) for i in range(3) for j in range(3)]
    nodes, constants = adaptive(np.stack(grid, -1).astype(np.int64), mask, divisor, sums)
    nodes = [helper.make_node("Identity", ["x"], ["x4"]), *nodes, helper.make_node("Identity", ["d"], ["y"])]
    x = np.random.default_rng(9).integers(-5, 6, (6, 2, 5, 5)) * 18
    got = equals_reference(save(tmp_path / "m.onnx", nodes, (2, 5, 5), constants, 20), x)
    parts = list(zip(rows, heights, strict=True))
    expected = [[x[:, :, r : r + h, c : c + 3].mean((2, 3)) for c in columns] for r, h in parts]
    assert got.tolist() == np.moveaxis(np.array(expected), (0, 1), (2, 3)).tolist()


def test_picking_one_element_keeps_the_samples_in_their_place(tmp_path):
    """All sizes but one are 1: the samples' axis is not mistaken for another."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[2, 0, 1]),
        helper.make_node("GatherND", ["t", "i"], ["g"]),
        helper.make_node("Transpose", ["g"], ["y"], perm=[2, 0, 1, 3]),
    ]
    path = save(tmp_path / "m.onnx", nodes, (1, 3), {"i": np.array([[[-2]]])}, 17)
    assert equals_reference(path, np.arange(6.0).reshape(2, 1, 3)).tolist() == [[[[1]]], [[[4]]]]


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        (np.array([[0]]), r"picks along the axis of the samples \(axis 0\)"),
        (np.array([[0, 3]]), "picks elements outside of the shape"),
        (np.array([[0, 0, 0]]), "do not fit a value of the shape"),
    ],
)
def test_elements_that_cannot_be_picked_are_refused(tmp_path, indices, text):
    made = helper.make_node("GatherND", ["x", "i"], ["y"], name="G")
    with pytest.raises(ModelError, match=rf"node 'G' \(GatherND\): .*{text}"):
        load_onnx(save(tmp_path / "m.onnx", [made], (3,), {"i": indices}, 17))


@pytest.mark.parametrize("order", [["m", "x", "c"], ["m", "c", "x"]])
def test_a_constant_in_some_places(tmp_path, order):
    constants = {"m": np.array([[True], [False]]), "c": np.array([0.5, -1.5, 2], np.float32)}
    path = save(tmp_path / "m.onnx", [helper.make_node("Where", order, ["y"])], (2, 3), constants, 17)
    equals_reference(path, np.arange(12.0).reshape(2, 2, 3))


def test_a_choice_between_computed_values_and_too_many_picks_are_refused(tmp_path, monkeypatch):
    nodes = [node("Relu", out="r"), helper.make_node("Where", ["m", "x", "r"], ["y"], name="W")]
    with pytest.raises(ModelError, match=r"'W' .*: chooses between two values computed from the model's input"):
        load_onnx(save(tmp_path / "m.onnx", nodes, (3,), {"m": np.array([True, False, True])}, 17))
    monkeypatch.setattr(shaping, "MAX_RUNS", 2)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("GatherND", ["t", "i"], ["g"], name="G"),
        helper.make_node("Transpose", ["g"], ["y"], perm=[1, 0]),
    ]
    path = save(tmp_path / "m.onnx", nodes, (9,), {"i": ints(0, 1, 2, 8, 6, 4, -9)[:, None]}, 17)
    with pytest.raises(ModelError, match=r"'G' .*: picks 7 elements in 3 runs; at most 2 are taken"):
        load_onnx(path)
    monkeypatch.undo()
    equals_reference(path, [np.arange(9), np.arange(9) ** 2])
