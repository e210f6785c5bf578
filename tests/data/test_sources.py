"""Every kind of source reads, and every way it can be wrong has its message."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gatewright.data import load_dataset
from gatewright.data.readers.calls import function_file
from gatewright.errors import DataError

N = 40
X = np.arange(N * 4).reshape(N, 4) % 200
Y = np.arange(N) % 2
SMALL = {"generator": {"count": 200}}


def idx(array, code):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def csv(path, rows=N, header="a,b,kind", line=lambda i: f"{i},{2 * i},{'pn'[i % 2]}"):
    path.write_text("\n".join([header, *(line(i) for i in range(rows))]) + "\n")
    return path


def refused(config, *texts):
    with pytest.raises(DataError) as caught:
        load_dataset(config)
    for text in texts:
        assert text in str(caught.value)


# ------------------------------------------------------------------------------------------------ arrays


def test_npz(make, tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=X.astype(np.float32), y=Y, run=np.arange(N) // 4, part=np.array(["train", "test"] * (N // 2)))
    data = load_dataset(make(path))
    assert (data.x == X).all()
    assert data.classes == ("0", "1")
    grouped = load_dataset(make(path, group_key="run"))
    assert all(len(set(grouped.split[4 * i : 4 * i + 4])) == 1 for i in range(N // 4))
    np.savez(path, x=X, y=np.arange(N) // 2 % 2, part=np.array(["train", "test"] * (N // 2)))
    fixed = load_dataset(make(path, split_key="part", validation_fraction=0.0))
    assert fixed.split.tolist() == [0, 2] * (N // 2)
    assert fixed.contract["split"]["method"] == "source"


def test_npz_errors(make, tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=X, labels=Y)
    refused(make(path), f"{path}: has no array 'y' (data.y_key). Known: labels, x.")
    refused(make(path, y_key="label"), "has no array 'label' (data.y_key). Did you mean 'labels'?")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(make(path), f"{path}: cannot be read as an .npz archive")
    path.write_bytes(whole.replace(b"\x05\x00\x00\x00\x00\x00\x00\x00", b"\x06\x00\x00\x00\x00\x00\x00\x00"))
    refused(make(path, y_key="labels"), "the file is truncated or damaged: fetch it again")
    np.savez(path, x=X, y=np.array([{}] * N, dtype=object))
    refused(make(path), "must hold plain arrays, not pickled Python objects (unsafe to load); save it again")
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "one.npy").rename(path)
    refused(make(path), "cannot be read as an .npz archive: it is a single array, not an archive")


def test_npy(make, tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.array(["b10", "b2"])[Y])
    data = load_dataset(make(tmp_path / "x.npy", labels=str(tmp_path / "y.npy")))
    assert data.classes == ("b2", "b10")
    assert (data.y == 1 - Y).all()
    refused(make(tmp_path / "x.npy"), 'an .npy file holds samples only; set data.labels = "labels.npy"')
    refused(make(tmp_path / "x.npy", labels=str(tmp_path / "z.npy")), "z.npy does not exist; give an .npy or IDX file")
    (tmp_path / "y.dat").touch()
    refused(make(tmp_path / "x.npy", labels=str(tmp_path / "y.dat")), "must be an .npy or IDX file, not '.dat'")
    np.save(tmp_path / "y.npy", Y[:-1])
    refused(
        make(tmp_path / "x.npy", labels=str(tmp_path / "y.npy")),
        f"{N} samples need as many labels, not {N - 1}; check that both come from the same recording",
    )


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(make, tmp_path, suffix):
    images, labels = tmp_path / f"a-images-idx3-ubyte{suffix}", tmp_path / f"a-labels-idx1-ubyte{suffix}"
    pack = gzip.compress if suffix else bytes
    images.write_bytes(pack(idx(X.astype(np.uint8).reshape(N, 2, 2), 0x08)))
    labels.write_bytes(pack(idx(Y.astype(np.uint8), 0x08)))
    data = load_dataset(make(images, labels=str(labels)))
    assert (data.x == X).all()
    assert data.feature_names == ("x0_0", "x0_1", "x1_0", "x1_1")
    refused(make(images), "an IDX file holds samples only; set data.labels, e.g.")
    images.write_bytes(pack(idx(X.astype(">i2").reshape(N, 2, 2), 0x0B)))
    assert (load_dataset(make(images, labels=str(labels))).x == X).all()


def test_idx_errors(make, tmp_path):
    images, labels = tmp_path / "a.idx3", tmp_path / "a.idx1"
    labels.write_bytes(idx(Y.astype(np.uint8), 0x08))
    whole = idx(X.astype(np.uint8), 0x08)
    config = make(images, labels=str(labels))
    images.write_bytes(whole[:-3])
    refused(config, f"announces {len(whole)} bytes (shape (40, 4)), but it has {len(whole) - 3}; the file is truncated")
    images.write_bytes(whole[:9])
    refused(config, "announces 12 bytes (shape (0,)), but it has 9; the file is truncated")
    images.write_bytes(b"PNG?")
    refused(config, "an IDX file must start with 00 00 TYPE RANK, not 50 4e 47 3f; is it another format")
    packed = tmp_path / "a.idx3.gz"
    packed.write_bytes(gzip.compress(whole)[:-12])
    refused(make(packed, labels=str(labels)), f"{packed}: cannot be read as an IDX file")


def test_nan_names_row_and_column(make, tmp_path):
    x = X.astype(float)
    x[3, 2] = np.nan
    np.savez(tmp_path / "d.npz", x=x, y=Y)
    refused(make(tmp_path / "d.npz"), "samples must be finite, not nan of sample 4, x[3, 2] (1 such values); remove or")
    np.savez(tmp_path / "d.npz", x=np.where(np.isnan(x), np.inf, x).reshape(N, 2, 2), y=Y)
    refused(make(tmp_path / "d.npz"), "samples must be finite, not inf of sample 4, x[3, 1, 0] (1 such values)")


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X, np.zeros(N), "classification needs at least 2 classes, not only '0'; check the label column"),
        (
            X,
            Y + 0.5,
            "class labels must be names or whole numbers, not 0.5 of sample 1; for a continuous target set task",
        ),
        (
            X,
            2 * np.eye(2)[Y],
            "class labels must be one per row, not shape (40, 2); or one-hot, a single 1 in each row",
        ),
        (X, np.array(["a", ""])[Y], "every row needs a label, but sample 2 of 40 has none; fill it in or drop the row"),
        (X.astype(complex), Y, "samples must be numbers, not complex128; convert them"),
        (X.astype(str), Y, "samples must be numbers, not <U21; convert them"),
        (np.full((N, 2), 2**63, dtype=np.uint64), Y, "samples must lie below 2**62, not 9223372036854775808"),
        (np.zeros((0, 4)), np.zeros(0), "samples must have shape (rows, features...), not (0, 4)"),
        (np.arange(1001)[:, None] % 256, np.arange(1001), "classification takes at most 1000 classes, not 1001"),
    ],
)
def test_unusable_arrays(make, tmp_path, x, y, text):
    np.savez(tmp_path / "d.npz", x=x, y=y)
    refused(make(tmp_path / "d.npz"), text)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.array(["a", "b"])[Y], "regression targets must be numbers, not 'a'; choose another label column"),
        (
            np.where(Y, np.nan, 1.0),
            "regression targets must be finite, not nan of sample 2, target 1; remove or repair",
        ),
    ],
)
def test_unusable_targets(make, tmp_path, y, text):
    np.savez(tmp_path / "d.npz", x=X, y=y)
    refused(make(tmp_path / "d.npz", task="regression"), text)


# ------------------------------------------------------------------------------------------------ tables


def test_csv(make, tmp_path):
    path = csv(
        tmp_path / "d.csv",
        header="a, b,run,kind,part",
        line=lambda i: f"{i},{i / 4},r{i // 5},{'pn'[i % 2]},{'train' if i // 5 % 2 else 'test'}",
    )
    data = load_dataset(make(path, label_column="kind", group_column="run", split_column="part", scaling="range"))
    assert data.feature_names == ("a", "b")
    assert data.classes == ("n", "p")
    one = load_dataset(make(path, label_column="kind", feature_columns=("b",), input_format="ufixed<8,4>"))
    assert one.x[:, 0].tolist() == [4 * i for i in range(N)]
    reg = load_dataset(make(path, task="regression", label_column="b", feature_columns=("a",)))
    assert reg.y[:, 0].tolist() == [i / 4 for i in range(N)]
    packed = tmp_path / "d.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert (load_dataset(make(packed, label_column="kind", feature_columns=("a",))).x[:, 0] == np.arange(N)).all()
    packed.write_bytes(gzip.compress(path.read_bytes())[:-20])
    refused(make(packed, label_column="kind"), f"{packed}: cannot be read as a table")


def test_csv_class_named_none_is_a_class(make, tmp_path):
    path = csv(tmp_path / "d.csv", line=lambda i: f"{i},{i},{('None', 'NA')[i % 2]}")
    assert load_dataset(make(path, label_column="kind")).classes == ("NA", "None")


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "data.label_column must name the label's column; columns: a, b, kind"),
        ({"label_column": "knd"}, "has no column 'knd' (data.label_column). Did you mean 'kind'?"),
        ({"label_column": "kind", "feature_columns": ("c1",)}, "'c1' (data.feature_columns). Known: a, b, kind."),
        ({"label_column": "kind", "group_column": "run"}, "has no column 'run' (data.group_column). Known"),
        ({"label_column": "a", "feature_columns": ("a",)}, "must not hold the label column 'a'; remove it"),
    ],
)
def test_csv_column_errors(make, tmp_path, keys, text):
    refused(make(csv(tmp_path / "d.csv"), **keys), text)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_csv_two_columns_of_one_name(make, tmp_path, suffix):
    """pandas calls the second one kind.1, and a label would be a feature."""
    between = "\t" if suffix == "tsv" else ","
    path = csv(tmp_path / f"d.{suffix}", header="a,kind,kind".replace(",", between),
               line=lambda i: f"{i},{i % 2},{i % 2}".replace(",", between))  # fmt: skip
    text = f"{path}: each column must have a name of its own, but 2 are called 'kind'; rename or remove all but one in"
    refused(make(path, label_column="kind"), text)


@pytest.mark.parametrize(
    ("cell", "shown"), [("", "''"), ("nan", "'nan'"), ("inf", "'inf'"), ("wet", "'wet'"), ("NA", "'NA'")]
)
def test_csv_bad_cell_names_line_and_column(make, tmp_path, cell, shown):
    path = csv(tmp_path / "d.csv", line=lambda i: f"{i},{cell if i == 7 else i},{'pn'[i % 2]}")
    refused(make(path, label_column="kind"), f"line 9, column 'b' must be a finite number, not {shown} (1 such cells")


def test_csv_that_is_no_table(make, tmp_path):
    path = tmp_path / "d.csv"
    for content, text in [
        (b"", "cannot be read as a table: No columns to parse from file"),
        (b"a,b\n", "a table must have rows below its header, not none"),
        (b"a,kind\n1,p,3,4\n2,n\n", "cannot be read as a table"),
        (b"a,kind\n1,p\n2,n,5,6\n", "it must be complete, with equally many cells in each line"),
        (b"\x81\x00", "cannot be read as a table: it holds a zero byte, so it is no text"),
        (b"a,kind\n1,p\n2\n3,n\n", "every row needs a label, but sample 2 of 3 has none; fill it in or drop the row"),
        (b"kind\np\nn\n", "a table needs feature columns beside 'kind'"),
    ]:
        path.write_bytes(content)
        refused(make(path, label_column="kind"), text)


def test_folder_of_tables(make, tmp_path):
    for name, shift in (("n10", 0), ("n2", 50)):
        np.savetxt(tmp_path / f"{name}.csv", X[:20] % 50 + shift, fmt="%d", delimiter=",")
    data = load_dataset(make(tmp_path))
    assert data.classes == ("n2", "n10")
    assert data.x[data.y == 0].min() >= 50 > data.x[data.y == 1].max()
    for name in ("n10", "n2"):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for k in (0, 10):
            np.savetxt(
                tmp_path / "deep" / name / f"{k}.csv",
                X[k : k + 10],
                fmt="%d",
                delimiter=",",
                header="a,b,c,d",
                comments="",
            )
    assert load_dataset(make(tmp_path / "deep")).summary()["rows"] == 40
    csv(tmp_path / "n3.csv", header="1,2,3", line=lambda i: f"{i},{i},{i}")
    refused(make(tmp_path), "must have 4 columns like n2.csv, not 3; bring all files to one sample length")


# ------------------------------------------------------------------------------------------------ images


def picture(path, value, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_folder_of_images(make, tmp_path):
    for i in range(12):
        picture(tmp_path / "bees" / f"{i}.png", (200, 100, i))
        picture(tmp_path / "ants" / f"{i}.png", (20, 10, i))
    data = load_dataset(make(tmp_path, image_mode="rgb"))
    assert data.classes == ("ants", "bees")
    assert data.x.shape == (24, 4 * 6 * 3)
    assert data.x[0, :3].tolist() == [20, 10, 0]
    gray = load_dataset(make(tmp_path, image_size=(2, 3)))
    assert gray.contract["raw_shape"] == [2, 3]
    picture(tmp_path / "bees" / "last.png", 0, size=(5, 5), mode="L")
    refused(
        make(tmp_path),
        "images must have one size, but 0.png is 4x6 and last.png is 5x5 (height x width); "
        "set data.image_size = [4, 6]",
    )
    (tmp_path / "bees" / "last.png").write_bytes((tmp_path / "bees" / "0.png").read_bytes()[:48])
    refused(make(tmp_path), "last.png: cannot be read as an image")
    (tmp_path / "bees" / "last.png").write_text("not a picture")
    refused(make(tmp_path), "last.png: cannot be read as an image; replace or remove the file")
    (tmp_path / "bees" / "last.png").unlink()
    np.savetxt(tmp_path / "wasps.csv", X, delimiter=",")
    refused(make(tmp_path), "a data folder must hold tables or images, not both; move one kind elsewhere")


def test_folders_named_train_and_test_fix_the_split(make, tmp_path):
    for part, count in (("train", 8), ("val", 2), ("test", 3)):
        for label, value in (("a", 10), ("b", 90)):
            for i in range(count):
                picture(tmp_path / part / label / f"{i}.png", value, mode="L")
    counts = load_dataset(make(tmp_path)).summary()["splits"]
    assert [counts[part]["rows"] for part in ("train", "validation", "test")] == [16, 4, 6]


def test_folder_errors(make, tmp_path):
    refused(make(tmp_path), f"{tmp_path}: a data folder must hold NAME.csv per class, or sub-folders per class")


# ------------------------------------------------------------------------------------------------ code


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_sklearn(make, name):
    data = load_dataset(make(f"sklearn:{name}", scaling="range"))
    assert len(data.classes) == len(set(data.y.tolist()))
    assert data.x.min() == 0
    assert data.x.max() == 255


def test_sklearn_errors(make):
    refused(make("sklearn:irsi"), "sklearn:irsi: scikit-learn has no bundled data set 'irsi'. Did you mean 'iris'?")
    refused(
        make("sklearn:diabetes"),
        'merge or drop the class, or give your own split; for a continuous target set task = "regression"',
    )


@pytest.mark.parametrize(
    ("name", "spelling", "features"), [("cosmic", "ufixed<8,8>", 30), ("clyc", "ufixed<10,10>", 160)]
)
def test_generators(make, name, spelling, features):
    data = load_dataset(make(f"generator:{name}", input_format=spelling, **SMALL))
    assert data.x.shape == (200, features)
    assert data.contract["source"]["name"] == f"generator:{name}(count=200, seed=2024)"
    refused(make(f"generator:{name[:-1]}"), f"there is no generator '{name[:-1]}'. Did you mean '{name}'?")


def test_generator_of_ten_bits_does_not_fit_eight(make):
    refused(
        make("generator:clyc", **SMALL),
        'choose a wider data.input_format (ufixed<10,10> holds them) or data.scaling = "range"',
    )


MODULE = """
import sys
import numpy as np
X, Y = np.arange(80).reshape(40, 2), np.arange(40) % 2
def pair(): return X, Y
def full(): return {"x": X, "y": np.array(["off", "on"])[Y], "classes": ["off", "on"], "feature_names": "pq",
                    "group": np.arange(40) // 2}
def wrong(): return X
def half(): return {"x": X}
def spare(): return {"x": X, "y": Y, "splits": 1}
def none(): return None, Y
def fails(): raise RuntimeError("no beam")
def ragged(): return [[1], [1, 2]], [0, 1]
def names(): return {"x": X, "y": Y, "feature_names": ["p"]}
def beyond(): return {"x": X, "y": Y + 1, "classes": ["off", "on"]}
def unknown(): return {"x": X, "y": np.array(["off", "up"])[Y], "classes": ["off", "on"]}
def ends(): sys.exit("wrong folder")
def ends_silently(): sys.exit()
def interrupts(): raise BaseException("stop")
def number(): return {"x": X, "y": Y, "classes": 5}
def odd(): return {"x": X, "y": Y, "feature_names": [object()] * 2, 3: 4}
def recurses(): return recurses()
constant = 3
"""


def test_function_of_the_working_directory(make, tmp_path, monkeypatch):
    (tmp_path / "my_lab_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    assert load_dataset(make("python:my_lab_data:pair")).x.shape == (40, 2)
    full = load_dataset(make("python:my_lab_data:full"))
    assert full.classes == ("off", "on")
    assert full.feature_names == ("p", "q")
    for function, text in {
        "pear": "module 'my_lab_data' has no function 'pear'. Did you mean 'pair'?",
        "constant": "has no function 'constant'.",
        "wrong": "the function must return (x, y) or a dict with x and y, not ndarray",
        "half": "the function must return (x, y) or a dict with x and y, not a dict with ['x']",
        "spare": "the returned dict has unknown key 'splits'. Did you mean 'split'?",
        "none": "the function must return (x, y), not None for one of them",
        "fails": "the function must return (x, y), but raised RuntimeError: no beam; mend it",
        "ends": "the function must return (x, y), but raised SystemExit, by sys.exit(): wrong folder; mend it",
        "ends_silently": "but raised SystemExit, by sys.exit(); mend it",
        "interrupts": "but raised BaseException: stop; mend it",
        "number": "the function must return (x, y), but raised TypeError: 'int' object is not iterable; mend it",
        "odd": "the returned dict has unknown key 3.",
        "recurses": "but raised RecursionError",
        "ragged": "x, y, group and split must be arrays",
        "names": "feature_names must name each column of a 2-D x (40, 2), not 1 names",
        "beyond": "labels must be class numbers 0..1 of at least 2 `classes`, not 1..2",
        "unknown": "labels must be one of off, on, not 'up' of sample 2; correct `classes`",
    }.items():
        refused(make(f"python:my_lab_data:{function}"), text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no cable')", "module 'my_bad_lab' cannot be imported, it raised ValueError: no cable"),
        ("import sys\nsys.exit(3)", "it raised SystemExit, by sys.exit(): 3; mend it"),
        ("def f(:", "it raised SyntaxError"),
        ("import no_such_module_here", "no module 'no_such_module_here' among the installed ones"),
        ("\0", "cannot be imported, it raised"),
    ],
)
def test_a_module_that_cannot_be_imported(make, tmp_path, monkeypatch, text, said):
    (tmp_path / "my_bad_lab.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    refused(make("python:my_bad_lab:f"), said)


def test_the_file_of_a_function_is_found_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_pack" / "inner").mkdir(parents=True)
    for path in ("my_mod.py", "my_pack/__init__.py", "my_pack/inner/deep.py"):
        (tmp_path / path).write_text("raise SystemExit")
    for source, file in {
        "python:my_mod:f": "my_mod.py",
        "python:my_pack:f": "my_pack/__init__.py",
        "python:my_pack.inner.deep:f": "my_pack/inner/deep.py",
    }.items():
        assert function_file(source) == tmp_path / file
    for source in ("os", "sys", "__main__", "no_such", "my_pack.inner", "my_mod.x", "..x", "", "my_pack.no", "a b"):
        assert function_file(f"python:{source}:f") in (None, Path(os.__file__))


def test_bytes_are_the_text_that_they_spell(make, tmp_path):
    x, names = np.arange(40).reshape(20, 2), np.array([word.encode() for word in ("Käfer", "ant")] * 10)
    np.savez(tmp_path / "a.npz", x=x, y=names)
    assert load_dataset(make(tmp_path / "a.npz")).classes == ("Käfer", "ant")
    np.savez(tmp_path / "b.npz", x=x, y=np.array([b"ant", b"K\xe4fer"] * 10))
    refused(make(tmp_path / "b.npz"), r"b.npz: labels must be numbers or UTF-8 text, not b'K\xe4fer'; decode them")


def test_a_class_may_be_called_by_a_number_of_any_length(make, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(40).reshape(20, 2), y=np.array(["9" * 5000, "-" + "8" * 5000] * 10))
    assert len(load_dataset(make(tmp_path / "a.npz")).classes) == 2


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="no wider float here")
def test_numbers_beyond_float64(make, tmp_path):
    x = np.arange(40).reshape(20, 2) * np.longdouble("1e4000")
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    refused(make(tmp_path / "a.npz"), "samples must be finite, not inf of sample 1, x[0, 1] (39 such")


def test_a_pipe_is_no_source(make, tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    refused(make(tmp_path / "a.csv"), "a.csv must be a file or a folder, not a device or a pipe; copy it to a file")


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a-idx1-ubyte.gz", "a.csv.gz"])
def test_a_file_that_asks_for_too_much(make, tmp_path, monkeypatch, name):
    monkeypatch.setattr("gatewright.tools.arrays.FREE_BYTES", 1000)
    path = tmp_path / name
    if name == "a.npz":
        np.savez_compressed(path, x=np.zeros((50_000, 8)), y=np.zeros(50_000))
        refused(make(path), "x.npy would grow from", "compressed bytes", "if that is meant, store it uncompressed")
    elif name == "a.npy":
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(77) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header)
        refused(make(path, labels="y.npy"), "claims an array (1000000000000,) of float64", "bytes, but 0 follow")
    elif name.startswith("a-idx"):
        path.write_bytes(gzip.compress(b"\0\0\x08\x01" + (2**31).to_bytes(4, "big") + bytes(900_000)))
        refused(make(path, labels="y.npy"), "cannot be read as an IDX file", "would grow from")
    else:
        path.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 300_000))
        refused(make(path, label_column="b"), "cannot be read as a table", "would grow from")


def test_function_spelling(make):
    for source in ("python::f", "python:a", "python:.a:f", "python:a b:f", "python:a:f()", "python:a:b:c"):
        refused(make(source), f"data.source must read python:MODULE:FUNCTION, not {source!r}")
    refused(make("python:os"), "data.source must read python:MODULE:FUNCTION, not 'python:os'; e.g. python:mydata:load")
    refused(make("python:no_such_module_here:f"), "no module 'no_such_module_here' among the installed ones and in")


def test_unknown_sources(make, tmp_path):
    refused(make("sklern:iris"), "data.source has unknown scheme 'sklern'. Did you mean 'sklearn'?")
    refused(make(tmp_path / "none.npz"), "none.npz does not exist; give a file, a folder, or sklearn, generator")
    (tmp_path / "d.xyz").touch()
    refused(make(tmp_path / "d.xyz"), "a data file must end in .npz, .npy, .csv")
